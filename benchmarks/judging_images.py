"""The images that `benchmarks.judging` plants: good ones of several kinds, and faults in several strengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle

import cv2
import numpy as np

from demo.images import graded_faults as graded
from demo.images.difficult import difficult_photographs, draw_page
from demo.images.drawing import BgrPixels, distances, encode, is_clear, perceptual_bits, scaled
from demo.images.photographs import Photograph, crop, photographs
from demo.images.scenes import draw_marks, random_scene

GOOD = "good"
FAR_BITS = 14  # of 64: nearer pictures may well be taken for copies
Change = Callable[[BgrPixels], BgrPixels]


@dataclass(frozen=True)
class PlantedImage:
    """An image file with its truth."""

    name: str
    data: bytes
    fault: str  # GOOD, or a reason of the stage `quality`
    strength: str  # of the fault, or the kind of a good image
    family: str = ""  # of near duplicates: the first of a family is the original


def _changes(rng: np.random.Generator) -> dict[tuple[str, str], Change]:
    """Returns the faults by reason and strength."""
    level = int(rng.integers(30, 226))
    changes: dict[tuple[str, str], Change] = {}
    for share in (0.008, 0.012, 0.02, 0.04):
        changes["blurred", f"Gaussian of {share:.1%}"] = partial(graded.gaussian_blurred, share=share)
    for share in (0.01, 0.025):
        changes["blurred", f"out of focus by {share:.1%}"] = partial(graded.defocused, share=share)
        changes["blurred", f"Gaussian of {share:.1%}, grain"] = partial(_blurred_and_grainy, share=share, rng=rng)
    for factor in (0.02, 0.06, 0.12, 0.2):
        changes["too_dark", f"levels × {factor}"] = partial(graded.underexposed, factor=factor)
        changes["too_bright", f"distance from white × {factor}"] = partial(graded.overexposed, factor=factor)
    changes["flat", "one colour"] = partial(_one_colour, level=level)
    changes["flat", "one colour, grain of 1.5 levels"] = partial(_one_colour, level=level, grain=1.5, rng=rng)
    changes["flat", "contrast × 0.02"] = partial(graded.faded, factor=0.02)
    changes["flat", "contrast × 0.04"] = partial(graded.faded, factor=0.04)
    for ratio in (5, 8, 12):
        upright = bool(rng.integers(2))
        changes["extreme_aspect_ratio", f"{ratio} to 1"] = partial(_long, ratio=ratio, upright=upright)
    return changes


def planted_images(seed: int) -> Iterator[PlantedImage]:
    """Yields the images of a world: every photograph twice, drawings and pages; each fault on eight of these."""
    rng = np.random.default_rng([seed, 13])
    good = list(_good_pictures(rng))
    for number, (kind, pixels) in enumerate(good):
        yield PlantedImage(*_file(f"good-{number:03d}", pixels, rng), GOOD, kind)
    clear = [pixels for kind, pixels in good if kind in ("photograph", "drawing")]
    for number, ((fault, strength), change) in enumerate(_changes(rng).items()):
        for place in rng.choice(len(clear), 8, replace=False):
            name = f"{fault}-{number:02d}-{place:03d}"
            yield PlantedImage(*_file(name, change(clear[place]), rng), fault, strength)


def _good_pictures(rng: np.random.Generator) -> Iterator[tuple[str, BgrPixels]]:
    sentences = [random_scene(rng).caption for _ in range(40)]
    for photograph in photographs():
        for _ in range(2):
            yield "photograph", _clear_crop(photograph, rng)
    for _ in range(16):
        yield "drawing", draw_marks(random_scene(rng), rng).pixels
    for _ in range(8):
        yield "page", draw_page(sentences, rng)
    for pixels in difficult_photographs():
        longest = float(rng.uniform(384, 640))
        yield "difficult photograph", scaled(pixels, min(1.0, longest / max(pixels.shape[:2])))


def _clear_crop(photograph: Photograph, rng: np.random.Generator) -> BgrPixels:
    """Returns a part of a photograph that shows more than its background."""
    while True:
        pixels = crop(photograph, rng, share=(0.6, 1.0)).pixels
        if is_clear(pixels):
            return pixels


def _file(name: str, pixels: BgrPixels, rng: np.random.Generator) -> tuple[str, bytes]:
    """Returns name and bytes of an image file as the web has them: mostly JPEGs, good and bad."""
    ext = (".jpg", ".jpg", ".jpg", ".png", ".webp")[int(rng.integers(5))]
    return f"{name}{ext}", encode(pixels, ext, int(rng.integers(50, 96)))


def _blurred_and_grainy(pixels: BgrPixels, share: float, rng: np.random.Generator) -> BgrPixels:
    return graded.grainy(graded.gaussian_blurred(pixels, share), 3.0, rng)


def _one_colour(pixels: BgrPixels, level: int, grain: float = 0.0, rng: np.random.Generator | None = None) -> BgrPixels:
    flat = np.full_like(pixels, level)
    return flat if rng is None else graded.grainy(flat, grain, rng)


def _long(pixels: BgrPixels, ratio: float, upright: bool) -> BgrPixels:
    """Returns a strip whose shorter side is long enough for every filter."""
    return cv2.resize(
        graded.strip(pixels, ratio, upright), (160, int(160 * ratio)) if upright else (int(160 * ratio), 160)
    )


COPIES: dict[str, Callable[[BgrPixels], tuple[BgrPixels, str, int]]] = {
    "JPEG of quality 40": lambda pixels: (pixels, ".jpg", 40),
    "WebP": lambda pixels: (pixels, ".webp", 80),
    "two thirds of the size": lambda pixels: (scaled(pixels, 2 / 3), ".jpg", 85),
    "a third of the size": lambda pixels: (scaled(pixels, 1 / 3), ".jpg", 85),
    "brighter by a tenth": lambda pixels: (np.minimum(pixels * 1.1, 255).astype(np.uint8), ".jpg", 85),
    "without 1 % of each edge": lambda pixels: (_inner(pixels, 0.01), ".jpg", 85),
    "without 3 % of each edge": lambda pixels: (_inner(pixels, 0.03), ".jpg", 85),
}


def _inner(pixels: BgrPixels, share: float) -> BgrPixels:
    height, width = pixels.shape[:2]
    down, across = round(share * height), round(share * width)
    return pixels[down : height - down, across : width - across]


def planted_families(seed: int) -> Iterator[PlantedImage]:
    """Yields originals that look different from each other, each followed by its copies, one of each of COPIES."""
    rng = np.random.default_rng([seed, 14])
    known = np.zeros((0, 128), np.bool_)
    shipped = cycle(photographs())
    for number in range(40):
        while True:
            pixels = draw_marks(random_scene(rng), rng).pixels if number % 2 else _clear_crop(next(shipped), rng)
            bits = perceptual_bits(pixels)
            if not len(known) or min(distances(known, bits)) > FAR_BITS:
                break
        known = np.vstack([known, bits])
        family = f"family-{number:03d}"
        yield PlantedImage(f"{family}-original.jpg", encode(pixels, ".jpg", 92), GOOD, "original", family)
        for place, (change, make) in enumerate(COPIES.items()):
            copy, ext, quality = make(pixels)
            yield PlantedImage(
                f"{family}-copy-{place}{ext}", encode(copy, ext, quality), "near_duplicate", change, family
            )
