"""Measures what the driver takes over a store whose every answer takes 40 ms: `status`, an idle run, a mixture's plan.

    python -m benchmarks.slow_store                    # 10,000 shards
    python -m benchmarks.slow_store --shards 1000 --delay-ms 0

There is no peer. It writes the tables of 10,000 shards of four rows, without media, into a folder that is served as an
object store by another process (`benchmarks.object_store`). No stage runs. Then it measures, each in a process of its
own: `status` while no run has kept the counts of rows, an idle run, `status` again, and all that publishing does before
its first tar. Requests are counted by the store. It prints a line of JSON for each.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.object_store import DELAY_MS, count_requests, object_store
from corpus.item_index import read_locations
from corpus.schema import ITEM_ID_BYTES, table_schema
from corpus.settings import parse_settings
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace, to_parquet, with_content
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.dataset_plan import item_ids, make_export_target, pair_rows
from pipelines.publish.publish import plan_datasets
from pipelines.report.terminal import Terminal
from pipelines.run_graph.publishing import publish_input
from pipelines.runner import run
from pipelines.sources.source_shards import index_path, source_fingerprint
from pipelines.status import plan_run, workspace_status

SHARDS, SHARD_ROWS = 10_000, 4
BUCKET = "bucket"
_DIGEST = "0123456789abcdef"  # of the content of every table whose name has one


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("--delay-ms", type=float, default=DELAY_MS)
    parser.add_argument("--only", nargs="+", default=list(_WORKS), choices=list(_WORKS))
    parser.add_argument("--folder", type=Path, help="where tables are written, unless they lie there; and stay")
    parser.add_argument("--measure", metavar="FOLDER", type=Path, help="used by the benchmark itself")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.only[0], settings(arguments.measure, f"s3://{BUCKET}/work"))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        build(settings(folder, str(folder / BUCKET / "work")), arguments.shards)
        with object_store(folder, arguments.delay_ms) as environment:
            for name in arguments.only:
                command = [sys.executable, "-m", "benchmarks.slow_store", "--measure", str(folder), "--only", name]
                env = {**os.environ, **environment}
                output = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=env).stdout
                found = {"name": "slow_store", "work": name, "shards": arguments.shards, **json.loads(output)}
                print(json.dumps(found | {"delay_ms": arguments.delay_ms}), flush=True)


def settings(folder: Path, workspace: str) -> Config:
    """Returns the configuration: one source of URLs, one dataset, one mixture."""
    index = folder / "urls.parquet"
    if not index.exists():
        pq.write_table(pa.table({"url": ["http://example.com/1.jpg"], "text": ["one"]}), index)
    return parse_settings(
        {
            "workspace": workspace,
            "engine": {"kind": "local", "workers": 1},
            "sources": {"web": {"kind": "laion", "files": [str(index)], "shard_rows": SHARD_ROWS}},
            "datasets": {"web": {"source": "web"}},
            "mixtures": {"one": {"corpus": str(folder / "corpus"), "batch_size": 8, "datasets": {"web": {}}}},
        },
        Config,
    )


def build(config: Config, shards: int) -> None:
    """Writes the index of the source, and tables of all stages until a plan finds them done."""
    workspace = Workspace(config.workspace)
    source = config.sources["web"]
    name = source_fingerprint(source.reader())
    rows = [(f"{number:06d}", f"{number:016x}") for number in range(shards)]
    index = {"fingerprint": name, "shards": rows, "rows": shards * SHARD_ROWS, "counts": {"read": shards * SHARD_ROWS}}
    root = Path(workspace.store.url)
    _write(root / index_path("web", name), json.dumps(index).encode())
    table = to_parquet(_table(table_schema(pa.schema([pa.field("url", pa.string())])), {}))
    for shard, fingerprint in rows:
        _write(root / TableKey("tables", "web", ROWS).path(shard, fingerprint), table)
    while True:
        planned = [each for _, step in plan_run(config, Selection(), check=False).steps for each in step]
        missing = [each for each in planned if each.state != "done" and each.task.output]
        if not missing:
            assert all(each.state == "done" for each in planned)
            return
        for each in missing:
            stage = each.node.stage
            found = _table(table_schema(stage.schema), _contents(stage.name, int(each.task.shard)))
            _write(root / with_content(each.task.output, _DIGEST if each.task.content_named else ""), to_parquet(found))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _table(schema: pa.Schema, columns: dict[str, list[Any]]) -> pa.Table:
    """Returns rows of a schema: kept ones, with zeros, "" and empty lists where no column is given."""
    columns = {"status": ["kept"] * SHARD_ROWS, **columns}
    arrays = [
        pa.array(columns[field.name] if field.name in columns else [_empty(field.type)] * SHARD_ROWS, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema)


def _empty(kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_list(kind):
        return []
    if pa.types.is_boolean(kind):
        return False
    return 0 if pa.types.is_integer(kind) or pa.types.is_floating(kind) else None


def _contents(stage: str, shard: int) -> dict[str, list[Any]]:
    """Returns the columns of a shard that publishing reads."""
    rows = range(shard * SHARD_ROWS, (shard + 1) * SHARD_ROWS)
    ids = [_id("item", row) for row in rows]
    sides = {"instruction": "", "clip": None}
    if stage == "download":
        places = [4096 * row for row in range(SHARD_ROWS)]
        media = [f"media/web/{shard:06d}.tar"] * SHARD_ROWS
        return {"item_id": ids, "media": media, "offset": places, "size": [4000] * SHARD_ROWS, "ext": ["jpg"] * 4}
    if stage == "image_stats":
        return {"phash": [int.from_bytes(each[:8], "big") for each in ids]}
    if stage == "pairs":
        return {
            "pair_id": [_id("pair", row) for row in rows],
            "query": [{**sides, "text": f"the text of picture {row}", "items": []} for row in rows],
            "positive": [{**sides, "text": "", "items": [each]} for each in ids],
        }
    return {}


def _id(kind: str, row: int) -> bytes:
    return hashlib.sha256(f"{kind} {row}".encode()).digest()[:ITEM_ID_BYTES]


def measure(name: str, config: Config) -> dict[str, Any]:
    """Returns seconds, processor time, peak memory and requests of a piece of work."""
    count_requests()
    cpu, start = time.process_time(), time.perf_counter()
    result = _WORKS[name](config)
    seconds = time.perf_counter() - start
    requests = count_requests()
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
        "requests": dict(sorted(requests.items())),
        **result,
    }


def status(config: Config) -> dict[str, Any]:
    """Does what `rzen-corpus status` does."""
    found = workspace_status(config)
    return {"kept": found.funnels["web"]["kept"]}


def idle_run(config: Config) -> dict[str, Any]:
    """Runs what is done already, up to publishing."""
    result = run(config, Selection(), Terminal(quiet=True), mixtures=[])
    assert not result.failed
    return {"kept": result.funnels["web"]["kept"]}


def mixture(config: Config) -> dict[str, Any]:
    """Plans a mixture, up to the rows that are handed to the workers."""
    workspace = Workspace(config.workspace)
    plan = plan_run(config, Selection(), check=False)
    inputs = publish_input(config, "one", plan, {"web": {}}, {})
    plans = plan_datasets(workspace, inputs, config.mixtures["one"])
    locations = read_locations(workspace, inputs.items, item_ids(plans), inputs.inspected)
    rows = pair_rows(plans[0], make_export_target(plans[0], locations, 0), locations, frozenset())
    samples = sum(len(np.unique(item.rows)) for item in rows)
    assert samples == len(locations) == len(plans[0].sample_order.chosen)
    return {"samples": samples}


_WORKS: dict[str, Callable[[Config], dict[str, Any]]] = {
    "status without counts": status,
    "idle run": idle_run,
    "status": status,
    "mixture": mixture,
}


if __name__ == "__main__":
    main()
