"""The stage `leaks`: the nearest medium of each evaluation set, by bytes, by hash and by vector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.pool import Pool
from corpus.schema import ITEM_ID, item_id
from corpus.stage import EVALUATION_INDEX, ITEM_VECTORS, ITEMS, Shard
from corpus.storage import Store
from corpus.vectors import normalise, packed_column
from corpus.workspace import Workspace
from filters.decontamination.evaluation import EVALUATION_SCHEMA, NEAR_FIELD
from filters.decontamination.leaks import MAX_DISTANCE, Leaks, LeaksSettings
from tests.helpers.image_rows import random_hash

BLANK = 3  # a hash of few set bits


def flipped(number: int, bits: int) -> int:
    """A hash that differs in so many bits."""
    return number ^ ((1 << bits) - 1)


def entry(name: str, hashed: int | None = None, of_set: str = "bench", content: str = "") -> dict[str, Any]:
    item = item_id((content or name).encode())
    return {"set": of_set, "name": name, "item_id": item, "phash": hashed, "text": None, "alone": None}


def pool_of(folder: Path, name: str, *tables: pa.Table) -> Pool:
    workspace = Workspace(folder)
    paths = [f"tables/{name}/{number}.parquet" for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        workspace.write_table(path, table, {})
    return Pool(workspace.store.url, tuple(paths))


def index_of(folder: Path, *entries: dict[str, Any]) -> Pool:
    tables = [pa.Table.from_pylist(list(entries[at::2]), EVALUATION_SCHEMA) for at in range(2)]
    return pool_of(folder, EVALUATION_INDEX, *tables)


def near(stage: Leaks, shard: Shard) -> list[list[tuple[str, str, str, float]]]:
    """(set, name, way, value) of all that each row is near to."""
    lists = stage.setup()(shard).column(NEAR_FIELD.name).to_pylist()
    return [[(one["set"], one["name"], one["way"], round(one["value"], 3)) for one in row] for row in lists]


def images(folder: Path, pools: dict[str, Pool], rows: dict[str, int], vectors: np.ndarray | None = None) -> Shard:
    """A shard of images: their contents, and the hash of each."""
    ids = pa.array([item_id(name.encode()) for name in rows], ITEM_ID)
    stats = {"phash": pa.array(list(rows.values()), pa.uint64()), "contrast": pa.array([50.0] * len(rows))}
    tables = {ITEMS: pa.table({"item_id": ids}), "image_stats": pa.table(stats)}
    if vectors is not None:
        tables[ITEM_VECTORS] = pa.table({"item_id": ids, "vector": packed_column(normalise(vectors))})
    return Shard("web", "000000", 0, np.arange(len(rows)), tables, Store(folder), pools=pools)


def test_the_nearest_medium_of_each_set_is_named_with_its_distance(tmp_path: Path) -> None:
    one, other = random_hash("one"), random_hash("other")
    index = index_of(
        tmp_path,
        entry("a.jpg", one),
        entry("b.jpg", flipped(one, 9)),
        entry("c.jpg", flipped(one, 2), "second"),
        entry("same bytes", None, "second", content="equal"),
        entry("blank", BLANK),
        {**entry("broken"), "item_id": None},
    )
    rows = {
        "re-encoded": flipped(one, 3),
        "far": flipped(other, 1),
        "equal": flipped(random_hash("flat"), 0),
        "blank too": BLANK,
        "near the limit": flipped(one, MAX_DISTANCE) ^ (0b111 << 40),
    }
    found = near(Leaks(LeaksSettings(), True), images(tmp_path, {EVALUATION_INDEX: index}, rows))
    assert found == [
        [("bench", "a.jpg", "hash", 3.0), ("second", "c.jpg", "hash", 1.0)],
        [],
        [("second", "same bytes", "exact", 1.0)],
        [],
        [("bench", "b.jpg", "hash", 6.0)],
    ]


def test_a_clip_is_near_where_two_of_its_frames_are(tmp_path: Path) -> None:
    film = [random_hash(f"frame {number}") for number in range(4)]
    alien = [random_hash(f"other frame {number}") for number in range(4)]
    index = index_of(tmp_path, *(entry("film", each, content=f"f{each}") for each in film), entry("still", alien[0]))
    clips = {
        "a part of it": [flipped(film[1], 3), flipped(film[2], 5), alien[1]],
        "one frame in common": [film[0], alien[1], alien[2]],
        "one frame is all it has": [flipped(film[3], 1)],
        "another": alien[1:],
        "without hashes": [],
    }
    parts = [{"item_id": item_id(name.encode())} for name in clips]
    table = pa.table(
        {
            "item_id": pa.array([each["item_id"] for each in parts], ITEM_ID),
            "hashes": pa.array(list(clips.values()), pa.list_(pa.uint64())),
            "parts": pa.array([[part, part] for part in parts], pa.list_(pa.struct([pa.field("item_id", ITEM_ID)]))),
        }
    )
    shard = Shard(
        "films", "000000", 0, np.arange(len(clips)), {ITEMS: table}, Store(tmp_path), pools={EVALUATION_INDEX: index}
    )
    assert near(Leaks(LeaksSettings(), False), shard) == [
        [("bench", "film", "hash", 5.0)],
        [],
        [("bench", "film", "hash", 1.0)],
        [],
        [],
    ]
    ids = Leaks(LeaksSettings(), False).setup()(shard).column("ids").to_pylist()
    assert ids[0] == [parts[0]["item_id"]] * 2, "pairs name a clip by its frames"


def test_nothing_to_compare_with_is_nothing_near(tmp_path: Path) -> None:
    pools = {EVALUATION_INDEX: index_of(tmp_path)}
    assert near(Leaks(LeaksSettings(), True), images(tmp_path, pools, {"a": random_hash("a")})) == [[]]
