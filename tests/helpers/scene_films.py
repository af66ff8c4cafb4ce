"""Films of shots with planted cuts, and how many of these are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.videos import Shot, Truth
from video.detection.cuts import Cut

RATE = 25


FRAME_S = 1 / RATE


SIZE = (256, 192)


CAMERAS: list[Any] = ["still", "pan", "zoom"]


STOCK = ("AdaptiveDetector", "ContentDetector")  # of PySceneDetect
PICTURES: list[Any] = ["photo", "texture", "drawing"]


def shots(transition: Any, seed: int, count: int = 10) -> list[Shot]:
    """Shots of all cameras and pictures in turn."""
    chance = np.random.default_rng(seed)
    return [
        Shot(
            frames=int(chance.integers(28, 45)),
            picture=PICTURES[number % 3],
            seed=10 * seed + number,
            camera=CAMERAS[(number + number // 3) % 3],
            path=(0.1, 0.5),
            transition=transition,
        )
        for number in range(count)
    ]


def hits(found: Sequence[float], truth: Truth, rate: int = RATE) -> int:
    """How many planted cuts are found, one each: at one frame of tolerance, or within the transition."""
    left = list(found)
    count = 0
    for cut_s in truth.cuts_s:
        spans = [(start, end) for start, end, _ in truth.transitions if start <= cut_s <= end]
        start, end = spans[0] if spans else (cut_s, cut_s)
        near = [time_s for time_s in left if start - 1 / rate - 1e-3 <= time_s <= end + 1 / rate + 1e-3]
        if near:
            left.remove(near[0])
            count += 1
    return count


def f1(found: Sequence[float], truth: Truth) -> float:
    return 2 * hits(found, truth) / (len(found) + len(truth.cuts_s))


def cut_times(cuts: Sequence[Cut]) -> list[float]:
    return [cut.time_s for cut in cuts]


def stock_cuts(path: Path, detector: str) -> list[float]:
    """The cuts of PySceneDetect with its own defaults."""
    import scenedetect

    scenes = scenedetect.detect(str(path), getattr(scenedetect, detector)())
    return [start.seconds for start, _ in scenes[1:]]
