"""Stage `item_neighbours`: the near images of all sources, whatever shards they lie in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.schema import STATUS_FIELDS
from corpus.stage import ITEM_NEIGHBOURS, ITEM_VECTORS, ITEMS, Gives, SourceInfo
from filters.image.dedup import DuplicatesSettings
from mining.item_neighbours import ItemNeighbours
from mining.item_vectors import ItemVectors, item_vectors_schema
from mining.settings import EmbedSettings, ItemNeighbourSettings, ItemVectorSettings
from tests.helpers.item_worlds import run_over_items
from tests.helpers.mining_worlds import read_rows, scene
from tests.helpers.small_worlds import World

DESCRIPTOR = ItemVectorSettings(encoder=EmbedSettings().encoder)


def neighbours(world: World, paths: list[str], **settings: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    stage = ItemNeighbours(ItemNeighbourSettings(**settings))
    outputs, metrics = run_over_items(world, stage, [[(ITEM_VECTORS, path)] for path in paths])
    return read_rows(world, outputs), [each[ITEM_NEIGHBOURS] for each in metrics if each]


def test_pictures_that_look_alike_find_each_other_over_shards(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    squares = world.store([scene("red", left, "square") for left in (40, 42, 44)], "png")
    others = world.store([scene("blue", 40, "diamond"), scene("red", 41, "square"), b"no picture"], "png")
    paths, _ = run_over_items(world, ItemVectors(DESCRIPTOR, (ITEMS,)), [[(ITEMS, path)] for path in world.items])
    found, metrics = neighbours(world, paths, min_cosine=0.9)
    near = [None if row["neighbours"] is None else {each["item_id"] for each in row["neighbours"]} for row in found]
    family = {*squares, others[1]}
    assert near == [family - {squares[n]} for n in range(3)] + [None, set(), family - {others[1]}, None, None]
    cosines = [each["cosine"] for each in found[0]["neighbours"]]
    assert cosines == sorted(cosines, reverse=True) and min(cosines) >= np.float32(0.9)
    assert metrics[1] == {"searched": 2, "near": 3, "with_neighbours": 1, "full_lists": 0}
    one, metrics = neighbours(world, paths, min_cosine=0.9, k=1)
    assert [row["neighbours"] for row in one[:3]] == [row["neighbours"][:1] for row in found[:3]]
    assert metrics[0]["full_lists"] == 3


def test_removed_items_are_in_no_pool(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    vector = np.array([1] + [0] * 7, np.float16).tobytes()
    rows = [
        {"item_id": bytes([number]) * 16, "vector": vector, "status": status, "reason": reason}
        for number, (status, reason) in enumerate((("kept", ""), ("filtered", "blurred"), ("kept", "")))
    ]
    path = f"tables/web/{ITEM_VECTORS}/000000.0000000000000000.parquet"
    schema = pa.schema([*item_vectors_schema(8), *STATUS_FIELDS])
    world.workspace.write_table(path, pa.Table.from_pylist(rows, schema), {})
    found, _ = neighbours(world, [path])
    assert [row["neighbours"] and [each["item_id"][0] for each in row["neighbours"]] for row in found] == [
        [2],
        None,
        [0],
    ]


def test_it_applies_where_there_are_vectors_and_duplicates_by_cosine() -> None:
    def applies(tables: frozenset[str], min_cosine: float | None) -> bool:
        stages = SimpleNamespace(duplicates=DuplicatesSettings(min_cosine=min_cosine))
        plug: Any = SimpleNamespace(gives=Gives.IMAGES, filters_images=True)
        return ItemNeighbours.applies_to(SourceInfo("web", plug, stages, "", tables))

    with_vectors = frozenset({ITEM_VECTORS})
    assert applies(with_vectors, 0.95)
    assert not applies(with_vectors, None) and not applies(frozenset(), 0.95)
