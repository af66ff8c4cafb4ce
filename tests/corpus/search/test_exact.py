"""Exact search: held against a plain one, on shapes, ties, repeated ids and vectors that differ in their last bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.search import exact as search_module
from corpus.search.exact import TopK, query_bytes, search
from corpus.search.fast_scores import NumpyScores, Operand
from corpus.vectors import normalise
from tests.helpers.memory import traced
from tests.helpers.vector_worlds import (
    Pool,
    as_bytes,
    as_lists,
    ids_of,
    plain_search,
    pool_of,
    split_anyhow,
    unit_vectors,
)

MiB = 1 << 20
NUMPY = {"backend_name": "numpy"}


def near_ties(random: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    """One vector, many times, but for the last bit of its small numbers: float32 does not tell their scores apart."""
    size = np.where(np.arange(dimension) % 4 > 0, 1e-3, 1.0)
    vectors = np.repeat(normalise(random.standard_normal((1, dimension)) * size), rows, axis=0)
    small = np.abs(vectors) < 2.0**-8
    return (vectors.view(np.uint16) ^ (small & (random.random(vectors.shape) < 0.5))).view(np.float16)


def drawn_pool(random: np.random.Generator, kind: str, rows: int, dimension: int) -> Pool:
    ids, vectors = pool_of(random, rows, dimension)
    source = random.integers(0, max(1, rows // 4), rows)
    if kind == "equal vectors":
        vectors = vectors[source % 7] if rows else vectors
    if "last bits" in kind:
        vectors = near_ties(random, rows, dimension)
    if "repeated" in kind:
        ids = ids[:, source]
    if kind.startswith("repeated rows"):
        vectors = vectors[source]
    if kind == "repeated rows, not quite":
        vectors = (vectors.view(np.uint16) ^ (random.random(vectors.shape) < 0.3)).view(np.float16)
    if kind == "ids that differ late":
        ids = np.stack([ids[0] & np.uint64(1), ids[1] & np.uint64(1023)])
    return ids, vectors


KINDS = [
    "apart",
    "equal vectors",
    "last bits",
    "repeated rows",
    "repeated rows, not quite",
    "repeated ids",
    "repeated ids and last bits",
    "ids that differ late",
]


@given(
    st.integers(0, 5),
    st.sampled_from([0, 1, 4, 30, 200, 900]),
    st.sampled_from([1, 2, 16, 48]),
    st.sampled_from([1, 3, 20]),
    st.integers(0, 2**32),
)
def test_it_finds_what_sorting_everything_finds(queries: int, rows: int, dimension: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    wrong = []
    for kind in KINDS:
        pool = drawn_pool(random, kind, rows, dimension)
        # Queries that are of the pool have several neighbours with about the same score.
        of_pool = pool[1][random.integers(0, rows, queries)] if rows and seed % 2 else None
        wanted = unit_vectors(random, queries, dimension) if of_pool is None else of_pool
        expected = plain_search(wanted, pool, k)
        for memory in (64 * MiB, 300_000):
            parts = split_anyhow(random, pool, 4)
            if as_lists(search(wanted, parts, k, memory_bytes=memory, **NUMPY)) != expected:
                wrong.append((kind, memory))
    assert wrong == []


class Displaced(NumpyScores):
    """Scores that are as wrong as their bounds allow, and always to the disadvantage of the candidates in `best`."""

    def __init__(self, vectors: np.ndarray, errors: np.ndarray, relative_error: float, best: np.ndarray) -> None:
        super().__init__()
        self.relative_error = relative_error
        self._places = {vector.tobytes(): place for place, vector in enumerate(vectors)}
        self._errors, self._best = errors, best  # of each row of the pool; bool[queries, rows of the pool]

    def operand(self, vectors: np.ndarray) -> Operand:
        found = super().operand(vectors)
        places = [self._places.get(vector.tobytes(), -1) for vector in vectors]
        return Operand(found.matrix, found.norms, np.array(places))

    def error(self, queries: Operand, first: int, stop: int, pool: Operand) -> np.ndarray:
        return np.full(stop - first, self._errors[pool.rounded].max() + 1e-5)

    def scores(self, queries: Operand, first: int, stop: int, pool: Operand) -> np.ndarray:
        side = np.where(self._best[first:stop, pool.rounded], np.float32(-1), np.float32(1))
        moved = super().scores(queries, first, stop, pool) + side * self._errors[pool.rounded].astype(np.float32)
        return moved + side * np.abs(moved) * np.float32(self.relative_error / (1 + self.relative_error))


def test_no_error_that_the_bounds_allow_changes_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    pool, queries = pool_of(random, 4000, 24), unit_vectors(random, 12, 24)
    expected = search(queries, [pool], 25, **NUMPY)
    best = np.zeros((12, 4000), bool)
    np.put_along_axis(best, expected.positions, True, axis=1)
    cases = [
        ([0.03, 0.001, 0.04, 0.002], 0.02),
        ([0.001, 0.002, 0.003, 0.1], 0.02),
        ([0.2, 0.1, 0.05, 0.01], 0.0),
        ([0.0001, 0.0001, 0.0001, 0.0001], 0.3),
    ]
    for sizes, relative in cases:
        displaced = Displaced(pool[1], np.repeat(sizes, 1000), relative, best)
        monkeypatch.setattr(search_module, "backend", lambda name, displaced=displaced: displaced)
        for memory in (64 * MiB, MiB):
            blocks = [
                (pool[0][:, start : start + 1000], pool[1][start : start + 1000]) for start in range(0, 4000, 1000)
            ]
            found = search(queries, blocks, 25, memory_bytes=memory)
            assert as_bytes(found) == as_bytes(expected), (sizes, relative, memory)


def test_the_bytes_do_not_depend_on_blocks_memory_or_split() -> None:
    random = np.random.default_rng(3)
    for kind in KINDS:
        pool, queries = drawn_pool(random, kind, 20_000, 24), unit_vectors(random, 30, 24)
        first = search(queries, [pool], 40, **NUMPY)
        assert first.counts.tolist() == [40] * 30 if kind != "ids that differ late" else first.counts.max() <= 40
        for memory, parts in ((1 << 30, 7), (8 * MiB, 1), (2 * MiB, 50), (500_000, 3)):
            again = search(queries, split_anyhow(random, pool, parts), 40, memory_bytes=memory, **NUMPY)
            assert as_bytes(again) == as_bytes(first), (kind, memory, parts)
        one_by_one = [search(queries[row : row + 1], [pool], 40, **NUMPY) for row in (0, 29)]
        for row, alone in zip((0, 29), one_by_one, strict=True):
            assert np.array_equal(alone.scores[0], first.scores[row])
            assert np.array_equal(alone.ids[:, 0], first.ids[:, row])


def test_a_pool_whose_best_come_last_is_searched_as_any_other() -> None:
    random = np.random.default_rng(4)
    ids, vectors = pool_of(random, 12_000, 16)
    queries = np.repeat(unit_vectors(random, 1, 16), 5, axis=0)
    order = np.argsort(vectors.astype(np.float32) @ queries[0].astype(np.float32))
    upwards, downwards = (ids[:, order], vectors[order]), (ids[:, order[::-1]], vectors[order[::-1]])
    for pool in (upwards, downwards):
        found = search(queries, [pool], 50, memory_bytes=3 * MiB, **NUMPY)
        assert as_lists(found) == plain_search(queries, pool, 50)


def test_queries_with_many_near_equal_candidates_are_counted() -> None:
    random = np.random.default_rng(5)
    ids, vectors = pool_of(random, 6000, 32)
    vectors[:3000] = near_ties(random, 3000, 32)
    queries = np.concatenate([vectors[:1], -vectors[:1], unit_vectors(random, 8, 32)])
    found = search(queries, [(ids, vectors)], 10, **NUMPY)
    assert as_lists(found) == plain_search(queries, (ids, vectors), 10)
    assert found.widened == 1
    assert search(queries[1:], [(ids, vectors)], 10, **NUMPY).widened == 0


def test_ids_that_are_excluded_for_a_query_are_found_for_others_only() -> None:
    random = np.random.default_rng(6)
    pool, queries = pool_of(random, 3000, 16), unit_vectors(random, 7, 16)
    best = search(queries, [pool], 30, **NUMPY)
    excluded, counts = [], [0, 1, 30, 0, 5, 30, 2]
    for row, count in enumerate(counts):
        excluded.append(set(zip(*best.ids[:, row, :count].tolist(), strict=True)))
    absent = ids_of(random, 1)
    lists = [np.concatenate([best.ids[:, row, :count], absent], axis=1) for row, count in enumerate(counts)]
    offsets = np.concatenate([[0], np.cumsum([part.shape[1] for part in lists])])
    exclude = offsets, np.concatenate(lists, axis=1)
    expected = plain_search(queries, pool, 30, excluded)
    for memory in (64 * MiB, 400_000):
        found = search(queries, split_anyhow(random, pool, 3), 30, exclude=exclude, memory_bytes=memory, **NUMPY)
        assert as_lists(found) == expected
    crowd = pool[0], np.repeat(pool[1][:1], 3000, axis=0)  # scored exactly as a whole
    found = search(queries, [crowd], 30, exclude=exclude, **NUMPY)
    assert as_lists(found) == plain_search(queries, crowd, 30, excluded)
    with pytest.raises(ValueError, match="offsets of excluded ids end at"):
        search(queries, [pool], 3, exclude=(offsets[:-1], exclude[1]), **NUMPY)


def test_a_score_of_zero_has_no_sign() -> None:
    vectors = np.array([[-0.0, -1.0], [0.0, 1.0], [-0.0, 1.0], [0.0, -1.0]] * 300, np.float16)
    ids = ids_of(np.random.default_rng(13), len(vectors))
    queries = np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, -0.0]], np.float16)
    for memory in (MiB, 200_000):
        found = search(queries, [(ids, vectors)], 5, memory_bytes=memory, **NUMPY)
        assert not found.scores.any() and not np.signbit(found.scores).any()
        assert as_lists(found) == plain_search(queries, (ids, vectors), 5)


def test_fewer_candidates_than_asked_for_leave_places_empty() -> None:
    random = np.random.default_rng(7)
    pool, queries = pool_of(random, 3, 8), unit_vectors(random, 2, 8)
    found = search(queries, [pool, pool], 5, **NUMPY)
    assert found.counts.tolist() == [3, 3] and found.scores.shape == (2, 5)
    assert np.all(found.scores[:, 3:] == -np.inf) and np.all(found.positions[:, 3:] == -1)
    assert not found.ids[:, :, 3:].any()
    assert np.all(found.positions[:, :3] < 3), "of equal rows the first"
    nothing = search(queries, [], 5, **NUMPY)
    assert nothing.counts.tolist() == [0, 0] and np.all(nothing.scores == -np.inf)
    nobody = search(queries[:0], [pool], 5, **NUMPY)
    assert nobody.ids.shape == (2, 0, 5) and nobody.lists()[0].tolist() == [0]


def test_more_can_be_added_after_a_result() -> None:
    random = np.random.default_rng(8)
    (ids, vectors), queries = pool_of(random, 2000, 16), unit_vectors(random, 4, 16)
    growing = TopK(queries, 10, **NUMPY)
    growing.add(ids[:, :900], vectors[:900])
    assert as_lists(growing.result()) == plain_search(queries, (ids[:, :900], vectors[:900]), 10)
    growing.add(ids[:, 900:], vectors[900:])
    assert as_lists(growing.result()) == plain_search(queries, (ids, vectors), 10)


def test_read_only_and_sliced_blocks_are_taken_as_they_are() -> None:
    random = np.random.default_rng(9)
    (ids, vectors), queries = pool_of(random, 500, 16), unit_vectors(random, 4, 16)
    frozen = vectors.copy()
    frozen.flags.writeable = queries.flags.writeable = False
    expected = as_lists(search(queries, [(ids, vectors)], 10, **NUMPY))
    assert as_lists(search(queries, [(ids, frozen)], 10, **NUMPY)) == expected
    wide = np.concatenate([vectors, vectors], axis=1)
    assert as_lists(search(queries, [(ids, wide[:, :16])], 10, **NUMPY)) == expected


def test_progress_tells_the_rows_that_were_added() -> None:
    random = np.random.default_rng(10)
    pool, queries = pool_of(random, 9000, 8), unit_vectors(random, 2, 8)
    seen: list[int] = []
    search(queries, [pool, pool], 3, progress=seen.append, **NUMPY)
    assert seen == sorted(seen) and seen[-1] == 18_000 and len(seen) > 2


def test_what_cannot_be_searched_is_refused() -> None:
    random = np.random.default_rng(11)
    (ids, vectors), queries = pool_of(random, 10, 8), unit_vectors(random, 2, 8)
    broken = {}
    for value in (np.nan, np.inf, 60_000):
        broken[value] = vectors.copy()
        broken[value][4, 3] = value
    cases = {
        "k must be at least 1, not 0": (queries, ids, vectors, 0),
        "row 4: its vector is not finite": (queries, ids, broken[np.nan], 3),
        "row 4: its vector has norm 6": (queries, ids, broken[60_000], 3),
        "row 1: its vector is not finite": (broken[np.inf][3:5], ids, vectors, 3),
        "queries must be float16": (queries.astype(np.float32), ids, vectors, 3),
        "vectors of the pool must be float16": (queries, ids, vectors[:, :7], 3),
        "10 vectors have ids of shape": (queries, ids[:, :9], vectors, 3),
    }
    for message, (asked, of_ids, of_vectors, k) in cases.items():
        with pytest.raises(ValueError, match=message):
            search(asked, [(of_ids, of_vectors)], k, **NUMPY)
    with pytest.raises(ValueError, match="row 4: its vector is not finite"):
        search(queries, [(ids, broken[np.inf])], 3, **NUMPY)


def test_more_queries_than_the_memory_holds_are_refused_and_the_number_that_fits_is_named() -> None:
    fit = MiB // 2 // query_bytes(32, 50)
    queries = unit_vectors(np.random.default_rng(12), fit + 1, 32)
    with pytest.raises(ValueError, match=f"at most {fit}"):
        TopK(queries, 50, memory_bytes=MiB, **NUMPY)
    TopK(queries[:fit], 50, memory_bytes=MiB, **NUMPY)


def test_the_memory_that_it_takes_is_bounded() -> None:
    small, large = (traced(search_a_stream, blocks, 8 * MiB, warm=(1, 8 * MiB))[1] for blocks in (8, 24))
    assert large < 8 * MiB and large < 1.2 * small
    assert traced(search_a_stream, 8, 64 * MiB, warm=(1, 8 * MiB))[1] > 1.5 * small, "it uses what it is given"


def search_a_stream(blocks: int, memory_bytes: int) -> None:
    """200 queries, and blocks of 512 KiB of which one at a time is there, but for what the search keeps."""
    random = np.random.default_rng(14)

    def some(rows: int) -> np.ndarray:
        return (random.standard_normal((rows, 64), np.float32) / 8).astype(np.float16)

    search(
        some(200), ((ids_of(random, 4096), some(4096)) for _ in range(blocks)), 20, memory_bytes=memory_bytes, **NUMPY
    )
