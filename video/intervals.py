"""Clips whose times are known beforehand, because they are annotated: only their own parts of the video are decoded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from video.clips import Clip
from video.frame import Frame
from video.frame_stats import FrameStats, measure_frame, stats_time
from video.integrity import DecodedFrames
from video.keeping import Kept, kept
from video.reading import Budget, Source, frames, open_container
from video.sampling import uniform_times
from video.shrinking import Shrinker
from video.watch import Watched, WatchSettings, watched

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
    in `video.watch`. Raises VideoError where nothing can be decoded, or what can goes beyond the budget.
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
