"""When the bytes of an image can be published as they are stored, and what is published in their place.

A stock reader does `Image.open(...).convert("RGB")`: it leaves an orientation alone, drops transparency and shows the
hidden colour, and clips 16-bit grey to white. What it shows of the published bytes must be the picture that was judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpus.image.decode import Pixels, decode_stored, upright
from corpus.image.header import MOST_SIDE_PX, sniff
from corpus.image.stock_reader import UndecodableError

if TYPE_CHECKING:
    from PIL import Image

    from corpus.image.header import ImageHeader

JPEG_QUALITY = 95  # unless a mixture sets another one
_PNG_COMPRESSION = 6


def must_be_rewritten(image: Image.Image, header: ImageHeader) -> bool:
    """Whether a stock reader shows something else of the stored bytes than `corpus.image.decode` does.

    `image` is what Pillow makes of them: the stock reader's own view of its mode and its transparency.
    """
    turned = header.orientation != 1 and header.format != "tiff"  # Pillow turns these
    return turned or header.animated or image.mode.startswith("I;16") or image.has_transparency_data


def rewritten(data: bytes, jpeg_quality: int, lossless: bool = False) -> bytes:
    """The image as a stock reader shows it right: upright, on white, 8 bits, its first frame.

    A PNG where the source has lost nothing, and if `lossless`; else a JPEG of all colours at full size. Raises
    UndecodableError as `corpus.image.decode.decode_rgb` does.
    """
    header = sniff(data)
    pixels = upright(decode_stored(data, header), 1 if header.format == "tiff" else header.orientation)
    lossless = lossless or header.lossless or max(pixels.shape) > MOST_SIDE_PX
    return as_png(pixels) if lossless else as_jpeg(pixels, jpeg_quality)


def as_png(pixels: Pixels) -> bytes:
    """RGB pixels (height, width, 3) as a PNG."""
    import cv2

    return _encoded(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_COMPRESSION])


def as_jpeg(pixels: Pixels, quality: int) -> bytes:
    """RGB pixels (height, width, 3) as a JPEG without subsampling of colours."""
    import cv2

    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])


def _encoded(ending: str, pixels: Pixels, options: list[int]) -> bytes:
    import cv2

    done, encoded = cv2.imencode(ending, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise UndecodableError(f"{pixels.shape[1]}×{pixels.shape[0]} pixels can't be encoded as {ending}")
    return encoded.tobytes()
