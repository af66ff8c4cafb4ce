"""Writes the demo's films, and the files among them that are none. Needs the extra `video`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from demo.films.frame_numbers import with_number
from demo.films.shots import HEIGHT, WIDTH, Shot, pictures

TICKS = 1000  # per second, of all times
_GOP = 96
_AUDIO_HZ = 48_000


def write_film(
    path: Path, shots: Sequence[Shot], rate: int, times_s: Sequence[float], numbers: Sequence[int], crf: int
) -> None:
    """The shots as H.264, in the container that the ending names; a frame's time and number for each of them.

    Encoded on one thread, with B-frames, and without anything that differs from one run to the next.
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
        container.mux(stream.encode())


def write_tone(path: Path, seconds: float) -> None:
    """Sound and no picture."""
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
