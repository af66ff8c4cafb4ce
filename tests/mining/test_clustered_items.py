"""Near items by clusters: their cosines are exact, and what the clusters split is counted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.bisection import ShardError
from corpus.item_ids import packed_ids
from corpus.pool import Pool
from corpus.schema import STATUS_FIELDS
from corpus.stage import ITEM_NEIGHBOURS, ITEM_VECTORS
from corpus.vectors import normalise, packed_column
from mining import clustered_items
from mining.clustered_items import ClusteredItems
from mining.item_neighbours import ItemNeighbours
from mining.item_search import item_blocks, near_items
from mining.settings import ItemNeighbourSettings
from tests.helpers.extras import installed_or_skip
from tests.helpers.item_worlds import run_over_items
from tests.helpers.mining_worlds import read_rows
from tests.helpers.small_worlds import World
from tests.helpers.vector_worlds import ids_of

DIMENSION, ROWS, SHARDS = 16, 900, 3


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Shards of items: around each of 30 points there are 30, near to each other and to few of other points."""
    world, random = World(str(tmp_path)), np.random.default_rng(0)
    centres = random.standard_normal((30, DIMENSION))
    for shard in range(SHARDS):
        noise = 0.12 * random.standard_normal((ROWS // SHARDS, DIMENSION))
        vectors = normalise(centres[random.integers(0, 30, ROWS // SHARDS)] + noise)
        ids = packed_ids(ids_of(random, ROWS // SHARDS))
        columns = {"item_id": ids, "vector": packed_column(vectors)}
        table = pa.table(
            columns | {field.name: ["kept" * (field.name == "status")] * len(ids) for field in STATUS_FIELDS}
        )
        path = f"tables/web/{ITEM_VECTORS}/{shard:06d}.0000000000000000.parquet"
        world.workspace.write_table(path, table, {})
        world.items.append(path)
    return world


def neighbours(world: World, **settings: Any) -> tuple[list[dict[tuple[bytes, float], None]], dict[str, int]]:
    stage = ItemNeighbours(ItemNeighbourSettings(min_cosine=0.95, **settings))
    outputs, metrics = run_over_items(world, stage, [[(ITEM_VECTORS, path)] for path in world.items])
    rows = read_rows(world, outputs)
    counts: dict[str, int] = {}
    for each in metrics:
        for name, number in each[ITEM_NEIGHBOURS].items():
            counts[name] = counts.get(name, 0) + number
    return [{(near["item_id"], near["cosine"]): None for near in row["neighbours"]} for row in rows], counts


def test_many_clusters_find_nearly_all_and_the_same_cosines(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_or_skip("faiss")
    exact, counts = neighbours(world, k=100)
    assert "sampled" not in counts and counts["near"] > 10_000 and counts["full_lists"] == 0
    monkeypatch.setattr(clustered_items, "_ITEMS_PER_CLUSTER", 20)
    monkeypatch.setattr(clustered_items, "_SAMPLED_QUERIES", ROWS)
    recalls = []
    for clusters in (1, 4, 45):
        found, counts = neighbours(world, k=100, max_exact_items=ROWS - 1, clusters=clusters)
        assert all(near.keys() <= expected.keys() for near, expected in zip(found, exact, strict=True))
        missed = sum(len(expected) - len(near) for near, expected in zip(found, exact, strict=True))
        assert counts["sampled"] == ROWS and counts["sampled_pairs"] == sum(map(len, exact))
        assert counts["split_pairs"] == missed, "what was split is counted"
        recalls.append(1 - missed / counts["sampled_pairs"])
    assert recalls[0] < 0.9 and 0.98 < recalls[1] <= recalls[2] == 1, recalls


def test_lists_end_after_k_and_have_no_item_itself(world: World) -> None:
    installed_or_skip("faiss")
    pool = Pool(world.workspace.store.url, tuple(world.items))
    blocks = list(item_blocks(pool))
    settings = ItemNeighbourSettings(min_cosine=0.95, k=3)
    found = ClusteredItems(pool, settings).near(blocks[0])
    expected = near_items(blocks[0], lambda: blocks, 3, 0.95, 64 << 20)
    for one, other in zip(
        (found.offsets, found.ids, found.cosines), (expected.offsets, expected.ids, expected.cosines), strict=True
    ):
        assert np.array_equal(one, other), "one cluster has all"


def test_without_faiss_a_large_pool_says_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    pool = Pool(world.workspace.store.url, tuple(world.items))
    with pytest.raises(ShardError, match=r"more than 10 items .*faiss.*max_exact_items: null"):
        ClusteredItems(pool, ItemNeighbourSettings(max_exact_items=10))
