"""Stage `neighbours`: the nearest positives of the whole dataset, held against all products of the same vectors."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.execution import MapJob, ShardTask
from corpus.pool import Pool
from corpus.stage import fingerprint_parts
from mining.embed import Embed
from mining.neighbours import NeighbourSearch
from mining.pool_blocks import PoolBlock, pool_blocks
from mining.settings import DatasetMining, EmbedSettings, NeighbourSettings
from tests.helpers.mining_worlds import read_rows, run_over_pairs, scene
from tests.helpers.small_worlds import World, image_pair


def mined(
    world: World,
    rows: list[dict[str, Any]],
    tables: int = 1,
    search_by: str = "positive",
    max_query_similarity: float | None = None,
    **settings: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of `embed` and of `neighbours`."""
    pairs = world.write_pairs("shapes", rows, tables)
    sides = run_over_pairs(world, Embed(EmbedSettings()), [[("pairs", path)] for path in pairs])
    stage = NeighbourSearch(
        NeighbourSettings(**settings), DatasetMining(search_by=search_by, max_query_similarity=max_query_similarity)
    )
    inputs = [[("pairs", path), ("embed", side)] for path, side in zip(pairs, sides, strict=True)]
    return read_rows(world, sides), read_rows(world, run_over_pairs(world, stage, inputs))


def vectors(rows: list[dict[str, Any]], role: str) -> np.ndarray:
    return np.stack([np.frombuffer(row[f"{role}_vector"], np.float16) for row in rows]).astype(np.float64)


def shapes(world: World) -> list[dict[str, Any]]:
    """24 scenes with a caption each, and a second caption of the first one."""
    colours, places = ("red", "green", "blue", "grey"), (30, 44, 60)
    kinds = [(colour, left, shape) for colour in colours for left in places for shape in ("square", "diamond")]
    items = world.store([scene(*kind) for kind in kinds], "png")
    rows = [image_pair("shapes", " ".join(map(str, kind)), item) for kind, item in zip(kinds, items, strict=True)]
    return [*rows, image_pair("shapes", "once more", items[0])]


@pytest.mark.parametrize("search_by", ["positive", "query"])
def test_neighbours_are_those_of_all_products(tmp_path: Path, search_by: str) -> None:
    world = World(str(tmp_path))
    rows = shapes(world)
    if search_by == "query":  # image -> image
        for row, other in zip(rows, [*rows[1:], rows[0]], strict=True):
            row["query"] = {"instruction": "", "text": "", "items": list(other["positive"]["items"])}
    sides, found = mined(world, rows, 1, search_by, k=7)
    positives, queries = vectors(sides, "positive"), vectors(sides, "query")
    different = {row["positive_id"]: place for place, row in reversed(list(enumerate(sides)))}
    assert len(different) == 24
    by = queries if search_by == "query" else positives
    for row, side in enumerate(sides):
        scores = {key: np.float32(by[row] @ positives[place]) for key, place in different.items()}
        expected = sorted(scores, key=lambda key: (-scores[key], key))[:7]
        listed = found[row]["neighbours"]
        assert [each["side_id"] for each in listed] == expected
        for each in listed:
            place = different[each["side_id"]]
            assert each["score"] == np.float32(queries[row] @ positives[place])
            assert each["positive_similarity"] == np.float32(positives[row] @ positives[place])
            assert sides[[one["pair_id"] for one in sides].index(each["pair_id"])]["positive_id"] == each["side_id"]
        assert found[row]["positive_score"] == np.float32(queries[row] @ positives[row])
        ranked = [each["side_id"] for each in listed]
        own = side["positive_id"]
        assert found[row]["positive_rank"] == (ranked.index(own) if own in ranked else -1)


@pytest.mark.parametrize("memory_bytes", [1 << 20, 1 << 30])
def test_candidates_are_compared_with_all_positives_and_owners(tmp_path: Path, memory_bytes: int) -> None:
    """Images that search images: some queries have several positives, some positives several queries."""
    world = World(str(tmp_path))
    rows = shapes(world)
    items = [row["positive"]["items"] for row in rows[:24]]
    for number, row in enumerate(rows[:24]):
        row["query"] = {"instruction": "", "text": "", "items": items[number // 3]}
        row["positive"]["items"] = items[(number * 5) % 12]
        row["pair_id"] = number.to_bytes(16, "big")
        row["negatives"] = [
            {"text": "", "items": items[at], "clip": None, "score": 0.0, "origin": "given"} for at in (20, 1)
        ]
    rows = rows[:24]
    sides, found = mined(world, rows, 4, "query", k=9, memory_bytes=memory_bytes, max_query_similarity=0.9)
    queries, positives = vectors(sides, "query"), vectors(sides, "positive")
    existing = 0
    for row, side in enumerate(sides):
        equal = [at for at, other in enumerate(sides) if other["query_id"] == side["query_id"]]
        assert len(equal) == 3
        listed = [*found[row]["neighbours"], *found[row]["existing_negatives"]]
        vectors_of = {other["positive_id"]: positives[at] for at, other in enumerate(sides)}
        for raw, key in zip(side["negative_vectors"], side["negative_ids"], strict=True):
            vectors_of.setdefault(key, np.frombuffer(raw, np.float16).astype(np.float64))
        for each in listed:
            vector = vectors_of[each["side_id"]]
            owners = [
                queries[at] @ queries[row] for at, other in enumerate(sides) if other["positive_id"] == each["side_id"]
            ]
            assert each["score"] == np.float32(queries[row] @ vector)
            assert each["positive_similarity"] == np.float32(positives[row] @ vector)
            assert each["highest_positive_similarity"] == np.float32(max(positives[at] @ vector for at in equal))
            assert each["query_similarity"] == np.float32(max(owners, default=-1))
            existing += not owners
    assert existing == 24, "one of each pair's given negatives is nobody's positive"


def test_shards_pools_and_memory_change_nothing(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    rows = shapes(world)
    results = []
    for tables, settings in ((1, {}), (3, {}), (5, {"pool_bytes": 0}), (3, {"memory_bytes": 1 << 20})):
        sides, found = mined(world, rows, tables, k=5, **settings)
        results.append({side["pair_id"]: row for side, row in zip(sides, found, strict=True)})
    listed = [
        {pair: [(one["side_id"], one["score"]) for one in row["neighbours"]] for pair, row in result.items()}
        for result in results
    ]
    assert listed[0] == listed[1] == listed[2] == listed[3]


def test_shards_that_are_searched_for_at_once_read_the_pool_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(str(tmp_path))
    pairs = world.write_pairs("shapes", shapes(world), 5)
    sides = run_over_pairs(world, Embed(EmbedSettings()), [[("pairs", path)] for path in pairs])
    stage = NeighbourSearch(NeighbourSettings(k=5, pool_bytes=0), DatasetMining(search_by="positive"))
    assert stage.resources.in_flight == 4
    inputs = [[("pairs", path), ("embed", side)] for path, side in zip(pairs, sides, strict=True)]
    alone = [world.workspace.store.read(path) for path in run_over_pairs(world, stage, inputs)]

    url = world.workspace.store.url
    opened = MapJob(stage, url, pools={"embed": Pool(url, tuple(sorted(sides)))}).open()
    reads = []

    def counted(*args: Any) -> Iterator[PoolBlock]:
        reads.append(args)
        assert len(reads) > 1 or opened.function._scan[1].await_waiting(4, 60), "the others come while one reads"
        yield from pool_blocks(*args)

    monkeypatch.setattr("mining.neighbours.pool_blocks", counted)
    parts = fingerprint_parts(stage, {})
    outputs = [f"together/{number}.parquet" for number in range(5)]
    tasks = [
        ShardTask("shapes", str(number), number, tuple(given), output, "m", parts)
        for number, (given, output) in enumerate(zip(inputs, outputs, strict=True))
    ]
    with ThreadPoolExecutor(5) as threads:
        assert [outcome.error for outcome in threads.map(opened, tasks)] == [""] * 5
    assert [world.workspace.store.read(path) for path in outputs] == alone
    assert len(reads) <= 7, "ten alone: each shard goes over the pool twice"


def test_what_has_no_vector_or_was_removed_is_nobodys_neighbour(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    rows = shapes(world)
    rows[3] |= {"status": "filtered", "reason": "blurry"}
    rows[5] = image_pair("shapes", "nowhere", b"\x01" * 16)
    rows[7] = image_pair("shapes", "!?", rows[7]["positive"]["items"][0])  # its positive has a vector, its query none
    _, found = mined(world, rows, k=50)
    removed, missing, wordless = 3, 5, 7
    listed = {each["pair_id"] for row in found for each in row["neighbours"] or ()}
    assert rows[3]["pair_id"] not in listed and rows[5]["pair_id"] not in listed
    assert rows[7]["pair_id"] in listed
    assert found[removed]["neighbours"] is None and found[removed]["status"] == "filtered"
    for without in (missing, wordless):
        assert found[without]["neighbours"] == [] and found[without]["positive_score"] is None
        assert found[without]["positive_rank"] == -1
    assert len(found[0]["neighbours"]) == 22


def test_queries_that_no_positive_can_be_compared_with_are_an_error_that_names_the_setting(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    with pytest.raises(AssertionError, match="Set `search_by: positive` in stages"):
        mined(world, shapes(world), search_by="query")


def test_its_fingerprint_has_what_is_found_and_not_how(tmp_path: Path) -> None:
    stage = NeighbourSearch(NeighbourSettings(k=5, memory_bytes=1 << 21), DatasetMining(search_by="positive"))
    assert stage.fingerprint_inputs() == {"k": 5, "search_by": "positive"}
    compared = NeighbourSearch(NeighbourSettings(k=5), DatasetMining(max_query_similarity=0.9))
    assert compared.fingerprint_inputs() == {"k": 5, "search_by": "query", "compare_queries": True}
