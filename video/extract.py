"""Extracts clips, their frames and statistics from a segment of a video, in one decode pass.

A segment is the part of a video that one worker takes; all segments together yield each clip once. A scene belongs to
the segment in which it starts, so a pass continues past its segment's end until the running scene ends, but for
`lookahead_s` at most: where no cut is found within that time, the segment's end counts as one, for the pass that ends
there and, from the same frames, for the pass that begins there. Times are the container's timestamps, in seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from corpus.settings import Settings, tuning
from video.budget import Budget, VideoError
from video.clips import Clip, ClipMaker, ClipSettings, Scene, split_at
from video.decoding.decode import frames, open_container
from video.decoding.files import VideoSource
from video.decoding.frame import Frame
from video.decoding.integrity import DecodedFrames
from video.detection.cuts import Cut, CutFinder, DetectSettings
from video.frame_stats import ClipStats, FrameStats, hashes_of, measure_frame, stats_between, stats_time, summarize
from video.frames import Downscaler, FrameBuffer, FrameSettings, SampledFrame, scale_frame, uniform_times

_EDGE_S = 0.75  # of a scene's start and end, whose hashes are compared with its neighbours'


class ExtractSettings(Settings):
    """Settings of the extraction of clips with their frames."""

    detect: DetectSettings = Field(DetectSettings(), description="How cuts are found.")
    clips: ClipSettings = Field(ClipSettings(), description="How long clips are, and which scenes are joined.")
    frames: FrameSettings = Field(
        FrameSettings(), description="How many frames stand for a clip, and how they are stored."
    )
    keep_frames: bool = Field(True, description="Whether clips have frames; false where only times are wanted.")
    stats_interval_s: float = Field(
        0.25, gt=0, le=0.3, description="Seconds between two frames whose statistics are measured."
    )
    black_level: float = Field(
        32.0,
        ge=0,
        le=255,
        description="A clip is black if nine tenths of each of its frames are never lighter than this grey level.",
    )
    static_threshold: float = Field(
        0.5,
        ge=0,
        le=255,
        description="A clip is static if its measured frames never change by so many grey levels on average.",
    )
    warm_up_s: float = Field(
        6.0,
        ge=4,
        description="Seconds that are decoded before a segment, so that its first cut is found as in one pass "
        "over the video.",
    )
    lookahead_s: float = Field(
        30.0, ge=4, description="Seconds that are decoded past the end of a segment, to find the end of its last scene."
    )
    decoder_threads: int = tuning(0, ge=0, description="Threads of the decoder; 0 is one for each core.")


@dataclass(frozen=True, eq=False)
class ExtractedClip:
    """A clip with its statistics, hashes and frames."""

    clip: Clip
    stats: ClipStats
    hashes: tuple[int, ...]  # pHashes, evenly spread over the clip; black or blank frames have none
    frames: list[SampledFrame]
    dynamic_range: str  # of the video there: sdr, pq or hlg


def extract_clips(
    source: VideoSource,
    settings: ExtractSettings,
    segment: tuple[float, float] | None = None,
    budget: Budget | None = None,
    decoded: DecodedFrames | None = None,
) -> Iterator[ExtractedClip]:
    """Yields the clips of a video, or of those scenes that start in `segment` (start_s included, end_s excluded), in
    order.

    A segment may start at -inf and end at inf, so that rounding leaves out nothing at the video's ends. Clips with a
    reason (too_short) are included. A clip is yielded when a few seconds after its end are decoded. `decoded` gets the
    frames that decoded without errors, those of a clip before the clip. Raises VideoError where the video cannot be
    decoded or exceeds the budget.
    """
    first_s, last_s = segment or (float("-inf"), float("inf"))
    begin_s = None if segment is None else first_s
    with open_container(source, settings.decoder_threads, budget) as container:
        extractor = _Extractor(settings, first_s, last_s)
        for frame in frames(container, begin_s, None, settings.warm_up_s, budget):
            if decoded is not None:
                decoded.add(frame)
            yield from extractor.push(frame)
            if extractor.done:
                return
        if extractor.last_s is None:
            raise VideoError("broken", "no frame can be decoded")
        yield from extractor.finish()


def build_clip(
    clip: Clip, stats: Sequence[FrameStats], picked: list[SampledFrame], settings: ExtractSettings, dynamic_range: str
) -> ExtractedClip:
    """Builds a clip from its times and the frames measured around it; `stats` may exceed it."""
    inside = stats_between(stats, clip.start_s, clip.end_s)
    count = min(len(inside), settings.frames.frames_per_clip)
    spread = [inside[(2 * part + 1) * len(inside) // (2 * count)] for part in range(count)]
    return ExtractedClip(
        clip,
        summarize(inside, settings.black_level, settings.static_threshold),
        hashes_of(spread),
        picked,
        dynamic_range,
    )


class _Extractor:
    """The state of a pass: the finder of cuts, the running scene, buffered frames and statistics."""

    def __init__(self, settings: ExtractSettings, first_s: float, last_s: float) -> None:
        self.done = False
        self.last_s: float | None = None  # display time of the newest frame
        self._step_s = 0.0  # between the two newest
        self._settings = settings
        self._segment = (first_s, last_s)
        self._finder = CutFinder(settings.detect)
        self._maker = ClipMaker(settings.clips)
        clips = settings.clips
        self._buffer = FrameBuffer(settings.frames, clips.min_s, clips.max_s, CutFinder.delay_s)
        self._stats: list[FrameStats] = []
        self._scene: Scene | None = None  # the running one, if it belongs to the segment; its end is unknown
        self._downscale = Downscaler(settings.detect.detect_side_px)
        self._dynamic_range = "sdr"  # of the newest frame

    def push(self, frame: Frame) -> Iterator[ExtractedClip]:
        """Takes the next frame and yields the clips that are decided now."""
        time_s, settings = frame.time_s, self._settings
        if self.last_s is None:
            if time_s >= self._segment[0]:
                self._open(time_s, after_cut=False)
        else:
            self._step_s = time_s - self.last_s
        self.last_s = time_s
        self._dynamic_range = frame.colours.dynamic_range
        small = self._downscale(frame)
        for cut in self._finder.feed(time_s, small):
            yield from self._cut(cut)
        if self.done:
            return
        if time_s >= self._segment[0]:
            self._measure(time_s, small)
            if settings.keep_frames:
                self._buffer.offer(frame, self._scene.start_s if self._scene else self._segment[0])
        yield from self._limit(time_s)

    def finish(self) -> Iterator[ExtractedClip]:
        """Ends the pass and yields the clips that were undecided."""
        for cut in self._finder.finish():
            if not self.done:
                yield from self._cut(cut)
        if not self.done and self.last_s is not None:
            yield from self._end(self.last_s + self._step_s, before_cut=False)

    def _cut(self, cut: Cut) -> Iterator[ExtractedClip]:
        if cut.time_s < self._segment[0] or self.done:
            return
        if cut.time_s >= self._segment[1]:
            yield from self._end(cut.start_s, before_cut=True)
            return
        start_s = max(cut.end_s, self._scene.start_s if self._scene else cut.end_s)
        yield from self._close(cut.start_s, before_cut=True)
        self._open(start_s, after_cut=True)

    def _limit(self, time_s: float) -> Iterator[ExtractedClip]:
        """Applies the limits: ends the pass after the lookahead, and splits a scene that is too long."""
        first_s, last_s = self._segment
        if self._scene is None and time_s >= first_s + self._settings.lookahead_s:
            self._open(first_s, after_cut=False)
        if time_s >= last_s + self._settings.lookahead_s:
            yield from self._end(last_s, before_cut=False)
            return
        max_s = self._settings.clips.max_s
        while self._scene and self._scene.start_s + 2 * max_s <= min(time_s - CutFinder.delay_s, last_s):
            part, rest = split_at(self._scene, self._scene.start_s + max_s)
            self._scene = rest
            yield from self._emit(self._maker.push(self._with_hashes(part)))

    def _open(self, start_s: float, after_cut: bool) -> None:
        self._scene = Scene(start_s, float("inf"), after_cut)
        self._trim()

    def _close(self, end_s: float, before_cut: bool) -> Iterator[ExtractedClip]:
        scene, self._scene = self._scene, None
        if scene and end_s > scene.start_s:  # else two transitions meet without a scene between them
            ended = Scene(scene.start_s, end_s, scene.after_cut, before_cut)
            yield from self._emit(self._maker.push(self._with_hashes(ended)))

    def _end(self, end_s: float, before_cut: bool) -> Iterator[ExtractedClip]:
        yield from self._close(end_s, before_cut)
        yield from self._emit(self._maker.finish())
        self.done = True

    def _measure(self, time_s: float, small: NDArray[np.uint8]) -> None:
        step_s = self._settings.stats_interval_s
        if not self._stats or time_s // step_s != self._stats[-1].time_s // step_s:
            self._stats.append(measure_frame(time_s, small, self._stats[-1] if self._stats else None))

    def _with_hashes(self, scene: Scene) -> Scene:
        edge_s = min(_EDGE_S, scene.length_s / 2)
        first = hashes_of(stats_between(self._stats, scene.start_s, scene.start_s + edge_s))
        last = hashes_of(stats_between(self._stats, scene.end_s - edge_s, scene.end_s))
        return Scene(scene.start_s, scene.end_s, scene.after_cut, scene.before_cut, first, last)

    def _emit(self, clips: Sequence[Clip]) -> Iterator[ExtractedClip]:
        for clip in clips:
            picked = self._buffer.pick(clip.start_s, clip.end_s) if not clip.reason else []
            yield build_clip(clip, self._stats, picked, self._settings, self._dynamic_range)
        self._trim()

    def _trim(self) -> None:
        needed_s = self._maker.undecided_from_s
        if needed_s is None and self._scene:
            needed_s = self._scene.start_s
        if needed_s is not None:
            self._buffer.drop_before(needed_s)
            del self._stats[: bisect_left(self._stats, needed_s, key=stats_time)]


_SEEK_OVER_S = 5.0  # shorter gaps between clips are decoded, longer ones are skipped by seeking
_MISSING_S = 1.0  # a clip that starts so long after the last frame has no frames
_NEAR_S = 1e-6


def extract_intervals(
    source: VideoSource,
    clips: Sequence[Clip],
    settings: ExtractSettings,
    budget: Budget | None = None,
    decoded: DecodedFrames | None = None,
) -> Iterator[ExtractedClip]:
    """Yields each clip with the frames at the middles of n equal parts of it, in order of their ends.

    Clips may overlap and come in any order; those with a reason are left out. Memory: the frames of the clips that
    overlap. A clip behind the last frame that can be decoded gets the reason no_frames. `decoded`: as in
    `extract_clips`. Raises VideoError where nothing can be decoded, or where the video exceeds the budget.
    """
    usable = sorted((clip for clip in clips if not clip.reason), key=lambda clip: clip.start_s)
    with open_container(source, settings.decoder_threads, budget) as container:
        for run in _runs(usable):
            end_s = max(clip.end_s for clip in run)
            decoded_frames = frames(container, run[0].start_s, end_s, budget=budget)
            yield from _extract_run(
                decoded_frames if decoded is None else _record_decoded(decoded_frames, decoded), run, settings
            )


def _record_decoded(decoded_frames: Iterator[Frame], decoded: DecodedFrames) -> Iterator[Frame]:
    for frame in decoded_frames:
        decoded.add(frame)
        yield frame


@dataclass
class _OpenClip:
    clip: Clip
    times_s: list[float]  # of the frames that are yet to come
    picked: list[SampledFrame] = field(default_factory=list)


def _extract_run(
    decoded_frames: Iterator[Frame], run: Sequence[Clip], settings: ExtractSettings
) -> Iterator[ExtractedClip]:
    count = settings.frames.frames_per_clip if settings.keep_frames else 0
    waiting = [_OpenClip(clip, uniform_times(clip.start_s, clip.end_s, count) if count else []) for clip in run]
    stats: list[FrameStats] = []
    downscale = Downscaler(settings.detect.detect_side_px)
    displayed: Frame | None = None
    for frame in decoded_frames:
        _pick(waiting, displayed or frame, frame.time_s, settings)
        displayed = frame
        step_s = settings.stats_interval_s
        if not stats or frame.time_s // step_s != stats[-1].time_s // step_s:
            stats.append(measure_frame(frame.time_s, downscale(frame), stats[-1] if stats else None))
        for ended in sorted(
            (each for each in _started(waiting, frame.time_s) if _end_s(each) <= frame.time_s), key=_end_s
        ):
            yield build_clip(ended.clip, stats, ended.picked, settings, frame.colours.dynamic_range)
            waiting.remove(ended)
            del stats[: bisect_left(stats, waiting[0].clip.start_s if waiting else frame.time_s, key=stats_time)]
    if displayed is not None:
        _pick(waiting, displayed, float("inf"), settings)
    for ended in sorted(waiting, key=_end_s):
        missing = displayed is None or displayed.time_s < ended.clip.start_s - _MISSING_S
        clip = replace(ended.clip, reason="no_frames") if missing else ended.clip
        dynamic_range = "sdr" if displayed is None else displayed.colours.dynamic_range
        yield build_clip(clip, stats, [] if missing else ended.picked, settings, dynamic_range)


def _pick(waiting: Sequence[_OpenClip], displayed: Frame, until_s: float, settings: ExtractSettings) -> None:
    """Samples `displayed`, the frame on display until `until_s`, for all clips that need a
    frame of that time.
    """
    sampled: SampledFrame | None = None
    for each in _started(waiting, until_s):
        while each.times_s and until_s > each.times_s[0] + _NEAR_S:
            sampled = sampled or scale_frame(displayed, settings.frames)
            each.picked.append(sampled)
            each.times_s.pop(0)


def _started(waiting: Sequence[_OpenClip], time_s: float) -> Iterator[_OpenClip]:
    return takewhile(lambda each: each.clip.start_s < time_s, waiting)


def _end_s(each: _OpenClip) -> float:
    return each.clip.end_s


def _runs(clips: Sequence[Clip]) -> Iterator[list[Clip]]:
    """Yields clips, in order of their starts, in runs without a long gap."""
    run: list[Clip] = []
    for clip in clips:
        if run and clip.start_s > max(each.end_s for each in run) + _SEEK_OVER_S:
            yield run
            run = []
        run.append(clip)
    if run:
        yield run
