"""The stage `clips` cuts each video, or a segment of one, into clips, and stores them as frames, as mp4, or as both.

Annotated intervals are clips as they are; a short video with a description is one clip; every other video is split at
its cuts.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf
from typing import Any

import cv2
import pyarrow as pa
from pydantic import Field

from corpus.bisection import ShardError
from corpus.faults import is_machine_fault, is_out_of_memory
from corpus.media import MediaWriter
from corpus.processes import ended_after
from corpus.schema import FRAME_EXT, VIDEO_EXT, Status, id_of_digest, item_id, table_schema
from corpus.settings import tuning
from corpus.stage import ITEMS, ROWS, Gives, MapStage, Shard
from corpus.storage import Store, is_absolute
from video.budget import VIDEO_REASONS, Budget, VideoError
from video.clips import Clip, annotated_clips
from video.decoding.files import RangeFile, VideoSource
from video.probe import ProbeSettings, probe
from video.schema import CLIPS_SCHEMA, ClipKind
from video.segments import Segment, SegmentClip, SegmentSettings, segment_clips

_MIN_ROWS_OF_FAULT = 8  # if so many rows raise, and all of them, the cause is no video
# Reasons of clips that are usable but unwanted; with all others something is wrong with the video or its annotations.
_FILTERED = ("too_short", "no_annotation", "no_clips")
_HANG_FACTOR = 2  # times the video's time limit, after which a worker that hangs in libav is killed
_DURATION_TOLERANCE = 1.1  # times the duration in its header is the most that a video may have


class ClipsSettings(SegmentSettings):
    """Settings of the stage `clips`."""

    single_clip_max_s: float = Field(
        60.0, ge=0, description="A video that is described as a whole, and is no longer than this, is one clip."
    )
    probe: ProbeSettings = Field(
        ProbeSettings(),
        description="Which videos are refused; all but the frame side is asked only of videos that no source has "
        "probed.",
    )
    video_timeout_s: float = tuning(
        600.0, gt=0, description="Seconds of work that each row of a video may take, beside those of timeout_per_s."
    )
    timeout_per_s: float = tuning(
        10.0, ge=0, description="Seconds of work that each second of video may take in addition."
    )


class Clips(MapStage):
    """The stage that turns rows of videos into rows of clips. All that is stored of a clip is a part of it, in the
    shard's media.

    A clip that cannot be used is a row with a reason. Filtered: too_short, a scene below `min_s` or a clip of less than
    two different frames; no_annotation, a source's row of a video whose annotations lie in other rows; no_clips, a
    source's row without any. Failed: not_an_interval; outside_video, of which less than half lies in the video;
    no_frames; damaged, where mp4 files are made and less than `cut.min_decoded_share` of its packets decode. A video
    that cannot be read, or not to its end, fails in one row with a reason of `budget.VideoError`; the clips before the
    damage stay. So does one that takes too much time (time_budget) or memory (out_of_memory): these depend on the
    machine, so that `--retry` tries again.
    """

    name = "clips"
    version = 2  # 2: sharpness without the grain
    reads = (ROWS, ITEMS)
    settings_key = "clips"
    settings_type = ClipsSettings
    over = frozenset({Gives.CLIPS})
    over_evaluation = True
    summary = "a row for each clip: its frames and mp4, its times, sharpness, motion, hashes; one decode"
    reasons = {
        "too_short": "a scene below `min_s`, or a clip of less than two different frames",
        "no_annotation": "the annotations of the video lie in other rows",
        "no_clips": "the video, or this part of it, gives no clip",
        "not_an_interval": "an annotation whose end is not after its start",
        "outside_video": "less than half of an annotated interval lies in the video",
        "no_frames": "no frame of the clip could be decoded",
        "damaged": "too few packets of the clip decode for an mp4",
        **VIDEO_REASONS,
    }
    schema = CLIPS_SCHEMA
    fan_out = True
    origin_columns = {name: name for name in ("url", "video", "home_shard", "licence")}
    writes_media = True
    transient_reasons = frozenset({"time_budget", "out_of_memory"})

    def __init__(self, settings: ClipsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def setup(self) -> Callable[[Shard], pa.Table]:
        cv2.setNumThreads(1)  # the decoder has its own threads
        return self._clips

    def _clips(self, shard: Shard) -> pa.Table:
        """Cuts one video after the other. What one raises becomes a reason in a row, so that the others are not decoded
        again.
        """
        rows: list[dict[str, Any]] = []
        raised: list[Exception] = []
        for video, item in zip(shard[ROWS].to_pylist(), shard[ITEMS].to_pylist(), strict=True):
            rows += _rows_of(_VideoWork(video, item, shard, self._settings), raised)
        if len(raised) == len(shard) >= _MIN_ROWS_OF_FAULT:
            raise ShardError(f"every video raised; the last one: {type(raised[-1]).__name__}: {raised[-1]}")
        return pa.Table.from_pylist(rows, table_schema(self.schema))


def _rows_of(work: _VideoWork, raised: list[Exception]) -> Iterator[dict[str, Any]]:
    """Yields the rows of a video and, where an error ended the work on it, one with its reason.

    Errors that no video should raise are appended to `raised`, too.
    """
    try:
        yield from work.rows()
    except VideoError as error:
        yield work.row(Status.FAILED, error.reason, error.detail)
    except Exception as error:
        if is_machine_fault(error) or is_out_of_memory(error):
            raise
        # Codecs raise anything; if it passed, the shard would be bisected, and decoded again.
        raised.append(error)
        yield work.row(Status.FAILED, f"error:{type(error).__name__}", f"{error}")


@dataclass
class _VideoWork:
    """The work on one row of the source, which becomes rows of clips."""

    video: Mapping[str, Any]
    item: Mapping[str, Any]
    shard: Shard
    settings: ClipsSettings
    timeline: Timeline | None = None
    row_count: int = 0  # rows so far

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields the rows of all clips, or one row without a clip."""
        started_at = time.monotonic()
        source = open_stored_video(self.shard.store, self.item)
        probe_budget = Budget(self.settings.video_timeout_s, self.settings.probe.max_side_px, started_at=started_at)
        with ended_after(_HANG_FACTOR * probe_budget.seconds, self.video["url"]):
            self.timeline = self._timeline(source, probe_budget)
        requests = requested_clips(self.video, self.timeline, self.settings.single_clip_max_s)
        budget = self._budget(self.timeline, requests, started_at)
        with ended_after(_HANG_FACTOR * budget.seconds, self.video["url"]):
            if requests is None:
                clips = segment_clips(source, self.timeline.segment(self.video), self.settings, budget=budget)
                yield from (self._clip(clip, ClipRequest(ClipKind.SCENES)) for clip in clips)
            else:
                annotated = [request.clip for request in requests if request.clip]
                clips = segment_clips(source, None, self.settings, annotated, budget)
                yield from (self._clip(clip, requests[clip.annotation or 0]) for clip in clips)
        if not self.row_count:
            yield self.row(Status.FILTERED, "no_clips" if requests is None else "no_annotation")

    def row(self, status: Status, reason: str, detail: str = "") -> dict[str, Any]:
        """Returns a row with the columns that all rows of the video share, and without a clip."""
        self.row_count += 1
        first = self.row_count == 1 and not self.video["segment_start_s"]
        return {
            "url": self.video["url"],
            "video": self.video["video"],
            "home_shard": self.video["home_shard"],
            "licence": self.video["licence"],
            "downloaded_sha256": self.item.get("downloaded_sha256"),
            "duration_s": self.timeline.duration_s if self.timeline else self.video["duration_s"],
            "text": "",
            "other_texts": [],
            "questions": [],
            "video_text": self.video["text"] or "",
            "video_questions": questions_of(self.video) if first else [],
            "video_other_texts": other_texts_of(self.video) if first else [],
            "detail": detail or None,
            "status": status,
            "reason": reason,
        }

    def _budget(self, timeline: Timeline, requests: list[ClipRequest] | None, started_at: float) -> Budget:
        """Returns the budget of the work on all clips, from which the probe's time is taken."""
        settings = self.settings
        begin_s, end_s = self.video["segment_start_s"] or 0.0, self.video["segment_end_s"]
        length_s = (timeline.to_display(timeline.last_s) if end_s is None else end_s) - begin_s
        if requests is not None:
            clips = [request.clip for request in requests if request.clip and not request.clip.reason]
            length_s = sum(clip.end_s - clip.start_s for clip in clips)
        longest_s = max(settings.probe.max_duration_s, _DURATION_TOLERANCE * timeline.duration_s)
        seconds = settings.video_timeout_s + settings.timeout_per_s * max(0.0, length_s)
        return Budget(seconds, settings.probe.max_side_px, timeline.first_s + longest_s, started_at)

    def _timeline(self, source: VideoSource, budget: Budget) -> Timeline:
        if self.video["first_frame_s"] is not None:
            return Timeline(self.video["first_frame_s"], self.video["duration_s"], self.video["start_time_s"])
        probed = probe(source, self.settings.probe, budget)
        return Timeline(probed.start_s, probed.duration_s, probed.zero_s)

    def _clip(self, clip: SegmentClip, request: ClipRequest) -> dict[str, Any]:
        assert self.timeline is not None
        status = Status.KEPT if not clip.reason else Status.FILTERED if clip.reason in _FILTERED else Status.FAILED
        row = self.row(status, clip.reason) | {
            "kind": request.kind,
            "start_s": self.timeline.to_display(clip.start_s),
            "end_s": self.timeline.to_display(clip.end_s),
            "scenes": clip.scenes,
            "text": request.text,
            "other_texts": request.other_texts,
            "questions": request.questions,
        }
        if clip.stats is not None:
            row |= {
                name: getattr(clip.stats, name) for name in ("sharpness", "brightness", "motion", "black", "static")
            }
            row["hashes"] = clip.hashes
            row["dynamic_range"] = clip.dynamic_range
        if clip.reason:
            return row
        assert self.shard.media is not None
        row |= store_clip(clip, self.shard.media)
        if clip.frames:
            row["frame_times_s"] = [self.timeline.to_display(time_s) for time_s in clip.frame_times_s]
            row["width"], row["height"] = clip.size
        if clip.mp4:
            row |= {"mp4_frames": clip.mp4_frames, "remuxed": clip.remuxed}
        return row


def open_stored_video(store: Store, item: Mapping[str, Any]) -> VideoSource:
    """Returns a stored video as a source: a local file by its path, which reads faster, any other as a RangeFile."""
    media, offset, size = item["media"], item["offset"], item["size"]
    if is_absolute(media) and "://" not in media and not offset:
        return str(media)
    return RangeFile(store, media, offset, size)


def store_clip(clip: SegmentClip, media: MediaWriter) -> dict[str, Any]:
    """Writes the contents of a clip; returns `item_id` (the hash of its contents, one after the other) and `parts`."""
    parts, digest = [], hashlib.sha256()
    contents = chain(((data, FRAME_EXT) for data in clip.frames), [(clip.mp4, VIDEO_EXT)] if clip.mp4 else [])
    for data, ext in contents:
        digest.update(data)
        part = item_id(data)
        offset, size = media.add(part, ext, data)
        parts.append({"item_id": part, "media": media.path, "offset": offset, "size": size, "ext": ext})
    return {"item_id": id_of_digest(digest.digest()), "parts": parts}


_DECIMALS = 6  # of seconds: rounding errors of adding and subtracting a container's start are smaller


@dataclass(frozen=True)
class Timeline:
    """The position of a video's frames on its container's timeline, and the zero of a player's clock."""

    first_s: float  # of the first frame
    duration_s: float  # of the pictures
    zero_s: float

    @property
    def last_s(self) -> float:
        """The end of the last frame."""
        return self.first_s + self.duration_s

    def to_display(self, time_s: float) -> float:
        """Converts a time on the container's timeline into one on a player's clock."""
        return round(time_s - self.zero_s, _DECIMALS)

    def segment(self, video: Mapping[str, Any]) -> Segment | None:
        """Returns the segment of a row, infinite at the video's own start and end; None for the whole video."""
        begin_s, end_s = video["segment_start_s"], video["segment_end_s"]
        if not begin_s and end_s is None:
            return None
        return (self.zero_s + begin_s if begin_s else -inf, inf if end_s is None else self.zero_s + end_s)


@dataclass
class ClipRequest:
    """A clip to be made, its texts and questions: at known times, or (`clip` is None) at times that are yet to be
    found.
    """

    kind: ClipKind
    clip: Clip | None = None  # None: its times are yet to be found
    text: str = ""
    other_texts: list[str] = field(default_factory=list)
    questions: list[dict[str, str]] = field(default_factory=list)

    def add_text(self, text: str) -> None:
        """Adds a description of the clip, unless it has it already."""
        if not self.text:
            self.text = text
        elif text and text not in (self.text, *self.other_texts):
            self.other_texts.append(text)


def requested_clips(video: Mapping[str, Any], timeline: Timeline, single_clip_max_s: float) -> list[ClipRequest] | None:
    """Returns the clips of a row whose times are known beforehand, numbered by `Clip.annotation`; None: its scenes.

    A timed video has one for each annotated interval. Annotations of the very same interval share a clip, with all
    their texts and questions: its frames are stored once, and each text is a pair of its own. A short video with a
    description, in a single row, is one clip.
    """
    full = (timeline.first_s, timeline.last_s)
    if video["timed"]:
        timed = [annotation for annotation in video["annotations"] or [] if annotation["start_s"] is not None]
        return _by_interval(annotated_clips([_interval(each, timeline) for each in timed], full), timed)
    questions = questions_of(video)
    described = bool(video["text"] or questions)
    if not described or timeline.duration_s > single_clip_max_s or (video["segments"] or 1) > 1:
        return None
    clip = annotated_clips([full], full)[0]
    return [ClipRequest(ClipKind.WHOLE_VIDEO, clip, video["text"] or "", other_texts_of(video), questions)]


def other_texts_of(video: Mapping[str, Any]) -> list[str]:
    """Returns the further texts of a row about its whole video."""
    full_request = ClipRequest(ClipKind.WHOLE_VIDEO, text=video["text"] or "")
    for annotation in video["annotations"] or []:
        if annotation["start_s"] is None:
            full_request.add_text(annotation["text"] or "")
    return full_request.other_texts


def questions_of(video: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns the questions of a row about its whole video."""
    return [
        _question(annotation)
        for annotation in video["annotations"] or []
        if annotation["start_s"] is None and annotation["question"]
    ]


def _interval(annotation: Mapping[str, Any], timeline: Timeline) -> tuple[float, float | None]:
    end_s = annotation["end_s"]
    return timeline.zero_s + annotation["start_s"], None if end_s is None else timeline.zero_s + end_s


def _by_interval(clips: list[Clip], annotations: list[Mapping[str, Any]]) -> list[ClipRequest]:
    found: dict[tuple[float, float, str], ClipRequest] = {}
    for clip, annotation in zip(clips, annotations, strict=True):
        numbered = replace(clip, annotation=len(found))
        request = found.setdefault((clip.start_s, clip.end_s, clip.reason), ClipRequest(ClipKind.ANNOTATED, numbered))
        request.add_text(annotation["text"] or "")
        if annotation["question"]:
            request.questions.append(_question(annotation))
    return list(found.values())


def _question(annotation: Mapping[str, Any]) -> dict[str, str]:
    return {"question": annotation["question"], "answer": annotation["answer"] or ""}
