"""Stage `negatives`, over the pairs of a dataset: hard negatives among the nearest positives of its other pairs.

A candidate that answers the query too would teach the opposite of what the pair says. So it is left out where the
dataset itself says so (a positive of an equal query, the same duplicate family, label, group or text), and where it is
too near: `mining.choose` has the rules. Negatives that a pair came with pass the same rules and get their scores; what
is mined fills up their number.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.item_ids import split_ids
from corpus.pool import Pool, PoolRead
from corpus.schema import MINED_FALSE_NEGATIVES, PAIR_RANK, PAIR_SCHEMA, Origin
from corpus.stage import Gives, MapStage, Shard, SourceInfo, SourcePlug
from corpus.text.keys import one_array
from mining.candidates import CandidateLists, Dataset, existing_lists, neighbour_lists
from mining.choose import Choice, Rules, choose
from mining.dataset_index import CLUSTER_COLUMNS, PAIR_COLUMNS, build_index
from mining.embed import PAIRS
from mining.false_negatives import false_negative_lists
from mining.neighbours import EXISTING, NEIGHBOURS
from mining.settings import DatasetMining, HardNegativeSettings, NeighbourSettings
from pipelines.labels.hierarchy import Relations
from pipelines.labels.vocabulary import LabelNames
from pipelines.pairs.clusters import CLUSTERS

NEGATIVES = "negatives"
NEGATIVES_SCHEMA = pa.schema(
    [PAIR_SCHEMA.field(NEGATIVES), PAIR_SCHEMA.field("positive_score"), PAIR_RANK, MINED_FALSE_NEGATIVES]
)

_MAX_EXISTING = 1 << 20  # negatives that a pair may have come with
_Entry = dict[str, Any]  # a negative, as in PAIR_SCHEMA


class Negatives(MapStage):
    """The hard negatives of each pair: those that it came with and that pass, then those that were mined.

    It reads the neighbours of its own shard, and of the whole dataset which pair has which positive.
    """

    name = NEGATIVES
    # 1 compared candidates with the pair's own positive only, 2 listed no false negatives, 3 none of a pair's group
    version = 4
    reads = (PAIRS, NEIGHBOURS)
    settings_key = NEGATIVES
    settings_type = HardNegativeSettings
    schema = NEGATIVES_SCHEMA
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = (
        "its hard negatives: those that it came with and that pass the rules, then mined ones; their scores; the pairs "
        "that mining found to be its false negatives"
    )

    def __init__(
        self, settings: DatasetMining, names: LabelNames, clusters: bool = False, k: int = NeighbourSettings().k
    ) -> None:
        super().__init__(settings)
        self._mining = settings
        self._names = names
        self._k = k  # of `neighbours`, on whose tables this stage's depend
        self.pools = tuple(PoolRead(name) for name in (PAIRS, NEIGHBOURS, *((CLUSTERS,) if clusters else ())))

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and NEIGHBOURS in source.tables

    @classmethod
    def create(cls, source: SourceInfo) -> Negatives:
        settings: HardNegativeSettings = cls.settings_of(source)
        k = source.stages.neighbours.k
        return cls(settings.of(source.dataset), source.stages.labels.lists, CLUSTERS in source.tables, k)

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        for name in stages.negatives.datasets:
            try:
                rules = mining_rules(stages.negatives.of(name))
            except ValueError as error:
                yield f"stages.negatives.datasets.{name}: {error}"
                continue
            k, needed = stages.neighbours.k, rules.range_min + rules.num_negatives
            if needed > k:
                yield (
                    f"stages.negatives.datasets.{name}: range_min and num_negatives need {needed} neighbours of each "
                    f"pair, but stages.neighbours.k is {k}"
                )

    @property
    def caution(self) -> str:
        """What a user should know before a run: rules that need more neighbours than the search finds."""
        needed = mining_rules(self._mining).depth(1)
        if needed <= self._k:
            return ""
        return (
            f"{NEGATIVES}: range_min, range_max or num_negatives look at {needed} neighbours of a pair, but "
            f"stages.neighbours.k is {self._k}: what is farther is never chosen"
        )

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {**self._mining.canonical(), "names": self._names.canonical()}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _Chooser(self._mining, self._names, self._k)


def mining_rules(mining: DatasetMining) -> Rules:
    """Returns the rules of `mining.choose` for a dataset's settings.

    Raises ValueError where nothing could be chosen.
    """
    return Rules(**{name: value for name, value in mining.model_dump().items() if name in Rules.__dataclass_fields__})


class _Chooser:
    """The function of the stage in one worker. It keeps what it read of the dataset for its next shard."""

    def __init__(self, mining: DatasetMining, names: LabelNames, k: int) -> None:
        self._mining = mining
        self._k = k
        self._rules = mining_rules(mining)
        self._names = names
        self._known: tuple[Mapping[str, Pool], Dataset] | None = None
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        """Chooses the negatives of a shard's pairs, with the columns of NEGATIVES_SCHEMA."""
        dataset = self._dataset(shard.pools)
        pairs = dataset.index.rows_of(split_ids(one_array(shard[PAIRS].column("pair_id"))))
        counts: Counter[str] = Counter()
        existing, existing_sides = self._existing(shard, dataset, pairs, counts)
        mined, false_negatives = self._mined(shard, dataset, pairs, existing_sides, counts)
        size = self._mining.num_negatives
        lists = [[*first, *found[: max(0, size - len(first))]] for first, found in zip(existing, mined, strict=True)]
        counts["mined"] += sum(map(len, lists)) - counts["given"]
        counts["missing"] += sum(max(0, size - len(each)) for each in lists)
        shard.metrics[NEGATIVES] = dict(sorted(counts.items()))
        found = shard[NEIGHBOURS]
        by_positive = self._mining.search_by == "positive"  # the rank is among what is near to the positive itself
        ranks = pa.nulls(len(pairs), PAIR_RANK.type) if by_positive else found.column(PAIR_RANK.name)
        return pa.table(
            {
                NEGATIVES: pa.array(lists, PAIR_SCHEMA.field(NEGATIVES).type),
                "positive_score": pc.coalesce(found.column("positive_score"), shard[PAIRS].column("positive_score")),
                PAIR_RANK.name: ranks,
                MINED_FALSE_NEGATIVES.name: false_negatives,
            }
        )

    def _dataset(self, pools: Mapping[str, Pool]) -> Dataset:
        with self._lock:
            if self._known is None or self._known[0] != pools:
                self._known = (dict(pools), read_dataset(pools, self._names))
            return self._known[1]

    def _existing(
        self, shard: Shard, dataset: Dataset, pairs: np.ndarray, counts: Counter[str]
    ) -> tuple[list[list[_Entry]], np.ndarray]:
        """Returns the negatives that each pair came with and that pass, in their order, and row *
        sides + side of each.
        """
        entries = shard[PAIRS].column(NEGATIVES).to_pylist()
        by_positive = self._mining.search_by == "positive"
        lists = existing_lists(one_array(shard[NEIGHBOURS].column(EXISTING)), dataset.index, by_positive)
        chosen = np.arange(len(lists.sides))
        if self._mining.check_existing:
            rules = replace(self._rules, num_negatives=_MAX_EXISTING, range_min=0, range_max=None, min_score=None)
            choice = choose(
                lists.candidates(dataset, pairs, by_positive, existing=True), replace(rules, sampling="top")
            )
            _count(counts, choice, "given/")
            chosen = choice.chosen
        row = lists.rows()[chosen]
        in_order = chosen[np.lexsort((lists.places[chosen], row))]
        kept: list[list[_Entry]] = [[] for _ in entries]
        for at, owner in zip(in_order.tolist(), lists.rows()[in_order].tolist(), strict=True):
            entry = dict(entries[owner][lists.places[at]])
            if lists.scored[at]:
                entry |= {"score": lists.scores[at], "positive_similarity": lists.positive_similarity[at]}
            kept[owner].append(entry)
        counts["given"] += len(in_order)
        total = max(1, dataset.index.sides.shape[1])
        known = in_order[lists.sides[in_order] >= 0]
        return kept, np.unique(lists.rows()[known] * total + lists.sides[known])

    def _mined(
        self, shard: Shard, dataset: Dataset, pairs: np.ndarray, existing: np.ndarray, counts: Counter[str]
    ) -> tuple[list[list[_Entry]], pa.ListArray]:
        """Returns what was mined for each pair, the best first, and its false negatives.

        As many are mined as the settings say, whatever the pair came with.
        """
        index, by_positive = dataset.index, self._mining.search_by == "positive"
        lists = neighbour_lists(one_array(shard[NEIGHBOURS].column(NEIGHBOURS)), index)
        already = np.isin(lists.rows() * max(1, index.sides.shape[1]) + lists.sides, existing)
        counts["already_given"] += int(already.sum())
        max_positives = self._rules.positives_within(dataset.max_positives, self._k)
        found = np.diff(lists.offsets)
        lists = lists.without(already)
        choice = choose(lists.candidates(dataset, pairs, by_positive), self._rules, max_positives)
        _count(counts, choice, "")
        counts["short_of_neighbours"] += int(
            ((choice.missing(self._rules.num_negatives) > 0) & (found >= self._k)).sum()
        )
        bound = self._rules.max_positive_similarity
        false_negatives = false_negative_lists(lists, choice, index, pairs, bound)
        return _entries(lists, choice, dataset, len(shard)), false_negatives


def read_dataset(pools: Mapping[str, Pool], names: LabelNames) -> Dataset:
    """Returns the pairs of a dataset, their clusters where there are any, and the scores of their positives."""
    tables = pools[PAIRS].tables(PAIR_COLUMNS)
    if CLUSTERS in pools:
        both = zip(tables, pools[CLUSTERS].tables(CLUSTER_COLUMNS), strict=True)
        tables = (_side_by_side(pairs, clusters) for pairs, clusters in both)
    index = build_index(tables)
    scored: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros((2, 0), np.uint64), np.zeros(0, np.float32))]
    both = zip(pools[PAIRS].tables(["pair_id"]), pools[NEIGHBOURS].tables(["positive_score"]), strict=True)
    for pairs, found in both:
        valid = pc.and_(pairs.column("pair_id").is_valid(), found.column("positive_score").is_valid())
        ids, scores = pairs.column("pair_id").filter(valid), found.column("positive_score").filter(valid)
        scored.append((split_ids(ids), scores.to_numpy().astype(np.float32)))
    pair_ids, scores = (np.concatenate(columns, axis=-1) for columns in zip(*scored, strict=True))
    related = Relations(index.labels.names, names).pairs(index.labels.names)
    return Dataset.of(index, {"pair_ids": pair_ids, "scores": scores}, related)


def _side_by_side(pairs: pa.Table, clusters: pa.Table) -> pa.Table:
    for name in CLUSTER_COLUMNS:
        pairs = pairs.append_column(name, clusters.column(name))
    return pairs


def _entries(lists: CandidateLists, choice: Choice, dataset: Dataset, rows: int) -> list[list[_Entry]]:
    found: list[list[_Entry]] = [[] for _ in range(rows)]
    owners = dataset.index.owner[lists.sides[choice.chosen]]
    positives = dataset.index.positives.take(pa.array(owners)).to_pylist()
    row = lists.rows()
    for at, positive in zip(choice.chosen.tolist(), positives, strict=True):
        found[row[at]].append(
            {
                "text": positive["text"],
                "items": positive["items"],
                "clip": positive.get("clip"),
                "score": lists.scores[at],
                "origin": str(Origin.MINED),
                "rank": lists.places[at],
                "positive_similarity": lists.positive_similarity[at],
            }
        )
    return found


def _count(counts: Counter[str], choice: Choice, prefix: str) -> None:
    """Counts candidates by what became of them, for the run's log.

    `rate/RULE` is the part that a rule alone rejects, times the candidates: so that it adds up over shards.
    """
    counts.update({f"{prefix}{reason}": number for reason, number in choice.counts().items() if number})
    counts[f"{prefix}candidates"] += len(choice.reasons)
    for rule, rate in choice.rates.items():
        counts[f"{prefix}rate/{rule}"] += round(rate * len(choice.reasons))
