"""Held against the imagehash library over real photographs, on full decodes by Pillow."""

import io
from collections.abc import Iterator

import cv2
import imagehash
import numpy as np
import pytest
from PIL import Image

from corpus.image.header import sniff
from corpus.image.phash import perceptual_hashes
from demo.images.photographs import photographs
from filters.image.grey import decode_grey
from tests.helpers.cases import cases
from tests.helpers.memory import traced


def distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def hashed(data: bytes) -> tuple[int, int]:
    return perceptual_hashes(decode_grey(data, sniff(data)))


def by_imagehash(image: Image.Image) -> tuple[int, int]:
    return int(str(imagehash.phash(image)), 16), int(str(imagehash.dhash(image)), 16)


def variants(pixels: np.ndarray) -> Iterator[bytes]:
    """Files of a photograph: scaled, recompressed, cropped, and as PNG."""
    for scale, quality in ((1.0, 90), (0.75, 60), (0.5, 92), (0.33, 75)):
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    yield cv2.imencode(".png", small)[1].tobytes()
    height, width = pixels.shape[:2]
    for top, left in ((0.1, 0.0), (0.3, 0.25)):
        yield cv2.imencode(".jpg", pixels[int(top * height) :, int(left * width) :])[1].tobytes()


def test_they_are_imagehashs_on_the_same_pixels_but_for_rounding() -> None:
    """The photographs, grey already so that nobody's idea of grey plays a part."""
    apart = []
    for photograph in photographs():
        grey = cv2.cvtColor(photograph.pixels, cv2.COLOR_BGR2GRAY)
        pairs = zip(perceptual_hashes(grey), by_imagehash(Image.fromarray(grey)), strict=True)
        apart.append([distance(*pair) for pair in pairs])
    assert np.mean(apart) <= 0.25
    assert np.max(apart) <= 3


def test_a_reduced_decode_hardly_differs_from_imagehash_on_a_full_one() -> None:
    files = [data for photograph in photographs() for data in variants(photograph.pixels)]
    pairs = [zip(hashed(data), by_imagehash(Image.open(io.BytesIO(data))), strict=True) for data in files]
    apart = np.array([[distance(*pair) for pair in both] for both in pairs])
    assert len(apart) == 7 * 13
    assert apart.mean(axis=0).max() <= 1
    assert np.median(apart, axis=0).tolist() == [0, 0]
    assert np.percentile(apart, 99, axis=0).max() <= 5
    assert apart.max() <= 6


def test_the_same_photograph_hashes_alike_and_another_does_not() -> None:
    firsts = []
    for photograph in photographs():
        pixels = photograph.pixels
        first = hashed(cv2.imencode(".png", pixels)[1].tobytes())
        for scale, quality in ((0.8, 70), (0.5, 90), (0.37, 80)):
            small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            copy = hashed(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
            assert distance(first[0], copy[0]) <= 4
            assert distance(first[1], copy[1]) <= 6
        firsts.append(first)
    others = [distance(a[0], b[0]) for at, a in enumerate(firsts) for b in firsts[:at]]
    assert min(others) > 12


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_image_on_its_side_hashes_like_the_upright_one(orientation: int) -> None:
    upright = Image.fromarray(photographs()[0].pixels[:, 60:, ::-1])
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    files = io.BytesIO(), io.BytesIO()
    upright.save(files[0], "JPEG", quality=95)
    upright.transpose(turns[orientation]).save(files[1], "JPEG", quality=95, exif=exif)
    one, other = (hashed(file.getvalue()) for file in files)
    assert distance(one[0], other[0]) <= 2
    assert distance(one[1], other[1]) <= 2


@cases("level", [0, 1, 77, 128, 255])
@cases("shape", [(1, 1), (8, 9), (31, 200), (163, 122)])
def test_a_flat_image_has_the_hash_of_flat_images(level: int, shape: tuple[int, int]) -> None:
    """No noise of summation decides a bit: only the mean is above the median, and no pixel above another."""
    phash, dhash = perceptual_hashes(np.full(shape, level, np.uint8))
    assert phash == (1 << 63 if level else 0)
    assert dhash == 0


def test_the_bits_are_in_imagehashs_order() -> None:
    rising = np.broadcast_to(np.linspace(0, 255, 90).astype(np.uint8), (80, 90)).copy()
    assert perceptual_hashes(rising)[1] == 2**64 - 1
    rising[:20] = rising[:20, ::-1]
    assert perceptual_hashes(rising)[1] == 2**48 - 1
    assert str(imagehash.dhash(Image.fromarray(rising))) == "0000" + "f" * 12


def test_a_long_side_is_hashed_as_the_picture_that_it_shows() -> None:
    """And the filters that are kept for it are short, however long sides are."""
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60), np.uint8)
    wide = cv2.resize(pixels, (24_000, 40), interpolation=cv2.INTER_LINEAR)
    high = cv2.resize(pixels, (60, 16_000), interpolation=cv2.INTER_LINEAR)
    plain = perceptual_hashes(cv2.resize(pixels, (480, 320), interpolation=cv2.INTER_LINEAR))
    for stretched in (wide, high):
        for found, wanted in zip(perceptual_hashes(stretched), plain, strict=True):
            assert (found ^ wanted).bit_count() <= 6


def hash_many_sizes() -> None:
    for side in range(10_000, 30_000, 501):
        perceptual_hashes(np.zeros((side, 33), np.uint8))
        perceptual_hashes(np.zeros((33, side), np.uint8))


def test_pictures_of_many_long_sides_leave_little_in_memory() -> None:
    """Filters as long as these sides would be 5 MB each."""
    assert traced(hash_many_sizes)[1] < 20 << 20
