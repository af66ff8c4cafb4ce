"""Highest similarities: to all positives of a query, in however many rounds, and of a query to all owners of a side."""

from __future__ import annotations

import numpy as np
import pytest

from mining.pool_blocks import PoolBlock
from mining.similarities import OwnerQueries, QueryPositives, highest_products, row_products
from tests.helpers.vector_worlds import ids_of, unit_vectors

DIMENSION = 12


def test_the_highest_product_of_each_group() -> None:
    """Groups of all sizes: empty ones, small ones, and one so large that it is computed as a matrix."""
    random = np.random.default_rng(1)
    sizes = np.array([0, 3, 1, 0, 2500, 7])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    vectors, members = unit_vectors(random, 40, DIMENSION), unit_vectors(random, int(sizes.sum()), DIMENSION)
    rows, group = random.integers(0, 40, 300), random.integers(0, len(sizes), 300)
    found = highest_products(vectors, rows, members, starts[group], sizes[group])
    exact = vectors.astype(np.float64) @ members.astype(np.float64).T
    for row, number, value in zip(rows, group, found, strict=True):
        own = exact[row, starts[number] : starts[number] + sizes[number]]
        assert value == np.float32(own.max(initial=-1)), number


def pool(random: np.random.Generator, queries: np.ndarray, sides: np.ndarray, blocks: int) -> list[PoolBlock]:
    """Pairs of drawn queries and sides (ids uint64[2, ...]), each side with one vector, in some blocks."""
    query, side = random.integers(0, queries.shape[1], 90), random.integers(0, sides.shape[1], 90)
    of_sides, of_queries = (unit_vectors(random, ids.shape[1], DIMENSION) for ids in (sides, queries))
    whole = PoolBlock(
        ids_of(random, 90),
        queries[:, query],
        sides[:, side],
        of_sides[side],
        of_queries[query],
        random.random(90) < 0.9,
    )
    assert whole.query_vectors is not None and whole.has_query is not None
    return [
        PoolBlock(
            whole.pair_ids[:, part],
            whole.query_ids[:, part],
            whole.side_ids[:, part],
            whole.vectors[part],
            whole.query_vectors[part],
            whole.has_query[part],
        )
        for part in np.array_split(np.arange(90), blocks)
    ]


@pytest.mark.parametrize("max_rows", [1, 7, 1000])
def test_all_positives_of_a_query_count_in_however_many_rounds(max_rows: int) -> None:
    random = np.random.default_rng(2)
    queries, sides = ids_of(random, 9), ids_of(random, 30)
    blocks = pool(random, queries, sides, 4)
    asked = queries[:, [4, 0, 4, 8]]
    candidates = unit_vectors(random, 20, DIMENSION)
    rows, places = random.integers(0, 4, 50), random.integers(0, 20, 50)
    found, rounds = np.full(50, -1, np.float32), 0
    positives = QueryPositives(asked, max_rows)
    while True:
        for block in blocks:
            positives.add(block)
        positives.finish(DIMENSION)
        assert len(positives.vectors) <= max_rows
        found, rounds = np.maximum(found, positives.highest(rows, candidates, places)), rounds + 1
        if not positives.remaining:
            break
        positives = positives.following()
    total = 0
    for row, place, value in zip(rows, places, found, strict=True):
        own = [
            vector
            for block in blocks
            for vector, one in zip(block.vectors, block.query_ids.T, strict=True)
            if (one == asked[:, row]).all()
        ]
        exact = np.array(own, np.float64) @ candidates[place].astype(np.float64)
        assert value == np.float32(exact.max()) and len(own) > 1
    total = sum(int(np.isin(block.query_ids[0], asked[0]).sum()) for block in blocks)
    assert rounds == -(-total // max_rows)


def test_only_queries_with_another_positive_need_a_comparison() -> None:
    random = np.random.default_rng(3)
    queries, sides = ids_of(random, 4), ids_of(random, 4)
    query, side = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 3])
    block = PoolBlock(ids_of(random, 4), queries[:, query], sides[:, side], unit_vectors(random, 4, DIMENSION))
    positives = QueryPositives(queries[:, [0, 1, 2, 3]], 100)
    positives.add(block)
    positives.finish(DIMENSION)
    own = sides[:, [0, 1, 0, 0]]
    assert positives.others(own).tolist() == [False, True, True, False], "its only positive; two; not its own; none"


def test_the_nearest_owner_counts_and_one_without_a_vector_does_not() -> None:
    random = np.random.default_rng(4)
    queries, sides = ids_of(random, 40), ids_of(random, 12)
    blocks = pool(random, queries, sides[:, :10], 3)
    asked = unit_vectors(random, 5, DIMENSION)
    rows, side = np.repeat(np.arange(5), 12), np.tile(np.arange(12), 5)
    owners = OwnerQueries(asked, rows, sides[:, side])
    for block in blocks:
        owners.add(block)
    for row, number, value in zip(rows, side, owners.similarity, strict=True):
        exact = [-1.0]
        for block in blocks:
            assert block.query_vectors is not None and block.has_query is not None
            has = (block.side_ids == sides[:, [number]]).all(axis=0) & block.has_query
            exact += (block.query_vectors[has].astype(np.float64) @ asked[row].astype(np.float64)).tolist()
        assert value == np.float32(max(exact))
    assert (owners.similarity[side >= 10] == -1).all(), "nobody has them"


def test_products_of_rows_are_rounded_once() -> None:
    random = np.random.default_rng(5)
    one, other = unit_vectors(random, 30, DIMENSION), unit_vectors(random, 30, DIMENSION)
    exact = (one.astype(np.float64) * other.astype(np.float64)).sum(axis=1)
    assert np.array_equal(row_products(one, other), exact.astype(np.float32))
