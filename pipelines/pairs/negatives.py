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
from corpus.stage import PAIRS, Gives, MapStage, Shard, SourceInfo, SourcePlug
from corpus.text.keys import one_array
from corpus.thresholds import Threshold
from mining.candidates import CandidateLists, Dataset, existing_lists, neighbour_lists
from mining.choose import Candidates, Choice, Reason, choose
from mining.false_negatives import false_negative_lists
from mining.judge import JUDGE
from mining.neighbours import EXISTING, NEIGHBOURS
from mining.settings import DatasetMining, HardNegativeSettings, NeighbourSettings
from mining.thresholds import mining_thresholds
from pipelines.labels.vocabulary import LabelNames
from pipelines.pairs.clusters import CLUSTERS
from pipelines.pairs.judge import existing_scores, mined_scores
from pipelines.pairs.mined_dataset import mining_rules, read_dataset

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
    optional_reads = (JUDGE,)
    summary = (
        "its hard negatives: those that it came with and that pass the rules, then mined ones; their scores; the pairs "
        "that mining found to be its false negatives"
    )

    thresholds = mining_thresholds(by_positive=False)

    def __init__(
        self,
        settings: DatasetMining,
        names: LabelNames,
        clusters: bool = False,
        k: int = NeighbourSettings().k,
        judge: bool = False,
    ) -> None:
        super().__init__(settings)
        self.reads = (*type(self).reads, *((JUDGE,) if judge else ()))
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
        names, tables = source.stages.labels.lists, source.tables
        return cls(settings.of(source.dataset), names, CLUSTERS in tables, k, JUDGE in tables)

    @classmethod
    def settings_path(cls, dataset: str) -> str:
        return f"{super().settings_path(dataset)}.datasets.{dataset}"

    def active_thresholds(self) -> tuple[Threshold, ...]:
        return mining_thresholds(self._mining.search_by == "positive")

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
        judge_scores = existing_scores(shard[JUDGE], lists) if JUDGE in shard.tables else None
        if self._mining.check_existing:
            rules = replace(self._rules, num_negatives=_MAX_EXISTING, range_min=0, range_max=None, min_score=None)
            candidates = lists.candidates(dataset, pairs, by_positive, existing=True)
            choice = choose(self._with_judge(candidates, judge_scores), replace(rules, sampling="top"))
            _count(counts, choice, "given/")
            chosen = choice.chosen
        row = lists.rows()[chosen]
        in_order = chosen[np.lexsort((lists.places[chosen], row))]
        kept: list[list[_Entry]] = [[] for _ in entries]
        for at, owner in zip(in_order.tolist(), lists.rows()[in_order].tolist(), strict=True):
            entry = dict(entries[owner][lists.places[at]])
            if lists.scored[at]:
                entry |= {"score": lists.scores[at], "positive_similarity": lists.positive_similarity[at]}
            if judge_scores is not None:
                entry["judge"] = _score_or_none(judge_scores[at])
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
        judge_scores = mined_scores(shard[JUDGE], lists, dataset) if JUDGE in shard.tables else None
        candidates = self._with_judge(lists.candidates(dataset, pairs, by_positive), judge_scores)
        choice = choose(candidates, self._rules, max_positives)
        _count(counts, choice, "")
        counts["short_of_neighbours"] += int(
            ((choice.missing(self._rules.num_negatives) > 0) & (found >= self._k)).sum()
        )
        bound = self._rules.max_positive_similarity
        false_negatives = false_negative_lists(lists, choice, index, pairs, bound)
        return _entries(lists, choice, dataset, len(shard), judge_scores), false_negatives

    def _with_judge(self, candidates: Candidates, scores: np.ndarray | None) -> Candidates:
        """Returns the candidates with masks of those that a judge takes for answers of the query."""
        if scores is None:
            return candidates
        positive = scores >= self._mining.judge_positive  # NaN is no score, and in no mask
        unclear = (scores >= self._mining.judge_drop) & ~positive
        masks = {Reason.JUDGED_POSITIVE: positive, Reason.JUDGED_UNCLEAR: unclear}
        return replace(candidates, masks={**candidates.masks, **masks})


def _score_or_none(score: np.floating[Any]) -> float | None:
    return None if np.isnan(score) else float(score)


def _entries(
    lists: CandidateLists, choice: Choice, dataset: Dataset, rows: int, judge_scores: np.ndarray | None
) -> list[list[_Entry]]:
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
                "judge": None if judge_scores is None else _score_or_none(judge_scores[at]),
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
