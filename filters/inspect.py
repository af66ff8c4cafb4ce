"""Stage `inspect`: what each image is and looks like, from one cheap decode. Nothing is judged here but wholeness.

Thresholds are `filters.quality`'s: changing one decodes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpus.decoding import in_words
from corpus.image_limits import ImageLimits
from corpus.images import MAX_SIDE_PX, refusal, sniff
from corpus.records import SHA256, Status, table_schema
from corpus.stages import ITEMS, MapStage, Shard
from filters.decode import Grey, UndecodableError, look
from filters.hashes import perceptual_hashes

# The longest side on which an image is measured, so that the same picture measures the same at any size. Large enough
# to tell a blur of a hundredth of it from a sharp image, small enough for most JPEGs to be decoded at a quarter.
MEASURED_PX = 160
_NOISE_FIRST, _NOISE_SECOND = 3, 10  # grey levels: what codecs and sensors do to an even surface seldom reaches further
_WINDOW_LEVELS = 16


class InspectSettings(ImageLimits):
    """What is refused before it is decoded."""


class Inspect(MapStage):
    """Measures the stored bytes of every item, as a stock reader (Pillow) decodes them.

    Fails what such a reader would not read whole: not_an_image, unsupported_format, too_many_pixels, side_too_long,
    truncated, undecodable. `detail` then has the decoder's words.
    """

    name = "inspect"
    version = 3
    reads = (ITEMS,)
    schema = pa.schema(
        [
            pa.field("width", pa.int32()),  # pixels, upright
            pa.field("height", pa.int32()),
            pa.field("aspect_ratio", pa.float32()),  # longer side / shorter side
            pa.field("format", pa.string()),  # and the three after it: see corpus.images.ImageHeader
            pa.field("mode", pa.string()),
            pa.field("orientation", pa.int8()),
            pa.field("animated", pa.bool_()),
            pa.field("sharpness", pa.float32()),  # see `sharpness`
            pa.field("loss", pa.float32()),  # by compression: see filters.loss
            pa.field("bytes", pa.int64()),  # stored
            pa.field("contrast", pa.float32()),  # standard deviation of the grey levels
            pa.field("entropy", pa.float32()),  # bits, of the histogram of the 256 grey levels
            pa.field("flatness", pa.float32()),  # largest share of the pixels within 16 neighbouring levels
            pa.field("brightness", pa.float32()),  # mean grey level, 0 to 255
            pa.field("shadow", pa.float32()),  # grey level below which 1 % of the pixels lie
            pa.field("highlight", pa.float32()),  # grey level above which 1 % of the pixels lie
            pa.field("phash", pa.uint64()),  # see filters.hashes
            pa.field("dhash", pa.uint64()),
            pa.field("sha256", SHA256),  # of the stored bytes
            pa.field("rewrite", pa.bool_()),  # published anew: see corpus.published
            pa.field("detail", pa.string()),  # why it can't be decoded, in the decoder's words
        ]
    )

    def __init__(self, settings: InspectSettings) -> None:
        super().__init__(settings)
        self._limits = (settings.max_pixels, settings.max_side_px)

    def setup(self) -> Callable[[Shard], pa.Table]:
        cv2.setNumThreads(1)  # the engine runs a worker for each core
        return self._inspect

    def _inspect(self, shard: Shard) -> pa.Table:
        rows: list[dict[str, Any]] = [{}] * len(shard)
        for row, data in shard.contents():
            rows[row] = inspect_image(data, *self._limits)
        return pa.Table.from_pylist(rows, table_schema(self.schema))


def inspect_image(data: bytes, max_pixels: int, max_side_px: int = MAX_SIDE_PX) -> dict[str, Any]:
    """One row of the table: the columns that are known, with `status` and `reason`."""
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
    if reason := refusal(header, max_pixels, max_side_px):
        return {**row, "reason": reason}
    try:
        seen = look(data, header, longest_px=MEASURED_PX)
    except UndecodableError as error:
        return {**row, "reason": error.reason, "detail": in_words(error)}
    phash, dhash = perceptual_hashes(seen.grey)
    measured = {"phash": phash, "dhash": dhash, "rewrite": seen.rewrite, "loss": seen.loss, **measure(seen.grey)}
    aspect_ratio = max(width, height) / min(width, height)
    return {**row, "aspect_ratio": aspect_ratio, **measured, "status": Status.KEPT, "reason": ""}


def measure(grey: Grey) -> dict[str, float]:
    """What a grey image looks like: the measured columns of `Inspect.schema`, by name."""
    grey = _at_measured_size(grey)
    shares = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    rising = np.cumsum(shares)
    within = rising.copy()
    within[_WINDOW_LEVELS:] -= rising[:-_WINDOW_LEVELS]
    present = shares[shares > 0]
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    shadow, highlight = np.searchsorted(rising, (0.01, 0.99))
    return {
        "sharpness": sharpness(grey),
        "contrast": deviation,
        "entropy": max(0.0, -float(present @ np.log2(present))),
        "flatness": float(within.max()),
        "brightness": mean,
        "shadow": float(shadow),
        "highlight": float(highlight),
    }


def sharpness(grey: Grey) -> float:
    """How abruptly an image changes where it changes: mean squared second over mean squared first difference.

    About 1.5 to 4 for a sharp image, whatever its contrast: 2 for a clean step, 1 / (2 s²) for one that a Gaussian of
    s pixels has blurred, 5 for noise, 0 for an image without edges. The second difference is the usual Laplacian; its
    variance alone (Pech-Pacheco et al., ICPR 2000) grows with contrast and content, and over the variance of the image
    it is as low for a sharp disc on black as for a blurred wall. Differences too small to be an edge are left out:
    what a codec leaves in blurred areas is sharp. `grey` has its longest side at MEASURED_PX, or less.
    """
    if min(grey.shape) < 2:
        return 0.0
    second = _energy(np.abs(cv2.Laplacian(grey, cv2.CV_16S)), _NOISE_SECOND)
    first = _energy(cv2.absdiff(grey[:, 1:], grey[:, :-1]), _NOISE_FIRST)
    first += _energy(cv2.absdiff(grey[1:], grey[:-1]), _NOISE_FIRST)
    return second / (first + 0.2 * grey.size)  # a few lonely pixels above the noise are no edge


def _energy(differences: NDArray[Any], least: int) -> float:
    """The sum of the squares of all differences above `least`."""
    return float(cv2.norm(cv2.threshold(differences, least, 0, cv2.THRESH_TOZERO)[1], cv2.NORM_L2SQR))


def _at_measured_size(grey: Grey) -> Grey:
    height, width = grey.shape
    scale = max(height, width) / MEASURED_PX
    if scale <= 1:
        return grey
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    # Below 2, a mean of four neighbours leaves out no pixel either, and costs a third of the exact mean over an area.
    how = cv2.INTER_LINEAR if scale < 2 else cv2.INTER_AREA
    return cv2.resize(grey, size, interpolation=how).astype(np.uint8, copy=False)
