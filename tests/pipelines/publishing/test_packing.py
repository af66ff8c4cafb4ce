from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipelines.publishing.packing import pack


def test_shards_are_filled_exactly_and_nothing_is_left_out() -> None:
    sizes = [3, 5, 2, 1, 4, 3, 6, 1, 1, 2, 5, 3]
    shards = pack(sizes, 9)
    assert [sum(sizes[unit] for unit in shard) for shard in shards] == [9, 9, 9, 9]
    assert sorted(unit for shard in shards for unit in shard) == list(range(12))


def test_a_capacity_that_no_sum_reaches_is_lowered() -> None:
    shards = pack([7] * 300, 1000)
    assert [len(shard) for shard in shards] == [142, 142, 16]  # 994 samples each


def test_units_keep_their_order_inside_a_shard() -> None:
    assert all(shard == sorted(shard) for shard in pack([2, 3, 2, 3, 2, 3, 2, 3], 5))


def test_everything_in_one_shard_and_nothing_at_all() -> None:
    assert pack([1, 2, 3], 1000) == [[0, 1, 2]]
    assert pack([], 1000) == []


def test_what_cannot_be_placed_is_as_little_as_possible() -> None:
    sizes = [4, 4, 4, 3]  # 4 + 4 fills a shard of 8; a second one of 8 can't be filled, and is the last
    shards = pack(sizes, 8)
    assert sum(sizes[unit] for shard in shards for unit in shard) == 15


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(12, 40))
def test_all_shards_but_the_last_are_equal_and_no_unit_is_there_twice(sizes: list[int], most: int) -> None:
    shards = pack(sizes, most)
    filled = [sum(sizes[unit] for unit in shard) for shard in shards]
    assert len(set(filled[:-1])) <= 1
    assert not filled or (max(filled) <= most and filled[-1] <= filled[0])
    placed = [unit for shard in shards for unit in shard]
    assert len(placed) == len(set(placed))


@given(st.lists(st.integers(2, 12), max_size=60), st.integers(12, 40))
def test_with_enough_single_pairs_every_group_is_placed(groups: list[int], most: int) -> None:
    sizes = [size for group in groups for size in (group, *[1] * 12)]
    assert sum(len(shard) for shard in pack(sizes, most)) == len(sizes)
