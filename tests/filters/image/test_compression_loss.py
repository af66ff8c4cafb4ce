"""What compression has cost, on photographs that are saved once, worse, and better again."""

import io

import numpy as np
import pytest
from PIL import Image

from corpus.image.header import sniff
from demo.images.photographs import crop, photographs
from filters.image.compression_loss import UNKNOWN_LOSS
from filters.image.grey import read_grey_image
from filters.image.stats import inspect_image
from tests.helpers.image_rows import ImageRow, random_hash, verdicts

PER_KIND = 60


def saved(image: Image.Image, kind: str, quality: int = 90, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, quality=quality, **options)
    return file.getvalue()


def again(data: bytes, kind: str, quality: int = 90, **options: object) -> bytes:
    """The picture as another encoder saves it."""
    return saved(Image.open(io.BytesIO(data)).convert("RGB"), kind, quality, **options)


def loss(data: bytes) -> float:
    return read_grey_image(data, sniff(data)).loss


def images(number: int, seed: int) -> list[Image.Image]:
    """Crops of photographs, from 224 to some 1,000 pixels long: JPEGs of them are read at full size to a quarter."""
    rng, whole = np.random.default_rng(seed), photographs()
    pictures = [crop(whole[n % len(whole)], rng, (0.4, 1.0)).pixels for n in range(number)]
    found = [Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])) for pixels in pictures]
    return [one.resize((one.width * 2, one.height * 2)) if n % 3 == 2 else one for n, one in enumerate(found)]


def worse(image: Image.Image, rng: np.random.Generator) -> list[bytes]:
    """A JPEG, and the same at a lower quality."""
    quality = int(rng.integers(60, 98))
    original = saved(image, "JPEG", quality, subsampling=int(rng.integers(3)), progressive=bool(rng.integers(2)))
    return [original, again(original, "JPEG", quality - int(rng.integers(5, 40)), subsampling=0)]


def better_again(image: Image.Image, rng: np.random.Generator) -> list[bytes]:
    """A JPEG, and the same at a higher quality, in more bytes."""
    original = saved(image, "JPEG", int(rng.integers(30, 79)))
    return [original, again(original, "JPEG", int(rng.integers(90, 98)), subsampling=0)]


def detours(image: Image.Image, rng: np.random.Generator) -> list[bytes]:
    """A JPEG, a poor copy, and what was made of the copy: a fine JPEG and a PNG, both larger than the original."""
    original = saved(image, "JPEG", int(rng.integers(86, 96)))
    poor = again(original, "JPEG", int(rng.integers(20, 75)))
    return [original, poor, again(poor, "JPEG", 98, subsampling=0), again(poor, "PNG")]


def other_formats(image: Image.Image, rng: np.random.Generator) -> list[bytes]:
    """A PNG, a fine JPEG of it, and WebPs of that."""
    original = saved(image, "PNG")
    fine = again(original, "JPEG", 92)
    return [original, fine, again(fine, "WEBP", 75), again(fine, "WEBP", 50)]


def to_webp(image: Image.Image, rng: np.random.Generator) -> list[bytes]:
    original = saved(image, "JPEG", int(rng.integers(80, 96)))
    return [original, again(original, "WEBP", int(rng.integers(50, 91)))]


@pytest.mark.parametrize("plant", [worse, better_again, detours, other_formats, to_webp])
def test_of_an_original_and_its_copies_of_the_same_size_the_original_stays(plant):
    rng = np.random.default_rng(7)
    pictures, originals = [], []
    for number, image in enumerate(images(PER_KIND, seed=3)):
        for at, data in enumerate(plant(image, rng)):
            row = inspect_image(data, max_pixels=1 << 30)
            values = {name: row[name] for name in ("sharpness", "compression_loss", "bytes", "contrast")}
            content, pixels = f"{number}.{at}", row["width"] * row["height"]
            pictures.append(ImageRow(content, random_hash(str(number)), pixels, **values))
        originals.append(f"{number}.0")
    kept = {p.content for p, (_, why) in zip(pictures, verdicts(pictures), strict=True) if why == "kept"}
    assert len(kept) == PER_KIND
    assert len(kept.intersection(originals)) >= 0.99 * PER_KIND, sorted(kept.difference(originals))


def test_what_is_stated_is_the_mean_step_of_the_first_table():
    image = images(1, seed=0)[0]
    table = [int(step) for step in np.arange(1, 65)]
    file = io.BytesIO()
    image.save(file, "JPEG", qtables=[table, [99] * 64])
    assert loss(file.getvalue()) == pytest.approx(32.5)
    assert loss(saved(image.convert("L"), "JPEG", 50)) == pytest.approx(57.6, abs=0.2)
    assert loss(saved(image, "WEBP", 80)) == UNKNOWN_LOSS
    assert [loss(saved(image, kind, lossless=True)) for kind in ("PNG", "WEBP", "BMP", "TIFF")] == [0, 0, 0, 0]


def test_a_loss_is_seen_in_a_jpeg_that_lies_on_its_side_and_nowhere_in_what_had_none():
    exif = Image.Exif()
    exif[274] = 6
    pictures = images(30, seed=5)
    assert [loss(saved(image, "PNG")) for image in pictures] == [0] * len(pictures)
    first = saved(pictures[2], "JPEG", 50)
    assert loss(again(first, "JPEG", 95, exif=exif)) == loss(again(first, "PNG")) > loss(first)


def test_too_little_to_see_anything_in_is_no_loss():
    for size in ((1, 1), (7, 300), (300, 7), (64, 64)):
        assert loss(saved(Image.new("RGB", size, (90, 90, 90)), "PNG")) == 0, size


def test_flat_grounds_and_few_colours_are_no_rounding():
    """All means of a drawing's blocks are multiples of something."""
    for seed in range(10):
        drawn = np.full((400, 500, 3), 255, np.uint8)
        rng = np.random.default_rng(seed)
        for _ in range(12):
            top, left = rng.integers(0, 400, 2)
            drawn[top : top + 90, left : left + 70] = rng.integers(0, 256, 3)
        assert loss(saved(Image.fromarray(drawn), "PNG")) == 0, seed
