"""Communities of near pairs: planted ones are found, and what must not meet in a batch is kept apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from corpus.arrays import Ints
from corpus.hashing import mix64
from pipelines.publish.communities import Exclusions, Near, grow_communities, separate

NONE = np.empty(0, np.int64)


def drawn(n: int, seed: int = 0) -> npt.NDArray[np.uint64]:
    return mix64(np.arange(n, dtype=np.uint64) + np.uint64(seed << 32))


def nothing(n: int) -> Ints:
    return np.full(n, -1, np.int64)


def planted(communities: int, size: int, noise: int = 8, seed: int = 0) -> tuple[Near, Ints]:
    """Pairs that are near to all others of their community, and to some that are drawn; and their communities."""
    chance = np.random.default_rng(seed)
    n = communities * size
    members = chance.permutation(n).reshape(communities, size)
    truth = np.empty(n, np.int64)
    truth[members] = np.arange(communities)[:, None]
    near = np.full((n, size - 1 + noise), -1, np.int32)
    for pair in range(n):
        others = members[truth[pair]]
        mixed = np.concatenate([others[others != pair], chance.integers(0, n, noise)])
        near[pair] = np.where(chance.permutation(mixed) == pair, -1, chance.permutation(mixed))
    near[:, 0] = np.where(near[:, 0] == np.arange(n), -1, near[:, 0])
    return near, truth


def test_planted_communities_are_found_together() -> None:
    near, truth = planted(40, 16)
    found = grow_communities(near, 16, Exclusions.of(nothing(640), nothing(640), NONE, NONE), drawn(640))
    assert sorted(np.bincount(found).tolist()) == [16] * 40
    assert all(len(set(truth[found == number].tolist())) == 1 for number in range(40))


def test_a_pair_without_neighbours_stays_alone() -> None:
    near = np.array([[1, 2], [0, 2], [0, 1], [-1, -1]], np.int32)
    found = grow_communities(near, 4, Exclusions.of(nothing(4), nothing(4), NONE, NONE), drawn(4))
    assert len(set(found[:3].tolist())) == 1 and found[3] != found[0]


def test_of_equally_near_pairs_the_one_that_is_near_in_turn_is_taken_then_the_first() -> None:
    exclusions = Exclusions.of(nothing(4), nothing(4), NONE, NONE)
    first = np.argsort(drawn(4))  # the seed of the first community is the pair with the lowest number
    seed, *others = first.tolist()
    near = np.full((4, 3), -1, np.int32)
    near[seed] = others
    near[others[2]] = [seed, -1, -1]
    found = grow_communities(near, 2, exclusions, drawn(4))
    assert found[seed] == found[others[2]]
    near[others[2]] = -1
    found = grow_communities(near, 2, exclusions, drawn(4))
    assert found[seed] == found[min(others)]


def test_what_must_not_meet_is_in_no_community_together() -> None:
    near, truth = planted(12, 12)
    n = len(truth)
    query, positive = nothing(n), nothing(n)
    one = {number: np.flatnonzero(truth == number) for number in range(12)}
    query[one[0][:3]] = 7
    positive[one[1][:2]] = 9
    first, second = one[2][:4], one[2][4:8]
    exclusions = Exclusions.of(query, positive, first, second)
    found = grow_communities(near, 12, exclusions, drawn(n))
    assert len(set(found[one[0][:3]].tolist())) == 3
    assert len(set(found[one[1][:2]].tolist())) == 2
    assert (found[first] != found[second]).all()
    assert exclusions.meetings(found) == 0
    assert len(set(found[one[5]].tolist())) == 1, "others are as planted"


def test_meetings_are_counted_from_both_sides_and_once() -> None:
    query = np.array([1, 1, -1, -1, 1])
    exclusions = Exclusions.of(query, nothing(5), np.array([0, 2]), np.array([1, 3]))
    assert exclusions.meetings(np.zeros(5, np.int64)) == 6 + 2
    assert exclusions.meetings(np.array([0, 1, 2, 2, 0])) == 2 + 2
    assert exclusions.meetings(np.arange(5)) == 0


def test_false_negatives_are_in_different_batches_where_there_are_enough() -> None:
    n, size = 240, 24
    chance = np.random.default_rng(5)
    query = np.where(np.arange(n) < 100, np.arange(n) // 10, -1)  # ten times the same query, for ten batches
    first = chance.integers(100, n, 150)
    second = chance.integers(100, n, 150)
    exclusions = Exclusions.of(query, nothing(n), first, second)
    order = np.arange(n)
    assert exclusions.meetings(order // size) > 500
    separate(order, size, exclusions, drawn(n))
    assert sorted(order.tolist()) == list(range(n))
    batch = np.empty(n, np.int64)
    batch[order] = np.arange(n) // size
    assert exclusions.meetings(batch) == 0


def test_what_meets_nothing_stays_where_it_is() -> None:
    order = np.arange(60)[::-1].copy()
    separate(order, 10, Exclusions.of(nothing(60), nothing(60), NONE, NONE), drawn(60))
    assert order.tolist() == list(range(60))[::-1]


@given(st.integers(1, 60), st.integers(1, 6), st.integers(2, 9), st.integers(0, 99))
def test_every_pair_is_in_one_community_of_at_most_so_many(n: int, width: int, size: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    near = chance.permuted(np.tile(np.arange(n), (n, 1)), axis=1)[:, :width].astype(np.int32)
    near[near == np.arange(n)[:, None]] = -1
    code = chance.integers(-1, max(1, n // 3), n)
    exclusions = Exclusions.of(code, nothing(n), chance.integers(0, n, 5), chance.integers(0, n, 5))
    found = grow_communities(near, size, exclusions, drawn(n, seed))
    assert max(Counter(found.tolist()).values()) <= size
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))
    assert exclusions.meetings(found) == 0
    before = np.argsort(found, kind="stable")
    order = before.copy()
    separate(order, 7, exclusions, drawn(n, seed))
    assert sorted(order.tolist()) == list(range(n))
    batches = [np.empty(n, np.int64) for _ in range(2)]
    for batch, each in zip(batches, (before, order), strict=True):
        batch[each] = np.arange(n) // 7
    assert exclusions.meetings(batches[1]) <= exclusions.meetings(batches[0])
