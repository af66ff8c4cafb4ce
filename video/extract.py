"""One pass over a span of a video: cuts, clips, their frames and what they look like, from a single decode.

A span is a part of a video that a worker takes; all spans together give each clip once. A scene belongs to the span in
which it starts, so a pass goes on past its span's end until the running scene ends, but not for longer than `run_on_s`:
where no cut is found within that time, the span's end is taken for one, by the pass that ends there and, from the same
frames, by the pass that begins there. Times are the container's timestamps, in seconds.
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
from video.clips import Clip, ClipMaker, ClipSettings, Scene, halved
from video.decode import frames, open_container
from video.files import Source
from video.frame import Frame
from video.frame_stats import ClipStats, FrameStats, hashes_of, measure_frame, stats_between, stats_time, summarize
from video.frames import FrameSettings, FrameStore, Kept, Shrinker, kept, uniform_times
from video.integrity import DecodedFrames
from video.scene_detect import Cut, CutFinder, DetectSettings

_EDGE_S = 0.75  # the looks in so much of a scene's start and end say whether it goes on in the next


class WatchSettings(Settings):
    """How a video becomes clips with frames."""

    detect: DetectSettings = DetectSettings()
    clips: ClipSettings = ClipSettings()
    frames: FrameSettings = FrameSettings()
    keep_frames: bool = Field(True, description="false: clips without frames, where only times are wanted")
    look_step_s: float = Field(0.25, gt=0, le=0.3, description="between two measured frames")
    black_level: float = Field(32.0, ge=0, le=255, description="a clip is black where nine tenths never are lighter")
    still_levels: float = Field(0.5, ge=0, le=255, description="a clip is still where pictures never differ by more")
    warm_up_s: float = Field(6.0, ge=4, description="decoded before a span, for its first cut to be found alike")
    run_on_s: float = Field(30.0, ge=4, description="decoded past a span's end for the end of its last scene")
    decoder_threads: int = tuning(0, ge=0, description="0: one for each core")


@dataclass(frozen=True, eq=False)
class Watched:
    """A clip as it was seen."""

    clip: Clip
    stats: ClipStats
    hashes: tuple[int, ...]  # pHashes, evenly spread over the clip; of black or blank pictures there is none
    frames: list[Kept]
    dynamic_range: str  # of the video there: sdr, pq or hlg


def watch(
    source: Source,
    settings: WatchSettings,
    span: tuple[float, float] | None = None,
    budget: Budget | None = None,
    decoded: DecodedFrames | None = None,
) -> Iterator[Watched]:
    """The clips of a video, or of those scenes that start in `span` (start_s included, end_s not), in order.

    A span that begins the video may start at -inf, and one that ends it end at inf: nothing is left out by rounding.
    Those with a reason (too_short) come too. One decode pass; a clip is given a few seconds of video after its end.
    `decoded` gets the frames that were decoded without a fault, those of a clip before the clip.
    Raises VideoError where the video cannot be decoded, or goes beyond the budget.
    """
    first_s, last_s = span or (float("-inf"), float("inf"))
    begin_s = None if span is None else first_s
    with open_container(source, settings.decoder_threads, budget) as container:
        run = _Pass(settings, first_s, last_s)
        for frame in frames(container, begin_s, None, settings.warm_up_s, budget):
            if decoded is not None:
                decoded.add(frame)
            yield from run.see(frame)
            if run.done:
                return
        if run.last_s is None:
            raise VideoError("broken", "no frame can be decoded")
        yield from run.finish()


def watched(
    clip: Clip, stats: Sequence[FrameStats], picked: list[Kept], settings: WatchSettings, dynamic_range: str
) -> Watched:
    """A clip with what was seen in it; `stats` may go beyond it."""
    inside = stats_between(stats, clip.start_s, clip.end_s)
    count = min(len(inside), settings.frames.frames)
    spread = [inside[(2 * part + 1) * len(inside) // (2 * count)] for part in range(count)]
    return Watched(
        clip, summarize(inside, settings.black_level, settings.still_levels), hashes_of(spread), picked, dynamic_range
    )


def find_cuts(source: Source, settings: DetectSettings) -> list[Cut]:
    """The cuts of a whole video: detection alone, with nothing kept."""
    finder, cuts, shrink = CutFinder(settings), [], Shrinker(settings.detect_side_px)
    with open_container(source) as container:
        for frame in frames(container):
            cuts += finder.feed(frame.time_s, shrink(frame))
    return cuts + finder.finish()


class _Pass:
    """What is known in the middle of a pass."""

    def __init__(self, settings: WatchSettings, first_s: float, last_s: float) -> None:
        self.done = False
        self.last_s: float | None = None  # when the newest frame is seen
        self._step_s = 0.0  # between the two newest
        self._settings = settings
        self._span = (first_s, last_s)
        self._finder = CutFinder(settings.detect)
        self._maker = ClipMaker(settings.clips)
        clips = settings.clips
        self._store = FrameStore(settings.frames, clips.min_s, clips.max_s, CutFinder.delay_s)
        self._stats: list[FrameStats] = []
        self._scene: Scene | None = None  # the running one, if it belongs to the span; its end is not known
        self._shrink = Shrinker(settings.detect.detect_side_px)
        self._dynamic_range = "sdr"  # of the newest frame

    def see(self, frame: Frame) -> Iterator[Watched]:
        """Take in the next frame; gives the clips that are decided now."""
        time_s, settings = frame.time_s, self._settings
        if self.last_s is None:
            if time_s >= self._span[0]:
                self._open(time_s, after_cut=False)
        else:
            self._step_s = time_s - self.last_s
        self.last_s = time_s
        self._dynamic_range = frame.colours.dynamic_range
        small = self._shrink(frame)
        for cut in self._finder.feed(time_s, small):
            yield from self._cut(cut)
        if self.done:
            return
        if time_s >= self._span[0]:
            self._look(time_s, small)
            if settings.keep_frames:
                self._store.offer(frame, self._scene.start_s if self._scene else self._span[0])
        yield from self._limit(time_s)

    def finish(self) -> Iterator[Watched]:
        """There are no more frames; gives the clips that were not decided."""
        for cut in self._finder.finish():
            if not self.done:
                yield from self._cut(cut)
        if not self.done and self.last_s is not None:
            yield from self._end(self.last_s + self._step_s, before_cut=False)

    def _cut(self, cut: Cut) -> Iterator[Watched]:
        if cut.time_s < self._span[0] or self.done:
            return
        if cut.time_s >= self._span[1]:
            yield from self._end(cut.start_s, before_cut=True)
            return
        start_s = max(cut.end_s, self._scene.start_s if self._scene else cut.end_s)
        yield from self._close(cut.start_s, before_cut=True)
        self._open(start_s, after_cut=True)

    def _limit(self, time_s: float) -> Iterator[Watched]:
        """What can't wait any longer: for a cut after the span's border, or for the end of a long scene."""
        first_s, last_s = self._span
        if self._scene is None and time_s >= first_s + self._settings.run_on_s:
            self._open(first_s, after_cut=False)
        if time_s >= last_s + self._settings.run_on_s:
            yield from self._end(last_s, before_cut=False)
            return
        most_s = self._settings.clips.max_s
        while self._scene and self._scene.start_s + 2 * most_s <= min(time_s - CutFinder.delay_s, last_s):
            part, rest = halved(self._scene, self._scene.start_s + most_s)
            self._scene = rest
            yield from self._give(self._maker.push(self._with_hashes(part)))

    def _open(self, start_s: float, after_cut: bool) -> None:
        self._scene = Scene(start_s, float("inf"), after_cut)
        self._forget()

    def _close(self, end_s: float, before_cut: bool) -> Iterator[Watched]:
        scene, self._scene = self._scene, None
        if scene and end_s > scene.start_s:  # else two transitions meet, and nothing is left between them
            ended = Scene(scene.start_s, end_s, scene.after_cut, before_cut)
            yield from self._give(self._maker.push(self._with_hashes(ended)))

    def _end(self, end_s: float, before_cut: bool) -> Iterator[Watched]:
        yield from self._close(end_s, before_cut)
        yield from self._give(self._maker.finish())
        self.done = True

    def _look(self, time_s: float, small: NDArray[np.uint8]) -> None:
        step_s = self._settings.look_step_s
        if not self._stats or time_s // step_s != self._stats[-1].time_s // step_s:
            self._stats.append(measure_frame(time_s, small, self._stats[-1] if self._stats else None))

    def _with_hashes(self, scene: Scene) -> Scene:
        edge_s = min(_EDGE_S, scene.length_s / 2)
        first = hashes_of(stats_between(self._stats, scene.start_s, scene.start_s + edge_s))
        last = hashes_of(stats_between(self._stats, scene.end_s - edge_s, scene.end_s))
        return Scene(scene.start_s, scene.end_s, scene.after_cut, scene.before_cut, first, last)

    def _give(self, clips: Sequence[Clip]) -> Iterator[Watched]:
        for clip in clips:
            picked = self._store.pick(clip.start_s, clip.end_s) if not clip.reason else []
            yield watched(clip, self._stats, picked, self._settings, self._dynamic_range)
        self._forget()

    def _forget(self) -> None:
        needed_s = self._maker.undecided_from_s
        if needed_s is None and self._scene:
            needed_s = self._scene.start_s
        if needed_s is not None:
            self._store.drop_before(needed_s)
            del self._stats[: bisect_left(self._stats, needed_s, key=stats_time)]


_SEEK_OVER_S = 5.0  # a gap between clips that takes less to decode than to seek over
_LOST_S = 1.0  # a clip whose start lies further behind the last frame has none
_NEAR_S = 1e-6


def watch_intervals(
    source: Source,
    clips: Sequence[Clip],
    settings: WatchSettings,
    budget: Budget | None = None,
    decoded: DecodedFrames | None = None,
) -> Iterator[Watched]:
    """Each clip with the frames that are seen in the middles of n equal parts of it, in order of their ends.

    Clips may overlap and come in any order; those with a reason are left out. Held at a time: the frames of the clips
    that overlap. A clip that lies behind the last frame that can be decoded gets the reason no_frames. `decoded`: as
    in `video.extract`. Raises VideoError where nothing can be decoded, or what can goes beyond the budget.
    """
    wanted = sorted((clip for clip in clips if not clip.reason), key=lambda clip: clip.start_s)
    with open_container(source, settings.decoder_threads, budget) as container:
        for run in _runs(wanted):
            end_s = max(clip.end_s for clip in run)
            seen = frames(container, run[0].start_s, end_s, budget=budget)
            yield from _watch(seen if decoded is None else _noted(seen, decoded), run, settings)


def _noted(seen: Iterator[Frame], decoded: DecodedFrames) -> Iterator[Frame]:
    for frame in seen:
        decoded.add(frame)
        yield frame


@dataclass
class _Open:
    clip: Clip
    times_s: list[float]  # of the frames that are still to be seen
    picked: list[Kept] = field(default_factory=list)


def _watch(seen: Iterator[Frame], run: Sequence[Clip], settings: WatchSettings) -> Iterator[Watched]:
    count = settings.frames.frames if settings.keep_frames else 0
    waiting = [_Open(clip, uniform_times(clip.start_s, clip.end_s, count) if count else []) for clip in run]
    stats: list[FrameStats] = []
    shrink = Shrinker(settings.detect.detect_side_px)
    shown: Frame | None = None
    for frame in seen:
        _pick(waiting, shown or frame, frame.time_s, settings)
        shown = frame
        step_s = settings.look_step_s
        if not stats or frame.time_s // step_s != stats[-1].time_s // step_s:
            stats.append(measure_frame(frame.time_s, shrink(frame), stats[-1] if stats else None))
        for ended in sorted((each for each in _begun(waiting, frame.time_s) if _end(each) <= frame.time_s), key=_end):
            yield watched(ended.clip, stats, ended.picked, settings, frame.colours.dynamic_range)
            waiting.remove(ended)
            del stats[: bisect_left(stats, waiting[0].clip.start_s if waiting else frame.time_s, key=stats_time)]
    if shown is not None:
        _pick(waiting, shown, float("inf"), settings)
    for ended in sorted(waiting, key=_end):
        lost = shown is None or shown.time_s < ended.clip.start_s - _LOST_S
        clip = replace(ended.clip, reason="no_frames") if lost else ended.clip
        dynamic_range = "sdr" if shown is None else shown.colours.dynamic_range
        yield watched(clip, stats, [] if lost else ended.picked, settings, dynamic_range)


def _pick(waiting: Sequence[_Open], shown: Frame, until_s: float, settings: WatchSettings) -> None:
    """`shown` is what is seen until `until_s`: it is kept for all that want a frame from that time."""
    made: Kept | None = None
    for each in _begun(waiting, until_s):
        while each.times_s and until_s > each.times_s[0] + _NEAR_S:
            made = made or kept(shown, settings.frames)
            each.picked.append(made)
            each.times_s.pop(0)


def _begun(waiting: Sequence[_Open], time_s: float) -> Iterator[_Open]:
    return takewhile(lambda each: each.clip.start_s < time_s, waiting)


def _end(each: _Open) -> float:
    return each.clip.end_s


def _runs(clips: Sequence[Clip]) -> Iterator[list[Clip]]:
    """Clips in order of their starts, where nothing long lies between them."""
    run: list[Clip] = []
    for clip in clips:
        if run and clip.start_s > max(each.end_s for each in run) + _SEEK_OVER_S:
            yield run
            run = []
        run.append(clip)
    if run:
        yield run
