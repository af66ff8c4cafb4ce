"""Writes films of talks: slides of text, light or dark, that follow each other without a transition.

A slide that is built up, bullet after bullet, is one shot: its content stays. The change to another slide is a cut. All
slides have the same footer; some talks have the speaker's video in a corner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from benchmarks.video_files import RATE, Film, Pixels, camera_view, random_shots, write

_TEXT = (
    "the model learns from pairs of pictures and words that were found on many pages of the web we measure how often "
    "it is right when there are more of them data loss batch size training images clips cost of each step results on "
    "five sets first attempt what went wrong next year questions"
)
_DARK_SHARE = 0.25  # of the slides
_PICTURE_SHARE = 0.3
_BUILT_SHARE = 0.5
_STEP_FRAMES = (10, 18)  # from one bullet of a slide that is built up to the next
_SPEAKER_SHARE = 0.22  # of the film's sides


@dataclass
class _Slide:
    page: Pixels  # with headline, footer and picture
    bullets: list[str] = field(default_factory=list)
    step: int = 0  # frames from one bullet to the next; 0: all are there from the first
    ink: tuple[int, int, int] = (30, 30, 30)

    def frame_at(self, frame: int) -> Pixels:
        count = len(self.bullets) if not self.step else min(len(self.bullets), 1 + frame // self.step)
        page = self.page.copy()
        for place, bullet in enumerate(self.bullets[:count]):
            _print(page, f"- {bullet}", (0.08, 0.3 + 0.11 * place), 0.055, self.ink)
        return page


def make_slides(
    path: Path, seed: int, count: int, frames: tuple[int, int], size: tuple[int, int], speaker: bool
) -> Film:
    """Writes a talk of `count` slides, each of `frames` (least, most), as one H.264 file of `size` (width, height)."""
    rng = np.random.default_rng(seed)
    lengths = [int(length) for length in rng.integers(*frames, count)]
    slides = [_slide(rng, f"{number + 1}", size) for number in range(count)]
    pictures: Iterator[Pixels] = (
        slide.frame_at(frame) for slide, length in zip(slides, lengths, strict=True) for frame in range(length)
    )
    if speaker:
        pictures = _with_speaker(pictures, seed, size)
    written = write(path, pictures, size, {"crf": "26"})
    cuts_s = tuple(int(start) / RATE for start in np.cumsum(lengths)[:-1])
    return Film(path, written, cuts_s, tuple(zip(cuts_s, cuts_s, strict=True)))


def _slide(rng: np.random.Generator, number: str, size: tuple[int, int]) -> _Slide:
    width, height = size
    dark = rng.random() < _DARK_SHARE
    page = np.full((height, width, 3), (24, 32, 64) if dark else (255, 255, 255), np.uint8)
    ink = (235, 235, 235) if dark else (30, 30, 30)
    _print(page, _text(rng, 2, 4), (0.06, 0.15), 0.085, ink)
    _print(page, f"A talk about data, spring term    {number}", (0.06, 0.96), 0.04, (128, 128, 128))
    words = (3, 8)
    if rng.random() < _PICTURE_SHARE:
        words = (2, 4)
        wide, high = width * 2 // 5, height * 2 // 5
        top, left = height * 3 // 10, width * 11 // 20
        page[top : top + high, left : left + wide] = camera_view(
            random_shots(int(rng.integers(1 << 30)), 1, (1, 2))[0], 0, (wide, high)
        )
    bullets = [_text(rng, *words) for _ in range(int(rng.integers(2, 6)))]
    step = int(rng.integers(*_STEP_FRAMES)) if rng.random() < _BUILT_SHARE else 0
    return _Slide(page, bullets, step, ink)


def _with_speaker(pictures: Iterator[Pixels], seed: int, size: tuple[int, int]) -> Iterator[Pixels]:
    """Adds a small picture to the lower right corner, over which a camera moves to and fro."""
    wide, high = (round(side * _SPEAKER_SHARE) for side in size)
    shot = random_shots(seed, 2, (100, 101))[1]
    for frame, page in enumerate(pictures):
        page[-high:, -wide:] = camera_view(shot, abs(frame % 100 - 50), (wide, high))
        yield page


def _text(rng: np.random.Generator, shortest: int, longest: int) -> str:
    return " ".join(rng.choice(_TEXT.split(), int(rng.integers(shortest, longest + 1)))).capitalize()


def _print(page: Pixels, text: str, place: tuple[float, float], share: float, ink: tuple[int, int, int]) -> None:
    """`share`: the height of capitals, of the page's; `place`: where the line begins, as shares of the sides."""
    height, width = page.shape[:2]
    at = (round(place[0] * width), round(place[1] * height))
    scale = share * height / 22  # capitals of this font are 22 pixels high
    cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, max(1, round(scale * 1.5)), cv2.LINE_AA)
