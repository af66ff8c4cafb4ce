"""Writes films with known cuts: a camera moves over photographs, with grain; encoded by x264 with B-frames."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from demo.images.photographs import photographs

Pixels = npt.NDArray[np.uint8]  # (height, width, 3), red first
Transition = Literal["cut", "fade", "dissolve", "flash"]

RATE = 25
TRANSITION_FRAMES = 14
_WORLD_SCALE = 1.3  # a picture's sides over a frame's: where the camera moves
_GRAIN_LEVELS = 4.0  # on each frame anew: else a decoder has next to nothing to do
_FLASH_WHITE = {
    -1: 0.9,
    0: 1.0,
    1: 0.8,
}  # how white a flash makes the last frame of a shot and the first two of the next


@dataclass(frozen=True)
class Shot:
    """A part of one photograph, and the movement of the camera over it."""

    frames: int
    photograph: int
    corner: tuple[float, float]  # of the part, as shares of the room that it leaves: left, top
    share: float  # of the photograph's width and height
    moves: tuple[float, float, float]  # across, down (shares of the room), nearer (scale), in a hundred frames


@dataclass(frozen=True)
class Film:
    """A file, and the truth about it."""

    path: Path
    frames: int
    cuts_s: tuple[float, ...]  # of the first frame of each new shot
    touched_s: tuple[tuple[float, float], ...]  # by each transition, from the first such frame up to the last

    @property
    def length_s(self) -> float:
        return self.frames / RATE


def random_shots(seed: int, count: int, frames: tuple[int, int]) -> list[Shot]:
    """Returns `count` shots of `frames` (least, most), none of the photograph before it: rests, pans and zooms."""
    rng = np.random.default_rng(seed)
    shots: list[Shot] = []
    for number in range(count):
        others = [at for at in range(len(_photographs())) if not shots or at != shots[-1].photograph]
        across, down = rng.uniform(-0.35, 0.35, 2).round(3).tolist()
        moves = ((0.0, 0.0, 0.0), (across, down, 0.0), (0.0, 0.0, 0.12))[number % 3]
        to_end, top, share = rng.uniform((0, 0, 0.5), (1, 1, 0.9)).tolist()
        shots.append(Shot(int(rng.integers(*frames)), int(rng.choice(others)), (to_end, top), share, moves))
    return shots


def make_film(
    path: Path, shots: Sequence[Shot], transition: Transition, size: tuple[int, int], even_keyframes: bool = False
) -> Film:
    """Writes the shots as one H.264 file of `size` (width, height), RATE frames per second.

    Keyframes are where x264 puts them, which is at cuts; `even_keyframes`: every two seconds and nowhere else, as for
    streaming.
    """
    grain = _grain(size)
    options = {"crf": "22"} | ({"sc_threshold": "0", "g": "50"} if even_keyframes else {})
    grained = (
        cv2.add(pixels, next(grain), dtype=cv2.CV_8U).astype(np.uint8, copy=False)
        for pixels in _frames(shots, transition, size)
    )
    count = write(path, grained, size, options)
    starts = np.cumsum([shot.frames for shot in shots])[:-1].tolist()
    before, after = {"cut": (0, 0), "flash": (1, 1)}.get(transition, (TRANSITION_FRAMES // 2,) * 2)
    touched = tuple(((start - before) / RATE, (start + after) / RATE) for start in starts)
    return Film(path, count, tuple(start / RATE for start in starts), touched)


def write(path: Path, pictures: Iterable[Pixels], size: tuple[int, int], options: Mapping[str, str]) -> int:
    """Writes pictures of `size` (width, height) as one H.264 file, RATE a second; returns their number."""
    import av

    count = 0
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", **options})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for pixels in pictures:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = count, Fraction(1, RATE)
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode())
    return count


def _frames(shots: Sequence[Shot], transition: Transition, size: tuple[int, int]) -> Iterator[Pixels]:
    half = TRANSITION_FRAMES // 2
    for at, shot in enumerate(shots):
        before = shots[at - 1] if at else None
        after = shots[at + 1] if at + 1 < len(shots) else None
        for number in range(shot.frames):
            picture, to_end = camera_view(shot, number, size), number - shot.frames  # -1: the last
            if after and to_end >= -half:
                picture = _in_transition(picture, transition, to_end, camera_view(after, to_end, size))
            elif before and number < half:
                picture = _in_transition(picture, transition, number, camera_view(before, before.frames + number, size))
            yield picture


def _in_transition(picture: Pixels, transition: Transition, off: int, other: Pixels) -> Pixels:
    """Returns a frame `off` frames from the first of the new shot; `other` is the frame of the other shot then."""
    weight = 1 - abs(off + 0.5) / (TRANSITION_FRAMES / 2)  # 0 at the edges of the transition, 1 in its middle
    if transition == "flash":
        white = np.full_like(picture, 255)
        return _blend(picture, white, _FLASH_WHITE.get(off, 0.0))
    if transition == "fade":
        return _blend(picture, np.zeros_like(picture), weight)
    if transition == "dissolve":
        return _blend(picture, other, weight / 2)
    return picture


def _blend(first: Pixels, second: Pixels, share: float) -> Pixels:
    return cv2.addWeighted(first, 1 - share, second, share, 0).astype(np.uint8)


def camera_view(shot: Shot, number: int, size: tuple[int, int]) -> Pixels:
    """Returns what the camera sees in a frame, as if it continued before and after the shot."""
    world = _world(shot.photograph, shot.corner, shot.share, size)
    across, down, nearer = (move * number / 100 for move in shot.moves)
    scale = 1 / (1 + nearer)
    room = np.array([world.shape[1] - size[0], world.shape[0] - size[1]])
    corner = room * (0.5 + np.array([across, down])) + np.array(size) * (1 - scale) / 2
    view = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(world, view, size, flags=flags, borderMode=cv2.BORDER_REFLECT).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _world(photograph: int, corner: tuple[float, float], share: float, size: tuple[int, int]) -> Pixels:
    photograph_pixels = _photographs()[photograph]
    width, height = round(size[0] * _WORLD_SCALE), round(size[1] * _WORLD_SCALE)
    wide, high = round(photograph_pixels.shape[1] * share), round(photograph_pixels.shape[0] * share)
    to_end, top = (
        round(room * at)
        for room, at in zip((photograph_pixels.shape[1] - wide, photograph_pixels.shape[0] - high), corner, strict=True)
    )
    part = photograph_pixels[top : top + high, to_end : to_end + wide]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


def _grain(size: tuple[int, int]) -> Iterator[npt.NDArray[np.int16]]:
    """Yields for each frame another part of one large picture of noise (height, width, 3)."""
    rng = np.random.default_rng(0)
    width, height = size
    noise = rng.normal(0, _GRAIN_LEVELS, (height + 64, width + 64, 1)).round().astype(np.int16).repeat(3, axis=2)
    while True:
        top, to_end = rng.integers(65, size=2)
        yield noise[top : top + height, to_end : to_end + width]


@functools.lru_cache(maxsize=1)
def _photographs() -> list[Pixels]:
    return [photograph.pixels for photograph in photographs()]
