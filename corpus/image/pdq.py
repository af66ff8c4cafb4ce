"""PDQ: a perceptual hash of 256 bits, with how much there is to tell of an image, by the library `pdqhash`.

A Jarosz filter (tent) to 64×64, DCT-II, the 16×16 lowest frequencies but for the constant ones, 1 where above their
median (Facebook, The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm, 2019, in the repository
ThreatExchange). Its authors take images for the same that differ in at most 31 bits, both of a quality of at least 50.

The filter's window is a whole number of pixels, so that the hash of a small image changes with its size: of the same
photograph at 512 and 256 pixels by up to 54 bits. PDQ's own program scales larger images to 512×512 for that. Here
every image is brought to that size, also one that was decoded at a reduced scale: on the photographs of the tests
that is within 16 bits of the hash of the full image (8 in the median), and copies of half the size within 10. It
takes 9 ms an image, more than all other statistics together.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import cv2
import numpy as np

from corpus.hamming256 import HASH_BYTES
from corpus.image.quality import Grey

_SIDE_PX = 512
PDQ_MISSING = "PDQ hashes need pdqhash: pip install 'rzen-corpus[pdq]'"


def is_installed() -> bool:
    """Tells whether the library is there."""
    return importlib.util.find_spec("pdqhash") is not None


def pdq_hash(grey: Grey) -> tuple[bytes, int]:
    """Returns the hash of a grey image (height, width) of any size, 32 bytes, and its quality, 0 to 100.

    The bytes are those of the hexadecimal form that PDQ's own tools print. Raises ImportError without the library.
    """
    square = cv2.resize(grey, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    bits, quality = _library().compute(cv2.merge([square] * 3))
    packed = np.packbits(np.asarray(bits, np.uint8)).tobytes()
    assert len(packed) == HASH_BYTES
    return packed, int(quality)


def _library() -> Any:
    try:
        import pdqhash
    except ImportError as error:
        raise ImportError(PDQ_MISSING) from error
    return pdqhash
