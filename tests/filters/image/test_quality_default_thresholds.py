"""The default thresholds of the stage `quality` lie in the gap between good pictures and planted faults.

Good are photographs that packages ship, drawn scenes and pages of text, at several sizes, qualities and with a sensor's
grain. Faults are planted on the photographs in many strengths. What is weaker than the weakest that must be found is
not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import numpy as np
import pytest

from demo.images import graded_faults as graded
from demo.images.difficult import difficult_photographs, draw_page
from demo.images.drawing import BgrPixels, encode, scaled
from demo.images.photographs import photographs
from demo.images.scenes import draw_marks, random_scene
from filters.image.quality import QualitySettings
from filters.image.stats import inspect_image

DEFAULTS = QualitySettings()
SIZES_PX, QUALITIES = (240, 420), (50, 90)


def stats(pixels: BgrPixels, quality: int) -> dict[str, float]:
    row = inspect_image(encode(pixels, ".jpg", quality), max_pixels=1 << 24)
    assert row["status"] == "kept"
    return row


@lru_cache(maxsize=1)
def pictures() -> list[BgrPixels]:
    """The photographs at both sizes."""
    found = []
    for photograph, longest_px in product(photographs(), SIZES_PX):
        found.append(scaled(photograph.pixels, min(1.0, longest_px / max(photograph.pixels.shape[:2]))))
    return found


@lru_cache(maxsize=1)
def good() -> list[dict[str, float]]:
    return [stats(pixels, quality) for pixels, quality in product(_good_pictures(), QUALITIES)]


def _good_pictures() -> Iterator[BgrPixels]:
    rng = np.random.default_rng(0)
    for pixels in pictures():
        yield pixels
        yield graded.grainy(pixels, 3.0, rng)
    for pixels in difficult_photographs():
        yield scaled(pixels, min(1.0, 400 / max(pixels.shape[:2])))
    sentences = [random_scene(rng).caption for _ in range(20)]
    for _ in range(12):
        yield draw_marks(random_scene(rng), rng).pixels
        yield draw_page(sentences, rng)


def planted(fault, strengths, grains=(0.0,)) -> list[dict[str, float]]:
    rng = np.random.default_rng(1)
    found = []
    for number, (pixels, strength, grain) in enumerate(product(pictures(), strengths, grains)):
        spoilt = graded.grainy(fault(pixels, strength), grain, rng)
        found.append(stats(spoilt, QUALITIES[number % len(QUALITIES)]))
    return found


def values(rows: list[dict[str, float]], column: str) -> np.ndarray:
    return np.array([row[column] for row in rows])


@pytest.mark.parametrize("fault", [graded.gaussian_blurred, graded.defocused])
def test_the_cut_of_sharpness_lies_between_blurred_and_sharp(fault) -> None:
    blurred = values(planted(fault, (0.008, 0.01, 0.015, 0.02, 0.04)), "sharpness")
    sharp = values(good(), "sharpness")
    assert 1.1 * blurred.max() < DEFAULTS.min_sharpness < sharp.min() / 1.3


def test_grain_does_not_hide_a_blur() -> None:
    blurred = values(planted(graded.gaussian_blurred, (0.01, 0.02, 0.04), grains=(2.0, 3.0)), "sharpness")
    assert np.mean(blurred < DEFAULTS.min_sharpness) > 0.98


def test_a_thumbnail_that_was_enlarged_is_blurred() -> None:
    """One of 40 pixels: each is larger than the blur that must be found."""
    enlarged = values(planted(graded.enlarged, (1 / 40,)), "sharpness")
    assert enlarged.max() < DEFAULTS.min_sharpness


def test_the_cut_of_darkness_lies_between_dark_and_good() -> None:
    dark = values(planted(graded.underexposed, (0.02, 0.05, 0.1, 0.15, 0.2), grains=(0.0, 2.0)), "p99_brightness")
    assert 1.05 * dark.max() < DEFAULTS.min_p99_brightness < values(good(), "p99_brightness").min() / 1.5


def test_the_cut_of_brightness_lies_between_bright_and_good() -> None:
    bright = 255 - values(planted(graded.overexposed, (0.02, 0.05, 0.1, 0.15, 0.2)), "p1_brightness")
    most = 255 - DEFAULTS.max_p1_brightness  # levels from white
    assert 1.05 * bright.max() < most < (255 - values(good(), "p1_brightness")).min() / 1.05


def test_the_cut_of_contrast_lies_between_flat_and_good() -> None:
    flat = values(planted(graded.faded, (0.0, 0.01, 0.02, 0.03)), "contrast")
    assert 1.1 * flat.max() < DEFAULTS.min_contrast < values(good(), "contrast").min() / 1.5
