"""Pairs with equal sides in different batches: passages of several questions, pictures of several captions."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.hashing import mix64
from pipelines.labels.false_negatives import lower_bound
from pipelines.publish.side_spread import equal_in_batch, repeated_sides, side_spread_order

Ids = np.ndarray


def spread(query: Ids, positive: Ids, size: int) -> tuple[int, Ids]:
    """Pairs with an equal side in their batch, and the order."""
    codes = repeated_sides(query.astype(np.uint64)), repeated_sides(positive.astype(np.uint64))
    order = side_spread_order(mix64(np.arange(len(query), dtype=np.uint64)), *codes, size)
    assert order is not None
    assert sorted(order.tolist()) == list(range(len(query)))
    return equal_in_batch(codes[0][order], codes[1][order], size), order


@pytest.mark.parametrize("size", [8, 50, 100])
def test_passages_of_five_questions_never_meet(size: int) -> None:
    """As far as five batches: one batch or two hold some of them twice, whatever the order."""
    number = np.arange(600)
    assert equal_in_batch(repeated_sides(number), repeated_sides(number // 5), size) > 500
    assert spread(number, number // 5, size)[0] == 0
    assert spread(number // 5, number, size)[0] == 0


def test_what_repeats_on_both_sides_is_spread_on_both() -> None:
    """Each of 120 claims has three passages, each of the passages is of three claims."""
    number = np.arange(360)
    query, positive = number // 3, (number % 3 + 3 * (number // 9)) * 1000
    assert spread(query, positive, 24)[0] == 0


def test_few_answers_meet_as_rarely_as_their_counts_allow() -> None:
    random = np.random.default_rng(0)
    answer = random.choice(40, 960, p=np.arange(1, 41) / 820)
    picture = random.integers(0, 300, 960)
    _, order = spread(picture, answer, 48)
    pairs = lower_bound(answer, 48)
    counts = [np.unique(part, return_counts=True)[1] for part in np.split(answer[order], 20)]
    met = sum(int((each * (each - 1)).sum()) for each in counts) / 960
    assert met <= 1.05 * pairs
    crowded = sum(int((np.unique(part, return_counts=True)[1] > 1).sum()) for part in np.split(picture[order], 20))
    shuffled = sum(int((np.unique(part, return_counts=True)[1] > 1).sum()) for part in np.split(picture, 20))
    assert crowded < shuffled / 4


def test_the_order_depends_on_the_pairs_alone() -> None:
    random = np.random.default_rng(1)
    query, positive = random.integers(0, 100, 400), random.integers(0, 100, 400)
    drawn = mix64(np.arange(400, dtype=np.uint64))
    turned = random.permutation(400)

    def order(places: Ids) -> list[int]:
        codes = [repeated_sides(each[places].astype(np.uint64)) for each in (query, positive)]
        found = side_spread_order(drawn[places], *codes, 16)
        assert found is not None
        return places[found].tolist()

    assert order(np.arange(400)) == order(turned)


def test_where_nothing_repeats_there_is_nothing_to_spread() -> None:
    number = repeated_sides(np.arange(10, dtype=np.uint64))
    assert side_spread_order(np.arange(10, dtype=np.uint64), number, number, 4) is None
    assert equal_in_batch(number, number, 4) == 0
