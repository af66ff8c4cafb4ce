"""Source `videos`: long videos, files or URLs, with what is said of them and of their parts.

A row is a video or, of a long one that isn't on the web, a span of it, so that work on one video can be shared. All
times are seconds as a player shows them: 0 is where the container begins (its `start_time`), which is before the first
frame where the sound begins earlier.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from corpus.hashing import hash_strings
from corpus.settings import SettingsError, tuning
from corpus.stages import Gives
from pipelines.sources.base import SourceSettings
from pipelines.sources.found_files import NO_DATA, FoundFile, find_files, is_unicode
from pipelines.sources.json_records import Faults
from pipelines.sources.not_read import NotRead
from pipelines.sources.video_files import JSON_ENDINGS, VIDEO_ENDINGS, Names, is_web, on_the_web, under_prefix
from pipelines.sources.video_forms import Annotation, AnyForm, Vript, read_annotations
from pipelines.sources.video_spans import ANNOTATION, share_out, span_starts
from video.probe import Glance, glance

COLUMNS = pa.schema(
    [
        pa.field("url", pa.string()),  # a local path, or a URL; the same for all spans of a video
        pa.field("video", pa.string()),  # its name, below the folder where it was found; no other video has the same
        pa.field("span_start_s", pa.float64()),
        pa.field("span_end_s", pa.float64()),  # null: to the end
        pa.field("text", pa.string()),  # of the whole video, on each of its spans
        pa.field("annotations", pa.list_(ANNOTATION)),  # those that begin in the span, in the order of time
        pa.field("timed", pa.bool_()),  # parts of the video are annotated with times
        pa.field("home", pa.int32()),  # number of the shard that holds the video's first row
        pa.field("spans", pa.int32()),  # rows of the video
        pa.field("first_s", pa.float64()),  # of the first frame, on the container's own timeline; null: not known yet
        pa.field("zero_s", pa.float64()),  # where a player's clock shows 0, on the same timeline
        pa.field("duration_s", pa.float64()),  # of the pictures
        pa.field("licence", pa.string()),
    ]
)
T = TypeVar("T")
_BLOCK = 32  # videos that are looked at ahead


class VideosSource(SourceSettings):
    """Which videos, and what is said of them."""

    gives = Gives.CLIPS
    summary = "long videos in folders, in buckets or on the web, with annotations of them and of their parts"

    kind: Literal["videos"]
    videos: tuple[str, ...] = Field(
        min_length=1,
        description="paths, folders, globs, fsspec URLs; http(s) URLs, one ending in / is put before annotated names",
    )
    annotations: tuple[AnyForm, ...] = ()
    url_ending: str = Field(".mp4", description="of annotated names without one, under a URL")
    licence: str = ""
    sample_rows: int | None = Field(None, ge=1, description="rows of videos drawn at random; null: all, in order")
    seed: int = Field(0, ge=0, description="of the sample")
    shard_rows: int = Field(16, ge=1)
    span_s: float = Field(
        600.0, gt=0, description="longer videos, but for those on the web, become rows of equal spans"
    )
    max_duration_s: float = Field(24 * 3600.0, gt=0, description="what claims more is one row, for `clips` to judge")
    probe_threads: int = tuning(8, ge=1)

    @field_validator("videos")
    @classmethod
    def _one_prefix(cls, videos: tuple[str, ...]) -> tuple[str, ...]:
        if sum(_is_prefix(video) for video in videos) > 1:
            raise ValueError("only one URL can be put before the names")
        return videos

    def reader(self) -> VideosRows:
        return VideosRows(self)

    def conflicts(self, stages: Any) -> Iterator[str]:
        longest_s = stages.clips.whole_up_to_s
        if self.span_s < longest_s:
            yield (
                f"span_s: {self.span_s:g} s, but stages.clips.whole_up_to_s is {longest_s:g}: a video that is to be "
                "one clip must be one span"
            )


class VideosRows:
    """The rows of a source in shards, and what was left out.

    counts: `read` rows; `bad_name`, no Unicode; `repeated_video`, found twice; `no_video_file`, a name that annotations
    give; `not_sampled`, videos, and spans of the last one, that are not in the sample. read = rows + the others.
    annotation_counts: `read` annotations; `placed` in rows; `repeated`; `no_video_file`; `ambiguous_video`, several
    files have that name; `no_time`, of a part that nobody gave a time; `not_sampled`; malformed records by the reasons
    of `faults`. read = the others.
    faults: records of annotation files that are malformed.
    """

    def __init__(self, settings: VideosSource) -> None:
        self._settings = settings
        self.counts: dict[str, int] = {}
        self.annotation_counts: Counter[str] = Counter()
        self.faults = Faults()
        self._not_read = NotRead()

    @cached_property
    def _listed(self) -> list[FoundFile]:
        plain = [name for name in self._settings.videos if not _is_prefix(name)]
        return [
            found
            for name in plain
            for found in (
                [on_the_web(name)] if is_web(name) else find_files([name], VIDEO_ENDINGS, "videos", self._not_read)
            )
        ]

    def identity(self) -> dict[str, Any]:
        """The settings, and name, size and version of each file. Raises SettingsError where there are none."""
        files = [*self._listed, *(file for both in self._files for each in both for file in each)]
        if self._settings.annotations:
            self._not_read.forget_others(JSON_ENDINGS + VIDEO_ENDINGS)  # they may lie in one folder
        return {**self._settings.canonical(), "files": [(file.url, file.size, file.version) for file in files]}

    @cached_property
    def _files(self) -> list[tuple[list[FoundFile], list[FoundFile]]]:
        """Of each form the files, and those of its cuts."""
        return [
            (
                find_files(form.files, JSON_ENDINGS, "annotations", self._not_read, NO_DATA),
                find_files(form.cuts, JSON_ENDINGS, "cuts", self._not_read, NO_DATA) if isinstance(form, Vript) else [],
            )
            for form in self._settings.annotations
        ]

    def check(self) -> None:
        """Raises SettingsError for a pattern that finds no files; what is in them is for the stages to judge."""
        self.identity()

    def shards(self) -> Iterator[pa.Table]:
        """Tables of `shard_rows` rows with COLUMNS. A video that cannot be read is one row, for a stage to judge."""
        self.counts, self.annotation_counts, self.faults = {}, Counter(), Faults()
        said = self._said()
        rows = self._rows(self._in_order(list(said)), said)
        blocks = iter(lambda: list(itertools.islice(rows, self._settings.shard_rows)), [])
        yield from (pa.Table.from_pylist(block, schema=COLUMNS) for block in blocks)

    def _said(self) -> dict[FoundFile, list[Annotation]]:
        """Each video, once, with its annotations."""
        named = [video for video in self._listed if is_unicode(video.url)]
        listed = {video.url: video for video in named}
        self.counts = {"bad_name": len(self._listed) - len(named), "repeated_video": len(named) - len(listed)}
        said: dict[FoundFile, dict[Annotation, None]] = {video: {} for video in listed.values()}
        names = Names(said)
        missing: set[str] = set()
        for annotation in self._annotations():
            self.annotation_counts["read"] += 1
            found = names.find(annotation.video)
            if not found and (elsewhere := self._elsewhere(annotation.video)):
                found = [listed.setdefault(elsewhere.url, elsewhere)]
            if len(found) != 1:
                self.annotation_counts["ambiguous_video" if found else "no_video_file"] += 1
                missing.update([] if found else [annotation.video])
                continue
            of_video = said.setdefault(found[0], {})
            bare = replace(annotation, video="")  # it may be named in several ways
            self.annotation_counts["repeated"] += bare in of_video
            of_video[bare] = None
        self.annotation_counts.update(self.faults.counts)
        self.annotation_counts["read"] += self.faults.counts.total()
        self.counts["no_video_file"] = len(missing)
        return {video: list(annotations) for video, annotations in _named_apart(said).items()}

    def _annotations(self) -> Iterator[Annotation]:
        for form, (files, cuts) in zip(self._settings.annotations, self._files, strict=True):
            yield from read_annotations(form, [f.url for f in files], [f.url for f in cuts], self.faults)

    def _elsewhere(self, name: str) -> FoundFile | None:
        """The URL of a video that was not listed."""
        if is_web(name):
            return on_the_web(name)
        prefix = next(filter(_is_prefix, self._settings.videos), None)
        return under_prefix(prefix, name, self._settings.url_ending) if prefix else None

    def _in_order(self, videos: list[FoundFile]) -> list[FoundFile]:
        if self._settings.sample_rows is None:
            return videos
        hashes = hash_strings(pa.array([video.url for video in videos], pa.string()), self._settings.seed)
        return [videos[at] for at in np.argsort(hashes, kind="stable").tolist()]

    @property
    def notes(self) -> dict[str, Any]:
        """What became of the annotations, malformed records and files that were not read, for people."""
        notes = {"annotations": dict(sorted(self.annotation_counts.items())), "faults": self.faults.lines()}
        return notes | self._not_read.notes()

    def _rows(self, videos: list[FoundFile], said: dict[FoundFile, list[Annotation]]) -> Iterator[dict[str, Any]]:
        most = self._settings.sample_rows
        rows = left_out = begun = 0
        for video, seen in self._measured(videos):
            begun += 1
            starts = span_starts(seen.duration_s if seen else None, self._settings.span_s)
            text, shares = share_out(said[video], starts, self.annotation_counts)
            spread = len(starts) > 1  # else the stage that opens the video looks at all of it anyway
            of_video = {
                "timed": any(each.start_s is not None for each in said[video]),
                "home": rows // self._settings.shard_rows,
                "spans": len(starts),
                "first_s": seen.first_s if seen and spread else None,
                "zero_s": seen.zero_s if seen and spread else None,
                "duration_s": seen.duration_s if seen and spread else None,
            }
            for start_s, end_s, share in zip(starts, [*starts[1:], None], shares, strict=True):
                if rows == most:
                    left_out += 1
                    self.annotation_counts["placed"] -= len(share)
                    self.annotation_counts["not_sampled"] += len(share)
                    continue
                rows += 1
                yield {
                    "url": video.url,
                    "video": video.name,
                    "span_start_s": start_s,
                    "span_end_s": end_s,
                    "text": text,
                    "annotations": share,
                    **of_video,
                    "licence": self._settings.licence,
                }
            if rows == most:
                break
        rest = videos[begun:]
        self.annotation_counts["not_sampled"] += sum(len(said[video]) for video in rest)
        self.counts["not_sampled"] = left_out + len(rest)
        self.counts["read"] = rows + sum(self.counts.values())

    def _measured(self, videos: Sequence[FoundFile]) -> Iterator[tuple[FoundFile, Glance | None]]:
        """Videos with their lengths, some looked at ahead."""
        with ThreadPoolExecutor(self._settings.probe_threads) as pool:
            for first in range(0, len(videos), _BLOCK):
                block = videos[first : first + _BLOCK]
                yield from zip(block, pool.map(self._glance, block), strict=True)

    def _glance(self, video: FoundFile) -> Glance | None:
        """None of what lies on the web, and of what cannot be read."""
        if is_web(video.url):
            return None
        try:
            seen = glance(video.url)
        except ModuleNotFoundError as error:
            raise SettingsError(f"videos: {error}: pip install 'rzen-corpus[video]'") from error
        return seen if seen and seen.duration_s <= self._settings.max_duration_s else None


def _named_apart(said: Mapping[FoundFile, T]) -> dict[FoundFile, T]:
    """The same videos; those that share a name have their whole URLs for it."""
    names = Counter(video.name for video in said)
    return {
        (replace(video, name=video.url) if names[video.name] > 1 else video): about for video, about in said.items()
    }


def _is_prefix(name: str) -> bool:
    return is_web(name) and name.endswith("/")
