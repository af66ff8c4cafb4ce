"""Postcards of one ground are alike and none is a duplicate of another; one scene of some grounds is there twice."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.images.drawing import distances, is_clear, perceptual_bits
from demo.images.image_factory import ImageFactory
from demo.pairs.mined_images import plant_postcards
from demo.pairs.truth import ExpectedSet


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("postcards")


@pytest.fixture(scope="module")
def planted(home: Path) -> ExpectedSet:
    return plant_postcards(home, ImageFactory(0))


def pixels_of(home: Path, name: str) -> np.ndarray:
    pixels = cv2.imread(str(home / name))
    assert pixels is not None
    return pixels


def test_no_card_is_a_duplicate_of_another(home: Path, planted: ExpectedSet) -> None:
    pictures = {pair.positive.image: pixels_of(home, pair.positive.image) for pair in planted.pairs}
    assert len(pictures) == 24 and all(map(is_clear, pictures.values()))
    bits = {name: perceptual_bits(pixels) for name, pixels in pictures.items()}
    near = [names for names in combinations(bits, 2) if distances(*(bits[name] for name in names))[0] <= 5]
    assert near == []


def test_what_is_there_twice_differs_in_light_alone(home: Path, planted: ExpectedSet) -> None:
    twins = [(pair.positive.image, false.side.image) for pair in planted.pairs for false in pair.false]
    assert len(twins) == 8
    for one, other in twins:
        first, second = (pixels_of(home, name).astype(float) for name in (one, other))
        ratio = cv2.blur(first, (31, 31)) / cv2.blur(second, (31, 31))
        assert first.shape == second.shape and ratio.min() > 0.6 and ratio.max() < 1.6


def test_hard_negatives_are_all_other_scenes_of_the_ground(planted: ExpectedSet) -> None:
    for pair in planted.pairs:
        colour = pair.positive.image.split("_")[0]
        assert {side.image.split("_")[0] for side in pair.hard} == {colour}
        assert not {pair.positive, *(false.side for false in pair.false)} & {*pair.hard}
    assert Counter(len(pair.hard) for pair in planted.pairs) == {3: 8, 4: 12, 1: 4}
