"""Draws the scenes of the test VLM: one to three copies of a shape on a plain background.

A scene has six attributes. Its caption states all six and nothing else, so a caption can be parsed and scored. A
partial caption states some of them, and fits every scene that has these.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Collection
from dataclasses import astuple, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from corpus.image.decode import Pixels

Points = NDArray[np.float64]  # (n, 2): x and y

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {  # red, green, blue: far enough apart in hue for eyes, and in grey for edges that a filter sees
    "red": (205, 40, 45),
    "green": (50, 152, 60),
    "blue": (40, 62, 190),
    "yellow": (238, 215, 60),
    "purple": (165, 85, 215),
    "orange": (242, 134, 32),
}
SIZES = {"small": 0.08, "large": 0.115}  # half a shape's width, as a share of the picture's side
PLACES = {  # centre of the shapes, as shares of the picture's width and height
    "at the top left": (0.27, 0.27),
    "at the top": (0.5, 0.27),
    "at the top right": (0.73, 0.27),
    "at the left": (0.27, 0.5),
    "in the centre": (0.5, 0.5),
    "at the right": (0.73, 0.5),
    "at the bottom left": (0.27, 0.73),
    "at the bottom": (0.5, 0.73),
    "at the bottom right": (0.73, 0.73),
}
COUNTS = {1: "a", 2: "two", 3: "three"}
GAP = 0.03  # between two shapes, as a share of the picture's side
JITTER = 0.02  # how far the shapes lie from their place at most, likewise
HELD_OUT_SHARE = 0.1
OPTIONAL = ("size", "colour", "shape", "place", "background")  # what a partial caption may leave out

_SUB_PIXEL_BITS = 4  # OpenCV draws at sixteenths of a pixel: a small shape keeps its size wherever it lies
PLURALS = {f"{shape}es" if shape.endswith("s") else f"{shape}s": shape for shape in SHAPES}
_CAPTION = re.compile(
    rf"({'|'.join(COUNTS.values())}) ({'|'.join(SIZES)}) ({'|'.join(COLOURS)}) ({'|'.join([*PLURALS, *SHAPES])})"
    rf" ({'|'.join(PLACES)}) on (an?) ({'|'.join(COLOURS)}) background\.?"
)


@dataclass(frozen=True, slots=True)
class VlmScene:
    """The attributes of a drawn picture. `background` is never `colour`."""

    count: int
    size: str
    colour: str
    shape: str
    place: str
    background: str

    @property
    def caption(self) -> str:
        """A sentence, such as "two small red circles at the top left on a blue background."."""
        return self.partial_caption(OPTIONAL)

    def partial_caption(self, stated: Collection[str]) -> str:
        """Returns a caption that states the count and these of the `OPTIONAL` attributes: "two red shapes."."""
        shape = self.shape if "shape" in stated else "shape"
        plurals = {one: many for many, one in PLURALS.items()} | {"shape": "shapes"}
        words = [
            *(getattr(self, name) for name in ("size", "colour") if name in stated),
            shape if self.count == 1 else plurals[shape],
            *([self.place] if "place" in stated else []),
            *([f"on {_article(self.background)} {self.background} background"] if "background" in stated else []),
        ]
        count = _article(words[0]) if self.count == 1 else COUNTS[self.count]
        return " ".join([count, *words]) + "."

    @property
    def rank(self) -> float:
        """A number from 0 to 1 that depends only on the attributes, as if drawn at random: low ones are held out."""
        digest = hashlib.sha256("|".join(map(str, astuple(self))).encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    @property
    def held_out(self) -> bool:
        """Whether the scene is held out from the training of the test VLM. Depends only on the attributes."""
        return self.rank < HELD_OUT_SHARE


def all_scenes() -> tuple[VlmScene, ...]:
    """Returns all scenes, in a fixed order."""
    choices = itertools.product(COUNTS, SIZES, COLOURS, SHAPES, PLACES, COLOURS)
    return tuple(VlmScene(*chosen) for chosen in choices if chosen[2] != chosen[5])


def read_caption(text: str) -> VlmScene | None:
    """Parses a caption, with or without its full stop; None for any other text."""
    found = _CAPTION.fullmatch(text.strip())
    if found is None:
        return None
    number, size, colour, shape, place, article, background = found.groups()
    count = next(count for count, word in COUNTS.items() if word == number)
    if (shape in PLURALS) != (count > 1) or colour == background or article != _article(background):
        return None
    return VlmScene(count, size, colour, PLURALS.get(shape, shape), place, background)


def draw_shapes(scene: VlmScene, rng: np.random.Generator, side_px: int = 224) -> Pixels:
    """Draws a scene as a square picture, with a small offset, uneven light and a grain, so that no two are equal."""
    canvas = np.full((side_px, side_px, 3), COLOURS[scene.background], np.uint8)
    for outline in outlines(scene, rng):
        points = (outline * side_px * 2**_SUB_PIXEL_BITS).round().astype(np.int32)
        cv2.fillPoly(canvas, [points], COLOURS[scene.colour], cv2.LINE_AA, _SUB_PIXEL_BITS)
    return _photographed(canvas, rng)


def outlines(scene: VlmScene, rng: np.random.Generator) -> list[Points]:
    """Returns the corners of the scene's shapes, as shares of the picture's side: two side by side, a third above."""
    half = SIZES[scene.size] * rng.uniform(0.96, 1.04)
    centre = np.array(PLACES[scene.place]) + rng.uniform(-JITTER, JITTER, size=2)
    reach = half + GAP / 2
    return [_UNIT_SHAPES[scene.shape] * half + centre + np.array(spot) * reach for spot in _CLUSTERS[scene.count]]


def _photographed(canvas: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = canvas.shape[:2]
    patches = np.exp(rng.normal(0, 0.15, size=(4, 4))).clip(0.7, 1.3).astype(np.float32)
    light = cv2.resize(patches, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.integers(-6, 7, size=(height, width), dtype=np.int8).astype(np.float32)
    return (canvas * light[..., None] + grain[..., None]).clip(0, 255).astype(np.uint8)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _circle() -> Points:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _cross() -> Points:
    arm = 0.28  # half its width
    corner = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
    quarter = np.array([(0.0, 1.0), (-1.0, 0.0)])  # (x, y) @ quarter: a quarter turn
    return np.concatenate([np.array(corner) @ np.linalg.matrix_power(quarter, turn) for turn in range(4)])


_CLUSTERS = {1: ((0, 0),), 2: ((-1, 0), (1, 0)), 3: ((0, -1), (-1, 1), (1, 1))}  # in halves of a shape and its gap
_UNIT_SHAPES: dict[str, Points] = {  # within -1 to 1
    "circle": _circle(),
    "square": np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
    "triangle": np.array([(0.0, -1.0), (1.0, 0.9), (-1.0, 0.9)]),
    "cross": _cross(),
}
