"""Measures unit costs of the design, and computes what they amount to at 2 million, 100 million and 2 billion rows.

    python -m benchmarks.scale      # prints the tables of docs/scale.md

There is no peer: the figures are bytes and seconds per row, shard and pair of this project's tables, on rows as long as
LAION's (a URL of 100 characters, a text of 60).
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.schema import ITEM_ID, ITEM_ID_BYTES, PAIR_SCHEMA, Status, table_schema
from corpus.stage import ITEMS, ROWS, Shard
from corpus.storage import Store
from corpus.workspace import TableKey, Workspace, to_parquet
from filters.image.dedup import Duplicates, DuplicatesSettings
from filters.image.quality import Quality, QualitySettings
from filters.image.stats import ImageStats, ImageStatsSettings
from pipelines.download.images import ITEMS_SCHEMA
from pipelines.pairs.image_text import PairSettings, caption_to_image
from pipelines.plan import Node, Selection, Step
from pipelines.planner import make_plan
from pipelines.sources.source_shards import SourceIndex

SHARD_ROWS = 5_000
PLANNED_SHARDS = 20_000
SCALES = {"2 million": 2e6, "100 million": 1e8, "2 billion": 2e9}
KEPT_SHARE = 0.4  # of sampled rows that become pairs: dead links, filters and duplicates take the others
_IN_FAMILIES = 0.45  # of living rows, where a third are duplicates of another
_FAMILY_BYTES = 5 * 44 + 97  # each member, if it was found in all five bands; then what `finalize` needs for it
_PLANNED_PAIR_BYTES = 340  # of a million pairs without negatives: peak of the driver above its start
_WORDS = np.array(
    [
        "a",
        "of",
        "the",
        "in",
        "on",
        "with",
        "red",
        "blue",
        "dog",
        "cat",
        "street",
        "photo",
        "vintage",
        "design",
        "free",
        "vector",
        "new",
        "home",
    ]
)


def main() -> None:
    """Measures, then prints."""
    rng = np.random.default_rng(0)
    tables = unit_tables(rng)
    per_row = {name: len(to_parquet(table)) / SHARD_ROWS for name, table in tables.items()}
    shuffled = emitted_bytes(tables)
    seconds, grown = planning()
    unit = {
        "bytes per row": {name: round(size, 1) for name, size in per_row.items()},
        "shuffled bytes per row": round(shuffled, 1),
        "planning, microseconds per table": round(seconds * 1e6, 1),
        "planning, driver bytes per table": round(grown),
    }
    print(json.dumps(unit, indent=1))
    stages = len(per_row)
    print(f"\n| | {' | '.join(SCALES)} |\n|---|{'---:|' * len(SCALES)}")
    lines: list[tuple[str, Callable[[float], str]]] = [
        (f"shards of {SHARD_ROWS:,} rows", lambda n: f"{n / SHARD_ROWS:,.0f}"),
        (f"table files ({stages} stages)", lambda n: f"{stages * n / SHARD_ROWS:,.0f}"),
        ("tables", lambda n: _bytes(sum(per_row.values()) * n)),
        *((f"— {name}", lambda n, size=size: _bytes(size * n)) for name, size in per_row.items()),
        ("media at 63 KB an image, 60 % alive", lambda n: _bytes(0.6 * 63e3 * n)),
        ("shuffle of `duplicates`", lambda n: _bytes(shuffled * 0.6 * n)),
        (
            "clusters of duplicates: in memory at once, or in files",
            lambda n: _bytes(_FAMILY_BYTES * _IN_FAMILIES * 0.6 * n),
        ),
        (
            "— of it on the driver, with `engine.max_driver_rows` of 20 million",
            lambda n: _bytes(_FAMILY_BYTES * min(_IN_FAMILIES * 0.6 * n, 20e6 / 5)),
        ),
        ("listing calls of a plan, 1,000 names each", lambda n: f"{stages * max(1, n / SHARD_ROWS / 1000):,.0f}"),
        ("planning, one core", lambda n: _seconds(seconds * stages * n / SHARD_ROWS)),
        ("planning, driver memory", lambda n: _bytes(grown * stages * n / SHARD_ROWS)),
        ("export plan, driver memory, 340 bytes a pair", lambda n: _bytes(_PLANNED_PAIR_BYTES * KEPT_SHARE * n)),
    ]
    for label, value in lines:
        print(f"| {label} | {' | '.join(value(rows) for rows in SCALES.values())} |")


def unit_tables(rng: np.random.Generator) -> dict[str, pa.Table]:
    """Returns a shard's table of each stage, with values of realistic entropy."""
    n = SHARD_ROWS
    ids = pa.array([rng.bytes(ITEM_ID_BYTES) for _ in range(n)], ITEM_ID)
    alive = rng.random(n) < 0.6
    status = pa.array(np.where(alive, str(Status.KEPT), str(Status.FAILED)))
    reason = pa.array(np.where(alive, "", rng.choice(["http_404", "timeout", "dns_failed"], n)))
    status_columns = {"status": status, "reason": reason}
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    urls = ["https://images.example.com/" + "".join(rng.choice(list(digits), 73)) for _ in range(n)]
    texts = [" ".join(rng.choice(_WORDS, 12)) for _ in range(n)]
    rows = pa.table({"url": urls, "text": texts, "licence": [""] * n, **status_columns})
    items = _filled(ITEMS_SCHEMA, rng, ids, status_columns)
    image_stats = _filled(ImageStats(ImageStatsSettings()).schema, rng, ids, status_columns)
    quality = _filled(Quality(QualitySettings()).schema, rng, ids, status_columns)
    duplicates = _filled(Duplicates(DuplicatesSettings()).schema, rng, ids, status_columns)
    live = np.flatnonzero(alive)
    shard = Shard("s", "0", 0, live, {ROWS: rows.take(live), ITEMS: items.take(live)}, Store("memory://"))
    pairs = caption_to_image(shard, "laion", PairSettings(source="s"))
    pairs = pairs.select(table_schema(PAIR_SCHEMA).names)
    return {
        "rows": rows,
        "items": items,
        "image_stats": image_stats,
        "quality": quality,
        "duplicates": duplicates,
        "pairs": pairs,
    }


def _filled(
    schema: pa.Schema, rng: np.random.Generator, ids: pa.Array, status_columns: dict[str, pa.Array]
) -> pa.Table:
    return pa.table({**{field.name: _column(field, rng, ids) for field in schema}, **status_columns})


def _column(field: pa.Field, rng: np.random.Generator, ids: pa.Array) -> pa.Array:
    n = SHARD_ROWS
    if field.type == ITEM_ID:
        return ids
    if pa.types.is_fixed_size_binary(field.type):
        return pa.array([rng.bytes(field.type.byte_width) for _ in range(n)], field.type)
    if pa.types.is_string(field.type):
        return pa.array(
            [{"ext": "jpg", "format": "jpeg", "mode": "RGB", "media": "media/s/000000.x.tar"}.get(field.name, "")] * n
        )
    if pa.types.is_boolean(field.type):
        return pa.array(np.zeros(n, np.bool_))
    if field.name in ("phash", "dhash"):
        return pa.array(rng.integers(0, 2**63, n, dtype=np.uint64))
    if pa.types.is_floating(field.type):
        return pa.array(4 + 4 * rng.random(n), field.type)
    if field.name == "offset":
        return pa.array(np.cumsum(rng.integers(20_000, 100_000, n)), field.type)
    return pa.array(rng.integers(1, {"size": 100_000, "downloaded_bytes": 100_000}.get(field.name, 100), n), field.type)


def emitted_bytes(tables: dict[str, pa.Table]) -> float:
    """Returns the bytes that `duplicates` sends through the shuffle for each row that takes part."""
    alive = np.arange(SHARD_ROWS)
    read = {name: tables[name] for name in ("items", "image_stats", "quality")}
    emitted = Duplicates(DuplicatesSettings()).map(Shard("s", "0", 0, alive, read, Store("memory://")))
    return emitted.nbytes / SHARD_ROWS


def planning() -> tuple[float, float]:
    """Returns the seconds and the driver's bytes for each table of a plan in which everything is done."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        stage = ImageStats(ImageStatsSettings())
        shards = tuple((f"{number:06d}", f"{number:016x}") for number in range(PLANNED_SHARDS))
        index = SourceIndex("f", shards, SHARD_ROWS * PLANNED_SHARDS, {})
        series = TableKey("tables", "s", "image_stats")
        node = Node(stage, "s", series, ((ITEMS, TableKey("tables", "s", ROWS)),))
        first = _planned(workspace, node, index)
        folder_path = Path(folder) / series.folder
        folder_path.mkdir(parents=True)
        for one in first.steps[0][1]:
            (folder_path / Path(one.task.output).name).touch()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        plan = _planned(workspace, node, index)
        seconds = time.perf_counter() - start
        assert {one.state for one in plan.steps[0][1]} == {"done"}
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return seconds / PLANNED_SHARDS, max(grown, 0) * 1024 / PLANNED_SHARDS


def _planned(workspace: Workspace, node: Node, index: SourceIndex) -> Any:
    return make_plan(workspace, [Step("image_stats", (node,))], {"s": index}, Selection())


def _bytes(number: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} PB"


def _seconds(number: float) -> str:
    return f"{number:.1f} s" if number < 100 else f"{number / 60:.0f} min"


if __name__ == "__main__":
    main()
