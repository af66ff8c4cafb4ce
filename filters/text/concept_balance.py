"""The stage `concept_balance`, over the pairs of a dataset: a cap on how many pairs name the same concept.

Web data names few things very often. MetaCLIP keeps each pair with the probability t / n of a concept that n pairs name
(1 where n is at most t), drawn for each of its concepts: a pair that names anything rare stays, and of the frequent
ones about as many as the cap (H. Xu et al., Demystifying CLIP Data, 2023, 3.3). Draws depend on the pair's id, the
concept and the seed alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import hash_strings, mix64
from corpus.item_ids import split_ids
from corpus.pool import Pool, PoolRead
from corpus.sampling import random_numbers, uniform
from corpus.schema import Status
from corpus.stage import PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo
from filters.text.concepts import CONCEPTS, ConceptBalanceSettings, DatasetBalance

CONCEPT_BALANCE = "concept_balance"
REPORTED = 10  # concepts, the most frequent ones, that are counted before and after
_TABLES_AT_ONCE = 64  # whose counts are added up in one go


class ConceptBalance(MapStage):
    """The pairs that stay under the cap; the others have the reason `concept_cap`.

    It reads the concepts of the whole dataset: when that grows, pairs are drawn anew, concepts are not found anew.
    Metrics: `pairs`, `removed`, `unmatched`, and `before/CONCEPT`, `after/CONCEPT` of the most frequent ones.
    """

    name = CONCEPT_BALANCE
    reads = (PAIRS, CONCEPTS)
    optional_reads = (PAIR_VERDICT,)
    pools = (PoolRead(CONCEPTS),)
    settings_key = CONCEPT_BALANCE
    settings_type = ConceptBalanceSettings
    over = frozenset(Gives)
    over_pairs = True
    roles = (PAIR_VERDICT,)
    summary = "whether it is removed because too many pairs of the dataset name the same concepts"
    reasons = {"concept_cap": "more pairs of the dataset name its concepts than the cap allows"}
    schema = pa.schema([])

    def __init__(self, settings: DatasetBalance) -> None:
        super().__init__(settings)
        self._settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in source.stages.concept_balance.datasets

    @classmethod
    def create(cls, source: SourceInfo) -> ConceptBalance:
        return cls(cls.settings_of(source).datasets[source.dataset])

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {name: value for name, value in self._settings.canonical().items() if name != CONCEPTS}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _Balancer(self._settings)


@dataclass(frozen=True, eq=False)
class ConceptCounts:
    """In how many pairs each concept of a dataset comes."""

    keys: np.ndarray  # uint64, hashes of the concepts, ascending
    counts: np.ndarray  # int64
    frequent: tuple[str, ...]  # the most frequent ones; of equally many pairs those that come first in the alphabet

    def of(self, concepts: pa.Array) -> np.ndarray:
        """Returns in how many pairs each concept comes, int64[k]; all of them are known."""
        return self.counts[np.searchsorted(self.keys, hash_strings(concepts))]


class _Balancer:
    """The function of the stage in one worker. It keeps the counts of the dataset for its next shard."""

    def __init__(self, settings: DatasetBalance) -> None:
        self._settings = settings
        self._known: tuple[Mapping[str, Pool], ConceptCounts] | None = None
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        known, concepts = self._counts(shard.pools), one_array(shard[CONCEPTS].column(CONCEPTS))
        drawn = passing_draw(split_ids(one_array(shard[PAIRS].column("pair_id"))), concepts, known, self._settings)
        matched = pc.greater(pc.list_value_length(concepts), 0).to_numpy(zero_copy_only=False)
        metrics = {"pairs": len(shard), "removed": int((~drawn).sum()), "unmatched": int((~matched).sum())}
        shard.metrics[CONCEPT_BALANCE] = metrics | _frequencies(concepts, drawn, known.frequent)
        kept = pa.array(drawn)
        status = pc.if_else(kept, str(Status.KEPT), str(Status.FILTERED))
        return pa.table({"status": status, "reason": pc.if_else(kept, "", "concept_cap")})

    def _counts(self, pools: Mapping[str, Pool]) -> ConceptCounts:
        with self._lock:
            if self._known is None or self._known[0] != pools:
                self._known = (dict(pools), count_concepts(pools[CONCEPTS]))
            return self._known[1]


def count_concepts(pool: Pool) -> ConceptCounts:
    """Counts the concepts of the kept pairs of a dataset; of each table in memory are its different ones alone."""
    parts = [pa.table({"concept": pa.array([], pa.string()), "pairs": pa.array([], pa.int64())})]
    for table in pool.tables([CONCEPTS, "status"]):
        kept = table.filter(pc.equal(table.column("status"), str(Status.KEPT)))
        found = pc.value_counts(pc.list_flatten(one_array(kept.column(CONCEPTS))))
        parts.append(pa.table({"concept": found.field("values"), "pairs": found.field("counts")}))
        if len(parts) > _TABLES_AT_ONCE:
            parts = [_added(parts)]
    total = _added(parts)
    keys, counts = hash_strings(total.column("concept")), total.column("pairs").to_numpy()
    order = np.argsort(keys)
    by_number = total.sort_by([("pairs", "descending"), ("concept", "ascending")]).slice(0, REPORTED)
    return ConceptCounts(keys[order], counts[order], tuple(by_number.column("concept").to_pylist()))


def _added(parts: list[pa.Table]) -> pa.Table:
    summed = pa.concat_tables(parts).group_by("concept").aggregate([("pairs", "sum")])
    return pa.table({"concept": summed.column("concept"), "pairs": summed.column("pairs_sum")}).combine_chunks()


def passing_draw(
    pair_ids: np.ndarray, concepts: pa.ListArray, known: ConceptCounts, settings: DatasetBalance
) -> np.ndarray:
    """Returns which of n pairs stay, bool[n]: those that one of their concepts draws.

    `pair_ids` uint64[2, n]; `concepts` list<string>[n]. A concept that counts for nothing draws no pair.
    """
    names = pc.list_flatten(concepts)
    lengths = pc.fill_null(pc.list_value_length(concepts), 0).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(concepts)), lengths)
    counts = known.of(names)
    counted = counts >= settings.min_pairs_per_concept
    numbers = random_numbers(pair_ids, settings.seed)[rows] ^ hash_strings(names)
    drawn = uniform(mix64(numbers)) * counts < settings.max_pairs_per_concept
    kept = np.bincount(rows[drawn & counted], minlength=len(concepts)) > 0
    unmatched = np.bincount(rows[counted], minlength=len(concepts)) == 0
    return kept | unmatched if settings.keep_unmatched else kept


def _frequencies(concepts: pa.ListArray, drawn: np.ndarray, frequent: tuple[str, ...]) -> dict[str, int]:
    """Counts the pairs of the most frequent concepts before and after."""
    before = Counter(_named(concepts, frequent))
    after = Counter(_named(concepts.filter(pa.array(drawn)), frequent))
    return {
        f"{when}/{name}": counts[name] for when, counts in (("before", before), ("after", after)) for name in counts
    }


def _named(concepts: pa.ListArray, names: tuple[str, ...]) -> list[str]:
    flat = pc.list_flatten(concepts)
    return flat.filter(pc.is_in(flat, value_set=pa.array(names, pa.string()))).to_pylist()
