"""What test videos show: shots whose cuts are known. All is seeded, nothing is random."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from demo.images.photographs import photographs

Pixels = npt.NDArray[np.uint8]  # (height, width, 3), red first

_WORLD = 1.5  # a picture's sides over a frame's: the room in which the camera moves


@dataclass(frozen=True)
class Shot:
    """What one shot shows, for how long, and how it goes over into the next.

    `picture` and `seed` are what is shown: noise of all sizes in a palette of its own, coloured shapes, a photograph,
    or one even colour. A shot that shows the same as the one before goes on with it: what lies between them (a flash,
    a fade) is then a transition, but no cut. The camera goes its way, from `path[0]` to `path[1]` of it, in the shot's
    frames. Frames of a transition are shared by the two shots, half and half; a flash lights up the last one and the
    first two.
    """

    frames: int = 40
    picture: Literal["texture", "drawing", "photo", "black", "white", "grey"] = "texture"
    seed: int = 0
    camera: Literal["still", "pan", "zoom"] = "still"
    path: tuple[float, float] = (0.0, 1.0)
    transition: Literal["cut", "fade", "dissolve", "flash"] = "cut"
    transition_frames: int = 12

    def shows_the_same(self, other: Shot) -> bool:
        return (self.picture, self.seed, self.camera) == (other.picture, other.seed, other.camera)


def pictures(shots: Sequence[Shot], size: tuple[int, int]) -> Iterator[Pixels]:
    """The frames of the shots, transitions done, no numbers on them."""
    for at, shot in enumerate(shots):
        before = shots[at - 1] if at else None
        after = shots[at + 1] if at + 1 < len(shots) else None
        for number in range(shot.frames):
            frame = look(shot, number, size)
            if after and shot.transition != "cut":
                frame = _blend(shot, frame, look(after, number - shot.frames, size), number - shot.frames)
            if before and before.transition != "cut":
                frame = _blend(before, look(before, before.frames + number, size), frame, number)
            yield frame


def look(shot: Shot, number: int, size: tuple[int, int]) -> Pixels:
    """What the camera sees in a frame of the shot, as if it went on before and after."""
    world = _world(shot.picture, shot.seed, size)
    done = shot.path[0] + (shot.path[1] - shot.path[0]) * number / max(1, shot.frames - 1)
    width, height = size
    room_x, room_y = world.shape[1] - width, world.shape[0] - height
    scale = 1.0 + (0.4 * done if shot.camera == "zoom" else 0.0)
    along = done if shot.camera == "pan" else 0.5
    left, top = room_x * along + width * (1 - 1 / scale) / 2, room_y / 2 + height * (1 - 1 / scale) / 2
    view = np.array([[1 / scale, 0, left], [0, 1 / scale, top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(world, view, size, flags=flags, borderMode=cv2.BORDER_REFLECT).astype(np.uint8)


def a_b_a(rounds: int = 3, frames: int = 30, seeds: tuple[int, int] = (1, 2), **shot: Any) -> list[Shot]:
    """A dialogue: the same two shots in turn, `rounds` times each."""
    return [Shot(frames=frames, seed=seed, **shot) for _ in range(rounds) for seed in seeds]


def interrupted(shot: Shot, transition: Literal["fade", "flash"]) -> list[Shot]:
    """One shot with a flash, or a fade to black and back, in its middle: two shots with no cut between them."""
    middle, half = sum(shot.path) / 2, shot.frames // 2
    first = replace(shot, frames=half, path=(shot.path[0], middle), transition=transition)
    return [first, replace(shot, frames=shot.frames - half, path=(middle, shot.path[1]))]


@functools.lru_cache(maxsize=64)
def _world(picture: str, seed: int, size: tuple[int, int]) -> Pixels:
    """What there is to be seen, larger than a frame."""
    width, height = round(size[0] * _WORLD), round(size[1] * _WORLD)
    rng = np.random.default_rng([seed, len(picture)])
    if picture in ("black", "white", "grey"):
        return np.full((height, width, 3), {"black": 16, "white": 240, "grey": 128}[picture], np.uint8)
    if picture == "photo":
        whole = _photographs()[seed % len(_photographs())]
        return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    if picture == "drawing":
        return _drawing(rng, width, height)
    noise: npt.NDArray[Any] = np.zeros((height, width))
    for octave in range(2, 8):
        cells = rng.normal(size=(2**octave, 2**octave))
        noise = noise + cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) / 1.3**octave
    shares = np.clip((noise - noise.min()) / np.ptp(noise), 0, 1)[..., None]
    low, high = rng.uniform(20, 130, 3), rng.uniform(110, 235, 3)
    return (low + (high - low) * shares).astype(np.uint8)


def _drawing(rng: np.random.Generator, width: int, height: int) -> Pixels:
    canvas = np.full((height, width, 3), rng.integers(30, 225, 3), np.uint8)
    for _ in range(24):
        colour = [int(level) for level in rng.integers(0, 256, 3)]
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        reach = int(rng.integers(height // 20, height // 5))
        if rng.random() < 0.5:
            cv2.circle(canvas, centre, reach, colour, -1)
        else:
            cv2.rectangle(canvas, centre, (centre[0] + reach, centre[1] + reach // 2), colour, -1)
    return canvas


@functools.cache
def _photographs() -> list[Pixels]:
    return [np.ascontiguousarray(photograph.pixels[:, :, ::-1]) for photograph in photographs()]


def _blend(leaving: Shot, old: Pixels, new: Pixels, place: int) -> Pixels:
    """The frame `place` frames after the border between two shots (before it: negative), or what it is mixed to."""
    half = leaving.transition_frames / 2
    plain = new if place >= 0 else old
    if leaving.transition == "flash":
        light = {-1: 0.8, 0: 0.95, 1: 0.5}.get(place, 0.0)
        return cv2.addWeighted(plain, 1 - light, np.full_like(plain, 255), light, 0).astype(np.uint8)
    if not -half <= place < half:
        return plain
    if leaving.transition == "fade":
        return (plain * (abs(place + 0.5) / half)).astype(np.uint8)
    share = (place + 0.5 + half) / (2 * half)
    return cv2.addWeighted(old, 1 - share, new, share, 0).astype(np.uint8)
