"""Crops of photographs from the scikit-image and scikit-learn wheels."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from demo.images.drawing import BgrPixels, Picture, scaled

# Sharp, well lit, and different from each other. Licences: the README.txt beside the files in either wheel.
PHOTOGRAPHS = {
    "skimage/data/astronaut.png": "an astronaut in an orange suit in front of a flag and a model of the space shuttle",
    "skimage/data/brick.png": "a wall of grey bricks",
    "skimage/data/camera.png": "a man in a dark coat behind a camera on a tripod",
    "skimage/data/chelsea.png": "the face of a tabby cat",
    "skimage/data/coffee.png": "a cup of espresso on a red saucer with a spoon, on a wooden table",
    "skimage/data/coins.png": "rows of ancient coins on a dark cloth",
    "skimage/data/grass.png": "grass seen from above, in black and white",
    "skimage/data/gravel.png": "gravel seen from above, in black and white",
    "skimage/data/ihc.png": "stained tissue under a microscope, brown and blue",
    "skimage/data/motorcycle_left.png": "a red motorcycle parked in a garage",
    "skimage/data/rocket.jpg": "a white rocket on its launch pad at dusk",
    "sklearn/datasets/images/china.jpg": "a Chinese pagoda above trees and a lake",
    "sklearn/datasets/images/flower.jpg": "an orange dahlia before dark green leaves",
}
SHORTEST_SIDE = 224  # pixels: well above what any sensible filter calls too small


@dataclass(frozen=True)
class Photograph:
    """A complete photograph, as shipped."""

    pixels: BgrPixels
    description: str


def photographs() -> list[Photograph]:
    """Reads all photographs, in a fixed order. Raises ModuleNotFoundError if a package is missing."""
    return [Photograph(read_shipped(path), description) for path, description in PHOTOGRAPHS.items()]


def crop(photograph: Photograph, rng: np.random.Generator, share: tuple[float, float] = (0.5, 1.0)) -> Picture:
    """Crops a random part of a photograph: `share` bounds its width and height as shares of the photograph's.

    The shorter side of the result is at least SHORTEST_SIDE; half of the crops are scaled down.
    """
    photo_height, photo_width = photograph.pixels.shape[:2]
    width = max(SHORTEST_SIDE, int(photo_width * rng.uniform(*share)))
    height = max(SHORTEST_SIDE, int(photo_height * rng.uniform(*share)))
    width, height = min(width, 2 * height), min(height, 2 * width)
    left, top = int(rng.integers(photo_width - width + 1)), int(rng.integers(photo_height - height + 1))
    pixels = photograph.pixels[top : top + height, left : left + width]
    room = SHORTEST_SIDE / min(width, height)
    if rng.random() < 0.5 and room < 0.95:
        pixels = scaled(pixels, rng.uniform(room, 1.0))
    across = ("left", "", "right")[_third(left + width / 2, photo_width)]
    down = ("upper", "", "lower")[_third(top + height / 2, photo_height)]
    place = " ".join(word for word in (down, across) if word) or "middle"
    return Picture(pixels, f"{photograph.description} ({place} part)")


def _third(at: float, length: float) -> int:
    """Returns 0 for the first two fifths, 1 for the middle fifth, 2 for the last two fifths."""
    return 0 if at < 0.4 * length else 1 if at <= 0.6 * length else 2


def read_shipped(path: str) -> BgrPixels:
    """Reads an image file that a package ships, of a path that begins with the package's name."""
    package, _, rest = path.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f"the demo's photographs come with the package {package}: pip install 'rzen-corpus[demo]'", name=package
        )
    pixels = cv2.imread(str(Path(spec.submodule_search_locations[0]) / rest), cv2.IMREAD_COLOR)
    assert pixels is not None, f"{rest} is missing from the package {package}"
    return pixels
