"""Seeded choices: their shares, what they depend on, and what stays when more is to choose from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from corpus.hashing import hash_strings
from corpus.item_ids import split_ids
from corpus.sampling import (
    bernoulli,
    choose_option,
    choose_weighted,
    derive_seed,
    random_numbers,
    random_order,
    uniform,
)
from corpus.schema import ITEM_ID, item_id

N = 20_000
KEYS = pa.array([f"https://example.com/{number}" for number in range(N)])


def near(share: float, probability: float, n: int = N) -> bool:
    """Whether a share of n draws lies within five standard deviations."""
    return abs(share - probability) <= 5 * (probability * (1 - probability) / n) ** 0.5


def test_ids_have_the_same_numbers_in_every_form() -> None:
    column = pa.array([item_id(bytes([number])) for number in range(50)], ITEM_ID)
    numbers = random_numbers(column, 3)
    assert np.array_equal(numbers, random_numbers(split_ids(column), 3))
    assert np.array_equal(numbers, hash_strings(column.cast(pa.binary()), 3))


def test_numbers_of_ids_are_spread_evenly_and_depend_on_the_seed() -> None:
    ids = np.arange(2 * N, dtype=np.uint64).reshape(2, -1)  # far from random themselves
    numbers = random_numbers(ids, 1)
    counts = np.bincount((numbers >> np.uint64(60)).astype(np.int64), minlength=16)
    assert counts.min() > 1250 - 150 and counts.max() < 1250 + 150
    assert not np.array_equal(numbers, random_numbers(ids, 2))


def test_keys_are_drawn_with_the_probability_and_stay_drawn_with_a_higher_one() -> None:
    before = np.zeros(N, bool)
    for probability in (0.0, 0.001, 0.3, 0.5, 0.99, 1.0):
        drawn = bernoulli(KEYS, probability, 1)
        assert near(drawn.mean(), probability)
        assert drawn[before].all()
        before = drawn
    assert near((bernoulli(KEYS, 0.5, 1) & bernoulli(KEYS, 0.5, 2)).mean(), 0.25)


def test_a_draw_depends_on_no_other_key() -> None:
    drawn = bernoulli(KEYS, 0.3, 1)
    for some in (slice(5, 900), slice(None, None, -7)):
        places = np.arange(N)[some]
        assert np.array_equal(bernoulli(KEYS.take(pa.array(places)), 0.3, 1), drawn[places])


def test_the_order_is_random_and_that_of_equal_keys_stays() -> None:
    order = random_order(KEYS, 7)
    assert np.array_equal(np.sort(order), np.arange(N))
    assert abs(np.corrcoef(order, np.arange(N))[0, 1]) < 5 / N**0.5
    kept = np.sort(order[: N // 2])
    smaller = kept[random_order(KEYS.take(pa.array(kept)), 7)]
    assert np.array_equal(smaller, order[: N // 2])
    assert random_order(pa.array(["b", "a", "b", "a"]), 0).tolist() in ([0, 2, 1, 3], [1, 3, 0, 2])


def test_one_option_is_chosen_whatever_their_order() -> None:
    options = [f"text {number}" for number in range(5)]
    chosen = [choose_option(options, seed) for seed in range(4000)]
    shares = np.bincount(chosen, minlength=5) / len(chosen)
    assert all(near(share, 0.2, len(chosen)) for share in shares), shares
    assert [4 - choose_option(options[::-1], seed) for seed in range(4000)] == chosen
    more = [choose_option([*options, "new"], seed) for seed in range(4000)]
    assert all(now in (before, 5) for now, before in zip(more, chosen, strict=True))
    assert choose_option(["same", "same"], 1) == 0
    with pytest.raises(ValueError):
        choose_option([], 1)


def test_options_are_chosen_by_their_weights_and_stay_when_one_is_added() -> None:
    names, weights = ["a", "b", "c"], np.array([1.0, 2.0, 5.0])
    chosen = choose_weighted(KEYS, names, weights, 1)
    shares = np.bincount(chosen, minlength=3) / N
    assert all(near(share, weight / 8) for share, weight in zip(shares, weights, strict=True)), shares
    more = choose_weighted(KEYS, [*names, "d"], np.array([*weights, 2.0]), 1)
    assert np.isin(more[more != chosen], 3).all()
    of_each = np.where(np.arange(N)[:, None] % 2, weights, [0.0, 1.0, 0.0])
    assert set(choose_weighted(KEYS, names, of_each, 1)[::2].tolist()) == {1}


def test_seeds_for_other_purposes_are_others() -> None:
    purposes = [(), ("a",), ("b",), ("a", "b"), ("ab",), (1,), (11,), (1, 1), (b"\xff",)]
    assert len({derive_seed(seed, *purpose) for seed in (0, 1) for purpose in purposes}) == 2 * len(purposes)
    assert derive_seed(1, 2) == derive_seed(1, "2")
    assert 0 <= derive_seed(2**200, "a") < 2**64


def test_numbers_stay_the_same_for_ever() -> None:
    assert random_numbers(pa.array(["a", None]), 7).tolist() == [14599177788703401150, 2**64 - 1]
    assert derive_seed(7, "order", 3) == 12630658686420261212
    assert [choose_option(["a", "b", "c"], seed) for seed in range(6)] == [1, 1, 0, 1, 1, 2]


def test_fractions_are_never_0_nor_1() -> None:
    lowest, highest = uniform(np.array([0, 2**64 - 1], np.uint64))
    assert 0 < lowest < 1e-15
    assert 1 - 1e-15 < highest < 1
