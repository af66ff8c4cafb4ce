"""The work on one segment of a video: its clips as frames, as mp4 files, or as both, with their statistics.

Frames come from the pass that finds the clips (`video.extract`). The mp4 files are cut in a second pass over what the
first one has decoded, a batch of clips at a time: the end of a clip is known only seconds after it, and what can be
copied is not decoded again.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field, model_validator

from corpus.settings import tuning
from video.budget import Budget
from video.clips import Clip, Interval
from video.decoding.files import VideoSource
from video.decoding.integrity import DecodedFrames
from video.extract import ExtractedClip, ExtractSettings, extract_clips, extract_intervals
from video.frame_stats import ClipStats
from video.frames import encode_frames, resize_to_first
from video.transcode.cut import CutSettings, cut_many

Segment = Interval
_MIN_FRAMES = 2  # distinct frames of a clip: fewer are a still image


class SegmentSettings(ExtractSettings):
    """Settings of the work on a segment: how its clips are found, and how they are stored."""

    mp4: bool = Field(False, description="Whether clips are stored as mp4 files, too.")
    cut: CutSettings = Field(CutSettings(), description="How mp4 files are cut.")
    cut_batch_s: float = tuning(
        240.0, gt=0, description="Seconds of clips whose mp4 files are cut, and held in memory, at a time."
    )

    @model_validator(mode="after")
    def _check(self) -> SegmentSettings:
        if not self.mp4 and not self.keep_frames:
            raise ValueError("neither frames (keep_frames) nor mp4: a clip would have no bytes")
        return self


@dataclass(frozen=True, eq=False)
class SegmentClip:
    """A clip with all that is stored of it. One with a reason has times, and no bytes."""

    start_s: float
    end_s: float
    reason: str  # too_short, not_an_interval, outside_video, no_frames, damaged; empty: the clip can be used
    scenes: int  # number of scenes in it; 0: it is annotated
    annotation: int | None  # index of its annotated interval
    stats: ClipStats | None = None  # None: it was not measured
    hashes: tuple[int, ...] = ()  # see `extract.ExtractedClip`
    frames: tuple[bytes, ...] = ()  # JPEGs
    frame_times_s: tuple[float, ...] = ()  # their display times in the video
    size: tuple[int, int] = (0, 0)  # their width and height
    mp4: bytes = field(default=b"", repr=False)
    mp4_frames: int = 0
    remuxed: bool = False  # the mp4 is a copy of the video's packets
    dynamic_range: str = ""  # of the video: sdr, pq or hlg; "": it was not measured


def segment_clips(
    source: VideoSource,
    segment: Segment | None,
    settings: SegmentSettings,
    annotated: Sequence[Clip] | None = None,
    budget: Budget | None = None,
) -> Iterator[SegmentClip]:
    """Yields the clips of the scenes that start in `segment` (None: the whole video; it may be infinite at the video's
    ends).

    With `annotated` clips it yields those instead, all of them, whatever the segment: first those that already have
    a reason, then the others, in order of their ends where they lie near each other.

    Memory: that of a pass (`frames.FrameBuffer`) and, where mp4 files are made, the bytes of the clips of
    `cut_batch_s`, or of one clip that is longer. Raises VideoError where the video cannot be decoded or exceeds the
    budget; the clips yielded before it are complete. Errors of storage pass unchanged. A file object is not closed.
    """
    decoded = DecodedFrames() if settings.mp4 else None
    if annotated is None:
        extracted = extract_clips(source, settings, segment, budget, decoded)
        yield from _cut(source, _encode_clips(extracted, settings), settings, budget, decoded)
        return
    for clip in annotated:
        if clip.reason:
            yield SegmentClip(clip.start_s, clip.end_s, clip.reason, clip.scenes, clip.annotation)
    if not all(clip.reason for clip in annotated):
        extracted = extract_intervals(source, annotated, settings, budget, decoded)
        yield from _cut(source, _encode_clips(extracted, settings), settings, budget, decoded)


def _encode_clips(clips: Iterable[ExtractedClip], settings: SegmentSettings) -> Iterator[SegmentClip]:
    """Converts extracted clips; encodes their frames at once, which take a tenth of the memory then."""
    for each in clips:
        clip, frames = each.clip, each.frames
        reason = clip.reason or ("no_frames" if settings.keep_frames and not frames else "")
        if frames and not reason and len({frame.time_s for frame in frames}) < min(_MIN_FRAMES, len(frames)):
            reason = "too_short"
        encoded = SegmentClip(
            clip.start_s,
            clip.end_s,
            reason,
            clip.scenes,
            clip.annotation,
            each.stats,
            each.hashes,
            dynamic_range=each.dynamic_range,
        )
        if not reason and frames:
            frames = resize_to_first(frames)
            height, width = frames[0].rgb.shape[:2]
            jpegs = encode_frames((frame.rgb for frame in frames), settings.frames.jpeg_quality)
            frame_times_s = tuple(frame.time_s for frame in frames)
            encoded = replace(encoded, frames=tuple(jpegs), frame_times_s=frame_times_s, size=(width, height))
        yield encoded


def _cut(
    source: VideoSource,
    clips: Iterable[SegmentClip],
    settings: SegmentSettings,
    budget: Budget | None,
    decoded: DecodedFrames | None,
) -> Iterator[SegmentClip]:
    """Yields the clips, with their mp4 files where the settings want them."""
    if not settings.mp4:
        yield from clips
        return
    batch: list[SegmentClip] = []
    for clip in clips:
        if batch and sum(each.end_s - each.start_s for each in [*batch, clip]) > settings.cut_batch_s:
            yield from _with_mp4(source, batch, settings, budget, decoded)
            batch = []
        batch.append(clip)
    yield from _with_mp4(source, batch, settings, budget, decoded)


def _with_mp4(
    source: VideoSource,
    batch: Sequence[SegmentClip],
    settings: SegmentSettings,
    budget: Budget | None,
    decoded: DecodedFrames | None,
) -> list[SegmentClip]:
    usable = [(place, (clip.start_s, clip.end_s)) for place, clip in enumerate(batch) if not clip.reason]
    finished = list(batch)
    with _restore_position(source):
        intervals = [interval for _, interval in usable]
        for cut in cut_many(source, intervals, settings.cut, budget, decoded) if usable else ():
            place = usable[cut.index][0]
            if cut.frames >= _MIN_FRAMES:
                finished[place] = replace(batch[place], mp4=cut.data, mp4_frames=cut.frames, remuxed=cut.remuxed)
            else:
                reason = "damaged" if cut.reason == "damaged" else "too_short"
                finished[place] = replace(batch[place], reason=reason, frames=(), frame_times_s=(), size=(0, 0))
    return finished


@contextlib.contextmanager
def _restore_position(source: VideoSource) -> Iterator[None]:
    """Restores the position of a file object at the end, so that the interrupted pass continues where it stopped."""
    if isinstance(source, (str, Path)):
        yield
        return
    position = source.tell()
    try:
        yield
    finally:
        source.seek(position, io.SEEK_SET)
