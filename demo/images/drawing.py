"""Pictures with captions, the similarity of pictures, and encodings: the basis of all images of the demo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

BgrPixels = npt.NDArray[Any]  # blue first, as OpenCV has them
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Picture:
    """A picture and its caption. Pixels: (height, width, 3), blue first as in OpenCV."""

    pixels: BgrPixels
    caption: str

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


def perceptual_bits(pixels: BgrPixels) -> Bits:
    """Computes 128 bits of a picture's appearance: 64 of its lowest frequencies, 64 of its brightness gradient.

    These are the two usual perceptual hashes, implemented here, so that the world does not depend on the code that it
    tests.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY) if pixels.ndim == 3 else pixels
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8]
    steps = np.diff(cv2.resize(small, (9, 8), interpolation=cv2.INTER_AREA), axis=1)
    return np.concatenate([(low > np.median(low)).ravel(), (steps > 0).ravel()])


def distances(one: Bits, other: Bits) -> tuple[int, int]:
    """Returns the Hamming distances of the two hashes. `one` may be a stack of hashes: then those to the nearest."""
    differs = np.atleast_2d(one) != other
    return int(differs[:, :64].sum(axis=1).min()), int(differs[:, 64:].sum(axis=1).min())


def encode(pixels: BgrPixels, ext: str = ".jpg", quality: int = 90, *options: int) -> bytes:
    """Encodes an image file. `ext` is .jpg, .png or .webp; `options` are OpenCV's pairs of flag and value."""
    flag = {".jpg": cv2.IMWRITE_JPEG_QUALITY, ".webp": cv2.IMWRITE_WEBP_QUALITY}.get(ext)
    lossy = [] if flag is None else [flag, quality]
    done, data = cv2.imencode(ext, pixels, [*lossy, *options])
    assert done, f"OpenCV cannot write {ext}"
    return data.tobytes()


def scaled(pixels: BgrPixels, factor: float) -> BgrPixels:
    """Scales a picture by `factor`, below 1."""
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def is_clear(pixels: BgrPixels) -> bool:
    """Returns whether a picture is clearly not dark, bright, flat or blurred: a filter that removes it is wrong.

    Sharpness is the variance of the Laplacian over the variance of the picture, its longer side scaled to 256.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    small = scaled(grey, min(1.0, 256 / max(grey.shape)))
    contrast = float(small.var())
    sharpness = float(cv2.Laplacian(small, cv2.CV_64F).var())
    return 60 < small.mean() < 195 and contrast > 25**2 and sharpness > 0.12 * contrast
