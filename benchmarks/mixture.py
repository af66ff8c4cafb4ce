"""Measures how the time and the memory of planning a mixture grow with the pairs, from 0.5M to 5M.

    python -m benchmarks.mixture                     # 0.5M, 1M, 2M and 5M
    python -m benchmarks.mixture --pairs 500000

There is no peer. It writes a workspace of tables without media: four datasets in the proportions of the recipe's first
stage, that is text -> text, text -> clip in groups, text -> image, and image + text -> image with negatives. Then it
measures, in another process, all that publishing does before its first tar: selection, order, negatives, weights, the
location of every item, and the rows for the workers. It prints a line of JSON for each size, then a table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.harness import timed
from corpus.item_index import read_locations
from corpus.schema import ITEM_ID_BYTES, LOCATION_FIELDS, PAIR_SCHEMA, STATUS_FIELDS, Modality, Task, table_schema
from corpus.workspace import Workspace
from pipelines.labels.vocabulary import load_names
from pipelines.publish.dataset_plan import item_ids, make_export_target, pair_rows, plan_dataset, refuse_shared_pairs
from pipelines.publish.mixture import DatasetInput, MixtureSettings
from pipelines.publish.weights import DatasetSize, dataset_weights

SHARD = 5_000
SIZES = (500_000, 1_000_000, 2_000_000, 5_000_000)
CLIPS = 6  # of a film, on average
_ITEMS = pa.schema([*LOCATION_FIELDS, *STATUS_FIELDS])


@dataclass(frozen=True)
class DatasetKind:
    """A dataset of the workspace: its share of all pairs, and the sides of a pair."""

    name: str
    task: Task
    modality: Modality
    share: float
    query_items: int = 0
    positive_items: int = 1
    texts: bool = False
    grouped: bool = False
    max_negatives: int = 0  # at most
    negatives: int = 0  # that the mixture asks for


KINDS = (
    DatasetKind("text", Task.TEXT_RETRIEVAL, Modality.TEXT, 0.06, positive_items=0, texts=True, negatives=1),
    DatasetKind("clips", Task.VIDEO_RETRIEVAL, Modality.CLIP, 0.05, grouped=True),
    DatasetKind("images", Task.IMAGE_RETRIEVAL, Modality.IMAGE, 0.40),
    DatasetKind("fused", Task.IMAGE_RETRIEVAL, Modality.IMAGE, 0.49, query_items=1, max_negatives=2, negatives=2),
)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--measure", metavar="WORKSPACE", help="plan what lies there (used by the benchmark itself)")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    found = []
    for pairs in options.pairs:
        with tempfile.TemporaryDirectory() as folder:
            build(Workspace(folder), pairs)
            command = [sys.executable, "-m", "benchmarks.mixture", "--measure", folder]
            environment = {**os.environ, "OMP_NUM_THREADS": "2"}
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment).stdout
        found.append({"name": "mixture", "pairs": pairs, **json.loads(output)})
        print(json.dumps(found[-1]), flush=True)
    print("\n| pairs | seconds | of one core | GB | seconds per million | bytes a pair |")
    print("|---:|---:|---:|---:|---:|---:|")
    for size in found:
        millions, seconds = size["pairs"] / 1e6, size["seconds"]
        each = (size["gb"] - size["gb_at_start"]) * 1e3 / millions
        times = f"{seconds:.1f} | {size['cpu_seconds']:.1f}"
        print(f"| {millions:g}M | {times} | {size['gb']:.2f} | {seconds / millions:.1f} | {each:.0f} |")


def build(workspace: Workspace, pairs: int) -> None:
    """Writes the tables of all datasets and of their items."""
    rng = np.random.default_rng(0)
    for kind in KINDS:
        for number, rows in enumerate(_shards(int(pairs * kind.share))):
            ids = {role: rng.bytes(rows * count * ITEM_ID_BYTES) for role, count in _roles(kind).items()}
            path = f"pairs/{kind.name}/pairs/{number:06d}.0123456789abcdef.parquet"
            workspace.write_table(path, pair_table(kind, number, rows, ids, rng), {})
            path = f"tables/{kind.name}/items/{number:06d}.0123456789abcdef.parquet"
            workspace.write_table(path, item_table(b"".join(ids.values()), f"media/{kind.name}/{number:06d}.tar"), {})


def _shards(rows: int) -> Iterator[int]:
    for start in range(0, rows, SHARD):
        yield min(SHARD, rows - start)


def _roles(kind: DatasetKind) -> dict[str, int]:
    return {"query": kind.query_items, "positive": kind.positive_items, "negatives": kind.max_negatives}


def pair_table(kind: DatasetKind, shard: int, rows: int, ids: dict[str, bytes], rng: np.random.Generator) -> pa.Table:
    """Returns a shard's pairs. One in twenty was removed, and some of a pair's negatives may be missing."""
    texts = [f"{kind.name} {shard} {number}" if kind.texts else "" for number in range(rows)]
    kept = rng.random(rows) < 0.95
    film = np.cumsum(rng.random(rows) < 1 / CLIPS)
    columns: dict[str, pa.Array] = {
        "pair_id": _ids(rng.bytes(rows * ITEM_ID_BYTES)),
        "query": _side(ids["query"], kind.query_items, texts),
        "positive": _side(ids["positive"], kind.positive_items, texts),
        "negatives": _negatives(ids["negatives"], kind.max_negatives, rows, rng),
        "group": pa.array([f"film {shard} {number}" for number in film] if kind.grouped else [""] * rows),
        "source_url": pa.array([f"video {shard} {number}" for number in film] if kind.grouped else [""] * rows),
        "status": pa.array(np.where(kept, "kept", "filtered")),
        "reason": pa.array(np.where(kept, "", "blurred")),
    }
    schema = table_schema(PAIR_SCHEMA)
    return pa.table([columns.get(field.name, pa.nulls(rows, field.type)).cast(field.type) for field in schema], schema)


def item_table(ids: bytes, media: str) -> pa.Table:
    """Returns the locations of items in a tar that does not exist."""
    items = _ids(ids)
    n = len(items)
    columns = [items, [media] * n, np.arange(n) * 65_536, np.full(n, 65_536), ["jpg"] * n, ["kept"] * n, [""] * n]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, _ITEMS, strict=True)], _ITEMS)


def _ids(data: bytes) -> pa.Array:
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(ITEM_ID_BYTES), len(data) // ITEM_ID_BYTES, [None, pa.py_buffer(data)]
    )


def _side(ids: bytes, count: int, texts: list[str]) -> pa.Array:
    items = pa.ListArray.from_arrays(pa.array(np.arange(len(texts) + 1, dtype=np.int32) * count), _ids(ids))
    columns = {"instruction": pa.array([""] * len(texts)), "text": pa.array(texts), "items": items}
    return _struct(PAIR_SCHEMA.field("query").type, columns, len(texts))


def _negatives(ids: bytes, max_count: int, rows: int, rng: np.random.Generator) -> pa.Array:
    counts = rng.integers(0, max_count + 1, rows)
    total = int(counts.sum())
    items = pa.ListArray.from_arrays(pa.array(np.arange(total + 1, dtype=np.int32)), _ids(ids[: total * ITEM_ID_BYTES]))
    columns = {
        "text": pa.array([""] * total),
        "items": items,
        "score": pa.array(np.zeros(total, np.float32)),
        "origin": pa.array(["given"] * total),
    }
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, _struct(PAIR_SCHEMA.field("negatives").type.value_type, columns, total))


def _struct(kind: pa.StructType, columns: dict[str, pa.Array], rows: int) -> pa.Array:
    """Returns a struct array; fields without a column are null."""
    arrays = [columns.get(field.name, pa.nulls(rows, field.type)).cast(field.type) for field in kind]
    return pa.StructArray.from_arrays(arrays, fields=list(kind))


def measure(folder: str) -> dict[str, Any]:
    """Returns the seconds of each part, and the peak memory of this process."""
    workspace, at_start, cpu = Workspace(folder), _peak_gb(), time.process_time()
    mixture = MixtureSettings.model_validate(
        {
            "corpus": "unused",
            "pairs_per_shard": 1000,
            "weights": {"rule": "convergence", "task_weights": {"image_retrieval": 2.0}, "temperature": 2},
            "datasets": {kind.name: {"negatives": kind.negatives} for kind in KINDS},
        }
    )
    inputs, items = [], []
    for kind in KINDS:
        paths = [
            f"pairs/{kind.name}/pairs/{name}" for name in sorted(workspace.store.names(f"pairs/{kind.name}/pairs"))
        ]
        inputs.append(DatasetInput(kind.name, kind.task, 1, kind.modality, "", (kind.name,), tuple(paths)))
        items += [path.replace("pairs/", "tables/", 1).replace("/pairs/", "/items/") for path in paths]
    seconds = {}
    plans = []
    names = load_names()
    for dataset in inputs:
        planned = partial(plan_dataset, workspace, dataset, mixture, names)
        seconds[f"plan {dataset.name}"], plan = timed(planned)
        plans.append(plan)
    seconds["pairs in two datasets"], _ = timed(lambda: refuse_shared_pairs(plans))
    sizes = {plan.dataset.name: DatasetSize(plan.dataset.task, len(plan.sample_order.chosen)) for plan in plans}
    seconds["weights"], weights = timed(lambda: dataset_weights(mixture.weights, sizes))
    seconds["find items"], locations = timed(lambda: read_locations(workspace, items, item_ids(plans)))
    seconds["hand out"], rows = timed(
        lambda: [pair_rows(plan, make_export_target(plan, locations, 0), locations, frozenset()) for plan in plans]
    )
    ordered = sum(len(plan.sample_order.chosen) for plan in plans)
    assert ordered == sum(int((item.slot < 0).sum()) for table in rows for item in table)
    assert sum(weights.values()) > 0.999 and all(len(plan.sample_order.shard_samples) for plan in plans)
    return {
        "samples": ordered,
        "items": len(locations),
        "seconds": round(sum(seconds.values()), 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "gb": round(_peak_gb(), 3),
        "gb_at_start": round(at_start, 3),
        "parts": {name: round(value, 2) for name, value in seconds.items()},
    }


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
