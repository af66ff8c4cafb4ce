from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.labels import false_negatives
from pipelines.labels.false_negatives import expected_when_shuffled, false_negatives_per_query, lower_bound


def manual(label: list[int], size: int, related: set[tuple[int, int]]) -> float:
    met = 0
    for one, first in enumerate(label):
        for other, second in enumerate(label):
            if one == other or one // size != other // size or first < 0 or second < 0:
                continue
            met += first == second or (first, second) in related or (second, first) in related
    return met / max(1, len(label))


def test_equal_and_related_labels_of_the_same_batch_count() -> None:
    label = np.array([0, 0, 1, 2, 0, 1, 1, -1])  # batches 0 0 1 2 and 0 1 1 -1
    assert false_negatives_per_query(label, 4) == (2 + 2) / 8
    assert false_negatives_per_query(label, 4, np.array([[0, 1]])) == (2 + 4 + 2 + 4) / 8


@settings(deadline=None)
@given(
    st.lists(st.integers(-1, 6), max_size=40),
    st.integers(1, 12),
    st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)).filter(lambda pair: pair[0] < pair[1]), max_size=8),
)
def test_it_is_what_counting_by_hand_gives(label: list[int], size: int, related: set[tuple[int, int]]) -> None:
    pairs = np.array(sorted(related), np.int32).reshape(-1, 2)
    found = false_negatives_per_query(np.array(label, np.int32), size, pairs)
    assert found == pytest.approx(manual(label, size, related))


def test_joins_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    label = np.random.default_rng(0).integers(0, 30, 500)
    pairs = np.array([(one, one + 1) for one in range(29)])
    at_once = false_negatives_per_query(label, 20, pairs)
    monkeypatch.setattr(false_negatives, "_MAX_JOINED_ROWS", 7)
    assert false_negatives_per_query(label, 20, pairs) == at_once


def test_expectation_is_the_mean_over_shuffles() -> None:
    label = np.repeat([0, 1, 2, 3, -1], [40, 30, 20, 5, 5])
    pairs = np.array([[0, 2]])
    random = np.random.default_rng(0)
    mean = np.mean([false_negatives_per_query(random.permutation(label), 20, pairs) for _ in range(300)])
    assert expected_when_shuffled(label, 20, pairs) == pytest.approx(mean, rel=0.02)


def test_two_labels_alone_make_a_batch_of_false_negatives() -> None:
    """HatefulMemes: half of the other 767."""
    assert expected_when_shuffled(np.repeat([0, 1], 4000), 768) == pytest.approx(767 * 3999 / 7999)


def test_bound_of_equal_shares() -> None:
    """1,000 samples of 10 batches, labels of 300 and 700: 30 * 29 and 70 * 69 ordered pairs in each batch."""
    assert lower_bound(np.repeat([0, 1], [300, 700]), 100) == (30 * 29 + 70 * 69) * 10 / 1000


def test_bound_of_related_labels_is_that_of_their_sum() -> None:
    label = np.repeat([0, 1, -1], [10, 20, 70])
    assert lower_bound(label, 10, np.array([[0, 1]])) == 10 * 3 * 2 / 100
    assert lower_bound(label, 10) == 10 * 2 * 1 / 100


def test_no_samples_have_no_false_negatives() -> None:
    nothing = np.zeros(0, np.int32)
    assert false_negatives_per_query(nothing, 768) == lower_bound(nothing, 768) == 0
    assert expected_when_shuffled(np.array([3]), 768) == 0
