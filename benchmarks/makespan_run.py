"""Runs the graph of `benchmarks.makespan` once, with the package that is on Python's path; prints a line of JSON.

It has the seconds from the reading of the sources to the published corpora, and a digest of each table and each tar.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from makespan_stages import Agreement, ExpensiveImageStats, ScarceModel, SlowDownload  # beside this file
from rich.console import Console

from corpus.settings import parse_settings
from corpus.workspace import Workspace
from filters.image.dedup import Duplicates
from filters.image.stats import ImageStats
from pipelines.config import Config, make_config
from pipelines.download.images import Download
from pipelines.graph import STAGES
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.sources.laion import LaionSource

WORKERS = 2
REPLACED = {Download: SlowDownload, ImageStats: ExpensiveImageStats}


def main(folder: str, engine: str, *shards: str) -> None:
    """Runs the graph in a folder, over sources of so many shards."""
    root = Path(folder)
    settings = write_sources(root, [int(number) for number in shards])
    settings["engine"] = {"kind": engine, "workers": WORKERS, "shuffle_partitions": 2}
    if engine == "ray":
        import ray

        context: Any = ray.init("local", num_cpus=WORKERS, num_gpus=1, include_dashboard=False, log_to_driver=False)
        settings["engine"]["address"] = context.address_info["address"]
    stages = [REPLACED.get(stage, stage) for stage in STAGES]
    after = stages.index(Duplicates) + 1
    stages[after:after] = [ScarceModel, Agreement]
    config: Any = parse_settings(settings, make_config((LaionSource,), stages))
    console = Terminal(io.StringIO(), width=100)
    start = time.perf_counter()
    result = run(config, Selection(), console)
    seconds = time.perf_counter() - start
    if result.failed:
        Console(stderr=True).print("\n".join(result.failed))
    assert not result.failed and len(result.corpora) == 1
    print(json.dumps({"seconds": seconds, "digests": {**table_digests(config), **tar_digests(root / "corpus")}}))


def write_sources(root: Path, shards: list[int], rows: int = 20) -> dict[str, Any]:
    """Writes metadata of sources with so many shards each; returns the settings of the whole graph.

    The first row of a source is the picture of the row before it, in the source before: a duplicate.
    """
    sources, first = {}, 1
    for number, count in enumerate(shards):
        seeds = range(first - 1 if number else first, first + count * rows - (1 if number else 0))
        first = seeds[-1] + 1
        table = pa.table(
            {"url": [f"http://web.invalid/{seed}.png" for seed in seeds], "text": [f"picture {seed}" for seed in seeds]}
        )
        pq.write_table(table, root / f"source{number}.parquet")
        files = {"kind": "laion", "files": [str(root / f"source{number}.parquet")], "licence": "drawn"}
        sources[f"source{number}"] = {**files, "shard_rows": rows}
    datasets = {name: {"source": name} for name in sources}
    return {
        "workspace": str(root / "workspace"),
        "sources": sources,
        "stages": {"quality": {"min_side_px": 16}},
        "datasets": datasets,
        "mixtures": {"all": {"corpus": str(root / "corpus"), "datasets": {name: {} for name in datasets}}},
    }


def table_digests(config: Config) -> dict[str, str]:
    """Returns a digest of each table of the workspace, but for the names of media, which are new in each run."""
    workspace, found = Workspace(config.workspace), {}
    root = Path(config.workspace)
    for path in sorted([*root.glob("tables/*/*/*.parquet"), *root.glob("pairs/*/*/*/*.parquet")]):
        table = workspace.read_table(path.relative_to(root).as_posix())
        kept = [name for name in table.column_names if name != "media"]
        text = f"{table.num_rows} {table.select(kept).to_pylist()}"
        name = path.parent.relative_to(root) / path.name.partition(".")[0]
        assert name.as_posix() not in found, f"two tables of {name}"
        found[name.as_posix()] = hashlib.sha256(text.encode()).hexdigest()
    return found


def tar_digests(corpus: Path) -> dict[str, str]:
    """Returns a digest of each published tar."""
    tars = sorted(corpus.rglob("*.tar"))
    assert tars
    return {path.relative_to(corpus).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in tars}


if __name__ == "__main__":
    main(*sys.argv[1:])
