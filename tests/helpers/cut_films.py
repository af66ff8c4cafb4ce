"""A film whose frames carry numbers, times of its frames, and the numbers in clips of it."""

from __future__ import annotations

import io

import av

from tests.helpers.videos import Shot, number_on
from video.transcode.cut import CutSettings
from video.transcode.encode import EncodeSettings

FRAMES, GOP, SIZE, RATE = 60, 12, (160, 120), 25


SHOTS = [Shot(30, seed=1, camera="pan"), Shot(30, seed=2, camera="zoom")]


FAST = EncodeSettings(preset="superfast")


SETTINGS = CutSettings(encode=FAST)


def frame_times(*numbers: int) -> tuple[float, ...]:
    """The times of frames."""
    return tuple(number / RATE for number in numbers)


def numbers_in(clip: bytes) -> list[int]:
    with av.open(io.BytesIO(clip)) as container:
        return [number_on(picture.to_ndarray(format="rgb24")) for picture in container.decode(video=0)]
