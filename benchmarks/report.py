"""Measures how long the report of a large workspace takes, and how large it is.

    python -m benchmarks.report                     # 5 million rows in 5,000 shards
    python -m benchmarks.report --shards 200        # 200,000 rows

There is no peer. The workspace is written directly, with tables as long as real ones: images of a LAION source that are
downloaded, measured, filtered, deduplicated and captioned, become pairs and get mined negatives. Its vectors are left
out, which no report reads, and all items lie in one file of 64 images.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.scale import SHARD_ROWS, unit_tables
from corpus.execution import count
from corpus.schema import ITEM_ID, Origin, Status
from corpus.settings import parse_settings
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace, to_parquet, with_content
from mining.neighbours import NEIGHBOUR
from pipelines.config import Config
from pipelines.plan import PlannedTable, Selection
from pipelines.report.funnel import funnels
from pipelines.report.table_counts import TableCounts
from pipelines.report.workspace_report import write_report
from pipelines.sources.source_shards import index_path, source_fingerprint
from pipelines.status import plan_run

_VARIANTS = 4  # tables of each stage that shards take turns with
_IMAGES, _SIDE_PX = 64, 384
_NEIGHBOURS, _NEGATIVES = 20, 4  # of a pair
_FAMILY_SHARE, _FAMILY_SIZE = 0.3, 3  # of the rows that have duplicates, and how many are one family
_CONTENT = "0" * 16  # the digest in the name of a table that has one
_SECTIONS = ("funnel", "mixtures", "removed", "numbers", "families", "captions", "mining", "stages", "settings")
_STEPS = 20  # plans, at most, until all names of tables are known


def main() -> None:
    """Writes the workspace, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=1_000, help=f"of a shard; {SHARD_ROWS:,} at most")
    parser.add_argument("--out", type=Path, default=None, help="keep the report here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = parse_settings(_settings(folder, arguments.rows), Config)
        start = time.perf_counter()
        _write_workspace(config, arguments.shards, arguments.rows)
        print(f"workspace written in {time.perf_counter() - start:.0f} s")
        start = time.perf_counter()
        page = write_report(config, "benchmark", arguments.out or folder / "report.html")
        seconds, size = time.perf_counter() - start, page.stat().st_size
        text = page.read_text(encoding="utf-8")
        assert f"<b>{arguments.shards * arguments.rows:,}</b> rows" in text
        absent = [name for name in _SECTIONS if f'<section id="{name}"' not in text]
        assert not absent, f"sections are absent: {absent}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"seconds": round(seconds, 1), "page_bytes": size, "peak_bytes": peak}
    print(json.dumps({"name": "report", "rows": arguments.shards * arguments.rows, **found}))


def _settings(folder: Path, shard_rows: int) -> dict[str, Any]:
    path = folder / "metadata.parquet"
    pq.write_table(pa.table({"URL": ["https://example.com/x.jpg"], "TEXT": ["a text"]}), path)
    return {
        "workspace": str(folder / "workspace"),
        "sources": {"laion": {"kind": "laion", "files": [str(path)], "shard_rows": shard_rows}},
        "stages": {
            "caption": {"sources": {"laion": {"prompts": {"detailed": 1.0}}}, "backend": {"kind": "dummy"}},
            "negatives": {"datasets": {"laion": {"min_score": 0.2, "search_by": "positive"}}},
        },
        "datasets": {"laion": {"source": "laion", "captions": "generated"}},
        "mixtures": {"laion": {"corpus": str(folder / "corpus"), "datasets": {"laion": {"negatives": _NEGATIVES}}}},
    }


def _write_workspace(config: Config, shards: int, rows: int) -> None:
    workspace, rng = Workspace(config.workspace), np.random.default_rng(0)
    places = _write_images(workspace, rng)
    variants = [_tables(rng, rows, places) for _ in range(_VARIANTS)]
    encoded = [{name: to_parquet(table) for name, table in tables.items()} for tables in variants]
    key = TableKey("tables", "laion", ROWS)
    names = [(f"{number:06d}", f"{number:016x}") for number in range(shards)]
    for number, (shard, name) in enumerate(names):
        workspace.store.publish(key.path(shard, name), encoded[number % _VARIANTS][ROWS])
    name = source_fingerprint(config.sources["laion"].reader())
    index = {"fingerprint": name, "shards": names, "rows": shards * rows, "counts": {"read": shards * rows}}
    workspace.store.publish(index_path("laion", name), json.dumps(index).encode())
    counts, lines = TableCounts(workspace), [json.dumps({"event": "started", "at": "2026-01-01T00:00:00Z"})]
    known = [{name: count(table) for name, table in tables.items()} for tables in variants]
    for _ in range(_STEPS):
        plan = plan_run(config, Selection(), check=False)
        todo = [each for _, planned in plan.steps for each in planned if each.state != "done" and each.task.output]
        for table in todo:
            stage, number = table.node.stage.name, int(table.task.shard)
            path = with_content(table.task.output, _CONTENT) if table.task.content_named else table.task.output
            data = encoded[number % _VARIANTS][stage]
            if stage == "duplicates":
                data = to_parquet(_duplicates(variants[number % _VARIANTS][stage], rng))
            workspace.store.publish(path, data)
            counts.add(path, known[number % _VARIANTS][stage])
            lines.append(_log_line(table, rows, len(data), rng))
        if not todo:
            break
    ready = {each.task.output for _, planned in plan.steps for each in planned if each.state == "done"}
    assert len(ready) == shards * len(plan.steps) > 0, "some tables have not been written"
    funnels(counts, plan, ready, config.sources)
    counts.save("20260101T000000-0000")
    workspace.store.publish("runs/20260101T000000-0000.jsonl", "".join(f"{line}\n" for line in lines).encode())


def _log_line(table: PlannedTable, rows: int, size: int, rng: np.random.Generator) -> str:
    fields = {"owner": table.node.table_key.owner, "stage": table.node.stage.name, "shard": table.task.shard}
    figures = {"rows": rows, "seconds": float(rng.exponential(2.0)), "written_bytes": size, "error": ""}
    return json.dumps({**fields, **figures, "counts": {}, "metrics": {}, "content": ""})


def _write_images(workspace: Workspace, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Writes images one after the other; returns offset and size of each."""
    images: list[bytes] = []
    places: list[tuple[int, int]] = []
    for _ in range(_IMAGES):
        small = rng.integers(0, 256, (12, 12, 3), np.uint8)
        pixels = cv2.resize(small, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_CUBIC)
        image = cv2.imencode(".jpg", pixels)[1].tobytes()
        places.append((sum(len(each) for each in images), len(image)))
        images.append(image)
    workspace.store.publish("media/laion/images.tar", b"".join(images))
    return places


def _tables(rng: np.random.Generator, rows: int, places: list[tuple[int, int]]) -> dict[str, pa.Table]:
    """Returns the table of each stage for one shard."""
    found = {name: table.slice(0, rows).combine_chunks() for name, table in unit_tables(rng).items()}
    items = found["items"]
    chosen = rng.integers(0, _IMAGES, rows)
    columns = {
        "media": pa.array(["media/laion/images.tar"] * rows),
        "offset": pa.array([places[at][0] for at in chosen], pa.int64()),
        "size": pa.array([places[at][1] for at in chosen], pa.int64()),
    }
    for name, values in columns.items():
        items = items.set_column(items.column_names.index(name), name, values)
    verdict = items.select(["status", "reason"])
    pairs = found["pairs"].slice(0, int(rows * 0.4))
    kept = pa.table({"status": [str(Status.KEPT)] * len(pairs), "reason": [""] * len(pairs)})
    texts = [" ".join(rng.choice(np.array(["a", "red", "dog", "on", "the", "street"]), 40)) for _ in range(rows)]
    captions = {"caption": texts, "caption_model": ["m"] * rows, "reject_reason": [""] * rows}
    mined = list(_mined(rng, pairs))
    return {
        ROWS: found["rows"].set_column(2, "licence", pa.array([""] * rows)),
        "download": items,
        "image_stats": found["image_stats"],
        "quality": found["quality"],
        "duplicates": found["duplicates"],
        "caption": pa.table({**captions, **_columns(verdict)}),
        "pairs": pairs,
        "clusters": kept,
        "embed": kept,
        "neighbours": pa.table({**_neighbours(rng, len(pairs)), **_columns(kept)}),
        "negatives": pa.table({"negatives": mined, "positive_score": rng.random(len(pairs)), **_columns(kept)}),
    }


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table.column(name) for name in table.column_names}


def _mined(rng: np.random.Generator, pairs: pa.Table) -> Iterator[list[dict[str, Any]]]:
    items = [side["items"] for side in pairs.column("positive").to_pylist()]
    for _ in range(len(pairs)):
        yield [
            {
                "text": "",
                "items": items[at],
                "score": float(rng.random()),
                "origin": str(Origin.MINED),
                "rank": rank,
                "positive_similarity": float(rng.random()),
            }
            for rank, at in enumerate(rng.integers(0, len(pairs), _NEGATIVES).tolist())
        ]


def _neighbours(rng: np.random.Generator, pairs: int) -> dict[str, Any]:
    ids = pa.array([rng.bytes(16) for _ in range(pairs * _NEIGHBOURS)], ITEM_ID)
    fields = [ids if field.type == ITEM_ID else pa.array(rng.random(len(ids)), field.type) for field in NEIGHBOUR]
    entries = pa.StructArray.from_arrays(fields, fields=list(NEIGHBOUR))
    offsets = pa.array(np.arange(pairs + 1) * _NEIGHBOURS, pa.int32())
    return {
        "neighbours": pa.ListArray.from_arrays(offsets, entries),
        "positive_score": rng.random(pairs),
        "positive_rank": pa.array(np.zeros(pairs), pa.int32()),
    }


def _duplicates(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Gives some rows representatives: families of this shard, which no other has."""
    names: list[bytes | None] = [None] * len(table)
    prefix = rng.bytes(12)
    for place, row in enumerate(rng.permutation(len(table))[: int(_FAMILY_SHARE * len(table))].tolist()):
        names[row] = prefix + (place // _FAMILY_SIZE).to_bytes(4, "big")
    return table.set_column(table.column_names.index("representative"), "representative", pa.array(names, ITEM_ID))


if __name__ == "__main__":
    main()
