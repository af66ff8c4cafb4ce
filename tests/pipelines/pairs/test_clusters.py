"""Clusters and false negatives of pairs, against what was planted and against comparing every side with every other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.schema import MAX_FALSE_NEGATIVES, PAIR_SCHEMA
from corpus.stage import Shard
from corpus.storage import Store
from pipelines.pairs.clusters import PairClusters, PairClustersSettings

COLUMNS = pa.schema([PAIR_SCHEMA.field(name) for name in ("pair_id", "query", "positive")])
LONG = (
    "the quick brown fox jumps over the lazy dog near the old river bank while the sun sets slowly behind the green "
    "hills of the valley and birds sing in the tall trees all day long"
)

Pair = tuple[int, dict[str, Any], dict[str, Any]]  # number, query, positive


def side(text: str, *images: int) -> dict[str, Any]:
    return {"instruction": "", "text": text, "items": [bytes([image]) * 16 for image in images]}


def pair_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def clusters(shards: list[list[Pair]], parts: int = 3, **settings: Any) -> dict[int, tuple[str, str, list[int]]]:
    """By pair: the clusters of its query and its positive, and its false negatives."""
    stage = PairClusters(PairClustersSettings(**settings))
    mapped, numbers = [], {}
    for ordinal, pairs in enumerate(shards):
        rows = [{"pair_id": pair_id(number), "query": query, "positive": positive} for number, query, positive in pairs]
        tables = {"pairs": pa.Table.from_pylist(rows, COLUMNS)}
        mapped.append(stage.map(Shard("d", f"{ordinal:06d}", ordinal, np.arange(len(rows)), tables, Store("/"))))
        numbers |= {(ordinal << 32) + row: number for row, (number, _, _) in enumerate(pairs)}
    rows = pa.concat_tables(mapped)
    partition = rows.column("key").to_numpy() % np.uint64(parts)
    reduced = [stage.reduce(rows.filter(pa.array(partition == part))) for part in range(parts)]
    found = {}
    for row in stage.finalize(pa.concat_tables(reduced[::-1])).to_pylist():
        others = [int.from_bytes(other, "big") for other in row["false_negatives"]]
        found[numbers[row["row_address"]]] = (row["query_cluster"], row["positive_cluster"], others)
    return found


def test_equal_and_nearly_equal_sides_are_clusters_and_the_nearest_pairs_come_first() -> None:
    pairs = [
        (0, side("a cat"), side("", 1)),
        (1, side("A cat."), side("", 2)),
        (2, side("dog"), side("", 2)),
        (3, side("alone"), side("", 3)),
        (4, side(LONG), side("", 4)),
        (5, side(f"{LONG} today"), side("", 5)),
        (6, side(LONG, 9), side("", 6)),  # the same words about an image: another query
        (7, side("what is it?"), side("a cat")),
    ]
    found = clusters([pairs[:3], pairs[3:]])
    assert sorted(found) == [0, 1, 2, 4, 5, 7]
    cat, image, long = found[0][0], found[1][1], found[4][0]
    assert len({cat, image, long}) == 3 and all(len(name) == 32 for name in (cat, image, long))
    assert found == {
        0: (cat, "", [1]),
        1: (cat, image, [2, 0]),  # an equal positive, then an equal query
        2: ("", image, [1]),
        4: (long, "", [5]),
        5: (long, "", [4]),
        7: ("", cat, []),  # its positive is others' query: one cluster, and no false negative
    }
    assert sorted(clusters([pairs], near_duplicates=False)) == [0, 1, 2, 7]


def test_a_pair_that_is_there_twice_is_no_cluster_of_its_own() -> None:
    assert clusters([[(0, side("a"), side("b"))], [(0, side("a"), side("b"))]]) == {}
    found = clusters([[(0, side("a"), side("b"))], [(0, side("a"), side("b")), (1, side("a"), side("c"))]])
    assert [others for _, _, others in found.values()] == [[1], [0]]


@pytest.mark.parametrize("parts", [1, 5])
def test_of_many_pairs_it_finds_what_comparing_all_finds_however_they_are_spread(parts: int) -> None:
    draw = np.random.default_rng(parts)
    texts, images = draw.integers(0, 40, 300).tolist(), draw.integers(0, 60, 300).tolist()
    pairs = [(n, side(f"text {texts[n]}"), side("", images[n])) for n in range(300)]
    found = clusters([pairs[:100], pairs[100:130], pairs[130:]], parts)
    for n in range(300):
        near = [other for other in range(300) if other != n and images[other] == images[n]]
        far = [other for other in range(300) if other != n and texts[other] == texts[n] and other not in near]
        expected = [*(sorted(kind, key=lambda other: (other < n, other)) for kind in (near, far))]
        query, positive, others = found.get(n, ("", "", []))
        assert others == [*expected[0], *expected[1]][:MAX_FALSE_NEGATIVES]
        assert (bool(query), bool(positive)) == (texts.count(texts[n]) > 1, images.count(images[n]) > 1)
    assert found == clusters([pairs], 2)


def test_of_more_pairs_than_are_listed_each_is_listed_as_often() -> None:
    total = 100
    found = clusters([[(n, side(f"question {n}"), side("yes")) for n in range(total)]])
    listed = [other for _, _, others in found.values() for other in others]
    assert set(np.bincount(listed).tolist()) == {MAX_FALSE_NEGATIVES}
    assert len({positive for _, positive, _ in found.values()}) == 1


def test_a_shard_without_pairs_gives_nothing() -> None:
    assert clusters([[], []]) == {}
