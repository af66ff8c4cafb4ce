"""Selects the pairs of a dataset for a corpus, and assigns each to a shard and a position in it.

The driver decides this from narrow columns, 32 bytes a pair. Nothing depends on the order in which tables are read:
selection and order are drawn by hashing pair ids with the seed. All shards hold the same number of samples, except for
the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pyarrow as pa

from corpus.arrays import ranges
from corpus.sampling import derive_seed, random_numbers
from pipelines.labels.batch_spread import label_spread_order
from pipelines.labels.hierarchy import Relations
from pipelines.labels.vocabulary import LabelNames
from pipelines.publish.batch_order import BatchReport
from pipelines.publish.candidates import CandidatePairs
from pipelines.publish.group_runs import RunCounts, count_runs, group_run_order
from pipelines.publish.mixture import MixtureSettings


class BatchRule(StrEnum):
    """The rule by which the samples of a dataset are ordered. A trainer fills batches with consecutive samples."""

    SINGLE_DATASET = "single_dataset"
    GROUPED = "grouped"
    LABEL_SPREAD = "label_spread"  # each batch has as few equal or related labels as possible
    COMMUNITIES = "communities"  # a batch is made of communities of near pairs


@dataclass(frozen=True, eq=False)
class SampleOrder:
    """The chosen pairs in the order in which they are published."""

    chosen: np.ndarray  # int64[m], into the candidates
    per_shard: int
    rule: BatchRule
    runs: RunCounts | None = None  # of groups
    sides_spread: bool = False  # pairs with equal sides are in different batches, as far as possible
    batches: BatchReport | None = None  # where the rule is communities
    equal_sides: int = 0  # pairs that share a query or a positive with another pair of their batch
    false_negatives: int = 0  # pairs in whose batch is another that mining found to be a false negative

    @property
    def shard(self) -> np.ndarray:
        """The shard of each sample, from 0: int64[m]."""
        return np.arange(len(self.chosen)) // self.per_shard

    @property
    def position(self) -> np.ndarray:
        """The position of each sample in its shard, from 0: int64[m]."""
        return np.arange(len(self.chosen)) % self.per_shard

    @property
    def shard_samples(self) -> np.ndarray:
        """The number of samples of each shard: int64[shards]."""
        return np.bincount(self.shard)


@dataclass(frozen=True)
class OrderLengths:
    """Lengths in samples: of a batch, of a shard, and at most of a run of members of a group."""

    batch_size: int
    per_shard: int
    members: int

    @staticmethod
    def of(mixture: MixtureSettings) -> OrderLengths:
        """Returns those of a mixture."""
        return OrderLengths(mixture.batch_size, mixture.pairs_per_shard, mixture.members_per_batch)


def order_seed(mixture: MixtureSettings, dataset: str) -> int:
    """Returns the seed of the selection and the order of a dataset's pairs."""
    return derive_seed(mixture.seed, dataset, "order")


def arrange_dataset(candidates: CandidatePairs, name: str, mixture: MixtureSettings, names: LabelNames) -> SampleOrder:
    """Selects and orders the pairs of a dataset: labels are spread over the batches, groups lie in runs."""
    seed = order_seed(mixture, name)
    sample_order = arrange(candidates, mixture.datasets[name].pairs, seed, OrderLengths.of(mixture))
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


def arrange(candidates: CandidatePairs, limit: int | None, seed: int, lengths: OrderLengths) -> SampleOrder:
    """Draws at most `limit` pairs and shuffles them, both by `seed`.

    A group is drawn as a unit, so the number of pairs may be below the limit by less than a group. Its members lie in
    runs: see `group_run_order`.
    """
    order, starts = _units(candidates, seed)
    sizes = np.diff(starts, append=len(order))
    units = np.arange(len(starts)) if limit is None else _within(sizes, limit)
    chosen = order[ranges(starts[units], sizes[units])]
    group = candidates.group[chosen]
    if not (group >= 0).any():
        return SampleOrder(chosen, lengths.per_shard, BatchRule.SINGLE_DATASET)
    drawn = _unit_numbers(candidates, seed)[chosen]
    chosen = chosen[group_run_order(drawn, group, lengths.batch_size, lengths.per_shard, lengths.members)]
    runs = count_runs(candidates.group[chosen], lengths.batch_size, lengths.per_shard, lengths.members)
    return SampleOrder(chosen, lengths.per_shard, BatchRule.GROUPED, runs)


def _units(candidates: CandidatePairs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the candidates in drawn order, and the start of each unit in it: a group, or one pair without a group."""
    number = random_numbers(candidates.ids, seed)
    if not (candidates.group >= 0).any():
        return np.argsort(number, kind="stable"), np.arange(len(number))
    order = np.lexsort((number, candidates.group, _unit_numbers(candidates, seed)))
    first = (candidates.group[order] < 0) | (np.diff(candidates.group[order], prepend=-1) != 0)
    return order, np.flatnonzero(first)


def _unit_numbers(candidates: CandidatePairs, seed: int) -> np.ndarray:
    """Returns the random number of each candidate's group, or its own without a group: uint64[n]."""
    of_group = random_numbers(pa.array(candidates.groups, pa.string()), seed)
    number = random_numbers(candidates.ids, seed)
    return np.where(candidates.group < 0, number, of_group[candidates.group]) if len(of_group) else number


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
