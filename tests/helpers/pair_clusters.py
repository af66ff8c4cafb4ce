"""Tables of pairs with the tables that the stage `clusters` writes of them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from corpus.execution import FinalizeJob, ShardTask, ShuffleMapJob
from corpus.workspace import Workspace
from pipelines.pairs.clusters import PairClusters, PairClustersSettings
from pipelines.publish.candidates import PairTable
from pipelines.shuffle_results import finalize_tasks


def clustered(workspace: Workspace, paths: Sequence[str]) -> tuple[PairTable, ...]:
    """Runs the stage over the tables of one dataset, and returns these with what it wrote."""
    stage, url = PairClusters(PairClustersSettings()), workspace.store.url
    tasks = [
        ShardTask("d", f"{number:06d}", number, (("pairs", path),), path.replace("/pairs/", "/clusters/"), "", {})
        for number, path in enumerate(paths)
    ]
    mapped = pa.concat_tables(map(ShuffleMapJob(stage, url).open(), tasks))
    results = stage.finalize(stage.reduce(mapped))
    write = FinalizeJob(stage, url).open()
    outcomes = [write(each) for each in finalize_tasks(results, tasks, stage)]
    assert [outcome.error for outcome in outcomes] == [""] * len(tasks)
    return tuple(PairTable(path, (task.output,)) for path, task in zip(paths, tasks, strict=True))
