"""The stage `head_filter` filters images by thresholds on the scores of the stage `heads`.

It comes before `duplicates`, so that no image is a duplicate of one that is filtered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import one_array
from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import VERDICT, Gives, MapStage, Shard, SourceInfo
from corpus.thresholds import Bound, Threshold
from filters.image.heads import HEADS

HEAD_FILTER = "head_filter"
NO_SCORE = "no_score"


def _of_heads(setting: str, bound: Bound, score: str, measures: str, reason: str) -> Threshold:
    """Declares a threshold of a score of the stage `heads`."""
    return Threshold(setting=setting, bound=bound, table=HEADS, columns=(score,), measures=measures, reason=reason)


HEAD_THRESHOLDS = (
    _of_heads("max_unsafe", Bound.UPPER, "unsafe", "score as not safe for work", "unsafe"),
    _of_heads("max_watermark", Bound.UPPER, "watermark", "score as watermarked", "watermark"),
    _of_heads("min_aesthetic", Bound.LOWER, "aesthetic", "aesthetic score", "not_aesthetic"),
)


class HeadFilterSettings(Settings):
    """Settings of the stage `head_filter`: its thresholds; null filters nothing."""

    min_aesthetic: float | None = Field(
        None, description="The lowest aesthetic score; below it the image is filtered (not_aesthetic)."
    )
    max_unsafe: float | None = Field(
        None, description="The highest score as not safe for work; above it the image is filtered (unsafe)."
    )
    max_watermark: float | None = Field(
        None, description="The highest score as watermarked; above it the image is filtered (watermark)."
    )
    keep_unscored: bool = Field(
        True,
        description="Whether an image is kept that lacks a score with a threshold; else it is filtered (no_score).",
    )

    @property
    def limits(self) -> dict[Threshold, float]:
        """The thresholds that are set."""
        limits = {each: getattr(self, each.setting) for each in HEAD_THRESHOLDS}
        return {each: limit for each, limit in limits.items() if limit is not None}


class HeadFilter(MapStage):
    """The stage that filters images by the first threshold that they fail.

    The reasons, in this order: unsafe, watermark, not_aesthetic, no_score.
    """

    name = HEAD_FILTER
    reads = (HEADS,)
    settings_key = HEAD_FILTER
    settings_type = HeadFilterSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    roles = (VERDICT,)
    summary = "whether the image is filtered by a threshold on the scores of `heads`, and by which"
    schema = pa.schema([])
    thresholds = HEAD_THRESHOLDS

    def __init__(self, settings: HeadFilterSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and HEADS in source.tables and bool(cls.settings_of(source).limits)

    def setup(self) -> Callable[[Shard], pa.Table]:
        return lambda shard: head_verdict(shard[HEADS], self._settings)


def head_verdict(scores: pa.Table, settings: HeadFilterSettings) -> pa.Table:
    """Returns `status` and `reason` for each row of a table of the stage `heads`; some threshold must be set."""
    rules: dict[str, pa.Array] = {}
    for threshold, limit in settings.limits.items():
        score = one_array(scores.column(threshold.columns[0]))
        cut = pa.scalar(limit, pa.float32())  # as the scores are: one of 0.1 is not below a limit of 0.1
        broken = pc.less(score, cut) if threshold.bound is Bound.LOWER else pc.greater(score, cut)
        rules[threshold.reason] = pc.fill_null(broken, False)
    if not settings.keep_unscored:
        unscored = [one_array(pc.is_null(scores.column(each.columns[0]))) for each in settings.limits]
        rules[NO_SCORE] = reduce(pc.or_, unscored)
    failed = pa.StructArray.from_arrays(list(rules.values()), list(rules))
    reason = pc.case_when(failed, *(pa.scalar(name) for name in rules), pa.scalar(""))
    status = pc.if_else(pc.equal(reason, ""), str(Status.KEPT), str(Status.FILTERED))
    return pa.table({"status": status, "reason": reason})
