"""Cuts clips of a video into mp4 files, exact to the frame: those with `start_s` <= time < `end_s`, at their own times.

A clip is copied packet by packet where that is possible (`remux`), else encoded again (`encode`): one pass over the
packets for all clips, then one decode for all that remain.

A damaged packet is never copied: every packet of a clip must have decoded, in the pass that found the clip
(`integrity.DecodedFrames`) or, without one, in a decode of the copy. Other clips are encoded again from the frames that
do decode; with too few of these (`min_decoded_share`) a clip fails: damaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from corpus.settings import Settings, tuning
from video.budget import Budget, video_errors
from video.clips import Interval
from video.decoding.continuity import breaks_of
from video.decoding.decode import frames, open_container, time_base, video_stream
from video.decoding.files import VideoSource
from video.decoding.integrity import DecodedFrames, mp4_error
from video.transcode.audio import AudioTrack
from video.transcode.encode import ClipWriter, EncodeSettings
from video.transcode.remux import can_remux, remux, remux_plans

if TYPE_CHECKING:
    from av.container import InputContainer

_NO_FRAMES, DAMAGED = "no_frames", "damaged"
_MAX_TALLY = 4096  # packet times that are held before unneeded ones are dropped
_NEAR_S = 1e-6  # tolerance of computed times against a frame's time


class CutSettings(Settings):
    """Settings of the mp4 files of clips."""

    stream_copy: bool = Field(
        True, description="Whether packets are copied where that gives exactly the clip's frames."
    )
    remux_codecs: frozenset[Literal["h264", "hevc", "vp9", "av1"]] = Field(
        frozenset({"h264"}), description="Codecs whose packets may be copied; all others are encoded as H.264."
    )
    encode: EncodeSettings = Field(EncodeSettings(), description="How clips are encoded that cannot be copied.")
    min_decoded_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The share of a clip's packets that must decode; with less the clip fails (damaged).",
    )
    audio: bool = Field(False, description="Whether the mp4 keeps the audio, as AAC.")
    audio_bits_per_s: int = Field(128_000, ge=8_000, description="The bit rate of the audio.")
    max_open_clips: int = tuning(
        4, ge=1, description="How many clips are encoded at a time; where more overlap, they are decoded again."
    )
    min_seek_gap_s: float = tuning(
        10.0, ge=0, description="The shortest stretch without clips that is skipped by seeking and not decoded."
    )
    decoder_threads: int = tuning(0, ge=0, description="Threads of the decoder; 0 is one for each core.")


@dataclass(frozen=True)
class CutClip:
    """A clip with its bytes. With a reason it has neither bytes nor frames.

    The reasons: no_frames, no frame lies in the interval; damaged, too few of those that do can be decoded.
    """

    index: int  # of its interval
    data: bytes
    frames: int
    remuxed: bool
    start_s: float  # display time of its first frame in the source; without frames start and end are the interval's
    end_s: float  # end of its last frame's display
    reason: str = ""


def cut_many(
    source: VideoSource,
    intervals: Sequence[Interval],
    settings: CutSettings | None = None,
    budget: Budget | None = None,
    decoded: DecodedFrames | None = None,
) -> Iterator[CutClip]:
    """Yields one clip for each interval (start_s, end_s), in any order, overlapping or not, each as soon as it is
    complete.

    Clips are upright, in square pixels and in SDR, at the source's size (even, so at most a pixel smaller, where they
    are encoded). Memory: the clip that is yielded, those that are being written, and the frames that at most
    `max_open_clips` encoders look ahead over.

    `decoded`: the frames that a pass over all intervals has decoded; without it each copied clip is decoded once.
    Raises ValueError for an interval without length, VideoError for what can't be read or exceeds the budget; clips
    before it are complete.
    """
    for start_s, end_s in intervals:
        if not start_s < end_s or not math.isfinite(end_s - start_s):
            raise ValueError(f"from {start_s} s to {end_s} s: an interval without length")
    settings, budget = settings or CutSettings(), budget or Budget()
    order = sorted(range(len(intervals)), key=lambda index: intervals[index])
    with ExitStack() as stack:
        container = stack.enter_context(open_container(source, settings.decoder_threads, budget))
        audio = stack.enter_context(AudioTrack(source, settings.audio_bits_per_s, budget)) if settings.audio else None
        if audio is not None:
            with video_errors():
                audio.breaks = breaks_of(container, video_stream(container), budget)
        done = set()
        for clip in _remux_clips(container, [(index, intervals[index]) for index in order], settings, budget, decoded):
            done.add(clip.index)
            yield _with_audio(clip, audio)
        remaining = [(index, intervals[index]) for index in order if index not in done]
        for decode_range in decode_ranges(remaining, settings.max_open_clips, settings.min_seek_gap_s):
            for clip in _encode_clips(container, decode_range, settings, budget):
                yield _with_audio(clip, audio)


def decode_ranges(
    intervals: Sequence[tuple[int, Interval]], max_open: int, gap_s: float
) -> Iterator[list[tuple[int, Interval]]]:
    """Splits sorted intervals into runs for one decode each: at most `max_open` of a run overlap, no gap is longer."""
    remaining = list(intervals)
    while remaining:
        later: list[tuple[int, Interval]] = []
        run: list[tuple[int, Interval]] = []
        open_until: list[float] = []
        last_s = -math.inf
        for index, (start_s, end_s) in remaining:
            open_until = [end for end in open_until if end > start_s]
            if len(open_until) >= max_open:
                later.append((index, (start_s, end_s)))
                continue
            if run and start_s - last_s > gap_s:
                yield run
                run = []
            run.append((index, (start_s, end_s)))
            open_until.append(end_s)
            last_s = max(last_s, end_s)
        yield run
        remaining = later


def _remux_clips(
    container: InputContainer,
    intervals: list[tuple[int, Interval]],
    settings: CutSettings,
    budget: Budget,
    decoded: DecodedFrames | None,
) -> Iterator[CutClip]:
    """Yields copies of the clips that can be copied and that decode completely."""
    stream = video_stream(container)
    if not intervals or not settings.stream_copy or not can_remux(container, stream, settings.remux_codecs):
        return
    first = next(frames(container, intervals[0][1][0], budget=budget), None)
    if (
        first is None or not first.stored_as_displayed
    ):  # readers handle orientation and the like differently: clips have none
        return
    with video_errors():
        if breaks_of(container, stream, budget).offsets_s:  # its packets' times differ from its frames'
            return
    base = time_base(stream)
    begin_ticks = [math.ceil((start_s - _NEAR_S) / base) for _, (start_s, _) in intervals]
    end_ticks = [math.ceil((end_s - _NEAR_S) / base) for _, (_, end_s) in intervals]
    with video_errors():
        for at, clip in remux_plans(container, stream, list(zip(begin_ticks, end_ticks, strict=True)), budget):
            first_s, until_s = float(clip.packets[0][0] * base), float(clip.end_ticks() * base)
            times_s = [pts * base.numerator / base.denominator for pts, _ in clip.packets]
            if decoded is not None and not decoded.has_all(times_s):
                continue
            data = remux(stream, clip)
            if decoded is None and mp4_error(data, budget):
                continue
            yield CutClip(intervals[at][0], data, len(clip.packets), True, first_s, until_s)


def _encode_clips(
    container: InputContainer, intervals: list[tuple[int, Interval]], settings: CutSettings, budget: Budget
) -> Iterator[CutClip]:
    """Yields the encoded clips of one run."""
    stream = video_stream(container)
    tally = _PacketTally(settings.min_decoded_share)
    waiting = list(reversed(intervals))
    interval_of = dict(intervals)
    writing: list[tuple[int, float, ClipWriter]] = []  # index, end
    with video_errors():
        for frame in frames(container, waiting[-1][1][0], budget=budget, packet_times_s=tally.times_s):
            frame_s = frame.time_s + _NEAR_S
            for entry in [entry for entry in writing if entry[1] <= frame_s]:
                writing.remove(entry)
                yield tally.check(_closed(entry[0], entry[2], frame.time_s), *interval_of[entry[0]])
            if len(tally.times_s) >= _MAX_TALLY:
                tally.trim(min([interval_of[entry[0]][0] for entry in writing] + [each[0] for _, each in waiting[-1:]]))
            while waiting and waiting[-1][1][0] <= frame_s:
                index, (start_s, end_s) = waiting.pop()
                if end_s > frame_s:
                    writing.append((index, end_s, ClipWriter(stream, settings.encode)))
                else:
                    yield tally.check(CutClip(index, b"", 0, False, start_s, end_s), start_s, end_s)
            if not writing and not waiting:
                return
            for _, _, writer in writing:
                writer.add(frame)
        for index, _, writer in writing:
            yield tally.check(_closed(index, writer, None), *interval_of[index])
    for index, (start_s, end_s) in reversed(waiting):
        yield tally.check(CutClip(index, b"", 0, False, start_s, end_s), start_s, end_s)


class _PacketTally:
    """A tally of the packets that were decoded, against which the frames of each clip are counted."""

    def __init__(self, min_share: float) -> None:
        self._min_share = min_share
        self.times_s: list[float] = []  # their display times

    def check(self, clip: CutClip, start_s: float, end_s: float) -> CutClip:
        """Returns the clip of an interval, or one with a reason. A packet may be the second field of a frame."""
        packets = sum(start_s - _NEAR_S <= time_s < end_s - _NEAR_S for time_s in self.times_s)
        if clip.frames and clip.frames >= self._min_share * packets - 1:
            return clip
        return CutClip(clip.index, b"", 0, False, start_s, end_s, DAMAGED if packets > clip.frames else _NO_FRAMES)

    def trim(self, time_s: float) -> None:
        """Drops the times before this one, which no clip needs any more."""
        self.times_s[:] = [fed_s for fed_s in self.times_s if fed_s >= time_s - _NEAR_S]


def _closed(index: int, writer: ClipWriter, next_s: float | None) -> CutClip:
    data = writer.close(next_s)
    return CutClip(index, data, writer.frames, False, writer.start_s, writer.end_s)


def _with_audio(clip: CutClip, audio: AudioTrack | None) -> CutClip:
    if audio is None or not clip.frames:
        return clip
    with video_errors():
        return replace(clip, data=audio.add_to(clip.data, clip.start_s, clip.end_s))
