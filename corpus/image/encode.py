"""Encoding images: those that can't be published as they are stored, and those that are stored smaller.

A stock reader does `Image.open(...).convert("RGB")`: it leaves an orientation alone, drops transparency and shows the
hidden colour, and clips 16-bit grey to white. What it decodes of the published bytes must be the picture that the
filters saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.image.decode import Pixels, apply_orientation, decode_stored, downscale, jpeg_scale
from corpus.image.header import sniff
from corpus.image.limits import JPEG_MAX_SIDE_PX
from corpus.image.stock_reader import UndecodableError

if TYPE_CHECKING:
    from PIL import Image

    from corpus.image.header import ImageHeader

JPEG_QUALITY = 95  # unless a mixture sets another one
_PNG_COMPRESSION = 6


def needs_rewrite(image: Image.Image, header: ImageHeader) -> bool:
    """Returns whether a stock reader decodes something else of the stored bytes than `corpus.image.decode` does.

    `image` is what Pillow makes of them: the stock reader's own view of its mode and its transparency.
    """
    turned = header.orientation != 1 and header.format != "tiff"  # Pillow turns these
    return turned or header.animated or image.mode.startswith("I;16") or image.has_transparency_data


def rewrite(data: bytes, jpeg_quality: int, lossless: bool = False) -> bytes:
    """Encodes an image so that a stock reader decodes it right: upright, on white, 8 bits, its first frame.

    A PNG where the source has lost nothing, and if `lossless`; else a JPEG of all colours at full size. Raises
    UndecodableError as `corpus.image.decode.decode_rgb` does.
    """
    header = sniff(data)
    pixels = apply_orientation(decode_stored(data, header), 1 if header.format == "tiff" else header.orientation)
    lossless = lossless or header.lossless or max(pixels.shape) > JPEG_MAX_SIDE_PX
    return encode_png(pixels) if lossless else encode_jpeg(pixels, jpeg_quality)


def reencode(data: bytes, longest_side_px: int, quality: int, orientation: int) -> tuple[bytes, int, int]:
    """Encodes an image as an upright JPEG whose longest side is at most `longest_side_px`: bytes, width, height.

    Never enlarges. `orientation` is the EXIF one (1 to 8; anything else is taken as 1) and is applied; no metadata is
    kept. Transparency becomes white, 16 bits become 8, of several frames the first is taken. The JPEG has its colours
    at half size (4:2:0), as cameras write it. Raises UndecodableError for what is not an image, is cut off, or holds
    pixels without a defined white (32-bit integers, floats).
    """
    header = sniff(data)
    scale = jpeg_scale(header.width, header.height, longest_side_px)
    pixels = decode_stored(data, header, scale, fast=("jpeg",))
    if header.format == "tiff":
        orientation = 1  # Pillow has turned it
    pixels = apply_orientation(_limit_side(pixels, longest_side_px), orientation)
    return encode_jpeg(pixels, quality, full_colours=False), pixels.shape[1], pixels.shape[0]


def _limit_side(pixels: Pixels, longest_side_px: int) -> Pixels:
    height, width = pixels.shape[:2]
    scale = max(height, width) / longest_side_px
    if scale <= 1:
        return pixels
    return downscale(pixels, max(1, round(height / scale)), max(1, round(width / scale)))


def encode_png(pixels: Pixels) -> bytes:
    """Encodes RGB pixels (height, width, 3) as a PNG."""
    import cv2

    return _encode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION])


def encode_jpeg(pixels: Pixels, quality: int, full_colours: bool = True) -> bytes:
    """Encodes RGB pixels (height, width, 3) as a JPEG, its colours at full size (4:4:4) or at half (4:2:0)."""
    import cv2

    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full_colours else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return _encode(".jpg", pixels, options)


def _encode(ending: str, pixels: Pixels, options: list[int]) -> bytes:
    import cv2

    done, encoded = cv2.imencode(ending, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise UndecodableError(f"{pixels.shape[1]}×{pixels.shape[0]} pixels can't be encoded as {ending}")
    return encoded.tobytes()
