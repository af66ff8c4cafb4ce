"""The members of groups lie in runs: planted groups, and the same rules for groups of any sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from corpus.hashing import mix64
from pipelines.publish.group_runs import RunCounts, cell_stops, count_runs, exact_sum, group_run_order, torn_groups

BATCH, SHARD, MEMBERS = 48, 60, 8

Ints = npt.NDArray[np.int64]


def world(sizes: Sequence[int], singles: int, seed: int = 0) -> tuple[npt.NDArray[np.uint64], Ints]:
    """The random numbers and the groups of pairs, side by side as they are drawn."""
    group = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), np.full(singles, -1)]).astype(np.int64)
    keys = np.where(group >= 0, group, 1_000_000 + np.arange(len(group))).astype(np.uint64)
    drawn = mix64(keys + np.uint64(seed << 32))
    order = np.lexsort((group, drawn))
    return drawn[order], group[order]


def ordered(sizes: Sequence[int], singles: int, batch: int = BATCH, shard: int = SHARD, members: int = MEMBERS) -> Ints:
    """The groups in published order, after a check that each pair is there once."""
    drawn, group = world(sizes, singles)
    order = group_run_order(drawn, group, batch, shard, members)
    assert sorted(order.tolist()) == list(range(len(group)))
    return group[order]


def runs_of(group: Ints, batch: int = BATCH, shard: int = SHARD) -> list[tuple[int, int, int]]:
    """Group, first place and length of each run, seen without the code under test."""
    found: list[tuple[int, int, int]] = []
    for place, code in enumerate(group.tolist()):
        if code < 0:
            continue
        first = place % batch == 0 or place % shard == 0 or group[place - 1] != code
        if first:
            found.append((code, place, 1))
        else:
            found[-1] = (code, found[-1][1], found[-1][2] + 1)
    return found


def test_a_group_of_twenty_is_three_runs_in_three_batches() -> None:
    group = ordered([20] * 12, singles=240)
    by_group: dict[int, list[tuple[int, int]]] = {}
    for code, place, size in runs_of(group):
        by_group.setdefault(code, []).append((size, place // BATCH))
    assert all(sorted(size for size, _ in runs) == [4, 8, 8] for runs in by_group.values())
    assert all(len({batch for _, batch in runs}) == 3 for runs in by_group.values())
    apart = [abs(one - other) for runs in by_group.values() for (_, one), (_, other) in pairwise(runs)]
    assert np.mean(apart) > 2, "spread over the ten batches"
    assert count_runs(group, BATCH, SHARD, MEMBERS) == RunCounts(36, 0, 0, 0)


def test_as_many_runs_as_batches_and_no_two_of_a_group_in_one() -> None:
    batches = 5
    group = ordered([8 * batches] * 6, 0, BATCH, BATCH)
    cells = Counter((code, place // BATCH) for code, place, _ in runs_of(group, BATCH, BATCH))
    assert len(cells) == 6 * batches and set(cells.values()) == {1}


def test_every_batch_has_many_groups() -> None:
    group = ordered([32] * 30, 0)
    for start in range(0, len(group), BATCH):
        counts = Counter(group[start : start + BATCH].tolist())
        assert max(counts.values()) <= MEMBERS
        assert len(counts) >= BATCH // MEMBERS


def test_runs_are_shuffled_by_the_random_numbers() -> None:
    orders = []
    for seed in (0, 0, 1):
        drawn, group = world([5] * 40, 100, seed)
        orders.append(group[group_run_order(drawn, group, BATCH, SHARD, MEMBERS)].tolist())
    assert orders[0] == orders[1] != orders[2]


def test_where_no_sizes_add_up_a_run_is_cut_and_nothing_is_left_out() -> None:
    group = ordered([7] * 30, 0)
    counts = count_runs(group, BATCH, SHARD, MEMBERS)
    torn = torn_groups(group, BATCH, SHARD, MEMBERS)
    runs = Counter(code for code, _, _ in runs_of(group))
    assert torn.tolist() == sorted(code for code, times in runs.items() if times > 1)
    assert 0 < counts.cut == len(runs_of(group)) - 30 <= len(cell_stops(210, BATCH, SHARD))
    assert (counts.crowded, counts.joined) == (0, 0)
    assert "cut in two" in " ".join(counts.warnings(MEMBERS))


def test_a_group_that_needs_more_batches_than_there_are_is_counted() -> None:
    counts = count_runs(ordered([200], 56), BATCH, SHARD, MEMBERS)
    assert counts.crowded == 6, "each of the six batches"
    assert "more than 8 members of a group" in " ".join(counts.warnings(MEMBERS))


def test_what_is_not_as_it_should_be_is_counted() -> None:
    cases = {
        "whole": ([1, 1, 1, -1, 2, 2, -1, -1], (2, 0, 0, 0)),
        "torn": ([1, 1, -1, 1, 2, 2, -1, -1], (3, 1, 0, 0)),
        "over an end": ([-1, 2, 2, 1, 1, 1, -1, -1], (3, 1, 0, 1)),
        "too many": ([1, 1, 1, 1, -1, -1, -1, -1], (2, 0, 1, 0)),
        "none": ([-1] * 8, (0, 0, 0, 0)),
    }
    found = {name: count_runs(np.array(group), 4, 8, 3) for name, (group, _) in cases.items()}
    assert found == {name: RunCounts(*counts) for name, (_, counts) in cases.items()}


def test_ends_of_cells() -> None:
    assert cell_stops(10, 4, 6).tolist() == [4, 6, 8, 10]
    assert cell_stops(8, 4, 8).tolist() == [4, 8]
    assert cell_stops(0, 4, 6).tolist() == []


def test_sizes_that_sum_to_what_is_free() -> None:
    assert exact_sum(13, {8: 2, 5: 1, 1: 9}) == (8, 5)
    assert exact_sum(12, {8: 2, 5: 2}) is None
    assert exact_sum(0, {}) == ()


@given(
    st.lists(st.integers(1, 40), max_size=40),
    st.integers(0, 60),
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(1, 12),
)
def test_of_any_sizes_every_pair_is_there_once(
    sizes: list[int], singles: int, batch: int, shard: int, members: int
) -> None:
    group = ordered(sizes, singles, batch, shard, members)
    counts = count_runs(group, batch, shard, members)
    assert counts.cut >= 0
    found = runs_of(group, batch, shard)
    assert sum(-(-size // members) for _, _, size in found) == counts.runs
    if not counts.crowded:
        assert max((size for _, _, size in found), default=0) <= members


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(0, 3))
def test_with_enough_single_pairs_every_run_is_whole_and_apart(sizes: list[int], seed: int) -> None:
    drawn, group = world(sizes, singles=20 * sum(sizes) + 5 * BATCH, seed=seed)
    group = group[group_run_order(drawn, group, BATCH, SHARD, MEMBERS)]
    least = sum(-(-size // MEMBERS) for size in sizes)
    assert count_runs(group, BATCH, SHARD, MEMBERS) == RunCounts(least, 0, 0, 0)
