"""Filling tars: groups stay whole, and all tars hold the same number of samples, save the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence


def pack(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Units of given sizes, in the order given, into shards: for each shard its units, in their order.

    Every shard but the last holds the same number of samples: `most`, or the next smaller number that lets all
    units be placed. Where none does, the number that leaves out the fewest samples is taken; what is left out is in
    no shard. Sizes must not exceed `most`.
    """
    biggest = max(sizes, default=1)
    fewest, best = sum(sizes) + 1, []
    for capacity in range(most, max(most - biggest, biggest - 1), -1):
        shards = _fill(sizes, capacity)
        left_out = sum(sizes) - sum(sizes[unit] for shard in shards for unit in shard)
        if left_out < fewest:
            fewest, best = left_out, shards
        if not left_out:
            break
    return best


def _fill(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    waiting: dict[int, deque[int]] = {}
    for unit, size in enumerate(sizes):
        waiting.setdefault(size, deque()).append(unit)
    left = sum(sizes)
    shards: list[list[int]] = []
    while left > capacity:
        shard = _full_shard(sizes, waiting, capacity)
        if not shard:
            break
        left -= capacity
        shards.append(shard)
    last, room = [], capacity
    for unit in sorted(unit for units in waiting.values() for unit in units):
        if sizes[unit] <= room:
            last.append(unit)
            room -= sizes[unit]
    return [*shards, last] if last else shards


def _full_shard(sizes: Sequence[int], waiting: dict[int, deque[int]], capacity: int) -> list[int]:
    """Units whose sizes sum to `capacity`, taken from those waiting; none if there is no such sum.

    The next units in line, and at the end those that fill the rest exactly: only that last bit is searched.
    """
    shard: list[int] = []
    room, biggest = capacity, max(size for size, units in waiting.items() if units)
    while room > 2 * biggest:
        size = min((size for size in waiting if waiting[size]), key=lambda size: waiting[size][0])
        shard.append(waiting[size].popleft())
        room -= size
    while True:
        rest = _exact(room, {size: len(units) for size, units in waiting.items()})
        if rest is not None:
            return sorted(shard + [waiting[size].popleft() for size in rest])
        if not shard:
            return []
        returned = shard.pop()
        waiting[sizes[returned]].appendleft(returned)
        room += sizes[returned]


def _exact(room: int, counts: Mapping[int, int]) -> tuple[int, ...] | None:
    """Sizes, each as often as there are units of it at most, that sum to `room`; large ones first."""
    reached: dict[int, tuple[int, ...]] = {0: ()}
    for size in sorted(counts, reverse=True):
        for filled, used in sorted(reached.items(), reverse=True):  # so that small ones are spared
            for times in range(1, min(counts[size], (room - filled) // size) + 1):
                reached.setdefault(filled + times * size, used + (size,) * times)
        if room in reached:
            return reached[room]
    return None
