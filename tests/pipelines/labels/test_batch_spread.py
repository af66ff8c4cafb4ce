from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.hashing import mix64
from pipelines.labels.batch_spread import label_spread_order
from pipelines.labels.false_negatives import false_negatives_per_query, lower_bound

Labels = npt.NDArray[np.int32]


def drawn(count: int, seed: int = 0) -> npt.NDArray[np.uint64]:
    return mix64(np.arange(seed * 1_000_003, seed * 1_000_003 + count, dtype=np.uint64))


def of_counts(counts: list[int]) -> Labels:
    return np.repeat(np.arange(len(counts)), counts).astype(np.int32)


def in_batches(label: Labels, order: npt.NDArray[np.int64], size: int) -> list[Labels]:
    return [label[order[first : first + size]] for first in range(0, len(order), size)]


LABELS = st.lists(st.integers(-1, 9), max_size=90).map(lambda found: np.array(found, np.int32))
PAIRS = st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]), max_size=12)


def test_two_labels_share_every_batch_evenly() -> None:
    label = of_counts([300, 700])
    order = label_spread_order(drawn(1000), label, 100)
    assert [np.bincount(batch).tolist() for batch in in_batches(label, order, 100)] == [[30, 70]] * 10


def test_each_batch_has_the_floor_or_the_ceiling_of_a_labels_share() -> None:
    counts = [1, 2, 9, 10, 11, 15, 64, 88, 120, 180]
    label = of_counts(counts)
    for batch in in_batches(label, label_spread_order(drawn(500), label, 50), 50):
        found = np.bincount(batch, minlength=len(counts))
        assert all(count // 10 <= here <= -(-count // 10) for count, here in zip(counts, found, strict=True))


def test_windows_that_begin_anywhere_are_nearly_as_good_as_batches() -> None:
    label = of_counts([4000, 2000, 900, 400, 400, *[50] * 246])
    order = label_spread_order(drawn(20_000), label, 500)
    bound = lower_bound(label, 500)
    for first in range(0, 500, 50):
        window = false_negatives_per_query(label[order[first : 19_500 + first]], 500)
        assert bound * 0.98 < window < bound * 1.02


def test_labels_of_one_member_a_batch_are_a_batch_apart() -> None:
    label = of_counts([40] * 500)
    order = label_spread_order(drawn(20_000), label, 500)
    assert false_negatives_per_query(label[order], 500) == 0
    assert 0 < false_negatives_per_query(label[order[250:-250]], 500) < 0.1


def test_a_label_lies_evenly_in_parts_of_a_batch_too() -> None:
    label = of_counts([1000, *[10] * 700])
    order = label_spread_order(drawn(8000), label, 800)
    parts = [int((part == 0).sum()) for part in in_batches(label, order, 80)]
    assert sum(parts) == 1000
    assert min(parts) >= 8
    assert max(parts) <= 12


def test_a_name_and_its_kinds_go_into_different_batches() -> None:
    """Ten dogs, and ten of each of 30 breeds, in 20 batches: where a dog is no breed is, and no label comes twice."""
    label = of_counts([10, *[10] * 30, *[10] * 169])
    related = np.array([(0, breed) for breed in range(1, 31)])
    order = label_spread_order(drawn(2000), label, 100, related)
    assert false_negatives_per_query(label[order], 100, related) == 0
    for batch in in_batches(label, order, 100):
        assert not ((batch == 0).any() and ((batch >= 1) & (batch <= 30)).any())


def test_labels_that_are_all_related_count_as_one() -> None:
    label = of_counts([70, 50, 30, 850])
    related = np.array([(0, 1), (1, 2), (0, 2)])
    order = label_spread_order(drawn(1000), label, 100, related)
    assert [int((batch < 3).sum()) for batch in in_batches(label, order, 100)] == [15] * 10
    assert false_negatives_per_query(label[order], 100, related) == pytest.approx(lower_bound(label, 100, related))


def test_batches_that_follow_each_other_are_put_so_that_windows_hold_few_related_labels() -> None:
    label = of_counts([400, *[60] * 100, *[30] * 200])
    related = np.array([(0, kind) for kind in range(1, 101)])
    order = label_spread_order(drawn(len(label)), label, 100, related)
    assert false_negatives_per_query(label[order], 100, related) < 2 * lower_bound(label, 100, related)
    window = label[order[50:-50]]
    shuffled = np.random.default_rng(0).permutation(label)
    met = false_negatives_per_query(window, 100, related) - false_negatives_per_query(window, 100)
    normalize_label = false_negatives_per_query(shuffled, 100, related) - false_negatives_per_query(shuffled, 100)
    assert met < normalize_label / 10


def test_the_rarest_of_very_many_labels_are_a_stride_apart() -> None:
    """More labels than are counted out batch by batch."""
    label = of_counts([30] * 4000)
    order = label_spread_order(drawn(len(label)), label, 8)
    assert false_negatives_per_query(label[order], 8) == 0
    places = np.sort(np.argsort(order).reshape(4000, 30), axis=1)
    gaps = np.diff(places, axis=1) * 30 / len(label)
    assert 0.9 < np.quantile(gaps, 0.05) < np.quantile(gaps, 0.95) < 1.1


def test_samples_without_a_label_are_no_false_negatives_and_fill_up() -> None:
    label = np.array([-1] * 90 + [0] * 10, np.int32)
    order = label_spread_order(drawn(100), label, 10)
    assert [int((batch == 0).sum()) for batch in in_batches(label, order, 10)] == [1] * 10


def test_another_draw_is_another_order() -> None:
    label = of_counts([50, 50])
    one, other = (label_spread_order(drawn(100, seed), label, 10) for seed in (1, 2))
    assert (one != other).any()


def test_no_pairs_and_less_than_a_batch() -> None:
    assert label_spread_order(drawn(0), of_counts([]), 768).tolist() == []
    label = of_counts([2, 3])
    assert sorted(label_spread_order(drawn(5), label, 768, np.array([[0, 1]])).tolist()) == [0, 1, 2, 3, 4]


def test_a_batch_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        label_spread_order(drawn(5), of_counts([2, 3]), 0)


@settings(deadline=None, max_examples=150)
@given(LABELS, st.integers(1, 40), PAIRS)
def test_order_is_a_permutation(label: Labels, size: int, related: set[tuple[int, int]]) -> None:
    pairs = np.array(sorted(related), np.int32).reshape(-1, 2)
    assert sorted(label_spread_order(drawn(len(label)), label, size, pairs).tolist()) == list(range(len(label)))


@settings(deadline=None, max_examples=200)
@given(LABELS, st.integers(1, 40), st.integers(0, 5))
def test_without_related_labels_it_is_the_lower_bound_itself(label: Labels, size: int, seed: int) -> None:
    order = label_spread_order(drawn(len(label), seed), label, size)
    assert false_negatives_per_query(label[order], size) == pytest.approx(lower_bound(label, size))


@settings(deadline=None, max_examples=100)
@given(LABELS, st.integers(1, 40), PAIRS)
def test_neither_the_order_of_the_pairs_nor_the_numbers_of_the_labels_count(
    label: Labels, size: int, related: set[tuple[int, int]]
) -> None:
    numbers = drawn(len(label))
    pairs = np.array(sorted(related), np.int32).reshape(-1, 2)
    order = label_spread_order(numbers, label, size, pairs)
    shuffle = np.random.default_rng(len(label) + size).permutation(len(label))
    renamed = np.array([*np.random.default_rng(size).permutation(10), -1], np.int32)
    other = label_spread_order(numbers[shuffle], renamed[label[shuffle]], size, renamed[pairs][::-1, ::-1])
    assert numbers[shuffle][other].tolist() == numbers[order].tolist()


@settings(deadline=None, max_examples=100)
@given(LABELS, st.integers(1, 40), PAIRS)
def test_related_labels_are_never_below_the_bound(label: Labels, size: int, related: set[tuple[int, int]]) -> None:
    pairs = np.array(sorted(related), np.int32).reshape(-1, 2)
    order = label_spread_order(drawn(len(label)), label, size, pairs)
    assert false_negatives_per_query(label[order], size, pairs) >= lower_bound(label, size, pairs) - 1e-9


def test_bound_is_what_the_best_of_all_orders_has() -> None:
    for counts, size in [([3, 2, 1], 2), ([4, 2], 4), ([3, 3], 4), ([2, 2, 2, 1], 3), ([5, 1, 1], 3)]:
        label = of_counts(counts)
        best = min(false_negatives_per_query(np.array(order), size) for order in set(itertools.permutations(label)))
        assert lower_bound(label, size) == pytest.approx(best)
