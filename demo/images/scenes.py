"""Draws scenes: two shapes on a textured background, sometimes a word, with a caption that describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from demo.images.drawing import BgrPixels, Picture

BGR_COLOURS = {  # blue, green, red
    "red": (45, 40, 205),
    "blue": (200, 90, 40),
    "green": (60, 150, 50),
    "yellow": (50, 215, 235),
    "orange": (30, 130, 240),
    "purple": (150, 50, 120),
    "pink": (180, 140, 245),
    "white": (240, 240, 240),
    "grey": (130, 130, 130),
}
PATTERNS = ("plain", "striped", "checked", "dotted")
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
WORDS = ("RIVER", "OPEN", "SALE", "NORTH", "HELLO", "CAFE", "STOP", "EXIT", "MUSIC", "1984", "2026", "42")
MARK_SIZES = {"small": (0.08, 0.12), "large": (0.17, 0.22)}  # radius, as a share of the shorter side


@dataclass(frozen=True)
class Mark:
    """A shape of a scene."""

    size: str
    colour: str
    shape: str

    def __str__(self) -> str:
        return f"{self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class DrawnScene:
    """The content of a drawn picture."""

    first: Mark
    second: Mark
    relation: str
    background: str
    pattern: str
    word: str

    @property
    def caption(self) -> str:
        ground = self.background if self.pattern == "plain" else f"{self.pattern} {self.background}"
        word = f', with the word "{self.word}" below' if self.word else ""
        return f"a {self.first} {self.relation} a {self.second} on a {ground} background{word}"


def random_scene(rng: np.random.Generator) -> DrawnScene:
    """Returns a random scene: the two shapes and the background have three different colours."""
    background, one, other = rng.permutation(list(BGR_COLOURS))[:3]

    def mark(colour: str) -> Mark:
        return Mark(_pick(rng, MARK_SIZES), str(colour), _pick(rng, MARK_SHAPES))

    word = _pick(rng, WORDS) if rng.random() < 0.4 else ""
    return DrawnScene(mark(one), mark(other), _pick(rng, RELATIONS), str(background), _pick(rng, PATTERNS), word)


def draw_marks(scene: DrawnScene, rng: np.random.Generator) -> Picture:
    """Draws a scene at a random size, in uneven light, so that two scenes of the same kind differ."""
    width, height = (int(side) for side in rng.integers(280, 640, size=2))
    width, height = min(width, 2 * height), min(height, 2 * width)
    canvas = np.full((height, width, 3), BGR_COLOURS[scene.background], np.uint8)
    _lay_pattern(canvas, scene.pattern, rng)
    across, down = RELATIONS[scene.relation]
    for mark, side in ((scene.first, 1), (scene.second, -1)):
        off_axis = rng.uniform(-0.12, 0.12, size=2)
        place = (0.5 + side * across * 0.25 + (across == 0) * off_axis[0], 0.45 + side * down * 0.22)
        radius = min(width, height) * rng.uniform(*MARK_SIZES[mark.size])
        centre = np.array([width * place[0], height * (place[1] + (down == 0) * off_axis[1])])
        MARK_SHAPES[mark.shape](canvas, centre, radius, BGR_COLOURS[mark.colour])
    if scene.word:
        size = min(width, height) / 320
        at = (int(rng.uniform(0.05, 0.4) * width), int(0.93 * height))
        cv2.putText(canvas, scene.word, at, cv2.FONT_HERSHEY_DUPLEX, size, (15, 15, 15), 2, cv2.LINE_AA)
    return Picture(_uneven_light(canvas, rng), scene.caption)


def _lay_pattern(canvas: BgrPixels, pattern: str, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    period = int(rng.integers(24, 60))
    rows, columns = np.arange(height)[:, None] // period, np.arange(width)[None, :] // period
    darker = (canvas[0, 0] * 0.72).astype(np.uint8)
    if pattern == "striped":
        canvas[np.broadcast_to((rows if rng.random() < 0.5 else columns) % 2 == 1, (height, width))] = darker
    elif pattern == "checked":
        canvas[(rows + columns) % 2 == 1] = darker
    elif pattern == "dotted":
        for y in range(period // 2, height, period):
            for x in range(period // 2, width, period):
                cv2.circle(canvas, (x, y), period // 4, darker.tolist(), -1, cv2.LINE_AA)


def _uneven_light(canvas: BgrPixels, rng: np.random.Generator) -> BgrPixels:
    """Adds patches of light and shade, and a grain like a sensor's."""
    height, width = canvas.shape[:2]
    patches = np.exp(rng.normal(0, 0.3, size=(5, 6))).clip(0.5, 1.6).astype(np.float32)
    light = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.integers(-14, 15, size=(height, width), dtype=np.int8).astype(np.float32)
    return cv2.merge([channel * light + grain for channel in cv2.split(canvas)]).clip(0, 255).astype(np.uint8)


def _pick(rng: np.random.Generator, choices: Iterable[str]) -> str:
    names = list(choices)
    return names[int(rng.integers(len(names)))]


Colour = tuple[int, int, int]
Point = np.ndarray


def _circle(canvas: BgrPixels, centre: Point, radius: float, colour: Colour) -> None:
    at = (int(centre[0]), int(centre[1]))
    cv2.circle(canvas, at, int(radius), colour, -1, cv2.LINE_AA)
    cv2.circle(canvas, at, int(radius), (20, 20, 20), 2, cv2.LINE_AA)


def _ring(canvas: BgrPixels, centre: Point, radius: float, colour: Colour) -> None:
    cv2.circle(canvas, (int(centre[0]), int(centre[1])), int(0.8 * radius), colour, int(0.4 * radius), cv2.LINE_AA)


def _polygon(corners: int, turn: float, waist: float = 1.0) -> Callable[[BgrPixels, Point, float, Colour], None]:
    """Returns the painter of a regular polygon; a waist below 1 moves every second corner nearer to the centre."""

    def paint(canvas: BgrPixels, centre: Point, radius: float, colour: Colour) -> None:
        angles = 2 * np.pi * (np.arange(corners) / corners + turn)
        reach = radius * np.where(np.arange(corners) % 2 == 0, 1.0, waist)
        points = (centre + np.stack([reach * np.sin(angles), -reach * np.cos(angles)], axis=1)).astype(np.int32)
        cv2.fillPoly(canvas, [points], colour, cv2.LINE_AA)
        cv2.polylines(canvas, [points], True, (20, 20, 20), 2, cv2.LINE_AA)

    return paint


MARK_SHAPES: dict[str, Callable[[BgrPixels, Point, float, Colour], None]] = {
    "circle": _circle,
    "ring": _ring,
    "triangle": _polygon(3, 0),
    "square": _polygon(4, 1 / 8),
    "diamond": _polygon(4, 0, waist=0.6),
    "hexagon": _polygon(6, 0),
    "star": _polygon(10, 0, waist=0.45),
}
