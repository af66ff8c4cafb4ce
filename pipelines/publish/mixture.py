"""Mixtures: which pairs of a dataset are published, in which tar, and at which place in it.

Decided on the driver from narrow columns, 32 bytes a pair. Nothing depends on the order in which tables are read:
the sample and the order are drawn by hashing pair ids with the seed. Groups stay whole, and all tars hold the same
number of samples, save the last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpus.image.encode import JPEG_QUALITY
from corpus.item_ids import first_of_run, split_ids
from corpus.sampling import derive_seed, random_numbers
from corpus.schema import PAIR_SCHEMA, Modality, Status, Task
from corpus.settings import Settings, tuning
from corpus.urls import SIGNATURES
from corpus.workspace import Workspace
from pipelines.labels.batch_spread import label_spread_order
from pipelines.labels.hierarchy import Relations
from pipelines.labels.vocabulary import LabelNames, load_names
from pipelines.publish.pair_tables import PairTable
from pipelines.publish.weights import WeightSettings

_NARROW = pa.schema([PAIR_SCHEMA.field(name) for name in ("pair_id", "group", "label")])


class MixtureDataset(Settings):
    """What a mixture takes of one dataset."""

    pairs: int | None = Field(None, ge=1, description="a seeded sample of so many pairs; null: all")
    weight: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="how often the trainer draws from it; times what `weights` says"
    )
    repeats: int = Field(1, ge=1, description="how often an epoch goes through it")
    negatives: int = Field(0, ge=0, description="hard negatives of every sample")


class MixtureSettings(Settings):
    """One corpus: what it takes of which datasets, and how it is cut into tars."""

    corpus: str = tuning(..., description="folder or fsspec URL that the corpus is written to")
    seed: int = 0
    pairs_per_shard: int = Field(1000, ge=1)
    batch_size: int = Field(768, ge=1, description="of the trainer, which fills a batch from one dataset")
    jpeg_quality: int = Field(
        JPEG_QUALITY,
        ge=1,
        le=100,
        description="of images that are written anew: a stock reader would show them wrong",
    )
    weights: WeightSettings = WeightSettings()
    signatures: tuple[str, ...] = Field(
        SIGNATURES,
        description="query parameters left out of published URLs, `*`: any letters; of an entry all names, where its "
        "first is in the URL",
    )
    datasets: dict[str, MixtureDataset] = Field(min_length=1)

    @field_validator("signatures")
    @classmethod
    def _name_something(cls, signatures: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(str.split, signatures)):
            raise ValueError("an entry is one or more names of parameters, with spaces between them")
        return signatures


@dataclass(frozen=True)
class DatasetInput:
    """A dataset of the workspace. The names of its tables carry their fingerprints."""

    name: str
    task: Task
    stage: int  # of the training recipe: 1 without instructions, 2 with
    modality: Modality
    licence: str
    sources: tuple[str, ...]
    pairs: tuple[str, ...]  # paths of its pairs tables
    later: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of these: the tables of later stages, in order

    @property
    def tables(self) -> tuple[PairTable, ...]:
        """Its pairs, table by table."""
        return tuple(PairTable(path, self.later.get(path, ())) for path in self.pairs)


@dataclass(frozen=True)
class PublishInput:
    """All that a corpus is made of, and what its manifest and data card tell of how it came to be."""

    name: str
    datasets: tuple[DatasetInput, ...]
    items: tuple[str, ...]  # paths of item tables: LOCATION_FIELDS
    funnel: Mapping[str, Any]  # source -> {"rows_in", "kept", "removed": {status: {reason: rows}}}
    made_by: Mapping[str, str]  # name -> version
    inspected: Mapping[str, str] = field(default_factory=dict)  # path of an item table -> of what `inspect` found of it
    names: LabelNames = field(default_factory=load_names)  # which labels contain which


class BatchRule(StrEnum):
    """How the order of a dataset serves batches that are filled with consecutive samples."""

    SINGLE_DATASET = "single_dataset"
    GROUPED = "grouped"
    LABEL_SPREAD = "label_spread"  # as few equal or related labels in a batch as can be


class PublishError(RuntimeError):
    """A corpus that can't be published from what lies in the workspace. Says which dataset, and what to do."""


@dataclass(frozen=True, eq=False)
class CandidatePairs:
    """The n kept pairs of a dataset, each once, in ascending order of their ids."""

    ids: np.ndarray  # uint64[2, n]
    table: np.ndarray  # int32[n], into the dataset's tables
    row: np.ndarray  # int32[n]
    group: np.ndarray  # int32[n], into `groups`; -1: none
    label: np.ndarray  # int32[n]; equal numbers are equal labels; -1: none
    groups: tuple[str, ...]
    labels: tuple[str, ...]  # "" may be among them
    repeated: int  # rows left out because their pair was there already

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, eq=False)
class SampleOrder:
    """The chosen pairs in the order in which they are published."""

    chosen: np.ndarray  # int64[m], into the candidates
    shard: np.ndarray  # int64[m], from 0
    position: np.ndarray  # int64[m], in the shard, from 0
    unplaced: int  # pairs of groups that would have made shards unequal
    rule: BatchRule
    sides_spread: bool = False  # pairs with equal sides are in different batches, as far as they can be
    equal_sides: int = 0  # pairs that share a query or a positive with another one of their batch

    @property
    def shard_samples(self) -> np.ndarray:
        """int64[shards]: the number of samples of each shard."""
        return np.bincount(self.shard)


def read_candidate_pairs(workspace: Workspace, pairs: Sequence[PairTable]) -> CandidatePairs:
    """The kept pairs of a dataset's tables. Of rows with the same pair the first counts, by table and row."""
    tables, origins = [_NARROW.empty_table()], [np.zeros((2, 0), np.int32)]
    for number, each in enumerate(pairs):
        table = each.read(workspace, [*_NARROW.names, "status"])
        rows = np.flatnonzero(pc.equal(table.column("status"), str(Status.KEPT)).to_numpy())
        tables.append(table.take(rows).select(_NARROW.names))
        origins.append(np.stack([np.full(len(rows), number), rows]).astype(np.int32))
    kept = pa.concat_tables(tables)
    table_number, row = np.concatenate(origins, axis=1)
    ids = split_ids(kept.column("pair_id"))
    order = np.lexsort((row, table_number, ids[1], ids[0]))
    first = first_of_run(ids[:, order])
    order = order[first]
    group, groups = _codes(kept.column("group"))
    label, labels = _codes(kept.column("label"))
    return CandidatePairs(
        np.ascontiguousarray(ids[:, order]),
        table_number[order],
        row[order],
        group[order],
        label[order],
        groups,
        labels,
        int(len(first) - first.sum()),
    )


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, tuple[str, ...]]:
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    return np.where(codes == names.index(""), np.int32(-1), codes) if "" in names else codes, tuple(names)


def order_seed(mixture: MixtureSettings, dataset: str) -> int:
    """Returns the seed of the order of a dataset's pairs, and of which of them are taken."""
    return derive_seed(mixture.seed, dataset, "order")


def arrange_dataset(candidates: CandidatePairs, name: str, mixture: MixtureSettings, names: LabelNames) -> SampleOrder:
    """What the mixture takes of the dataset, in its order: pairs with labels spread over the batches, groups whole.

    Raises PublishError as `arrange` does.
    """
    seed = order_seed(mixture, name)
    arranged = arrange(candidates, mixture.datasets[name].pairs, mixture.pairs_per_shard, seed)
    label = candidates.label[arranged.chosen]
    if arranged.rule is BatchRule.GROUPED or not (label >= 0).any():
        return arranged
    related = related_labels(candidates, names)
    drawn = random_numbers(candidates.ids[:, arranged.chosen], seed)
    order = label_spread_order(drawn, label, mixture.batch_size, related)
    return replace(arranged, chosen=arranged.chosen[order], rule=BatchRule.LABEL_SPREAD)


def related_labels(candidates: CandidatePairs, names: LabelNames) -> np.ndarray:
    """int32[m, 2]: the numbers of labels of which one contains the other."""
    return Relations(candidates.labels, names).pairs(candidates.labels)


def arrange(candidates: CandidatePairs, limit: int | None, per_shard: int, seed: int) -> SampleOrder:
    """Draws at most `limit` pairs and shuffles them into shards of `per_shard`, both by `seed`.

    A group is drawn as a whole and lies together in one shard. So a limit may be missed by less than a group.
    Raises PublishError for a group that no shard can hold.
    """
    order, starts = _units(candidates, seed)
    sizes = np.diff(starts, append=len(order))
    if sizes.max(initial=0) > per_shard:
        name = candidates.groups[candidates.group[order[starts[sizes.argmax()]]]]
        raise PublishError(
            f"group {name!r} has {sizes.max()} pairs and must lie in one shard: raise pairs_per_shard to that"
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
    chosen = order[_runs(starts[placed], sizes[placed])]
    return SampleOrder(
        chosen,
        np.repeat(np.arange(len(shard_samples)), shard_samples),
        _runs(np.zeros(len(shard_samples), np.int64), shard_samples),
        int(sizes[units].sum() - len(chosen)),
        BatchRule.GROUPED if grouped else BatchRule.SINGLE_DATASET,
    )


def _units(candidates: CandidatePairs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The candidates in drawn order, and where in it each unit starts: a whole group, or one pair without a group."""
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
    """int64: the units, taken in order, that together have at most `limit` pairs; one too big is passed over."""
    complete = int(np.searchsorted(np.cumsum(sizes), limit, side="right"))
    units = list(range(complete))
    room = limit - int(sizes[:complete].sum())
    for unit in range(complete, len(sizes)):
        if not room:
            break
        if sizes[unit] <= room:
            units.append(unit)
            room -= int(sizes[unit])
    return np.array(units, np.int64)


def _runs(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """int64: start, start + 1, ... of each run, one run after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def pack(sizes: Sequence[int], max_samples: int) -> list[list[int]]:
    """Units of given sizes, in the order given, into shards: for each shard its units, in their order.

    Every shard but the last holds the same number of samples: `max_samples`, or the next smaller number that lets all
    units be placed. Where none does, the number that leaves out the fewest samples is taken; what is left out is in
    no shard. Sizes must not exceed `max_samples`.
    """
    biggest = max(sizes, default=1)
    min_left_out, best = sum(sizes) + 1, []
    for capacity in range(max_samples, max(max_samples - biggest, biggest - 1), -1):
        shards = _fill(sizes, capacity)
        left_out = sum(sizes) - sum(sizes[unit] for shard in shards for unit in shard)
        if left_out < min_left_out:
            min_left_out, best = left_out, shards
        if not left_out:
            break
    return best


def _fill(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    waiting: dict[int, deque[int]] = {}
    for unit, size in enumerate(sizes):
        waiting.setdefault(size, deque()).append(unit)
    remaining = sum(sizes)
    shards: list[list[int]] = []
    while remaining > capacity:
        shard = _full_shard(sizes, waiting, capacity)
        if not shard:
            break
        remaining -= capacity
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
