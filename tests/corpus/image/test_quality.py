"""Statistics of pictures of known greys, and that filters and video take theirs from the same functions."""

import cv2
import numpy as np
import pytest

from corpus.image.quality import measure
from demo.images.photographs import photographs
from filters.image.stats import inspect_image
from video.frame_stats import measure_frame


def test_known_greys_measure_as_known() -> None:
    black_and_white = np.zeros((100, 100), np.uint8)
    black_and_white[:, 50:] = 255
    stats = measure(black_and_white)
    assert stats["brightness"] == stats["contrast"] == 127.5
    assert stats["entropy"] == pytest.approx(1)
    assert stats["flatness"] == pytest.approx(0.5)
    assert (stats["p1_brightness"], stats["p99_brightness"]) == (0, 255)
    assert stats["sharpness"] == pytest.approx(2, rel=0.01)  # a clean step

    every_grey = np.repeat(np.arange(256, dtype=np.uint8), 64).reshape(128, 128)
    stats = measure(every_grey)
    assert stats["entropy"] == pytest.approx(8)
    assert stats["flatness"] == pytest.approx(16 / 256)
    assert (stats["p1_brightness"], stats["p99_brightness"]) == (2, 253)

    one_colour = measure(np.full((100, 100), 9, np.uint8))
    assert one_colour == {
        **dict.fromkeys(("sharpness", "contrast", "entropy"), 0.0),
        **dict.fromkeys(("brightness", "p1_brightness", "p99_brightness"), 9.0),
        "flatness": 1.0,
    }


@pytest.mark.parametrize("sigma_px", [1.0, 1.25, 1.5])
def test_the_blur_of_an_edge_is_measured_in_pixels(sigma_px: float) -> None:
    """1 / (2 s²) for a step that a Gaussian of s pixels has blurred, whatever its height."""
    step = np.zeros((150, 150), np.uint8)
    step[:, 75:] = 250
    blurred = measure(cv2.GaussianBlur(step, (0, 0), sigma_px))
    assert blurred["sharpness"] == pytest.approx(1 / (2 * sigma_px**2), rel=0.15)


def test_grain_over_a_blurred_edge_is_no_sharpness() -> None:
    step = np.full((120, 160), 60, np.uint8)
    step[:, 80:] = 190
    blurred = cv2.GaussianBlur(step, (0, 0), 4.0)
    rng = np.random.default_rng(0)
    for deviation in (0.0, 1.0, 1.5, 2.0):
        grainy = np.round(blurred + rng.normal(0, deviation, blurred.shape)).clip(0, 255).astype(np.uint8)
        assert measure(grainy)["sharpness"] < 0.4, deviation
    sharp = np.round(step + rng.normal(0, 2.0, step.shape)).clip(0, 255).astype(np.uint8)
    assert measure(sharp)["sharpness"] > 1.5


def test_an_image_and_a_frame_of_the_same_pixels_have_the_same_statistics() -> None:
    """Stage `image_stats` and video frames agree to the bit on sharpness and pHash, at the size that both measure."""
    different = []
    for number, photograph in enumerate(photographs()):
        pixels = cv2.resize(photograph.pixels, (160, 120), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        frame = measure_frame(0.0, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), None)
        image = inspect_image(cv2.imencode(".png", grey)[1].tobytes(), 10**6)
        if (image["sharpness"], image["phash"]) != (frame.sharpness, frame.phash):
            different.append(number)
    assert not different
