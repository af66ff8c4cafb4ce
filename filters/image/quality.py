"""The stage `quality` filters images by thresholds on the statistics of `image_stats`. It reads no image."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import Gives, MapStage, Shard, SourceInfo
from corpus.thresholds import Bound, Threshold


class QualitySettings(Settings):
    """Settings of the stage `quality`: its thresholds. Grey levels are 0 to 255."""

    min_side_px: int = Field(
        128, ge=1, description="The shortest side of an image; below it the image is filtered (too_small)."
    )
    max_aspect_ratio: float = Field(
        4.0,
        ge=1.0,
        description="The largest ratio of the longer to the shorter side; above it the image is filtered "
        "(extreme_aspect_ratio).",
    )
    allow_animated: bool = Field(
        False, description="Whether images of several frames or pages are kept; else they are filtered (animated)."
    )
    min_p99_brightness: float = Field(
        60.0,
        ge=0,
        le=255,
        description="The lowest 99th percentile of the grey levels; below it the image is filtered (too_dark).",
    )
    max_p1_brightness: float = Field(
        200.0,
        ge=0,
        le=255,
        description="The highest 1st percentile of the grey levels; above it the image is filtered (too_bright).",
    )
    min_contrast: float = Field(
        3.0,
        ge=0,
        description="The lowest standard deviation of the grey levels; below it the image is filtered (flat).",
    )
    min_entropy_bits: float = Field(
        0.5,
        ge=0,
        le=8,
        description="The lowest entropy of the histogram of the grey levels; below it the image is filtered (flat).",
    )
    min_sharpness: float = Field(
        0.9,
        ge=0,
        description="The lowest sharpness, of which a clean edge has 2; below it the image is filtered (blurred).",
    )


def _of_image_stats(setting: str, bound: Bound, column: str, measures: str, reason: str, unit: str = "") -> Threshold:
    """Declares a threshold of a column of `image_stats`."""
    return Threshold(
        setting=setting,
        bound=bound,
        table="image_stats",
        columns=(column,),
        measures=measures,
        unit=unit,
        reason=reason,
        logarithmic=column == "aspect_ratio",
    )


THRESHOLDS = (
    Threshold(
        setting="min_side_px",
        bound=Bound.LOWER,
        table="image_stats",
        columns=("width", "height"),
        value=lambda rows: pc.min_element_wise(rows.column("width"), rows.column("height"), skip_nulls=False),
        measures="shorter side",
        unit="px",
        reason="too_small",
        logarithmic=True,
    ),
    _of_image_stats(
        "max_aspect_ratio", Bound.UPPER, "aspect_ratio", "longer side / shorter side", "extreme_aspect_ratio"
    ),
    _of_image_stats(
        "min_p99_brightness", Bound.LOWER, "p99_brightness", "99th percentile of the grey levels", "too_dark"
    ),
    _of_image_stats(
        "max_p1_brightness", Bound.UPPER, "p1_brightness", "1st percentile of the grey levels", "too_bright"
    ),
    _of_image_stats("min_contrast", Bound.LOWER, "contrast", "standard deviation of the grey levels", "flat"),
    _of_image_stats("min_entropy_bits", Bound.LOWER, "entropy", "entropy of the grey levels", "flat", "bits"),
    _of_image_stats("min_sharpness", Bound.LOWER, "sharpness", "sharpness of the edges", "blurred"),
)


class Quality(MapStage):
    """The stage that filters images by the first threshold that they fail.

    The reasons, in this order: too_small, extreme_aspect_ratio, animated, too_dark, too_bright, flat, blurred. (A dark
    image is flat as well, and the sharpness of a flat one means nothing.)
    """

    name = "quality"
    reads = ("image_stats",)
    settings_key = "quality"
    settings_type = QualitySettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    summary = "whether the image is filtered, and by which threshold"
    schema = pa.schema([])
    reasons = {"animated": "it has several frames or pages, and `allow_animated` is false"}
    thresholds = THRESHOLDS

    def __init__(self, settings: QualitySettings) -> None:
        super().__init__(settings)
        self._settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_images and source.plug.filters_images

    def setup(self) -> Callable[[Shard], pa.Table]:
        return lambda shard: quality_verdict(shard["image_stats"], self._settings)


def quality_verdict(inspected: pa.Table, settings: QualitySettings) -> pa.Table:
    """Returns `status` and `reason` for each row of a table of the stage `image_stats`."""

    def column(name: str) -> pa.Array:
        return inspected.column(name).combine_chunks()

    flat = pc.or_(
        pc.less(column("contrast"), settings.min_contrast), pc.less(column("entropy"), settings.min_entropy_bits)
    )
    rules = {
        "too_small": pc.less(pc.min_element_wise(column("width"), column("height")), settings.min_side_px),
        "extreme_aspect_ratio": pc.greater(column("aspect_ratio"), settings.max_aspect_ratio),
        "animated": pc.and_(column("animated"), not settings.allow_animated),
        "too_dark": pc.less(column("p99_brightness"), settings.min_p99_brightness),
        "too_bright": pc.greater(column("p1_brightness"), settings.max_p1_brightness),
        "flat": flat,
        "blurred": pc.less(column("sharpness"), settings.min_sharpness),
    }
    broken = pa.StructArray.from_arrays(list(rules.values()), list(rules))
    reason = pc.case_when(broken, *(pa.scalar(name) for name in rules), pa.scalar(""))
    status = pc.if_else(pc.equal(reason, ""), str(Status.KEPT), str(Status.FILTERED))
    return pa.table({"status": status, "reason": reason})
