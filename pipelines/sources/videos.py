"""Source `videos`: long videos, files or URLs, with annotations of them and of their parts.

A row is a video or, of a long one that isn't on the web, a segment of it, so that work on one video can be shared. All
times are seconds as a player shows them: 0 is where the container begins (its `start_time`), which is before the first
frame where the sound begins earlier.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import pyarrow as pa
from pydantic import Field, field_validator

from corpus.sampling import random_order
from corpus.settings import SettingsError, tuning
from corpus.stage import Gives
from pipelines.sources.base import SourceSettings
from pipelines.sources.files import NO_DATA, FileInfo, find_files, is_unicode
from pipelines.sources.json_records import BadRecords
from pipelines.sources.malformed import malformed_notes
from pipelines.sources.not_read import NotRead
from pipelines.sources.video_annotations import Annotation, AnyForm, Vript, read_annotations
from pipelines.sources.video_files import JSON_ENDINGS, VIDEO_ENDINGS, VideoNames, is_web, on_the_web, under_prefix
from video.probe import QuickProbe, quick_probe

ANNOTATION = pa.struct(
    [
        pa.field("start_s", pa.float64()),  # null: of the whole video
        pa.field("end_s", pa.float64()),  # null: to the video's end
        pa.field("text", pa.string()),
        pa.field("question", pa.string()),
        pa.field("answer", pa.string()),
    ]
)

VIDEO_COLUMNS = pa.schema(
    [
        pa.field("url", pa.string()),  # a local path, or a URL; the same for all segments of a video
        pa.field("video", pa.string()),  # its name, below the folder where it was found; no other video has the same
        pa.field("segment_start_s", pa.float64()),
        pa.field("segment_end_s", pa.float64()),  # null: to the end
        pa.field("text", pa.string()),  # of the whole video, on each of its segments
        pa.field("annotations", pa.list_(ANNOTATION)),  # those that begin in the segment, in the order of time
        pa.field("timed", pa.bool_()),  # parts of the video are annotated with times
        pa.field("home_shard", pa.int32()),  # number of the shard that holds the video's first row
        pa.field("segments", pa.int32()),  # rows of the video
        pa.field("first_frame_s", pa.float64()),  # on the container's own timeline; null: not known yet
        pa.field("start_time_s", pa.float64()),  # where a player's clock shows 0, on the same timeline
        pa.field("duration_s", pa.float64()),  # of the pictures
        pa.field("licence", pa.string()),
    ]
)
T = TypeVar("T")
_BLOCK = 32  # videos that are probed ahead


class VideosSource(SourceSettings):
    """Settings of a source of videos: which videos, and their annotations."""

    gives = Gives.CLIPS
    summary = "long videos in folders, in buckets or on the web, with annotations of them and of their parts"

    kind: Literal["videos"] = Field(description="A source of long videos.")
    videos: tuple[str, ...] = Field(
        min_length=1,
        description="Paths, folders, globs, fsspec URLs; http(s) URLs, of which one that ends in / is put before "
        "the annotated names.",
    )
    annotations: tuple[AnyForm, ...] = Field((), description="Files with texts about videos and about parts of them.")
    url_extension: str = Field(".mp4", description="The extension of annotated names without one, under a URL.")
    licence: str = Field("", description="The licence of all videos, as text.")
    sample_rows: int | None = Field(
        None, ge=1, description="How many rows of videos are drawn at random; null takes all, in order."
    )
    seed: int = Field(0, ge=0, description="The seed of the sample.")
    shard_rows: int = Field(16, ge=1, description="Rows of a shard.")
    segment_s: float = Field(
        600.0,
        gt=0,
        description="The longest row of a video; a longer video, unless it is on the web, becomes several rows of "
        "equal segments.",
    )
    max_duration_s: float = Field(
        24 * 3600.0,
        gt=0,
        description="The longest video that is divided into segments; one whose header claims more is one row.",
    )
    probe_threads: int = tuning(8, ge=1, description="Threads that probe videos.")

    @field_validator("videos")
    @classmethod
    def _one_prefix(cls, videos: tuple[str, ...]) -> tuple[str, ...]:
        if sum(_is_prefix(video) for video in videos) > 1:
            raise ValueError("only one URL can be put before the names")
        return videos

    def reader(self) -> VideosReader:
        return VideosReader(self)

    def conflicts(self, stages: Any) -> Iterator[str]:
        longest_s = stages.clips.single_clip_max_s
        if self.segment_s < longest_s:
            yield (
                f"segment_s: {self.segment_s:g} s, but stages.clips.single_clip_max_s is {longest_s:g}: a video that "
                "is to be one clip must be one segment"
            )


class VideosReader:
    """The rows of a source in shards, and what was left out.

    counts: `read` rows; `bad_name`, no Unicode; `duplicate_video`, found twice; `no_video_file`, a name that
    annotations give; `not_sampled`, videos, and segments of the last one, that are not in the sample. read = rows + the
    others. annotation_counts: `read` annotations; `placed` in rows; `duplicate`; `no_video_file`; `ambiguous_video`,
    several files have that name; `no_time`, of a part without a time; `not_sampled`; malformed records by the reasons
    of `bad_records`. read = the others.
    bad_records: records of annotation files that are malformed.
    """

    def __init__(self, settings: VideosSource) -> None:
        self._settings = settings
        self.counts: dict[str, int] = {}
        self.annotation_counts: Counter[str] = Counter()
        self.bad_records = BadRecords()
        self._not_read = NotRead()

    @cached_property
    def _listed(self) -> list[FileInfo]:
        names = [name for name in self._settings.videos if not _is_prefix(name)]
        return [
            file
            for name in names
            for file in (
                [on_the_web(name)] if is_web(name) else find_files([name], VIDEO_ENDINGS, "videos", self._not_read)
            )
        ]

    def identity(self) -> dict[str, Any]:
        """Returns the settings, and name, size and version of each file. Raises SettingsError where there are none."""
        files = [*self._listed, *(file for both in self._files for each in both for file in each)]
        if self._settings.annotations:
            self._not_read.forget_others(JSON_ENDINGS + VIDEO_ENDINGS)  # they may lie in one folder
        return {**self._settings.canonical(), "files": [(file.url, file.size, file.version) for file in files]}

    @cached_property
    def _files(self) -> list[tuple[list[FileInfo], list[FileInfo]]]:
        """The annotation files of each form, and those of its cuts."""
        return [
            (
                find_files(form.files, JSON_ENDINGS, "annotations", self._not_read, NO_DATA),
                find_files(form.clip_times_files, JSON_ENDINGS, "clip_times_files", self._not_read, NO_DATA)
                if isinstance(form, Vript)
                else [],
            )
            for form in self._settings.annotations
        ]

    def check(self) -> None:
        """Raises SettingsError for a pattern that finds no files; the stages check what is in them."""
        self.identity()

    def shards(self) -> Iterator[pa.Table]:
        """Yields tables of `shard_rows` rows with COLUMNS. A video that cannot be read is one row, and fails later."""
        self.counts, self.annotation_counts, self.bad_records = {}, Counter(), BadRecords()
        annotations = self._annotations_by_video()
        rows = self._rows(self._in_order(list(annotations)), annotations)
        blocks = iter(lambda: list(itertools.islice(rows, self._settings.shard_rows)), [])
        yield from (pa.Table.from_pylist(block, schema=VIDEO_COLUMNS) for block in blocks)

    def _annotations_by_video(self) -> dict[FileInfo, list[Annotation]]:
        """Collects the annotations of each video; no video comes twice."""
        valid = [video for video in self._listed if is_unicode(video.url)]
        listed = {video.url: video for video in valid}
        self.counts = {"bad_name": len(self._listed) - len(valid), "duplicate_video": len(valid) - len(listed)}
        by_video: dict[FileInfo, dict[Annotation, None]] = {video: {} for video in listed.values()}
        names = VideoNames(by_video)
        missing: set[str] = set()
        for annotation in self._annotations():
            self.annotation_counts["read"] += 1
            videos = names.find(annotation.video)
            if not videos and (unlisted := self._unlisted(annotation.video)):
                videos = [listed.setdefault(unlisted.url, unlisted)]
            if len(videos) != 1:
                self.annotation_counts["ambiguous_video" if videos else "no_video_file"] += 1
                missing.update([] if videos else [annotation.video])
                continue
            known = by_video.setdefault(videos[0], {})
            unnamed = replace(annotation, video="")  # the video may be named in several ways
            self.annotation_counts["duplicate"] += unnamed in known
            known[unnamed] = None
        self.annotation_counts.update(self.bad_records.counts)
        self.annotation_counts["read"] += self.bad_records.counts.total()
        self.counts["no_video_file"] = len(missing)
        return {video: list(annotations) for video, annotations in _with_distinct_names(by_video).items()}

    def _annotations(self) -> Iterator[Annotation]:
        for form, (files, cuts) in zip(self._settings.annotations, self._files, strict=True):
            yield from read_annotations(form, [f.url for f in files], [f.url for f in cuts], self.bad_records)

    def _unlisted(self, name: str) -> FileInfo | None:
        """Makes the file of a video on the web that was not listed."""
        if is_web(name):
            return on_the_web(name)
        prefix = next(filter(_is_prefix, self._settings.videos), None)
        return under_prefix(prefix, name, self._settings.url_extension) if prefix else None

    def _in_order(self, videos: list[FileInfo]) -> list[FileInfo]:
        if self._settings.sample_rows is None:
            return videos
        urls = pa.array([video.url for video in videos], pa.string())
        return [videos[at] for at in random_order(urls, self._settings.seed).tolist()]

    @property
    def notes(self) -> dict[str, Any]:
        """Outcomes of annotations, malformed records and files that were not read, for people."""
        annotations = {"annotations": dict(sorted(self.annotation_counts.items()))}
        return annotations | malformed_notes(self.bad_records) | self._not_read.notes()

    def _rows(self, videos: list[FileInfo], annotations: dict[FileInfo, list[Annotation]]) -> Iterator[dict[str, Any]]:
        """Makes the rows of videos, up to the size of the sample."""
        max_rows = self._settings.sample_rows
        rows = skipped = started = 0
        for video, probe in self._probed(videos):
            started += 1
            starts = segment_starts(probe.duration_s if probe else None, self._settings.segment_s)
            text, by_segment = assign_annotations(annotations[video], starts, self.annotation_counts)
            is_divided = len(starts) > 1  # else the stage that opens the video reads all of it anyway
            video_fields = {
                "timed": any(each.start_s is not None for each in annotations[video]),
                "home_shard": rows // self._settings.shard_rows,
                "segments": len(starts),
                "first_frame_s": probe.first_s if probe and is_divided else None,
                "start_time_s": probe.zero_s if probe and is_divided else None,
                "duration_s": probe.duration_s if probe and is_divided else None,
            }
            for start_s, end_s, segment in zip(starts, [*starts[1:], None], by_segment, strict=True):
                if rows == max_rows:
                    skipped += 1
                    self.annotation_counts["placed"] -= len(segment)
                    self.annotation_counts["not_sampled"] += len(segment)
                    continue
                rows += 1
                yield {
                    "url": video.url,
                    "video": video.name,
                    "segment_start_s": start_s,
                    "segment_end_s": end_s,
                    "text": text,
                    "annotations": segment,
                    **video_fields,
                    "licence": self._settings.licence,
                }
            if rows == max_rows:
                break
        rest = videos[started:]
        self.annotation_counts["not_sampled"] += sum(len(annotations[video]) for video in rest)
        self.counts["not_sampled"] = skipped + len(rest)
        self.counts["read"] = rows + sum(self.counts.values())

    def _probed(self, videos: Sequence[FileInfo]) -> Iterator[tuple[FileInfo, QuickProbe | None]]:
        """Probes videos for their lengths, some ahead."""
        with ThreadPoolExecutor(self._settings.probe_threads) as pool:
            for first in range(0, len(videos), _BLOCK):
                block = videos[first : first + _BLOCK]
                yield from zip(block, pool.map(self._probe, block), strict=True)

    def _probe(self, video: FileInfo) -> QuickProbe | None:
        """Probes one video; None for one on the web, and for one that cannot be read."""
        if is_web(video.url):
            return None
        try:
            probe = quick_probe(video.url)
        except ModuleNotFoundError as error:
            raise SettingsError(f"videos: {error}: pip install 'rzen-corpus[video]'") from error
        return probe if probe and probe.duration_s <= self._settings.max_duration_s else None


def _with_distinct_names(videos: Mapping[FileInfo, T]) -> dict[FileInfo, T]:
    """Makes the names of videos distinct: those that share a name get their full URLs for it."""
    names = Counter(video.name for video in videos)
    return {
        (replace(video, name=video.url) if names[video.name] > 1 else video): value for video, value in videos.items()
    }


def _is_prefix(name: str) -> bool:
    return is_web(name) and name.endswith("/")


def segment_starts(duration_s: float | None, segment_s: float) -> list[float]:
    """Finds where each of the fewest equal segments begins that are no longer than `segment_s`."""
    count = max(math.ceil((duration_s or 0.0) / segment_s), 1)
    return [round(at * (duration_s or 0.0) / count, 3) for at in range(count)]


def assign_annotations(
    annotations: Sequence[Annotation], starts: Sequence[float], counts: Counter[str]
) -> tuple[str, list[list[dict[str, Any]]]]:
    """Gives the first description of the video, and each segment the annotations that begin in it, in order of time.

    Further annotations of the video go to the first segment, without times; those that begin behind the end to the
    last: the stage that cuts knows the end. Adds to `counts` how many were placed and how many left out.
    """
    text = ""
    by_segment: list[list[dict[str, Any]]] = [[] for _ in starts]
    for annotation in annotations:
        fields = {"text": annotation.text, "question": annotation.question, "answer": annotation.answer}
        if annotation.start_s is None and not annotation.whole_video:
            counts["no_time"] += 1
            continue
        counts["placed"] += 1
        if annotation.whole_video and annotation.text and not text:
            text = fields["text"]
            fields["text"] = ""
            if not annotation.question:
                continue
        segment = bisect.bisect_right(starts, annotation.start_s or 0.0) - 1
        by_segment[segment].append({"start_s": annotation.start_s, "end_s": annotation.end_s, **fields})
    for each_segment in by_segment:
        each_segment.sort(key=lambda each: -1.0 if each["start_s"] is None else each["start_s"])
    return text, by_segment
