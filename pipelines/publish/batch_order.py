"""Orders a mined dataset by communities of near pairs (see `communities`), and measures what that changes.

The tables of the stage `neighbours` are read one at a time and as columns only: first the pairs at the ranks of the
settings, then, for the measurement, all ranks with their scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import Ints, one_array, places_in_runs, ranges
from corpus.hashing import mix64
from corpus.item_ids import find_ids, split_ids
from corpus.read_ahead import read_ahead
from corpus.schema import MINED_FALSE_NEGATIVES
from corpus.workspace import Workspace
from pipelines.publish.candidates import CandidatePairs, PairTable, places_by_table
from pipelines.publish.communities import Exclusions, Near, grow_communities, separate
from pipelines.publish.group_runs import group_run_order
from pipelines.publish.mixture import BatchSettings, PublishError

_ELEMENT = "neighbours.list.element"


@dataclass(frozen=True)
class BatchReport:
    """The figures of an order by communities, beside those of a shuffle of the same pairs.

    `hardest_similarity`: of a pair with the nearest other one in its batch, on average. Of a pair that has none of its
    listed neighbours in its batch, it is at most that of the last in its list, which is counted. `false_negatives`:
    over all pairs, the others in their batch that are known to answer, too.
    """

    batch_size: int
    community: int
    ranks: tuple[int, int]
    communities: int
    hardest_similarity: float
    shuffled_hardest_similarity: float
    false_negatives: int
    shuffled_false_negatives: int

    def to_json(self) -> dict[str, Any]:
        """Returns the report as the manifest has it."""
        return {**asdict(self), "ranks": list(self.ranks)}


@dataclass(frozen=True, eq=False)
class ChosenPairs:
    """The m chosen pairs of a dataset in some order, and where their tables are."""

    workspace: Workspace
    tables: Sequence[PairTable]
    candidates: CandidatePairs
    chosen: Ints  # int64[m], into the candidates
    by_positive: bool = False  # neighbours were searched for by the positives

    def read(self, columns: Sequence[str]) -> Iterator[tuple[Ints, pa.Table]]:
        """Yields, for each table, the places of its chosen pairs in their order, and their rows."""
        row = self.candidates.row[self.chosen]
        places = places_by_table(self.candidates.table[self.chosen], len(self.tables))
        used = [number for number, each in enumerate(places) if len(each)]
        read = read_ahead(lambda number: self.tables[number].read(self.workspace, columns), used)
        for number, rows in zip(used, read, strict=True):
            yield places[number], rows.take(pa.array(row[places[number]]))

    def places(self, ids: np.ndarray) -> Near:
        """Returns the places of pairs, int32[k]; -1 for ids (uint64[2, k]) that are not chosen."""
        place = np.full(len(self.candidates) + 1, -1, np.int32)
        place[self.chosen] = np.arange(len(self.chosen))
        return place[find_ids(self.candidates.ids, ids)]


def community_order(
    pairs: ChosenPairs, sides: tuple[Ints, Ints], drawn: np.ndarray, settings: BatchSettings
) -> tuple[Ints, BatchReport]:
    """Orders the chosen pairs by communities: int64[m], and how much harder that makes batches.

    `sides`: see `repeated_sides`; `drawn`: a random number for each pair, uint64[m]. `settings.batch_size` must be set.
    Raises PublishError for a dataset without neighbours. Holds 4 bytes a pair and rank, and some 200 bytes a pair.
    """
    assert settings.batch_size is not None
    exclusions = Exclusions.of(*sides, *_false_negatives(pairs))
    near = _near(pairs, settings.ranks)
    community = grow_communities(near, settings.community, exclusions, drawn)
    del near
    number = _seed_numbers(community, drawn)
    order = np.lexsort((drawn, community, number))
    group = np.where(np.bincount(community)[community] > 1, community, -1)[order]
    size = settings.batch_size  # a trainer reads on over the end of a tar
    order = order[group_run_order(number[order], group, size, size, settings.community)]
    separate(order, settings.batch_size, exclusions, drawn)
    batches = [_batches(each, settings.batch_size) for each in (order, np.argsort(drawn, kind="stable"))]
    hardest = _hardest(pairs, batches)
    met = [exclusions.meetings(batch) for batch in batches]
    counted = int((np.bincount(community) > 1).sum())
    numbers = (settings.batch_size, settings.community, settings.ranks, counted)
    return order, BatchReport(*numbers, hardest[0], hardest[1], met[0], met[1])


def _batches(order: Ints, size: int) -> Ints:
    batch = np.empty(len(order), np.int64)
    batch[order] = np.arange(len(order)) // size
    return batch


def _seed_numbers(community: Ints, drawn: np.ndarray) -> np.ndarray:
    """Returns a random number for each pair's community, uint64[m]: of the lowest number of its pairs."""
    by_community = np.lexsort((drawn, community))
    first = np.flatnonzero(np.diff(community[by_community], prepend=-1))
    return mix64(drawn[by_community[first]])[community]


def _near(pairs: ChosenPairs, ranks: tuple[int, int]) -> Near:
    """Reads the pairs at these ranks of each pair: int32[m, width], -1 where there is none that is chosen."""
    first, stop = ranks
    near = np.full((len(pairs.chosen), stop - first), -1, np.int32)
    for places, lists in _neighbours(pairs, ["pair_id"]):
        counts = np.clip(np.diff(lists.offsets.to_numpy()) - first, 0, stop - first).astype(np.int64)
        starts = lists.offsets.to_numpy()[:-1].astype(np.int64) + first
        ids = split_ids(lists.values.field("pair_id").take(pa.array(ranges(starts, counts))))
        owner = np.repeat(places, counts)
        found = pairs.places(ids)
        near[owner, places_in_runs(counts)] = np.where(found == owner, -1, found)
    return near


def _neighbours(pairs: ChosenPairs, fields: Sequence[str]) -> Iterator[tuple[Ints, pa.ListArray]]:
    for places, rows in pairs.read([f"{_ELEMENT}.{name}" for name in fields]):
        if "neighbours" not in rows.column_names:
            raise PublishError(
                "`batches` needs the neighbours of its pairs, and they are not mined: name the dataset in "
                "stages.negatives.datasets"
            )
        yield places, one_array(rows.column("neighbours"))


def _false_negatives(pairs: ChosenPairs) -> tuple[Ints, Ints]:
    """Reads which pairs name which others as false negatives, by clusters and by mining: int64[k] each."""
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    names = ("false_negatives", MINED_FALSE_NEGATIVES.name)
    for places, rows in pairs.read(["pair_id", *names]):
        for name in set(names).intersection(rows.column_names):
            lists = one_array(pc.fill_null(rows.column(name), []))
            other = pairs.places(split_ids(lists.flatten())).astype(np.int64)
            owner = np.repeat(places, pc.list_value_length(lists).to_numpy())
            found.append((owner[other >= 0], other[other >= 0]))
    first, second = zip(*found, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _hardest(pairs: ChosenPairs, orders: Sequence[Ints]) -> list[float]:
    """Returns the mean similarity of a pair's nearest other one in its batch, for each order (batches, int64[m])."""
    score = "positive_similarity" if pairs.by_positive else "score"
    sums, counted = np.zeros(len(orders)), 0
    for places, lists in _neighbours(pairs, ["pair_id", score]):
        counts = np.diff(lists.offsets.to_numpy()).astype(np.int64)
        some = np.flatnonzero(counts)
        starts = np.cumsum(counts[some]) - counts[some]
        owner = np.repeat(places, counts)
        entries = lists.flatten()
        other = pairs.places(split_ids(entries.field("pair_id"))).astype(np.int64)
        scores = entries.field(score).to_numpy(zero_copy_only=False).astype(np.float64)
        last = scores[starts + counts[some] - 1] if len(some) else np.empty(0)
        for number, batch in enumerate(orders):
            meets = (other >= 0) & (other != owner) & (batch[other] == batch[owner])
            best = np.maximum.reduceat(np.where(meets, scores, -np.inf), starts) if len(some) else np.empty(0)
            sums[number] += np.where(np.isfinite(best), best, last).sum()
        counted += len(some)
    return [round(float(total) / max(1, counted), 6) for total in sums]
