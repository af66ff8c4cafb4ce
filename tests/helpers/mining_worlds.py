"""A small dataset of pairs whose positives are drawn scenes, and its stages of mining run by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from corpus.execution import MapJob, ShardTask, close_function
from corpus.pool import Pool
from corpus.stage import ITEMS, MapStage, fingerprint_parts
from tests.helpers.small_worlds import World

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 40), "blue": (30, 40, 200), "grey": (120, 120, 120)}


def scene(background: str, left: int, shape: str = "square", kind: str = "PNG") -> bytes:
    """An encoded picture of a white shape on a coloured background."""
    pixels = np.full((96, 96, 3), COLOURS[background], np.uint8)
    rows, columns = np.mgrid[0:96, 0:96]
    across, down = abs(columns - left), abs(rows - 48)
    pixels[(across < 18) & (down < 18) if shape == "square" else across + down < 24] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def run_over_pairs(
    world: World,
    stage: MapStage,
    inputs: Sequence[Sequence[tuple[str, str]]],
    owner: str = "shapes",
    metrics: list[dict[str, Any]] | None = None,
) -> list[str]:
    """Runs a stage over each shard of a dataset, with its tables by name; returns the paths of the stage's tables.

    `owner`: the folder of the tables, of a dataset and a source (a/b) where they are to be found by look-up. Appends
    the metrics of each shard to `metrics`.
    """
    url, outputs = world.workspace.store.url, []
    pools = {ITEMS: Pool(url, tuple(world.items))}
    for read in stage.pools:
        if read.name != ITEMS:
            pools[read.name] = Pool(
                url, tuple(sorted(path for each in inputs for name, path in each if name == read.name))
            )
    for number, tables in enumerate(inputs):
        output = f"pairs/{owner}/{stage.name}/{number:06d}.{'0' * 16}.parquet"
        given = tuple((name, path) for name, path in tables if name in stage.reads)
        task = ShardTask("shapes", f"{number:06d}", number, given, output, "m", fingerprint_parts(stage, {}))
        opened = MapJob(stage, url, pools={read.name: pools[read.name] for read in stage.pools}).open()
        outcome = opened(task)
        close_function(opened)
        assert outcome.error == "", outcome.error
        outputs.append(output)
        if metrics is not None:
            metrics.append(outcome.metrics)
    return outputs


def read_rows(world: World, paths: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of tables, one after the other."""
    return pa.concat_tables([world.workspace.read_table(path) for path in paths]).to_pylist()
