"""What a search holds: keys in the order of scores, a window without repeated rows, the best by score and id."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpus.search.state import Best, ExcludedIds, PendingRows, packed, unpacked
from tests.helpers.vector_worlds import ids_of, pool_of, unit_vectors

Lines = list[list[tuple[float, int]]]


@given(st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=60), st.integers(0, 2**32))
def test_keys_are_in_the_order_of_scores_then_places(values: list[float], seed: int) -> None:
    scores = np.array([*values, -np.inf], np.float32) + np.float32(0)
    places = np.random.default_rng(seed).integers(0, 2**32, len(scores))
    keys = packed(scores, places)
    assert (keys > 0).all()
    order = sorted(range(len(scores)), key=lambda at: (scores[at], places[at]))
    assert np.array_equal(keys[order], np.sort(keys))
    again, place = unpacked(keys)
    assert np.array_equal(again, scores) and np.array_equal(place, places)


def test_a_window_leaves_out_rows_that_say_nothing_new_and_tells_repeated_ids() -> None:
    random = np.random.default_rng(1)
    ids, vectors = pool_of(random, 10, 4)
    others = unit_vectors(random, 10, 4)
    window = PendingRows(4, 1 << 20)
    window.add(ids[:, :6], vectors[:6], 100)
    assert window.rows == 6 and window.repeats() is None
    # A row of before, a row twice, an id of before with another vector, an id twice with two vectors.
    rows = np.array([2, 7, 7, 4, 8, 8])
    block = vectors[rows].copy()
    block[3], block[5] = others[4], others[8]
    kept_ids, kept = window.add(ids[:, rows], block, 200)
    assert np.array_equal(kept_ids, ids[:, [7, 4, 8, 8]]) and np.array_equal(kept, block[[1, 3, 4, 5]])
    repeats = window.repeats()
    assert repeats is not None and np.flatnonzero(repeats).tolist() == [7, 9]
    distinct = window.distinct_from(6)
    assert distinct is not None and distinct.tolist() == [0, 2]
    all_ids, positions = window.columns()
    assert positions.tolist() == [100, 101, 102, 103, 104, 105, 201, 203, 204, 205]
    assert np.array_equal(all_ids, ids[:, [0, 1, 2, 3, 4, 5, 7, 4, 8, 8]])
    wanted = np.array([9, 0, 6, 9, 5])
    assert np.array_equal(window.vectors(wanted), np.stack([others[8], vectors[0], vectors[7], others[8], vectors[5]]))
    window.add(ids[:, [9, 7]], vectors[[9, 7]], 300)
    assert window.rows == 11 and window.distinct_from(10) is None, "a row of two blocks ago is known, too"


def test_a_window_is_full_by_bytes_but_takes_at_least_one_block() -> None:
    window = PendingRows(8, 1600)
    assert not window.is_full_with(1000)
    window.add(*pool_of(np.random.default_rng(2), 60, 8), 0)
    assert not window.is_full_with(40) and window.is_full_with(41)
    window.clear()
    assert window.rows == 0 and not window.is_full_with(41)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from([n / 64 for n in range(-9, 40)]), st.integers(0, 5)), max_size=8), max_size=4
    ),
    st.integers(1, 5),
)
def test_the_best_are_those_of_everything_taken_in(batches: Lines, k: int) -> None:
    best = Best(3, k)
    everything: dict[int, tuple[float, int]] = {}
    halves = ids_of(np.random.default_rng(3), 6)
    position = 0
    for batch in batches:
        scores = np.full((1, len(batch) + 1), -np.inf, np.float32)
        ids, positions = np.full((2, 1, len(batch) + 1), 77, np.uint64), np.full((1, len(batch) + 1), 99)
        for at, (score, name) in enumerate(batch):
            scores[0, at], ids[:, 0, at], positions[0, at] = score, halves[:, name], position
            if name not in everything or score > everything[name][0]:
                everything[name] = score, position
            position += 1
        best.merge(np.array([1]), scores, ids, positions)
    order = sorted(everything, key=lambda name: (-everything[name][0], *halves[:, name].tolist()))[:k]
    count = len(order)
    assert best.scores[1, :count].tolist() == [everything[name][0] for name in order]
    assert best.positions[1].tolist() == [everything[name][1] for name in order] + [-1] * (k - count)
    assert np.array_equal(best.ids[:, 1, :count], halves[:, order]) and not best.ids[:, 1, count:].any()
    assert np.all(best.scores[1, count:] == -np.inf) and np.all(best.scores[[0, 2]] == -np.inf)


def test_excluded_ids_are_pairs_of_rows_and_columns() -> None:
    ids = ids_of(np.random.default_rng(4), 6)
    exclusions = ExcludedIds(np.array([0, 2, 2, 5]), ids[:, [0, 3, 3, 3, 5]])
    rows, columns = exclusions.pairs(ids[:, [5, 1, 3, 0, 3]])
    assert sorted({*zip(rows.tolist(), columns.tolist(), strict=True)}) == [
        (0, 2),
        (0, 3),
        (0, 4),
        (2, 0),
        (2, 2),
        (2, 4),
    ]
    assert rows.tolist() == sorted(rows.tolist())
    assert ExcludedIds(np.array([0, 0]), ids[:, :0]).pairs(ids)[0].tolist() == []
