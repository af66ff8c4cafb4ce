"""Selects the pairs of a dataset for a corpus, and assigns each to a shard and a position in it.

The driver decides this from narrow columns, 32 bytes a pair. Nothing depends on the order in which tables are read:
selection and order are drawn by hashing pair ids with the seed. Groups stay together, and all shards hold the same
number of samples, except for the last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa

from corpus.arrays import places_in_runs, ranges
from corpus.sampling import derive_seed, random_numbers
from pipelines.labels.batch_spread import label_spread_order
from pipelines.labels.hierarchy import Relations
from pipelines.labels.vocabulary import LabelNames
from pipelines.publish.candidates import CandidatePairs
from pipelines.publish.mixture import MixtureSettings, PublishError


class BatchRule(StrEnum):
    """The rule by which the samples of a dataset are ordered. A trainer fills batches with consecutive samples."""

    SINGLE_DATASET = "single_dataset"
    GROUPED = "grouped"
    LABEL_SPREAD = "label_spread"  # each batch has as few equal or related labels as possible


@dataclass(frozen=True, eq=False)
class SampleOrder:
    """The chosen pairs in the order in which they are published."""

    chosen: np.ndarray  # int64[m], into the candidates
    shard: np.ndarray  # int64[m], from 0
    position: np.ndarray  # int64[m], in the shard, from 0
    unplaced: int  # pairs of groups that would have made shards unequal
    rule: BatchRule
    sides_spread: bool = False  # pairs with equal sides are in different batches, as far as possible
    equal_sides: int = 0  # pairs that share a query or a positive with another pair of their batch

    @property
    def shard_samples(self) -> np.ndarray:
        """The number of samples of each shard: int64[shards]."""
        return np.bincount(self.shard)


def order_seed(mixture: MixtureSettings, dataset: str) -> int:
    """Returns the seed of the selection and the order of a dataset's pairs."""
    return derive_seed(mixture.seed, dataset, "order")


def arrange_dataset(candidates: CandidatePairs, name: str, mixture: MixtureSettings, names: LabelNames) -> SampleOrder:
    """Selects and orders the pairs of a dataset: labels are spread over the batches, groups stay together.

    Raises PublishError as `arrange` does.
    """
    seed = order_seed(mixture, name)
    sample_order = arrange(candidates, mixture.datasets[name].pairs, mixture.pairs_per_shard, seed)
    label = candidates.label[sample_order.chosen]
    if sample_order.rule is BatchRule.GROUPED or not (label >= 0).any():
        return sample_order
    related = related_labels(candidates, names)
    drawn = random_numbers(candidates.ids[:, sample_order.chosen], seed)
    order = label_spread_order(drawn, label, mixture.batch_size, related)
    return replace(sample_order, chosen=sample_order.chosen[order], rule=BatchRule.LABEL_SPREAD)


def related_labels(candidates: CandidatePairs, names: LabelNames) -> np.ndarray:
    """Returns the pairs of labels of which one contains the other, by number: int32[m, 2]."""
    return Relations(candidates.labels, names).pairs(candidates.labels)


def arrange(candidates: CandidatePairs, limit: int | None, per_shard: int, seed: int) -> SampleOrder:
    """Draws at most `limit` pairs and shuffles them into shards of `per_shard`, both by `seed`.

    A group is drawn as a unit, and is consecutive in one shard, so the number of pairs may be below the limit by less
    than a group. Raises PublishError for a group that no shard can hold.
    """
    order, starts = _units(candidates, seed)
    sizes = np.diff(starts, append=len(order))
    if sizes.max(initial=0) > per_shard:
        name = candidates.groups[candidates.group[order[starts[sizes.argmax()]]]]
        raise PublishError(
            f"group {name!r} has {sizes.max()} pairs and must be in one shard: raise pairs_per_shard to that"
        )
    units = np.arange(len(starts)) if limit is None else _within(sizes, limit)
    grouped = bool((candidates.group[order[starts[units]]] >= 0).any())
    if grouped:
        shards = pack(sizes[units].tolist(), per_shard)
        placed = units[np.array([unit for shard in shards for unit in shard], np.int64)]
        shard_samples = np.array([sizes[units[shard]].sum() for shard in shards], np.int64)
    else:
        placed = units
        shard_samples = np.diff(np.arange(0, len(units) + per_shard, per_shard).clip(max=len(units)))
    chosen = order[ranges(starts[placed], sizes[placed])]
    return SampleOrder(
        chosen,
        np.repeat(np.arange(len(shard_samples)), shard_samples),
        places_in_runs(shard_samples),
        int(sizes[units].sum() - len(chosen)),
        BatchRule.GROUPED if grouped else BatchRule.SINGLE_DATASET,
    )


def _units(candidates: CandidatePairs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the candidates in drawn order, and the start of each unit in it: a group, or one pair without a group."""
    number = random_numbers(candidates.ids, seed)
    group = candidates.group
    if not (group >= 0).any():
        return np.argsort(number, kind="stable"), np.arange(len(number))
    of_group = random_numbers(pa.array(candidates.groups, pa.string()), seed)
    of_unit = np.where(group < 0, number, of_group[group])
    order = np.lexsort((number, group, of_unit))
    first = (group[order] < 0) | (np.diff(group[order], prepend=-1) != 0)
    return order, np.flatnonzero(first)


def _within(sizes: np.ndarray, limit: int) -> np.ndarray:
    """Selects units in order while they have at most `limit` pairs in all; skips those that are too big: int64."""
    complete = int(np.searchsorted(np.cumsum(sizes), limit, side="right"))
    units = list(range(complete))
    free = limit - int(sizes[:complete].sum())
    for unit in range(complete, len(sizes)):
        if not free:
            break
        if sizes[unit] <= free:
            units.append(unit)
            free -= int(sizes[unit])
    return np.array(units, np.int64)


def pack(sizes: Sequence[int], max_samples: int) -> list[list[int]]:
    """Packs units of these sizes, in order, into shards: for each shard its units, in their order.

    Every shard except the last holds the same number of samples: `max_samples`, or the next smaller number with which
    all units can be placed. Where there is none, the number with the fewest unplaced samples, which are in no shard.
    Sizes must not exceed `max_samples`.
    """
    biggest = max(sizes, default=1)
    min_dropped, best = sum(sizes) + 1, []
    for capacity in range(max_samples, max(max_samples - biggest, biggest - 1), -1):
        shards = _fill(sizes, capacity)
        dropped = sum(sizes) - sum(sizes[unit] for shard in shards for unit in shard)
        if dropped < min_dropped:
            min_dropped, best = dropped, shards
        if not dropped:
            break
    return best


def _fill(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    pending: dict[int, deque[int]] = {}
    for unit, size in enumerate(sizes):
        pending.setdefault(size, deque()).append(unit)
    remaining = sum(sizes)
    shards: list[list[int]] = []
    while remaining > capacity:
        shard = _full_shard(sizes, pending, capacity)
        if not shard:
            break
        remaining -= capacity
        shards.append(shard)
    last, free = [], capacity
    for unit in sorted(unit for units in pending.values() for unit in units):
        if sizes[unit] <= free:
            last.append(unit)
            free -= sizes[unit]
    return [*shards, last] if last else shards


def _full_shard(sizes: Sequence[int], pending: dict[int, deque[int]], capacity: int) -> list[int]:
    """Takes pending units whose sizes sum to `capacity`; none if there is no such sum.

    It takes the next units in order, and in the end those that fill the rest exactly: only that part is searched.
    """
    shard: list[int] = []
    free, biggest = capacity, max(size for size, units in pending.items() if units)
    while free > 2 * biggest:
        size = min((size for size in pending if pending[size]), key=lambda size: pending[size][0])
        shard.append(pending[size].popleft())
        free -= size
    while True:
        rest = _exact(free, {size: len(units) for size, units in pending.items()})
        if rest is not None:
            return sorted(shard + [pending[size].popleft() for size in rest])
        if not shard:
            return []
        returned = shard.pop()
        pending[sizes[returned]].appendleft(returned)
        free += sizes[returned]


def _exact(free: int, counts: Mapping[int, int]) -> tuple[int, ...] | None:
    """Finds sizes that sum to `free`, each at most as often as it has units; large ones first."""
    reached: dict[int, tuple[int, ...]] = {0: ()}
    for size in sorted(counts, reverse=True):
        for filled, used in sorted(reached.items(), reverse=True):  # which leaves the small ones
            for times in range(1, min(counts[size], (free - filled) // size) + 1):
                reached.setdefault(filled + times * size, used + (size,) * times)
        if free in reached:
            return reached[free]
    return None
