"""Sizes of images as RzenEmbed's released code chooses them: when it loads an image, and by its processor."""

from __future__ import annotations

import math

import numpy as np
import pytest

from corpus.image.pixel_budget import UnfitError
from mining.encoders.rzenembed import LoadedBudget

IMAGES = LoadedBudget(min_pixels=200_704, max_pixels=1_003_520, multiple=28)
FRAMES = LoadedBudget(min_pixels=125_440, max_pixels=141_120, multiple=28)


def resized(height: int, width: int, low: int, high: int) -> tuple[int, int]:
    """The rule of qwen-vl-utils and of Qwen2-VL's processor, written out once more."""
    tall, wide = max(28, round(height / 28) * 28), max(28, round(width / 28) * 28)
    if tall * wide > high:
        scale = math.sqrt(height * width / high)
        tall, wide = (max(28, math.floor(side / scale / 28) * 28) for side in (height, width))
    elif tall * wide < low:
        scale = math.sqrt(low / (height * width))
        tall, wide = (math.ceil(side * scale / 28) * 28 for side in (height, width))
    return tall, wide


def test_sizes_are_rounded_twice() -> None:
    rng = np.random.default_rng(0)
    once = 0
    for _ in range(2000):
        height, width = (int(side) for side in np.exp(rng.uniform(np.log(40), np.log(4000), 2)))
        for budget in (IMAGES, FRAMES):
            limits = budget.min_pixels, budget.max_pixels
            size = resized(*resized(height, width, 4 * 784, 16384 * 784), *limits)
            assert budget.size(height, width) == size, (height, width)
            once += size != resized(height, width, *limits)
    assert once > 100, "once would have given other sizes of these"


def test_what_has_no_size() -> None:
    with pytest.raises(UnfitError):
        IMAGES.size(28, 28 * 101)
    with pytest.raises(ValueError, match="no image"):
        IMAGES.size(0, 5)
