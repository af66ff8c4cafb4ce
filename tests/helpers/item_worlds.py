"""Images of a workspace made by hand, and the stages over items run on them, shard by shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from corpus.execution import MapJob, ShardTask, close_function
from corpus.pool import Pool
from corpus.stage import MapStage, fingerprint_parts
from tests.helpers.small_worlds import World


def run_over_items(
    world: World, stage: MapStage, inputs: Sequence[Sequence[tuple[str, str]]], owner: str = "web"
) -> tuple[list[str], list[dict[str, Any]]]:
    """Runs a stage over each shard, with its tables by name; returns the paths of the stage's tables, and the metrics.

    Its pools are made of the tables of these shards that have the pool's name.
    """
    url, outputs, metrics = world.workspace.store.url, [], []
    pools = {
        read.name: Pool(url, tuple(sorted(path for each in inputs for name, path in each if name == read.name)))
        for read in stage.pools
    }
    for number, tables in enumerate(inputs):
        output = f"tables/{owner}/{stage.name}/{number:06d}.{'0' * 16}.parquet"
        given = tuple((name, path) for name, path in tables if name in stage.reads)
        task = ShardTask(owner, f"{number:06d}", number, given, output, "m", fingerprint_parts(stage, {}))
        opened = MapJob(stage, url, pools=pools).open()
        outcome = opened(task)
        close_function(opened)
        assert outcome.error == "", outcome.error
        outputs.append(output)
        metrics.append(outcome.metrics)
    return outputs, metrics
