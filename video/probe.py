"""Probes a video by its container, its packets and its first frame, before any other work is spent on it."""

from __future__ import annotations

import io
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from corpus.settings import Settings
from video.budget import MAX_FRAME_SIDE_PX, Budget, VideoError, video_errors
from video.decoding.container import truncation_error
from video.decoding.continuity import JOINABLE, Continuity, cache_breaks
from video.decoding.decode import display_ticks, frames, open_container, player_zero_s, time_base, video_stream
from video.decoding.files import VideoSource, as_file

if TYPE_CHECKING:
    import av
    from av.container import InputContainer


_EVEN_S = 0.0015  # rounding to whole milliseconds makes even steps uneven by up to that
_ODD_STEPS = 0.01  # of all steps: some dropped frames are no variable rate
_HEADER_BYTES = 32  # of a packet without change
_MACROBLOCK_PX = 16 * 16  # of which each takes a bit at most in such a packet
_KEYFRAME_SHARE = 0.02  # or the share of a keyframe's size that such a packet has at most
_STILL_SHARE = 0.9  # of packets: the others refine a still picture
_SETTLED_S = 1.0  # the largest refinements come first
_MAX_SAMPLED = 16  # frames that are decoded to decide that a video is still
_SAME_LEVELS = 6  # of 255, anywhere in the picture scaled to 64×64
_THUMBNAIL_SIZE = (64, 64)


class ProbeSettings(Settings):
    """Settings of the probe: limits of videos that are processed."""

    max_duration_s: float = Field(
        6 * 3600.0, gt=0, description="The longest video that is read; a longer one fails (too_long)."
    )
    max_side_px: int = Field(
        MAX_FRAME_SIDE_PX, ge=16, description="The longest side of a frame; a larger frame ends the video (too_large)."
    )
    max_frames: int = Field(2_000_000, ge=2, description="The most frames of a video; one with more fails (too_long).")
    max_keyframes: int = Field(
        20_000, ge=2, description="How many keyframes are remembered; more are thinned out evenly."
    )


@dataclass(frozen=True)
class Probe:
    """The properties of a video. Times are on the stream's own timeline, which need not begin at 0."""

    start_s: float  # of the first frame
    duration_s: float  # to the end of the last frame
    zero_s: float  # zero of a player's clock
    rate: float  # frames per second, on average
    variable_rate: bool
    width: int  # of an upright frame, in square pixels
    height: int
    rotation: int  # degrees counterclockwise by which stored frames are turned for display: 0, 90, 180, 270
    mirrored: bool  # stored frames are mirrored left to right before they are turned
    dynamic_range: str  # sdr, pq or hlg: see `video.decoding.tone_mapping`
    codec: str
    pixel_format: str
    audio: bool
    keyframes_s: tuple[float, ...]
    frames: int

    @property
    def end_s(self) -> float:
        """The end of the last frame."""
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class _Packets:
    """The packets of the video stream, in display order."""

    times_s: NDArray[np.float64]
    sizes: NDArray[np.int64]  # bytes
    keys: NDArray[np.bool_]
    last_s: float  # duration of the last frame


def probe(source: VideoSource, settings: ProbeSettings | None = None, budget: Budget | None = None) -> Probe:
    """Reads a whole video once, and decodes no more than a few frames of it.

    `source` as for `decode.open_container`; the position of a file object is moved. Raises VideoError with a reason:

    - empty_file: there are no bytes, or no frames in them;
    - truncated: the file is shorter than its headers, its index is missing, or its last packet is cut off;
    - broken: libav cannot read it, or cannot decode its first frame;
    - no_video: audio alone, a cover picture included;
    - still_image: a single frame, or the same picture all the time (see `_is_still`);
    - unsupported: no decoder, or a format that is not allowed; too_long and too_large: over the settings;
    - time_budget: the budget's time is spent; out_of_memory: libav got no memory for what the file claims.
    """
    settings = settings or ProbeSettings()
    budget = budget or Budget(max_side_px=settings.max_side_px)
    with as_file(source) as file:
        if not file.seek(0, io.SEEK_END):
            raise VideoError("empty_file", "the file is empty")
        truncation = truncation_error(file)
        try:
            with open_container(file, budget=budget) as container:
                if truncation:
                    raise VideoError("truncated", truncation)
                return _probe(container, settings, budget)
        except VideoError as error:
            if truncation and error.reason == "broken":
                raise VideoError("truncated", truncation) from error
            raise


def _probe(container: InputContainer, settings: ProbeSettings, budget: Budget) -> Probe:
    stream = video_stream(container)
    if max(stream.width, stream.height) > settings.max_side_px:
        raise VideoError("too_large", f"{stream.width}×{stream.height} pixels, {settings.max_side_px} are allowed")
    packets = _read_packets(container, stream, settings, budget)
    duration_s = float(packets.times_s[-1] - packets.times_s[0]) + packets.last_s
    if duration_s > settings.max_duration_s:
        raise VideoError("too_long", f"{duration_s:.0f} s, {settings.max_duration_s:.0f} are allowed")
    first = next(frames(container, budget=budget), None)
    if first is None:
        raise VideoError("broken", "no frame can be decoded")
    if _is_still(container, packets, first.size, budget):
        raise VideoError("still_image", f"one picture for {duration_s:.1f} s")
    width, height = first.size
    keyframes = packets.times_s[packets.keys]
    thinning = -(-len(keyframes) // settings.max_keyframes) or 1
    return Probe(
        start_s=float(packets.times_s[0]),
        duration_s=duration_s,
        zero_s=player_zero_s(container, float(packets.times_s[0])),
        rate=len(packets.times_s) / duration_s,
        variable_rate=_is_variable(packets.times_s),
        width=width,
        height=height,
        rotation=first.orientation.rotation,
        mirrored=first.orientation.is_mirror_image,
        dynamic_range=first.colours.dynamic_range,
        codec=stream.codec_context.name,
        pixel_format=first.picture.format.name,
        audio=bool(container.streams.audio),
        keyframes_s=tuple(keyframes[::thinning].tolist()),
        frames=len(packets.times_s),
    )


def _read_packets(
    container: InputContainer, stream: av.VideoStream, settings: ProbeSettings, budget: Budget
) -> _Packets:
    base = time_base(stream)
    ticks, lengths, sizes, keys = array("q"), array("q"), array("q"), array("b")
    corrupt = False
    continuity = Continuity(base) if container.format.name in JOINABLE else None
    with video_errors():
        for packet in container.demux(stream):
            budget.check_time()
            if continuity is not None:
                continuity.shift(packet)
            at = display_ticks(packet, container)
            if not packet.size or at is None or packet.is_discard:
                continue
            if len(ticks) == settings.max_frames:
                raise VideoError("too_long", f"over {settings.max_frames} frames")
            ticks.append(at)
            lengths.append(packet.duration or 0)
            sizes.append(packet.size)
            keys.append(packet.is_keyframe)
            corrupt = packet.is_corrupt
    if continuity is not None:
        cache_breaks(container, stream, continuity, [at for at, key in zip(ticks, keys, strict=True) if key])
    if not ticks:
        raise VideoError("empty_file", "there is no frame")
    if corrupt:
        raise VideoError("truncated", "the last packet is cut off")
    times = np.frombuffer(ticks, np.int64) * base.numerator / base.denominator
    order = np.argsort(times, kind="stable")
    times = times[order]
    for time_s in (float(times[0]), float(times[-1])):
        budget.check_display_time(time_s)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    last_s = float(lengths[order[-1]] * base) or step
    return _Packets(times, np.frombuffer(sizes, np.int64)[order], np.frombuffer(keys, np.int8)[order] > 0, last_s)


def _is_variable(times_s: NDArray[np.float64]) -> bool:
    """Returns whether more than one step in a hundred is a quarter longer or shorter than the usual one."""
    steps = np.diff(times_s)
    usual = np.median(steps)
    return bool((np.abs(steps - usual) > max(usual / 4, _EVEN_S)).mean() > _ODD_STEPS)


def _is_still(container: InputContainer, packets: _Packets, size: tuple[int, int], budget: Budget) -> bool:
    """Returns whether a video is one picture, by its packets, which costs nothing, then by 16 of its frames.

    Packets: nine in ten between keyframes carry hardly any change. The first second is left out: there encoders refine
    the picture. Where all frames are keyframes, only the frames decide.
    """
    times_s, keys = packets.times_s, packets.keys
    settled = times_s - times_s[0] >= min(_SETTLED_S, (times_s[-1] - times_s[0]) / 4)
    between = packets.sizes[settled & ~keys]
    bound = max(
        _HEADER_BYTES + size[0] * size[1] / _MACROBLOCK_PX / 8,
        _KEYFRAME_SHARE * float(np.median(packets.sizes[keys])) if keys.any() else 0.0,
    )
    if len(between) and (between <= bound).mean() < _STILL_SHARE:
        return False
    candidates = times_s[settled]
    chosen = candidates[np.linspace(0, len(candidates) - 1, min(_MAX_SAMPLED, len(candidates))).astype(int)]
    first = None
    for time_s in chosen.tolist():
        frame = next((frame for frame in frames(container, time_s, budget=budget) if frame.time_s >= time_s), None)
        if frame is None:  # damaged there
            continue
        thumbnail = frame.grey(_THUMBNAIL_SIZE).astype(np.int16)
        first = thumbnail if first is None else first
        if np.abs(thumbnail - first).max() > _SAME_LEVELS:
            return False
    return True


_MAX_WORK_S = 600.0  # files of a source are probed before its first shard: none may block that


@dataclass(frozen=True)
class QuickProbe:
    """The times in a video's header. They may be wrong: `probe` reads the video."""

    first_s: float  # display time of the first frame, on the stream's own timeline
    duration_s: float
    zero_s: float  # zero of a player's clock


def quick_probe(source: VideoSource) -> QuickProbe | None:
    """Reads a video's header and first frame, in a few reads, whatever the video's length.

    Returns None where the header has no duration, where something is wrong that `probe` will name, and for formats
    whose files may be joined byte by byte, whose last timestamp means nothing. Errors of storage pass unchanged.
    """
    import av

    budget = Budget(_MAX_WORK_S)
    try:
        with as_file(source) as file:
            if not file.seek(0, io.SEEK_END) or truncation_error(file):
                return None
            with open_container(file, threads=1, budget=budget) as container:
                stream = video_stream(container)
                if container.format.name in JOINABLE:
                    return None
                duration_s = 0.0
                if stream.duration:
                    duration_s = float(stream.duration * time_base(stream))
                elif container.duration:
                    duration_s = container.duration / av.time_base
                first = next(frames(container, budget=budget), None)
                if first is None or duration_s <= 0:
                    return None
                return QuickProbe(first.time_s, duration_s, player_zero_s(container, first.time_s))
    except VideoError:
        return None
