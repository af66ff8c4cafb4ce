"""The stage `image_stats` decodes each image once, at low resolution, and writes its statistics, hashes and header.

It filters nothing but images that don't decode. The thresholds are in `filters.image.quality`, so that changing one
decodes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import cv2
import pyarrow as pa
from pydantic import Field

from corpus.allocation import keep_freed_blocks
from corpus.image.header import sniff
from corpus.image.limits import HEADER_REASONS, MAX_SIDE_PX, UNDECODABLE, ImageLimits, reject_reason
from corpus.image.pdq import PDQ_MISSING, is_installed, pdq_hash
from corpus.image.phash import perceptual_hashes
from corpus.image.quality import MEASURED_PX, measure
from corpus.image.stock_reader import UndecodableError, error_message
from corpus.schema import PDQ_FIELDS, SHA256, Status, table_schema
from corpus.settings import SettingsError
from corpus.stage import ITEMS, VERDICT, Gives, MapStage, Shard, SourceInfo
from filters.image.grey import read_grey_image


class ImageStatsSettings(ImageLimits):
    """Settings of the stage `image_stats`: limits of images that are decoded, and what is computed besides."""

    pdq: bool = Field(
        False,
        description="Whether the PDQ hash of each image (256 bits) and its quality are computed besides pHash and "
        "dHash; it takes the extra pdq.",
    )


class ImageStats(MapStage):
    """The stage that measures the stored bytes of every item, as a stock reader (Pillow) decodes them.

    Images that such a reader would not decode completely fail: not_an_image, unsupported_format, too_many_pixels,
    side_too_long, truncated, undecodable. `detail` then has the decoder's message.
    """

    name = "image_stats"
    version = 2  # 2: sharpness without the grain
    reads = (ITEMS,)
    settings_key = "image_stats"
    settings_type = ImageStatsSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    over_evaluation = True
    summary = (
        "size, format, loss by compression, sharpness, contrast, entropy, brightness, pHash, dHash (`pdq: true`: and "
        "PDQ), SHA-256: one decode, by the decoder that trainers use; or the decoder's error"
    )
    reasons = {**HEADER_REASONS, **UNDECODABLE}
    roles = (VERDICT,)
    schema = pa.schema(
        [
            pa.field("width", pa.int32()),  # pixels, upright
            pa.field("height", pa.int32()),
            pa.field("aspect_ratio", pa.float32()),  # longer side / shorter side
            pa.field("format", pa.string()),  # and the three after it: see corpus.image.header.ImageHeader
            pa.field("mode", pa.string()),
            pa.field("orientation", pa.int8()),
            pa.field("animated", pa.bool_()),
            pa.field("sharpness", pa.float32()),  # see corpus.image.quality
            pa.field("compression_loss", pa.float32()),  # by compression: see filters.image.compression_loss
            pa.field("bytes", pa.int64()),  # stored
            pa.field("contrast", pa.float32()),  # standard deviation of the grey levels
            pa.field("entropy", pa.float32()),  # bits, of the histogram of the 256 grey levels
            pa.field("flatness", pa.float32()),  # largest share of the pixels within 16 neighbouring levels
            pa.field("brightness", pa.float32()),  # mean grey level, 0 to 255
            pa.field("p1_brightness", pa.float32()),  # grey level below which 1 % of the pixels lie
            pa.field("p99_brightness", pa.float32()),  # grey level above which 1 % of the pixels lie
            pa.field("phash", pa.uint64()),  # see corpus.image.phash
            pa.field("dhash", pa.uint64()),
            pa.field("sha256", SHA256),  # of the stored bytes
            pa.field("rewrite", pa.bool_()),  # published anew: see corpus.image.encode
            pa.field("detail", pa.string()),  # the decoder's message, where it can't be decoded
        ]
    )

    def __init__(self, settings: ImageStatsSettings) -> None:
        super().__init__(settings)
        self._limits = (settings.max_pixels, settings.max_side_px)
        self._pdq = settings.pdq
        if settings.pdq:
            self.schema = pa.schema([*self.schema, *PDQ_FIELDS])

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_images

    def fingerprint_inputs(self) -> dict[str, Any]:
        if self._pdq and not is_installed():
            raise SettingsError(f"stages.image_stats.pdq: {PDQ_MISSING}")
        return super().fingerprint_inputs()

    def setup(self) -> Callable[[Shard], pa.Table]:
        cv2.setNumThreads(1)  # the engine runs a worker for each core
        keep_freed_blocks()
        return self._inspect

    def _inspect(self, shard: Shard) -> pa.Table:
        rows: list[dict[str, Any]] = [{}] * len(shard)
        for row, data in shard.contents():
            rows[row] = inspect_image(data, *self._limits, pdq=self._pdq)
        return pa.Table.from_pylist(rows, table_schema(self.schema))


def inspect_image(data: bytes, max_pixels: int, max_side_px: int = MAX_SIDE_PX, pdq: bool = False) -> dict[str, Any]:
    """Returns the row of an image: the columns that are known (with `pdq` PDQ_FIELDS too), with `status` and
    `reason`.
    """
    header = sniff(data)
    width, height = header.upright_size
    row: dict[str, Any] = {"status": Status.FAILED, "sha256": hashlib.sha256(data).digest(), "detail": ""}
    row["bytes"] = len(data)
    if header.format:
        row |= {
            "width": width if width < 1 << 31 else None,
            "height": height if height < 1 << 31 else None,
            "format": header.format,
            "mode": header.mode,
            "orientation": header.orientation,
            "animated": header.animated,
        }
    if reason := reject_reason(header, max_pixels, max_side_px):
        return {**row, "reason": reason}
    try:
        image = read_grey_image(data, header, longest_px=MEASURED_PX)
    except UndecodableError as error:
        return {**row, "reason": error.reason, "detail": error_message(error)}
    phash, dhash = perceptual_hashes(image.grey)
    measured: dict[str, Any] = {
        "phash": phash,
        "dhash": dhash,
        "rewrite": image.rewrite,
        "compression_loss": image.loss,
        **measure(image.grey),
    }
    if pdq:
        measured["pdq"], measured["pdq_quality"] = pdq_hash(image.grey)
    aspect_ratio = max(width, height) / min(width, height)
    return {**row, "aspect_ratio": aspect_ratio, **measured, "status": Status.KEPT, "reason": ""}
