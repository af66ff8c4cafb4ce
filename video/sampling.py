"""A clip as frames: which moments, at what size, as which bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import cast

import numpy as np
from pydantic import Field

from corpus.image.pixel_budget import smart_resize
from corpus.pixels import Pixels
from corpus.settings import Settings
from video.frame import Frame
from video.reading import Source, VideoError, frames, open_container

_NEAR_S = 1e-6  # a time that was computed still means the frame that is shown from then on


class FrameSettings(Settings):
    """How many frames stand for a clip, and how they are stored."""

    frames: int = Field(8, ge=1, description="of a clip, evenly spread over its time")
    max_pixels: int = Field(180 * 28 * 28, ge=1, description="width × height of a frame; larger ones are shrunk")
    min_pixels: int = Field(1, ge=1, description="width × height of a frame; smaller ones are enlarged")
    multiple: int = Field(28, ge=1, description="of which each side is one: patch × merge of the trainer's model")
    jpeg_quality: int = Field(90, ge=1, le=100)


def uniform_times(start_s: float, end_s: float, count: int) -> list[float]:
    """The middles of `count` equal parts of [start_s, end_s), in seconds: never an edge, where a transition may lie.

    Raises ValueError for an interval without length and for a count below 1.
    """
    if count < 1:
        raise ValueError(f"{count} frames")
    if not start_s < end_s:
        raise ValueError(f"from {start_s} s to {end_s} s: no time")
    return [start_s + (end_s - start_s) * (2 * part + 1) / (2 * count) for part in range(count)]


def fitted(height: int, width: int, settings: FrameSettings) -> tuple[int, int]:
    """Height and width at which a frame of this height and width is stored, so that a trainer's image processor resizes
    nothing. Raises ValueError for a side below 1."""
    return smart_resize(height, width, settings.multiple, settings.min_pixels, settings.max_pixels)


def sample_frames(
    source: Source, times_s: Sequence[float], settings: FrameSettings, seek_over_s: float = 5.0, threads: int = 0
) -> list[Pixels]:
    """The frames that are seen at the given times, in their order, upright RGB (height, width, 3) at their `fitted`
    size.

    Before the first frame that is the first, after the last frame the last. For windows that no pass has kept frames
    of: seeks to each time that is more than `seek_over_s` after the one before, and decodes on otherwise. `threads` are
    the decoder's; 0: one for each core. Raises VideoError for what can't be read or has no frame.
    """
    seen: dict[float, Pixels] = {}
    with open_container(source, threads) as container:
        for run in _runs(sorted(set(times_s)), seek_over_s):
            shown = None
            for frame in frames(container, run[0]):
                while run and shown is not None and frame.time_s > run[0] + _NEAR_S:
                    seen[run.pop(0)] = _at_size(shown, settings)
                if not run:
                    break
                shown = frame
            if run and shown is None:
                raise VideoError("broken", f"no frame can be decoded at {run[0]} s")
            for time_s in run:
                seen[time_s] = _at_size(cast("Frame", shown), settings)
    return [seen[time_s] for time_s in times_s]


def _at_size(frame: Frame, settings: FrameSettings) -> Pixels:
    width, height = frame.size
    high, wide = fitted(height, width, settings)
    return frame.rgb((wide, high))


def _runs(times_s: Sequence[float], gap_s: float) -> Iterator[list[float]]:
    """Sorted times, cut where more than `gap_s` lies between two."""
    cuts = [at for at in range(1, len(times_s)) if times_s[at] - times_s[at - 1] > gap_s]
    for begin, end in pairwise([0, *cuts, len(times_s)] if times_s else []):
        yield list(times_s[begin:end])


def encode_frames(frames: Iterable[Pixels], jpeg_quality: int) -> list[bytes]:
    """Each frame as a JPEG. Raises ValueError for what is no RGB frame of 8 bits."""
    import cv2

    encoded = []
    for frame in frames:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise ValueError(f"{frame.dtype} pixels of shape {frame.shape} are no RGB frame")
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        encoded.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])[1].tobytes())
    return encoded
