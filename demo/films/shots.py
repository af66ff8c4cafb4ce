"""What the demo's films show: shots over pictures larger than a frame, and how one shot gives way to the next."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from demo.images.drawing import Picture, Pixels, distances, looks, scaled
from demo.images.photographs import photographs
from demo.images.scenes import draw, invent

WIDTH, HEIGHT = 320, 240
TRANSITION_FRAMES = 12  # half of them on either side of where the next shot begins
_ROOM = 1.4  # a picture's sides over a frame's: where the camera moves
_FAR = 16  # bits, of 64 of either hash, in which any two pictures differ
_LIGHT = {-1: 0.8, 0: 0.95, 1: 0.5}  # of a flash, by frames after the middle of the shot
_PATHS = {"right": ((0.0, 0.5), (1.0, 0.5)), "left": ((1.0, 0.5), (0.0, 0.5)), "down": ((0.5, 0.0), (0.5, 1.0))}
_PATHS |= {"up": ((0.5, 1.0), (0.5, 0.0)), "still": ((0.5, 0.5), (0.5, 0.5))}
_WORDS = {"right": "from left to right over", "left": "from right to left over", "down": "downwards over"}
_WORDS |= {"up": "upwards over"}
Camera = Literal["right", "left", "down", "up", "still"]
CAMERAS: tuple[Camera, ...] = ("right", "left", "down", "up")


@dataclass(frozen=True)
class Shot:
    """One shot. Shots of the same scene and camera show the same."""

    scene: int  # a picture of the gallery; BLACK
    frames: int
    camera: Camera = "right"
    ending: Literal["cut", "fade", "dissolve"] = "cut"  # how the next shot takes over
    flash: bool = False  # light in its middle, which is no cut

    @property
    def text(self) -> str:
        """A sentence that is true of the shot."""
        return f"The camera moves {_WORDS[self.camera]} {gallery()[self.scene].caption}."


BLACK = -1


@functools.cache
def gallery() -> tuple[Picture, ...]:
    """The pictures that scenes are numbers of, all unlike each other: photographs, then drawn scenes."""
    rng = np.random.default_rng(4)
    found: list[Picture] = []
    for photograph in photographs():
        found += _unlike(found, Picture(_covering(photograph.pixels), photograph.description))
    while len(found) < 40:
        found += _unlike(found, _drawn(rng))
    return tuple(found)


def pictures(shots: Sequence[Shot]) -> Iterator[Pixels]:
    """The frames of the shots, (HEIGHT, WIDTH, 3), blue first, transitions done."""
    for place, shot in enumerate(shots):
        before = shots[place - 1] if place else None
        after = shots[place + 1] if place + 1 < len(shots) else None
        half = TRANSITION_FRAMES // 2
        for number in range(shot.frames):
            frame = _seen(shot, number)
            if after and shot.ending != "cut" and number >= shot.frames - half:
                frame = _between(shot, frame, _seen(after, number - shot.frames), number - shot.frames)
            if before and before.ending != "cut" and number < half:
                frame = _between(before, _seen(before, before.frames + number), frame, number)
            yield frame


def _seen(shot: Shot, number: int) -> Pixels:
    """What the camera sees in a frame of the shot. It stands still where the shot goes on beyond its ends."""
    if shot.scene == BLACK:
        return np.full((HEIGHT, WIDTH, 3), 4, np.uint8)
    picture = gallery()[shot.scene].pixels
    done = min(max(number / max(1, shot.frames - 1), 0.0), 1.0)
    (x0, y0), (x1, y1) = _PATHS[shot.camera]
    left = round((picture.shape[1] - WIDTH) * (x0 + (x1 - x0) * done))
    top = round((picture.shape[0] - HEIGHT) * (y0 + (y1 - y0) * done))
    frame = picture[top : top + HEIGHT, left : left + WIDTH]
    light = _LIGHT.get(number - shot.frames // 2, 0.0) if shot.flash else 0.0
    return cv2.addWeighted(frame, 1 - light, np.full_like(frame, 255), light, 0) if light else frame


def _between(leaving: Shot, old: Pixels, new: Pixels, place: int) -> Pixels:
    """The frame `place` frames after the border between two shots (before it: negative)."""
    half = TRANSITION_FRAMES / 2
    if leaving.ending == "fade":
        level = abs(place + 0.5) / half
        return ((new if place >= 0 else old) * level).astype(np.uint8)
    share = (place + 0.5 + half) / TRANSITION_FRAMES
    return cv2.addWeighted(old, 1 - share, new, share, 0)


def _unlike(found: Sequence[Picture], picture: Picture) -> list[Picture]:
    """The picture in a list, or nothing where there is one like it already."""
    bits = looks(picture.pixels)
    if any(min(distances(looks(other.pixels), bits)) <= _FAR for other in found):
        return []
    return [picture]


def _covering(pixels: Pixels) -> Pixels:
    """The middle of a picture, at the size that the camera moves over."""
    width, height = round(WIDTH * _ROOM), round(HEIGHT * _ROOM)
    factor = max(width / pixels.shape[1], height / pixels.shape[0])
    large = scaled(pixels, factor) if factor < 1 else cv2.resize(pixels, None, fx=factor, fy=factor)
    top, left = max(0, large.shape[0] - height) // 2, max(0, large.shape[1] - width) // 2
    return np.ascontiguousarray(cv2.resize(large[top : top + height, left : left + width], (width, height)))


def _drawn(rng: np.random.Generator) -> Picture:
    picture = draw(invent(rng), rng)
    return Picture(_covering(picture.pixels), picture.caption)
