"""PDQ hashes are the library's, and those of a reduced decode stay near that of the full image."""

from __future__ import annotations

import cv2
import numpy as np

from corpus.hamming256 import as_words, differing_bits
from corpus.image.header import sniff
from corpus.image.pdq import is_installed, pdq_hash
from demo.images.photographs import photographs
from filters.image.grey import decode_grey
from tests.helpers.extras import installed_or_skip

installed_or_skip("pdqhash")


def bits_between(one: bytes, other: bytes) -> int:
    return int(differing_bits(*(as_words(np.frombuffer(each, np.uint8)) for each in (one, other)))[0])


def jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def hash_of(data: bytes) -> tuple[bytes, int]:
    return pdq_hash(decode_grey(data, sniff(data)))


def test_the_bytes_are_those_of_the_librarys_bits() -> None:
    import pdqhash

    assert is_installed()
    for photograph in photographs()[:4]:
        grey = cv2.resize(cv2.cvtColor(photograph.pixels, cv2.COLOR_BGR2GRAY), (512, 512))
        bits, quality = pdqhash.compute(np.repeat(grey[:, :, None], 3, axis=2))
        data, found_quality = pdq_hash(grey)
        assert np.unpackbits(np.frombuffer(data, np.uint8)).tolist() == list(bits)
        assert found_quality == quality and 0 <= quality <= 100
        assert 100 < sum(bits) < 156, "about half of the bits are set"


def test_a_reduced_decode_has_nearly_the_hash_of_the_full_image() -> None:
    import pdqhash

    apart = []
    for photograph in photographs():
        rgb = cv2.cvtColor(photograph.pixels, cv2.COLOR_BGR2RGB)
        full, _ = pdqhash.compute(np.ascontiguousarray(rgb))
        expected = np.packbits(np.asarray(full, np.uint8)).tobytes()
        apart.append(bits_between(expected, hash_of(jpeg(photograph.pixels))[0]))
    assert max(apart) <= 20 and float(np.median(apart)) <= 10


def test_edited_photographs_are_near_and_others_are_not() -> None:
    hashes = []
    for photograph in photographs():
        pixels = photograph.pixels
        one, quality = hash_of(jpeg(pixels))
        if quality < 50:
            continue
        smaller = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        brighter = cv2.convertScaleAbs(pixels, alpha=0.9, beta=20)
        larger = cv2.resize(pixels, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        for edited in (jpeg(smaller, 70), jpeg(larger, 85), jpeg(brighter, 80)):
            assert bits_between(one, hash_of(edited)[0]) <= 20
        hashes.append(one)
    assert len(hashes) >= 5
    for number, one in enumerate(hashes):
        assert all(bits_between(one, other) > 90 for other in hashes[:number])


def test_an_even_image_is_of_no_quality() -> None:
    assert pdq_hash(np.full((120, 160), 90, np.uint8))[1] == 0
