"""Draws the shots of the demo's films, with the transitions between them, and encodes films and audio. Needs PyAV.

In a shot the camera moves over a picture that is larger than a frame.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from demo.films.frame_numbers import with_number
from demo.images.drawing import BgrPixels, Picture, distances, perceptual_bits, scaled
from demo.images.photographs import photographs
from demo.images.scenes import draw_marks, random_scene

WIDTH, HEIGHT = 320, 240
TICKS = 1000  # per second, of all times
_GOP = 96
_AUDIO_HZ = 48_000
TRANSITION_FRAMES = 12  # half of them on either side of where the next shot begins
_GALLERY_SCALE = 1.4  # a picture's sides over a frame's: where the camera moves
_MIN_DISTANCE_BITS = 16  # bits, of 64 of either hash, in which any two pictures differ
_LIGHT = {-1: 0.8, 0: 0.95, 1: 0.5}  # of a flash, by frames after the middle of the shot
_PATHS = {"right": ((0.0, 0.5), (1.0, 0.5)), "left": ((1.0, 0.5), (0.0, 0.5)), "down": ((0.5, 0.0), (0.5, 1.0))}
_PATHS |= {"up": ((0.5, 1.0), (0.5, 0.0)), "still": ((0.5, 0.5), (0.5, 0.5))}
_WORDS = {"right": "from left to right over", "left": "from right to left over", "down": "downwards over"}
_WORDS |= {"up": "upwards over"}
Camera = Literal["right", "left", "down", "up", "still"]
CAMERAS: tuple[Camera, ...] = ("right", "left", "down", "up")


@dataclass(frozen=True)
class Shot:
    """A shot. Shots of the same scene and camera have the same frames."""

    scene: int  # a picture of the gallery; BLACK
    frames: int
    camera: Camera = "right"
    ending: Literal["cut", "fade", "dissolve"] = "cut"  # how the next shot takes over
    flash: bool = False  # light in its middle, which is no cut

    @property
    def text(self) -> str:
        """A sentence that describes the shot."""
        return f"The camera moves {_WORDS[self.camera]} {gallery()[self.scene].caption}."


BLACK = -1


@functools.cache
def gallery() -> tuple[Picture, ...]:
    """Returns the pictures of the scenes, by number, each different from all others: photographs, then drawn scenes."""
    rng = np.random.default_rng(4)
    chosen: list[Picture] = []
    for photograph in photographs():
        chosen += _if_new(chosen, Picture(_fit_gallery(photograph.pixels), photograph.description))
    while len(chosen) < 40:
        chosen += _if_new(chosen, _drawn(rng))
    return tuple(chosen)


def pictures(shots: Sequence[Shot]) -> Iterator[BgrPixels]:
    """Yields the frames of the shots, with transitions: (HEIGHT, WIDTH, 3), blue first."""
    for place, shot in enumerate(shots):
        before = shots[place - 1] if place else None
        after = shots[place + 1] if place + 1 < len(shots) else None
        half = TRANSITION_FRAMES // 2
        for number in range(shot.frames):
            frame = _camera_view(shot, number)
            if after and shot.ending != "cut" and number >= shot.frames - half:
                frame = _blend(shot, frame, _camera_view(after, number - shot.frames), number - shot.frames)
            if before and before.ending != "cut" and number < half:
                frame = _blend(before, _camera_view(before, before.frames + number), frame, number)
            yield frame


def write_film(
    path: Path,
    shots: Sequence[Shot],
    rate: int,
    times_s: Sequence[float],
    numbers: Sequence[int],
    crf: int,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Encodes shots as H.264, in the container of the file's extension; each frame has a time and a number.

    Encodes on one thread, with B-frames, and without anything that differs between runs.
    """
    import av

    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        options = {"preset": "ultrafast", "crf": str(crf), "bf": "2", "sc_threshold": "0", "keyint_min": str(_GOP)}
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size, stream.max_b_frames, stream.thread_count = _GOP, 2, 1
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for pixels, time_s, number in zip(pictures(shots), times_s, numbers, strict=True):
            planes: Any = cv2.cvtColor(with_number(pixels, number), cv2.COLOR_BGR2YUV_I420)  # libswscale is slower
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = round(time_s * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
            advance()
        container.mux(stream.encode())


def write_tone(path: Path, seconds: float) -> None:
    """Writes a file with sound and no picture."""
    import av

    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("aac", rate=_AUDIO_HZ, layout="mono")
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for at in range(0, round(seconds * _AUDIO_HZ), 1024):
            wave = 0.2 * np.sin(2 * np.pi * 440 / _AUDIO_HZ * (at + np.arange(1024)))
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = _AUDIO_HZ, at, Fraction(1, _AUDIO_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _camera_view(shot: Shot, number: int) -> BgrPixels:
    """Returns a frame of a shot. Before its beginning and after its end the camera stands still."""
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


def _blend(leaving: Shot, old: BgrPixels, new: BgrPixels, place: int) -> BgrPixels:
    """Returns the frame `place` frames after the border between two shots; negative: before it."""
    half = TRANSITION_FRAMES / 2
    if leaving.ending == "fade":
        level = abs(place + 0.5) / half
        return ((new if place >= 0 else old) * level).astype(np.uint8)
    share = (place + 0.5 + half) / TRANSITION_FRAMES
    return cv2.addWeighted(old, 1 - share, new, share, 0)


def _if_new(chosen: Sequence[Picture], picture: Picture) -> list[Picture]:
    """Returns the picture in a list; an empty list where a similar one was chosen already."""
    bits = perceptual_bits(picture.pixels)
    if any(min(distances(perceptual_bits(other.pixels), bits)) <= _MIN_DISTANCE_BITS for other in chosen):
        return []
    return [picture]


def _fit_gallery(pixels: BgrPixels) -> BgrPixels:
    """Returns the middle of a picture, at the size over which the camera moves."""
    width, height = round(WIDTH * _GALLERY_SCALE), round(HEIGHT * _GALLERY_SCALE)
    factor = max(width / pixels.shape[1], height / pixels.shape[0])
    large = scaled(pixels, factor) if factor < 1 else cv2.resize(pixels, None, fx=factor, fy=factor)
    top, left = max(0, large.shape[0] - height) // 2, max(0, large.shape[1] - width) // 2
    return np.ascontiguousarray(cv2.resize(large[top : top + height, left : left + width], (width, height)))


def _drawn(rng: np.random.Generator) -> Picture:
    picture = draw_marks(random_scene(rng), rng)
    return Picture(_fit_gallery(picture.pixels), picture.caption)
