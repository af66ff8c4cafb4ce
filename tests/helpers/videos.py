"""Makes small videos whose truth is known: where the cuts are, when each frame is shown, and which frame it is.

Tests import all from here: `make_video`, `Shot`, `number_on` and the helpers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from demo.films.frame_numbers import number_on, with_number
from tests.helpers.footage import Pixels, Shot, a_b_a, interrupted, look, pictures

__all__ = [
    "Pixels",
    "Shot",
    "Truth",
    "a_b_a",
    "audio_only",
    "interrupted",
    "look",
    "make_video",
    "number_on",
    "pictures",
    "still",
    "truncate",
    "with_number",
]

_AUDIO_HZ = 48_000
_RATED = ("mpeg4", "libvpx-vp9", "libvpx", "msmpeg4v2", "mpeg1video", "mpeg2video")  # encoders by bits per second
# Per second, in the container.
_TICKS = {".mkv": 1000, ".webm": 1000, ".flv": 1000, ".wmv": 1000, ".ts": 90_000}


@dataclass(frozen=True)
class Truth:
    """Times in seconds by the container's presentation timestamps, frames by the number that they carry."""

    times_s: list[float]  # of every frame, in the order in which they are seen
    cuts_s: list[float]  # of the first frame of each new shot
    cut_frames: list[int]
    transitions: list[
        tuple[float, float, str]
    ]  # first frame touched, first frame no longer touched, kind; no hard cuts
    keyframes_s: list[float]
    size: tuple[int, int]  # width, height as seen

    def frames_in(self, start_s: float, end_s: float) -> list[int]:
        """Numbers of the frames with start_s <= time < end_s."""
        return [number for number, time in enumerate(self.times_s) if start_s <= time < end_s]


def make_video(
    path: Path,
    shots: Sequence[Shot],
    rate: int = 25,
    size: tuple[int, int] = (320, 240),
    codec: str = "libx264",
    gop: int = 48,
    b_frames: int = 2,
    variable: bool = False,
    rotation: int = 0,
    mirrored: bool = False,
    pixel_aspect: Fraction | None = None,
    audio: bool = False,
    pix_fmt: str = "yuv420p",
    start_s: float = 0.0,
    sound_s: float | None = None,
    numbered: bool = True,
    faststart: bool = False,
    fragmented: bool = False,
    options: dict[str, str] | None = None,
) -> Truth:
    """Write the shots as one video, in the container that the suffix names.

    `size` is as seen, at least 160 wide; `rotation` is by how many degrees a player turns the stored frames counter-
    clockwise, `mirrored` whether it mirrors them afterwards, left to right. `pixel_aspect`: width of a stored pixel by
    its height, in videos that are not turned. Keyframes lie at every `gop`-th frame and nowhere else. `variable`: a
    frame stays for one, two or three times 1/rate, at random. `audio` begins with the pictures, or at `sound_s`.
    `options` go to the encoder (x264: {"x264-params": "open-gop=1"}). An .avi has no timestamps: no `variable`,
    `start_s` or `audio` there, and b_frames=0; an .mpg counts frames: no `variable` there. In a .ts, .mpg or .flv with
    B-frames all times are later than the truth by the same delay.
    """
    count = sum(shot.frames for shot in shots)
    steps = np.random.default_rng(count).integers(1, 4, count) if variable else np.ones(count, np.int64)
    ticks = _TICKS.get(path.suffix) or (rate if path.suffix in (".avi", ".mpg") else 1000 * rate)
    elapsed = np.concatenate([[0], np.cumsum(steps)[:-1]]) / rate + start_s
    pts = [round(time * ticks) for time in elapsed.tolist()]
    flags = ["faststart"] * faststart + ["frag_keyframe", "empty_moov"] * fragmented
    with av.open(str(path), "w", options={"movflags": "+".join(flags)} if flags else {}) as container:
        stream: Any = container.add_stream(codec, rate=rate, options=_encoder_options(codec, gop, b_frames, options))
        stream.width, stream.height = size[::-1] if rotation % 180 else size
        if pixel_aspect:
            stream.width = round(size[0] / pixel_aspect)
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        stream.pix_fmt = pix_fmt
        stream.gop_size, stream.max_b_frames = gop, b_frames
        stream.thread_count = 1
        stream.time_base = stream.codec_context.time_base = Fraction(1, ticks)
        stream.bit_rate = 4_000_000 if codec in _RATED else 0
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        sound = _Sound(container, start_s if sound_s is None else sound_s) if audio else None
        for number, pixels in enumerate(pictures(shots, size)):
            seen = with_number(pixels, number) if numbered else pixels
            stored = np.ascontiguousarray(np.rot90(seen[:, :: -1 if mirrored else 1], -(rotation // 90)))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame = frame.reformat(stream.width, stream.height, format=pix_fmt)
            frame.pts, frame.time_base = pts[number], Fraction(1, ticks)
            container.mux(stream.encode(frame))
            if sound:
                sound.up_to((number + 1) / rate)
        container.mux(stream.encode())
        if sound:
            sound.close()
    times = [tick / ticks for tick in pts]
    return _truth(shots, times, times[-1] + 1 / rate, gop, size)


def still(path: Path, frames: int = 1, **video: Any) -> Truth:
    """A picture that is called a video: one frame, or the same one again and again."""
    return make_video(path, [Shot(frames=frames, picture="drawing")], numbered=False, **video)


def audio_only(path: Path, seconds: float = 1.0) -> None:
    """A tone, no video stream."""
    with av.open(str(path), "w") as container:
        sound = _Sound(container, 0.0)
        sound.up_to(seconds)
        sound.close()


def truncate(path: Path, share: float) -> None:
    """Keep the first `share` of a file's bytes."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


class _Sound:
    """A sine tone, written along with the frames."""

    def __init__(self, container: Any, start_s: float) -> None:
        codec = "libopus" if container.format.name in ("webm", "matroska") else "aac"
        self._container = container
        self._stream = container.add_stream(codec, rate=_AUDIO_HZ, layout="mono")
        self._start = round(start_s * _AUDIO_HZ)
        self._written = 0

    def up_to(self, seconds: float) -> None:
        while self._written < seconds * _AUDIO_HZ:
            wave = 0.2 * np.sin(2 * np.pi * 440 / _AUDIO_HZ * (self._written + np.arange(960)))
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = _AUDIO_HZ, self._start + self._written
            frame.time_base = Fraction(1, _AUDIO_HZ)
            self._container.mux(self._stream.encode(frame))
            self._written += 960

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))


def _truth(shots: Sequence[Shot], times: list[float], end_s: float, gop: int, size: tuple[int, int]) -> Truth:
    starts = np.cumsum([shot.frames for shot in shots])[:-1].tolist()
    cut_frames: list[int] = []
    transitions: list[tuple[float, float, str]] = []
    edge = [*times, end_s]
    for start, old, new in zip(starts, shots, shots[1:], strict=False):
        if not old.shows_the_same(new):
            cut_frames.append(start)
        if old.transition != "cut":
            before, after = (1, 2) if old.transition == "flash" else (old.transition_frames // 2,) * 2
            transitions.append((edge[start - before], edge[min(start + after, len(times))], old.transition))
    return Truth(times, [times[frame] for frame in cut_frames], cut_frames, transitions, times[::gop], size)


def _encoder_options(codec: str, gop: int, b_frames: int, more: dict[str, str] | None) -> dict[str, str]:
    own = {
        "libx264": {
            "preset": "ultrafast",
            "crf": "18",
            "bf": str(b_frames),
            "keyint_min": str(gop),
            "sc_threshold": "0",
        },
        "mpeg4": {"qmin": "2", "qmax": "4"},
        "msmpeg4v2": {"qmin": "2", "qmax": "4"},
        "mpeg1video": {"qmin": "2", "qmax": "4", "sc_threshold": "1000000000"},
        "mpeg2video": {"qmin": "2", "qmax": "4", "sc_threshold": "1000000000"},
        "libx265": {
            "preset": "ultrafast",
            "x265-params": f"log-level=error:scenecut=0:keyint={gop}:bframes={b_frames}",
        },
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    }
    return {**own.get(codec, {}), **(more or {})}
