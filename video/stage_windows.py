"""Stage `windows`: parts of videos that last minutes, and short videos as a whole, made of the clips that there are.

A window's frames are chosen among those of its clips: nothing is decoded, and nothing is written but a table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.records import Status, id_of_digest, table_schema
from corpus.settings import Settings
from corpus.stages import ITEMS, JUDGED, ROWS, Gives, MapStage, Shard, SourceInfo
from video.frames import uniform_times
from video.groups import ALIKE_SIBLING, GroupSettings, group_names
from video.schema import FRAME_EXT, WINDOWS_SCHEMA, ClipKind
from video.stages.groups import at_home
from video.stages.windows import Window, WindowSettings, nearest, shortened, windows_of

_CAPTION = "caption"  # a table, and its column
_MEASURED = ("sharpness", "brightness", "motion")
_OF_VIDEO = ("url", "video", "home", "licence", "downloaded_sha256", "duration_s", "video_text")

Row = dict[str, Any]


class WindowsSettings(Settings):
    """Which videos become windows of a few minutes, besides clips."""

    sources: dict[str, WindowSettings] = {}


class Windows(MapStage):
    """The windows of all videos that begin in a shard, made of the clips that are kept or stand back for an alike one.

    `captions`: what a captioner said of the clips is told in `hint`, instead of what annotations say. A window's id is
    the hash of its parts' ids one after the other. The windows of a video are groups of their own. A video without a
    window is one row, filtered: no_window; a window whose clips have no frames fails: no_frames.

    Reads the removed clips too (`include_removed`): a duplicate is as much part of the film as what it looks like.
    """

    name = "windows"
    reads: tuple[str, ...] = (ROWS,)
    settings_key = "windows"
    settings_type = WindowsSettings
    over = frozenset({Gives.CLIPS})
    summary = "stretches of one to three minutes, made of frames that lie there already"
    optional_reads = (_CAPTION,)
    provides = (ROWS, ITEMS, JUDGED)
    branch = "windows"
    judges = False
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
    def create(cls, source: SourceInfo) -> Windows:
        return cls(cls.settings_of(source).sources[source.name], _CAPTION in source.tables)

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._windows

    def _windows(self, shard: Shard) -> pa.Table:
        clips = shard[ROWS]
        captions = shard[_CAPTION].column(_CAPTION) if _CAPTION in self.reads else pa.nulls(len(clips), pa.string())
        clips = at_home(clips.append_column(_CAPTION, captions), int(shard.name))
        rows: list[Row] = []
        for name, of_video in groupby(clips.to_pylist(), key=lambda clip: clip["video"]):
            if name is not None:
                rows += rows_of(list(of_video), self._settings)
        return pa.Table.from_pylist(rows, table_schema(self.schema))


def rows_of(clips: Sequence[Row], settings: WindowSettings) -> list[Row]:
    """The rows of a video's windows; `clips` are all its rows, in order of time, with a `caption`."""
    about = {name: clips[0][name] for name in _OF_VIDEO} | {"group": "", "text": "", "questions": [], "hint": ""}
    about["other_texts"] = []
    about["downloaded_sha256"] = next((clip["downloaded_sha256"] for clip in clips if clip["downloaded_sha256"]), None)
    asked: list[Row] = next((clip["video_questions"] for clip in clips if clip["video_questions"]), [])
    others: list[str] = next((clip["video_other_texts"] for clip in clips if clip["video_other_texts"]), [])
    usable = [clip for clip in clips if clip["status"] == Status.KEPT or clip["reason"] == ALIKE_SIBLING]
    found = windows_of([(clip["start_s"], clip["end_s"]) for clip in usable], about["duration_s"] or 0.0, settings)
    rows = [about | _row(window, [usable[at] for at in window.clips], settings) for window in found]
    rows = rows or [about | {"status": Status.FILTERED, "reason": "no_window"}]
    for number, row in enumerate(rows):
        row["video_questions"] = [] if number else asked
        row["video_other_texts"] = [] if number else others
        if row.get("kind") == ClipKind.WHOLE:
            row |= {"text": row["video_text"] or "", "other_texts": others, "questions": asked}
    _group([row for row in rows if row["status"] == Status.KEPT], settings)
    return rows


def _row(window: Window, clips: Sequence[Row], settings: WindowSettings) -> Row:
    """What is known of a window by its clips."""
    lengths = [clip["end_s"] - clip["start_s"] for clip in clips]
    said: Row = {
        "kind": ClipKind.WHOLE if window.whole else ClipKind.WINDOW,
        "start_s": window.start_s,
        "end_s": window.end_s,
        "scenes": sum(clip["scenes"] or 0 for clip in clips),
        "black": all(clip["black"] for clip in clips),
        "still": all(clip["still"] for clip in clips),
        "hint": shortened([clip[_CAPTION] or clip["text"] or "" for clip in clips], settings.hint_chars),
    }
    said |= {name: _mean([clip[name] for clip in clips], lengths) for name in _MEASURED}
    frames = sorted((frame for clip in clips for frame in _frames(clip)), key=lambda frame: frame[0])
    if not frames:
        return said | {"status": Status.FAILED, "reason": "no_frames"}
    times_s = [time_s for time_s, _, _ in frames]
    wanted = uniform_times(window.start_s, window.end_s, settings.frames)
    chosen = [frames[nearest(times_s, time_s)] for time_s in wanted]
    width, height = chosen[0][2]
    return said | {
        "item_id": id_of_digest(hashlib.sha256(b"".join(part["item_id"] for _, part, _ in chosen)).digest()),
        "parts": [part for _, part, _ in chosen],
        "frames_s": [time_s for time_s, _, _ in chosen],
        "width": width,
        "height": height,
        "status": Status.KEPT,
        "reason": "",
    }


def _frames(clip: Row) -> Iterator[tuple[float, Row, tuple[int, int]]]:
    """When each frame of a clip is seen, where it lies, and its size."""
    parts = [part for part in clip["parts"] or [] if part["ext"] == FRAME_EXT]
    for time_s, part in zip(clip["frames_s"] or [], parts, strict=True):
        yield time_s, part, (clip["width"], clip["height"])


def _group(rows: Sequence[Row], settings: WindowSettings) -> None:
    """Names the groups of a video's windows: of their own, so that no window is in one with a clip that is in it."""
    if not rows:
        return
    start_ms, end_ms = (np.rint([row[name] * 1000 for row in rows]).astype(np.int64) for name in ("start_s", "end_s"))
    key = b"windows\0" + rows[0]["video"].encode()
    names = group_names(
        np.zeros(len(rows), np.int64), start_ms, end_ms, [key], GroupSettings(max_group=settings.max_group)
    )
    for row, name in zip(rows, names, strict=True):
        row["group"] = name


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    known = [(value, weight) for value, weight in zip(values, weights, strict=True) if value is not None]
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known) if known else None
