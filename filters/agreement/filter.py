"""Stage `agreement_filter`, over the pairs of a dataset: filters pairs whose text fits their picture too little.

It reads the scores of the stage `agreement` and computes none. What is too little may be a score, or a share of the
dataset: DataComp (S. Gadre and others, 2023) keeps the best 30 % by the score of a CLIP L/14.

A pair is removed, never its text replaced: a generated caption mostly has a lower score than an alt-text that repeats
what is written in the picture, and is the better one all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from corpus.arrays import one_array
from corpus.item_ids import Ids, split_ids
from corpus.pool import Pool, PoolRead
from corpus.schema import CaptionOrigin, Status
from corpus.settings import Settings
from corpus.stage import PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo, SourcePlug
from corpus.thresholds import Bound, Shows, Threshold
from filters.agreement.stage import AGREEMENT, AgreementSettings

AGREEMENT_FILTER = "agreement_filter"
LOW_AGREEMENT = "low_agreement"
_ORIGIN = "caption_origin"
_ORIGINS = pa.array([str(origin) for origin in CaptionOrigin])


class AgreementRules(Settings):
    """Settings of the filter of one dataset: its thresholds. A pair must pass all that are set."""

    min_score: float | None = Field(
        None, ge=-1, le=1, description="The lowest score of a pair that is kept; null keeps any."
    )
    keep_share: float | None = Field(
        None, gt=0, le=1, description="The share of the dataset's scored pairs that is kept, the best; null keeps all."
    )
    by: Literal["text_image_score", "lowest_sentence_score", "best_frame_score", "lowest_sentence_best_frame_score"] = (
        Field("text_image_score", description="The score that decides: a column of the stage `agreement`.")
    )
    origins_apart: bool = Field(
        True,
        description="Whether the share is taken of the pairs with original texts and of those with generated ones, "
        "each apart: the scores of the two are not comparable.",
    )
    unscored: Literal["keep", "drop"] = Field("keep", description="What happens to a pair without a score.")

    @model_validator(mode="after")
    def _decides(self) -> AgreementRules:
        if self.min_score is None and self.keep_share is None:
            raise ValueError("nothing would be filtered: set `min_score`, `keep_share` or both")
        return self


class AgreementFilterSettings(Settings):
    """Settings of the filter of pairs by the scores of the stage `agreement`."""

    datasets: dict[str, AgreementRules] = Field(
        {}, description="The datasets whose pairs are filtered, each with its own thresholds."
    )


class AgreementFilter(MapStage):
    """The stage that filters pairs with low scores, as `low_agreement`.

    With `keep_share` it reads the scores of the whole dataset: when that grows, decisions are made anew, scores are
    not. Pairs of equal scores at the cut are kept in the order of their ids.
    """

    name = AGREEMENT_FILTER
    reads = (PAIRS, AGREEMENT)
    settings_key = AGREEMENT_FILTER
    settings_type = AgreementFilterSettings
    schema = pa.schema([])
    over = frozenset(Gives)
    over_pairs = True
    optional_reads = (PAIR_VERDICT,)
    roles = (PAIR_VERDICT,)
    summary = "whether its text fits its picture too little: below a score, or not among the best of the dataset"
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            setting="min_score",
            bound=Bound.LOWER,
            table=AGREEMENT,
            columns=("text_image_score",),
            measures="score of text and picture, or another that `by` names",
            reason=LOW_AGREEMENT,
            shows=Shows.PAIR,
        ),
    )

    def __init__(self, rules: AgreementRules) -> None:
        super().__init__(rules)
        self._rules = rules
        self.pools = () if rules.keep_share is None else (PoolRead(PAIRS), PoolRead(AGREEMENT))

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in cls.settings_of(source).datasets

    @classmethod
    def create(cls, source: SourceInfo) -> AgreementFilter:
        return cls(cls.settings_of(source).datasets[source.dataset])

    @classmethod
    def settings_path(cls, dataset: str) -> str:
        return f"stages.{cls.settings_key}.datasets.{dataset}"

    def active_thresholds(self) -> tuple[Threshold, ...]:
        return tuple(replace(each, columns=(self._rules.by,)) for each in self.thresholds)

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        settings: AgreementSettings = stages.agreement
        for name in stages.agreement_filter.datasets:
            if not settings.scores(name):
                missing = "set `backend`" if settings.backend is None else "name it in `datasets`"
                yield f"stages.agreement_filter.datasets.{name}: stages.agreement scores no pair of it: {missing} there"

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _Filter(self._rules)


@dataclass(frozen=True)
class ScoreCut:
    """The last pair that is kept: by its score and, among equal ones, by its id."""

    score: float  # infinite where none is kept
    last_id: tuple[int, int] = (0, 0)

    def keeps(self, scores: np.ndarray, ids: Ids) -> np.ndarray:
        """Returns which pairs are kept, bool[n]; NaN is no score."""
        high, low = (np.uint64(half) for half in self.last_id)
        not_after = (ids[0] < high) | ((ids[0] == high) & (ids[1] <= low))
        return np.asarray((scores > self.score) | ((scores == self.score) & not_after))


class _Filter:
    """The function of the stage in one worker. It keeps the cuts of a dataset for its next shard. Thread-safe."""

    def __init__(self, rules: AgreementRules) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._known: tuple[Mapping[str, Pool], list[ScoreCut]] | None = None

    def __call__(self, shard: Shard) -> pa.Table:
        """Returns `status` and `reason` of a shard's pairs."""
        scores = _numbers(shard[AGREEMENT].column(self._rules.by))
        unscored = np.isnan(scores)
        kept = np.ones(len(scores), np.bool_)
        if self._rules.min_score is not None:
            kept &= scores >= np.float32(self._rules.min_score)
        if self._rules.keep_share is not None:
            ids, group = split_ids(shard[PAIRS].column("pair_id")), _groups(shard[PAIRS], self._rules)
            kept &= np.logical_or.reduce(
                [(group == at) & cut.keeps(scores, ids) for at, cut in enumerate(self._cuts(shard.pools))]
            )
        kept[unscored] = self._rules.unscored == "keep"
        counts = {"pairs": len(kept), "removed": int((~kept).sum()), "unscored": int(unscored.sum())}
        shard.metrics[AGREEMENT_FILTER] = counts
        return pa.table(
            {
                "status": pc.if_else(pa.array(kept), str(Status.KEPT), str(Status.FILTERED)),
                "reason": pc.if_else(pa.array(kept), "", LOW_AGREEMENT),
            }
        )

    def _cuts(self, pools: Mapping[str, Pool]) -> list[ScoreCut]:
        with self._lock:
            if self._known is None or self._known[0] != pools:
                self._known = (dict(pools), score_cuts(pools, self._rules))
            return self._known[1]


def score_cuts(pools: Mapping[str, Pool], rules: AgreementRules) -> list[ScoreCut]:
    """Returns the cut of each group of a dataset's pairs, by the share of its scored pairs that is kept.

    The scores are read twice, 5 bytes a pair in memory: ids only of pairs that are equal at a cut.
    """
    assert rules.keep_share is not None
    read = [(scores, group) for scores, group, _ in _scored(pools, rules, with_ids=False)]
    scores, group = (np.concatenate(parts) for parts in zip(*read, strict=True)) if read else (np.zeros(0),) * 2
    limits = [_limit(scores[group == at], rules.keep_share) for at in range(len(_ORIGINS))]
    ties: list[list[Ids]] = [[np.zeros((2, 0), np.uint64)] for _ in limits]
    for scores, group, ids in _scored(pools, rules, with_ids=True):
        for at, (limit, _) in enumerate(limits):
            ties[at].append(ids[:, (group == at) & (scores == limit)])
    return [_cut(limit, room, np.concatenate(tied, axis=1)) for (limit, room), tied in zip(limits, ties, strict=True)]


def _scored(
    pools: Mapping[str, Pool], rules: AgreementRules, with_ids: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, Ids]]:
    """Yields the scores of each table's pairs that have one, their groups and, if wanted, their ids."""
    columns = [_ORIGIN, *(["pair_id"] if with_ids else [])]
    both = zip(pools[PAIRS].tables(columns), pools[AGREEMENT].tables([rules.by]), strict=True)
    for pairs, scored in both:
        scores = _numbers(scored.column(rules.by))
        rows = np.flatnonzero(~np.isnan(scores))
        pairs = pairs.take(rows)
        ids = split_ids(pairs.column("pair_id")) if with_ids else np.zeros((2, 0), np.uint64)
        yield scores[rows], _groups(pairs, rules), ids


def _limit(scores: np.ndarray, share: float) -> tuple[float, int]:
    """Returns the lowest score that is kept, and how many of the pairs that have exactly this score are."""
    count = round(share * len(scores))
    if not count:
        return np.inf, 0
    limit = np.partition(scores, len(scores) - count)[len(scores) - count]
    return float(limit), count - int((scores > limit).sum())


def _cut(limit: float, room: int, tied: Ids) -> ScoreCut:
    """Returns the cut at a score, of which `room` of the tied pairs are kept: those of the smallest ids."""
    if not room:
        return ScoreCut(np.inf)
    order = np.lexsort((tied[1], tied[0]))
    high, low = tied[:, order[room - 1]].tolist()
    return ScoreCut(limit, (high, low))


def _groups(pairs: pa.Table, rules: AgreementRules) -> np.ndarray:
    """Returns the group of each pair that a share is taken of: the origin of its text, or 0 for all. int8[n]"""
    if not rules.origins_apart:
        return np.zeros(len(pairs), np.int8)
    found = pc.fill_null(pc.index_in(one_array(pairs.column(_ORIGIN)), _ORIGINS), 0)
    return np.asarray(found.to_numpy(zero_copy_only=False)).astype(np.int8)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Returns float32[n], NaN for null."""
    return np.asarray(one_array(column).to_numpy(zero_copy_only=False)).astype(np.float32)
