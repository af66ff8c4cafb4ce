"""Videos that change in the middle: frames of sizes that no header told, times that jump, sound of other rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

Size = tuple[int, int]
_RATE = 25
_TICKS = 1_000_000  # a second
_SAME_BYTES = {"fflags": "+bitexact"}  # no random ids in containers
# By the ending of a name: encoder and pixels. Each takes its frames' sizes from the packets, not from the container.
_KINDS = {
    "h264.ts": ("libx264", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "vp8.webm": ("libvpx", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "mjpeg.mkv": ("mjpeg", "yuvj420p"),
    "flv1.flv": ("flv", "yuv420p"),
    "png.mov": ("png", "rgb24"),
}
KINDS = tuple(_KINDS)
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
}


def changing_video(path: Path, runs: Sequence[tuple[Size, int]], times: Iterable[int] | None = None) -> Path:
    """Runs of (size, frames), one after the other in one stream, its header made for the first. `times`: of each frame,
    in twenty-fifths of a second.
    """
    codec, pixels = _KINDS[path.name]
    moments = iter(times) if times is not None else iter(range(sum(count for _, count in runs)))
    with av.open(str(path), "w", options=_SAME_BYTES) as container:
        stream: Any = container.add_stream(codec, rate=_RATE, options=_OPTIONS.get(codec, {}))
        for number, (size, count) in enumerate(runs):
            context = stream.codec_context if not number else av.CodecContext.create(codec, "w")
            context.width, context.height = size
            context.pix_fmt, context.time_base, context.framerate = pixels, Fraction(1, _RATE), _RATE
            context.options = _OPTIONS.get(codec, {})
            for packet in _encoded(context, size, pixels, count):
                packet.pts = packet.dts = next(moments)
                packet.time_base, packet.duration, packet.stream = Fraction(1, _RATE), 1, stream
                container.mux_one(packet)
    return path


def _encoded(context: Any, size: Size, pixels: str, count: int) -> list[av.Packet]:
    packets = []
    random = np.random.default_rng(7)
    for number in range(count):
        shade = np.full((size[1], size[0], 3), random.integers(0, 255, 3), np.uint8)
        frame = av.VideoFrame.from_ndarray(shade, "rgb24").reformat(format=pixels)
        frame.pts, frame.time_base = number, Fraction(1, _RATE)
        packets += context.encode(frame)
    return [*packets, *context.encode(None)]


def sounding_video(path: Path, rates: Sequence[int], codec: str, seconds: int = 1) -> Path:
    """A video with a tone, in which the rate of its samples changes: so many seconds of each."""
    with av.open(str(path), "w", options=_SAME_BYTES) as container:
        seen: Any = container.add_stream("mpeg4", rate=_RATE)
        seen.width, seen.height, seen.pix_fmt = 64, 48, "yuv420p"
        heard: Any = container.add_stream(codec, rate=rates[0], layout="mono")
        packets = []
        for number in range(_RATE * seconds * len(rates)):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number % 200, np.uint8), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            packets += seen.encode(frame.reformat(format="yuv420p"))
        packets += seen.encode(None)
        for number, rate in enumerate(rates):
            context = heard.codec_context if not number else av.CodecContext.create(codec, "w")
            if number:
                context.sample_rate, context.layout, context.format = rate, "mono", heard.codec_context.format.name
                context.time_base = Fraction(1, rate)
            tone = np.sin(np.arange(rate * seconds) * 2 * np.pi * 440 / rate) * 9000
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None, :], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
            resampler = av.AudioResampler(context.format.name, "mono", rate, context.frame_size or None)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                for packet in context.encode(part):
                    at = Fraction(packet.pts, rate) + number * seconds
                    packet.pts = packet.dts = round(at * _TICKS)
                    packet.time_base, packet.stream = Fraction(1, _TICKS), heard
                    packets.append(packet)
        container.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path
