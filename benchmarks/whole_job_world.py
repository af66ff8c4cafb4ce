"""The planted URLs of `benchmarks.whole_job`: pictures, copies of them and faults, each with its truth.

A picture is a collage of parts of photographs at their own scale, 400 to 960 pixels wide, as JPEG or, one in 25 each,
as PNG or WebP. No two pictures are alike: their pHashes differ in at least 14 bits. Copies have the picture's bytes, or
fewer pixels and a coarser compression, and a caption of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

# Of 8,000 URLs. What is left are pictures without a fault, among them one for each of the copies of half the size.
SHARES = {
    "missing": 0.08,  # 404
    "broken": 0.03,  # no image, or one that is cut off
    "too_small": 0.04,
    "odd_aspect": 0.02,
    "blurred": 0.04,
    "no_caption": 0.02,
    "exact_copy": 0.08,
    "near_copy": 0.15,
}
_MIN_BITS_APART = 14
_SPARE = 1.1  # so many pictures are drawn for each that is needed: some are too much like an earlier one
_CELL_PX = (150, 320)
_MAX_WIDTH_PX = 960
_PAGE = b"<!doctype html><title>Gone</title><h1>This image has moved</h1>"


@dataclass(frozen=True)
class PlantedUrl:
    """One URL: what it serves, its caption, and what is true of it."""

    status: int
    body: tuple[int, int]  # offset and size in the file of all bodies
    caption: str
    kind: str  # "good", or a key of SHARES
    picture: int  # its number; a copy has that of its original; -1: nothing to see


@dataclass(frozen=True)
class World:
    """All planted URLs, in the order of the list, and the file with their bodies."""

    bodies: Path
    urls: list[PlantedUrl]

    @property
    def kept_pictures(self) -> set[int]:
        """The pictures that a right run keeps, once each."""
        return {url.picture for url in self.urls if url.kind == "good"}


def build_world(folder: Path, count: int, seed: int = 0) -> World:
    """Makes so many URLs, with two processes, and writes their bodies to a file in the folder."""
    rng = np.random.default_rng(seed)
    numbers = {kind: round(share * count) for kind, share in SHARES.items()}
    good = count - sum(numbers.values())
    per_kind = {"good": good, **{kind: numbers[kind] for kind in ("too_small", "odd_aspect", "blurred", "no_caption")}}
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        drawn = pool.map(partial(_phash, seed), range(int(_SPARE * sum(per_kind.values()))), chunksize=16)
        chosen = _distinct(list(drawn), sum(per_kind.values()))
        kinds = [kind for kind, number in per_kind.items() for _ in range(number)]
        originals = list(zip(kinds, chosen, strict=True))
        copied = rng.choice(good, numbers["exact_copy"] + numbers["near_copy"], replace=False)
        near = [("near_copy", chosen[at]) for at in copied[: numbers["near_copy"]]]
        bodies = list(pool.map(partial(_make, seed), *zip(*originals, *near, strict=True), chunksize=16))
    files = [(200, data, kind, number) for (kind, number), data in zip([*originals, *near], bodies, strict=True)]
    exact = copied[numbers["near_copy"] :]
    files += [(200, bodies[at], "exact_copy", chosen[at]) for at in exact]
    broken = rng.choice(good, numbers["broken"])
    files += [(200, _broken(bodies[at], how), "broken", -1) for at, how in zip(broken, itertools.cycle("hct"))]
    files += [(404, _PAGE, "missing", -1)] * numbers["missing"]
    urls = []
    path, offset = folder / "bodies", 0
    with path.open("wb") as file:
        for at in rng.permutation(len(files)).tolist():
            status, data, kind, number = files[at]
            caption = "" if kind == "no_caption" else f"caption {at} of picture {number}, as a page has it"
            urls.append(PlantedUrl(status, (offset, len(data)), caption, kind, number))
            offset += file.write(data)
    return World(path, urls)


def open_bodies(world: World) -> Callable[[int], tuple[int, bytes]]:
    """Returns the function that gives status and body of a URL by its number."""
    bodies = np.memmap(world.bodies, np.uint8, "r")

    def respond(number: int) -> tuple[int, bytes]:
        url = world.urls[number]
        offset, size = url.body
        return url.status, bodies[offset : offset + size].tobytes()

    return respond


def _distinct(hashes: list[int], count: int) -> list[int]:
    """Returns the numbers of the first pictures that differ enough from all before them."""
    chosen: list[int] = []
    kept = np.zeros(len(hashes), np.uint64)
    for number, phash in enumerate(hashes):
        if (np.bitwise_count(kept[: len(chosen)] ^ np.uint64(phash)) >= _MIN_BITS_APART).all():
            kept[len(chosen)] = phash
            chosen.append(number)
        if len(chosen) == count:
            return chosen
    raise ValueError(f"{len(chosen)} of {count} pictures are distinct")


def _phash(seed: int, number: int) -> int:
    from corpus.image.phash import perceptual_hashes

    grey = cv2.cvtColor(_collage(seed, number), cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
    return perceptual_hashes(grey)[0]


def _make(seed: int, kind: str, number: int) -> bytes:
    """Returns the file of a picture or of its near copy."""
    rng = np.random.default_rng((seed, number, len(kind)))
    pixels = _collage(seed, number)
    height, width = pixels.shape[:2]
    if kind == "near_copy":
        scale = rng.choice([1.0, 0.8, 0.5])
        return _encoded(".jpg", _scaled(pixels, float(scale)), int(rng.integers(40, 65)))
    if kind == "too_small":
        pixels = _scaled(pixels, rng.uniform(48, 112) / min(height, width))
    elif kind == "odd_aspect":
        pixels = np.hstack([pixels, pixels[::-1], pixels])[: max(140, width // 3)]
        pixels = pixels[: int(pixels.shape[1] / rng.uniform(5, 8))] if pixels.shape[1] < 5 * len(pixels) else pixels
    elif kind == "blurred":
        deviation_px = max(height, width) * rng.uniform(0.014, 0.025)
        pixels = cv2.GaussianBlur(pixels, (0, 0), deviation_px).astype(np.uint8, copy=False)
    ending = {0: ".png", 1: ".webp"}.get(int(rng.integers(25)), ".jpg")
    return _encoded(ending, pixels, int(rng.integers(72, 90)))


def _scaled(pixels: Pixels, scale: float) -> Pixels:
    resized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


def _encoded(ending: str, pixels: Pixels, quality: int) -> bytes:
    options = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, quality], ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality]}
    return cv2.imencode(ending, pixels, options.get(ending, []))[1].tobytes()


def _broken(data: bytes, how: str) -> bytes:
    """Returns a page in the place of the image, or a part of it, or its end only."""
    return {"h": _PAGE, "c": data[: len(data) // 2], "t": data[len(data) // 2 :]}[how]


def _collage(seed: int, number: int) -> Pixels:
    """Returns the pixels of a picture: rows of parts of photographs, turned and with other colours."""
    rng = np.random.default_rng((seed, number))
    photos = _photographs()
    columns = int(rng.integers(2, 4))
    width = int(rng.integers(400, _MAX_WIDTH_PX if columns == 3 else 640))
    rows = []
    for _ in range(2):
        high = int(rng.integers(*_CELL_PX))
        bounds = np.rint(np.linspace(0, width, columns + 1)).astype(int)
        rows.append(np.hstack([_part(rng, photos, high, stop - start) for start, stop in itertools.pairwise(bounds)]))
    return np.vstack(rows)


def _part(rng: np.random.Generator, photos: list[Pixels], height: int, width: int) -> Pixels:
    fitting = [photo for photo in photos if photo.shape[0] >= height and photo.shape[1] >= width]
    photo = fitting[rng.integers(len(fitting))]
    top, left = rng.integers(photo.shape[0] - height + 1), rng.integers(photo.shape[1] - width + 1)
    part = photo[top : top + height, left : left + width]
    part = part[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])].astype(np.float32)
    return np.clip(part * rng.uniform(0.6, 1.3, 3) + rng.uniform(-20, 20), 0, 255).astype(np.uint8)


@cache
def _photographs() -> list[Pixels]:
    from demo.images.photographs import photographs

    return [photograph.pixels for photograph in photographs()]
