"""The stage `windows` combines clips of a video into windows of a few minutes; a short video is one window.

A window's frames are chosen among those of its clips: nothing is decoded, and nothing is written but a table.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from corpus.schema import FRAME_EXT, Status, id_of_digest, table_schema
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, MapStage, Shard, SourceInfo, SourcePlug, unknown_sources
from video.clips import Interval
from video.frames import uniform_times
from video.grouping.groups import NEAR_DUPLICATE_SIBLING, GroupSettings, assign_groups
from video.schema import WINDOWS_SCHEMA, ClipKind
from video.stages.groups import rows_of_shard

_CAPTION = "caption"  # name of a table, and of its column
_MEASURED = ("sharpness", "brightness", "motion")
_OF_VIDEO = ("url", "video", "home_shard", "licence", "downloaded_sha256", "duration_s", "video_text")

_MIN_CHARS_EACH = 40  # of a clip's text in the context: rather than cut texts shorter, some clips are left out
_MILLI = 1000

ClipRow = dict[str, Any]


class WindowSettings(Settings):
    """Settings of a source's windows."""

    min_s: float = Field(60.0, gt=0, description="The shortest window; shorter stretches of a video are left out.")
    max_s: float = Field(180.0, gt=0, description="The longest window; a video that is no longer is one window.")
    whole_video_min_s: float = Field(20.0, ge=0, description="The shortest video that is a window as a whole.")
    max_gap_s: float = Field(
        10.0,
        ge=0,
        description="The longest time within a window that lies in no usable clip; at a longer gap the window ends.",
    )
    frames_per_window: int = Field(
        8, ge=1, description="How many frames stand for a window, evenly spread over its time."
    )
    max_context_chars: int = Field(
        1500, ge=0, description="How many characters of its clips' texts a window's captioner is shown."
    )
    max_group_size: int = Field(
        32, ge=3, le=1024, description="The most windows of a video that are each other's hard negatives."
    )

    @model_validator(mode="after")
    def _check(self) -> WindowSettings:
        if self.max_s <= self.min_s:
            raise ValueError(f"max_s ({self.max_s}) must be above min_s ({self.min_s}): windows end where clips do")
        return self


@dataclass(frozen=True)
class Window:
    """A part of a video. `clips` are the indices of its clips among all clips of the video."""

    start_s: float
    end_s: float
    clips: tuple[int, ...]
    whole_video: bool = False


def make_windows(clips: Sequence[Interval], duration_s: float, settings: WindowSettings) -> list[Window]:
    """Returns the windows of a video's clips, which are (start_s, end_s) in order of their starts; in order, without
    overlap.

    A short video that its clips cover is one window. In any other, windows begin and end where clips do, and not within
    another clip: they cover as much of the video as possible, with lengths as near as possible to the middle between
    minimum and maximum. Clips longer than a window are left out.
    """
    if settings.whole_video_min_s <= duration_s <= settings.max_s and not _gap(clips, duration_s, settings.max_gap_s):
        return [Window(0.0, duration_s, tuple(range(len(clips))), whole_video=True)]
    return [window for run in _runs(clips, settings) for window in _partition(run, settings)]


def _gap(clips: Sequence[Interval], duration_s: float, max_s: float) -> bool:
    """Returns whether a longer part of the video than `max_s` is in no clip."""
    covered_until_s = 0.0
    for start_s, end_s in clips:
        if start_s - covered_until_s > max_s:
            return True
        covered_until_s = max(covered_until_s, end_s)
    return not clips or duration_s - covered_until_s > max_s


def _runs(clips: Sequence[Interval], settings: WindowSettings) -> Iterator[list[Window]]:
    """Yields runs of blocks without a long gap between them; a block is a clip, or several that overlap."""
    run: list[Window] = []
    for place, (start_s, end_s) in enumerate(clips):
        if end_s - start_s > settings.max_s:
            continue
        last = run[-1] if run else None
        if last and start_s < last.end_s:  # they overlap
            run[-1] = Window(last.start_s, max(last.end_s, end_s), (*last.clips, place))
            continue
        if last and start_s - last.end_s > settings.max_gap_s:
            yield run
            run = []
        run.append(Window(start_s, end_s, (place,)))
    if run:
        yield run


def _partition(blocks: Sequence[Window], settings: WindowSettings) -> list[Window]:
    """Partitions blocks into windows, by dynamic programming over the end of the last window, in milliseconds."""
    start_times = [round(block.start_s * _MILLI) for block in blocks]
    end_times = [round(block.end_s * _MILLI) for block in blocks]
    min_length, max_length = round(settings.min_s * _MILLI), round(settings.max_s * _MILLI)
    best: list[tuple[int, int]] = [(0, 0)]  # of the first n blocks: time left out, unevenness of the windows' lengths
    begins: list[int | None] = [None]  # first block of the window that ends with the n-th; None: that is left out
    for last, end in enumerate(end_times):
        skipped, uneven = best[last]
        cost, begin = (skipped + end - start_times[last], uneven), None
        for first in range(last, -1, -1):
            length = end - start_times[first]
            if length > max_length:
                break
            if length >= min_length:
                found = best[first][0], best[first][1] + (2 * length - min_length - max_length) ** 2
                if found < cost:
                    cost, begin = found, first
        best.append(cost)
        begins.append(begin)
    windows: list[Window] = []
    done = len(blocks)
    while done:
        begin = begins[done]
        if begin is not None:
            clips = tuple(place for block in blocks[begin:done] for place in block.clips)
            windows.append(Window(blocks[begin].start_s, blocks[done - 1].end_s, clips))
        done = done - 1 if begin is None else begin
    return windows[::-1]


def nearest_index(times_s: Sequence[float], target_s: float) -> int:
    """Returns the index of the nearest of sorted times; of two equally near the earlier."""
    after = bisect_left(times_s, target_s)
    around = range(max(0, after - 1), min(after + 1, len(times_s)))
    return min(around, key=lambda place: abs(times_s[place] - target_s))


def join_texts(texts: Sequence[str], max_chars: int) -> str:
    """Joins the texts of clips, in order and numbered, in one line of at most `max_chars` characters.

    The longest are cut to the same length, at a word; of too many texts an evenly spread subset is taken.
    """
    texts = [line for text in texts if (line := " ".join(text.split()))]
    room = max(1, max_chars // _MIN_CHARS_EACH)
    if len(texts) > room:
        texts = [texts[(2 * place + 1) * len(texts) // (2 * room)] for place in range(room)]
    marks = [f"({number}) " for number in range(1, len(texts) + 1)]
    free = max_chars - sum(len(mark) + 1 for mark in marks) + 1
    limit = _level([len(text) for text in texts], free)
    return " ".join(mark + _cut(text, limit) for mark, text in zip(marks, texts, strict=True)) if limit > 0 else ""


def _level(lengths: list[int], free: int) -> int:
    """Returns the largest limit with which the lengths, cut to it, fit; 0 where none fits."""
    for place, length in enumerate(sorted(lengths)):
        remaining = len(lengths) - place
        if length * remaining > free:
            return max(0, free // remaining)
        free -= length
    return max(lengths, default=0)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit + 1].rpartition(" ")[0] or text[:limit]


class WindowsSettings(Settings):
    """Settings of the stage `windows`: which sources have windows."""

    sources: dict[str, WindowSettings] = Field(
        {}, description="Which sources of videos are made into windows, and how."
    )


class Windows(MapStage):
    """The stage that makes the windows of all videos that begin in a shard, of kept clips and of near duplicates.

    With `captions`, `context` holds the captions of the clips in place of the annotations' texts. A window's id is the
    hash of its parts' ids, one after the other. The windows of a video are groups of their own. A video without a
    window is one row, filtered: no_window; a window whose clips have no frames fails: no_frames.

    It reads removed clips too (`include_removed`): a near duplicate is as much part of the video as its representative.
    """

    name = "windows"
    reads: tuple[str, ...] = (ROWS,)
    settings_key = "windows"
    settings_type = WindowsSettings
    over = frozenset({Gives.CLIPS})
    summary = "windows of one to three minutes, made of frames that the clips have"
    reasons = {
        "no_window": "the video has no window: too few clips, or too short a time",
        "no_frames": "the clips of the window have no frames",
    }
    optional_reads = (_CAPTION,)
    roles = (ROWS, ITEMS, VERDICT)
    branch = "windows"
    filters_rows = False
    schema = WINDOWS_SCHEMA
    fan_out = True
    lookahead_shards = True
    include_removed = True

    def __init__(self, settings: WindowSettings, captions: bool = False) -> None:
        super().__init__(settings)
        self.reads = (ROWS, _CAPTION) if captions else (ROWS,)
        self._settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.name in cls.settings_of(source).sources

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        known = [name for name, plug in sources.items() if plug.gives in cls.over]
        yield from unknown_sources("stages.windows.sources", stages.windows.sources, known, "source of videos")
        if not stages.clips.keep_frames:
            for name in stages.windows.sources:
                yield f"stages.clips: {name} becomes windows, and that takes its clips' frames"

    @classmethod
    def create(cls, source: SourceInfo) -> Windows:
        return cls(cls.settings_of(source).sources[source.name], _CAPTION in source.tables)

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._windows

    def _windows(self, shard: Shard) -> pa.Table:
        clips = shard[ROWS]
        captions = shard[_CAPTION].column(_CAPTION) if _CAPTION in self.reads else pa.nulls(len(clips), pa.string())
        clips = rows_of_shard(clips.append_column(_CAPTION, captions), int(shard.name))
        rows: list[ClipRow] = []
        for name, of_video in groupby(clips.to_pylist(), key=lambda clip: clip["video"]):
            if name is not None:
                rows += window_rows(list(of_video), self._settings)
        return pa.Table.from_pylist(rows, table_schema(self.schema))


def window_rows(clips: Sequence[ClipRow], settings: WindowSettings) -> list[ClipRow]:
    """Returns the rows of a video's windows; `clips` are all its rows, in order of time, with a `caption`."""
    about = {name: clips[0][name] for name in _OF_VIDEO} | {"group": "", "text": "", "questions": [], "context": ""}
    about["other_texts"] = []
    about["downloaded_sha256"] = next((clip["downloaded_sha256"] for clip in clips if clip["downloaded_sha256"]), None)
    questions: list[ClipRow] = next((clip["video_questions"] for clip in clips if clip["video_questions"]), [])
    others: list[str] = next((clip["video_other_texts"] for clip in clips if clip["video_other_texts"]), [])
    usable = [clip for clip in clips if clip["status"] == Status.KEPT or clip["reason"] == NEAR_DUPLICATE_SIBLING]
    found = make_windows([(clip["start_s"], clip["end_s"]) for clip in usable], about["duration_s"] or 0.0, settings)
    rows = [about | _row(window, [usable[at] for at in window.clips], settings) for window in found]
    rows = rows or [about | {"status": Status.FILTERED, "reason": "no_window"}]
    for number, row in enumerate(rows):
        row["video_questions"] = [] if number else questions
        row["video_other_texts"] = [] if number else others
        if row.get("kind") == ClipKind.WHOLE_VIDEO:
            row |= {"text": row["video_text"] or "", "other_texts": others, "questions": questions}
    _group([row for row in rows if row["status"] == Status.KEPT], settings)
    return rows


def _row(window: Window, clips: Sequence[ClipRow], settings: WindowSettings) -> ClipRow:
    """Returns the row of a window, from the rows of its clips."""
    lengths = [clip["end_s"] - clip["start_s"] for clip in clips]
    row: ClipRow = {
        "kind": ClipKind.WHOLE_VIDEO if window.whole_video else ClipKind.WINDOW,
        "start_s": window.start_s,
        "end_s": window.end_s,
        "scenes": sum(clip["scenes"] or 0 for clip in clips),
        "black": all(clip["black"] for clip in clips),
        "static": all(clip["static"] for clip in clips),
        "context": join_texts([clip[_CAPTION] or clip["text"] or "" for clip in clips], settings.max_context_chars),
    }
    row |= {name: _mean([clip[name] for clip in clips], lengths) for name in _MEASURED}
    frames = sorted((frame for clip in clips for frame in _frames(clip)), key=lambda frame: frame[0])
    if not frames:
        return row | {"status": Status.FAILED, "reason": "no_frames"}
    times_s = [time_s for time_s, _, _ in frames]
    target_s = uniform_times(window.start_s, window.end_s, settings.frames_per_window)
    chosen = [frames[nearest_index(times_s, time_s)] for time_s in target_s]
    width, height = chosen[0][2]
    return row | {
        "item_id": id_of_digest(hashlib.sha256(b"".join(part["item_id"] for _, part, _ in chosen)).digest()),
        "parts": [part for _, part, _ in chosen],
        "frame_times_s": [time_s for time_s, _, _ in chosen],
        "width": width,
        "height": height,
        "status": Status.KEPT,
        "reason": "",
    }


def _frames(clip: ClipRow) -> Iterator[tuple[float, ClipRow, tuple[int, int]]]:
    """Yields the time of each frame of a clip, its part, and its size."""
    parts = [part for part in clip["parts"] or [] if part["ext"] == FRAME_EXT]
    for time_s, part in zip(clip["frame_times_s"] or [], parts, strict=True):
        yield time_s, part, (clip["width"], clip["height"])


def _group(rows: Sequence[ClipRow], settings: WindowSettings) -> None:
    """Sets the groups of a video's windows. They share none with clips, so that no window is grouped with a clip within
    it.
    """
    if not rows:
        return
    start_ms, end_ms = (np.rint([row[name] * 1000 for row in rows]).astype(np.int64) for name in ("start_s", "end_s"))
    key = b"windows\0" + rows[0]["video"].encode()
    names = assign_groups(
        np.zeros(len(rows), np.int64), start_ms, end_ms, [key], GroupSettings(max_group_size=settings.max_group_size)
    )
    for row, name in zip(rows, names, strict=True):
        row["group"] = name


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known) if known else None
