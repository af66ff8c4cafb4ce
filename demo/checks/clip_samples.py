"""Compares the published samples of the demo's films with the planted truth, by the number on every frame.

The corpus is read as a trainer reads it: tar files and JSON.
"""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from corpus.image.pixel_budget import decode_to_budget
from corpus.schema import CaptionOrigin, Origin, Status, Task
from demo.checks.clips import ClipFields, questions_on, scenes_of
from demo.films.films import Film, FilmsTruth
from demo.films.frame_numbers import number_on
from recaption.dummy import BUDGET, MODEL, dummy_caption

_NEAR_S = 0.002


@dataclass(frozen=True)
class ReadSample:
    """One sample of a corpus."""

    tar: str
    json: dict[str, Any]
    members: dict[str, bytes]  # by field


@dataclass(frozen=True)
class SampleClip:
    """The clip on a side of a sample, as its frame numbers identify it."""

    film: Film
    frames: tuple[int, ...]  # numbers in the film, from 0
    mp4: tuple[int, ...]  # likewise; empty: no mp4
    jpegs: tuple[bytes, ...]

    @property
    def times_s(self) -> list[float]:
        """The times of its frames."""
        return [self.film.times_s[frame] for frame in self.frames]


@dataclass(frozen=True)
class ExpectedSamples:
    """The rows from which the samples of a dataset are expected."""

    rows: pa.Table  # `video.schema.GROUPS_SCHEMA`: all kept ones must be published, and nothing else
    grouped: bool  # the clips of a film must be consecutive
    cut_runs: int = 0  # those that the manifest says are cut in two, to fill tars exactly


def compare_samples(truth: FilmsTruth, expected: Mapping[str, ExpectedSamples], corpus: str | Path) -> list[str]:
    """Lists the differences of the datasets of a corpus from the planted truth, a line each."""
    differences = []
    reader = _FrameReader()
    for dataset, of in expected.items():
        rows = [row for row in of.rows.to_pylist() if row["status"] == Status.KEPT]
        samples = list(read_samples(Path(corpus) / dataset))
        checker = _SampleChecker(truth, rows, reader)
        differences += [f"{dataset}: {line}" for line in [*checker.all(samples), *_group_faults(samples, of)]]
    return differences


def read_samples(folder: Path) -> Iterator[ReadSample]:
    """Reads the samples of a dataset, in published order."""
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for _, entries in groupby(tar, key=lambda entry: entry.name.split(".", 1)[0]):
                members = {entry.name.split(".", 1)[1]: _content(tar, entry) for entry in entries}
                yield ReadSample(path.name, json.loads(members.pop("json")), members)


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry)
    assert file is not None, f"{entry.name} is no file"
    return file.read()


class _FrameReader:
    """Reads frame numbers and captions from bytes, each once: most clips are in several samples."""

    def __init__(self) -> None:
        self.numbers = functools.cache(_numbers)
        self.description = functools.cache(_description)


class _SampleChecker:
    """Checks the samples of one dataset."""

    def __init__(self, truth: FilmsTruth, rows: Iterable[ClipFields], reader: _FrameReader) -> None:
        self._truth = truth
        self._reader = reader
        self._rows: dict[tuple[str, tuple[int, ...]], ClipFields] = {}
        for row in rows:
            film = next(film for film in truth.films if film.url == row["url"])
            self._rows[film.name, tuple(film.frame_at(time_s) for time_s in row["frame_times_s"])] = row
        self._counts: Counter[tuple[str, tuple[int, ...], str]] = Counter()

    def all(self, samples: Iterable[ReadSample]) -> Iterator[str]:
        """Lists the faults of each sample, and the missing clips."""
        groups: dict[str, list[tuple[SampleClip, ClipFields]]] = defaultdict(list)
        for sample in samples:
            try:
                clip, row = self._clip_and_row(sample)
                yield from (f"{sample.json['pair_id']}: {line}" for line in self._clip_faults(sample, clip, row))
            except ValueError as error:
                yield f"{sample.json['pair_id']}: {error}"
                continue
            if sample.json["group"]:
                groups[sample.json["group"]].append((clip, row))
        yield from self._missing()
        for members in groups.values():
            yield from self._faults_of_group(members)

    def _faults_of_group(self, members: Sequence[tuple[SampleClip, ClipFields]]) -> Iterator[str]:
        """Checks that a group has all clips of one film, each once."""
        names = {clip.film.name for clip, _ in members}
        if len(names) > 1:
            yield f"a group has clips of {' and '.join(sorted(names))}"
        all_of = sum(name in names for name, _ in self._rows)
        if len(members) != all_of:
            yield f"a group has {len(members)} of the {all_of} clips of {' and '.join(sorted(names))}"
        scenes = Counter(scenes_of(clip.film, row) for clip, row in members)
        yield from (f"scenes {scene} are in a group {count} times" for scene, count in scenes.items() if count > 1)

    def _clip_and_row(self, sample: ReadSample) -> tuple[SampleClip, ClipFields]:
        fields = sample.json
        side = "query" if fields["query"]["media"] else "positive"
        clip, row = self._find_clip(sample, fields[side]["media"])
        if fields["source"]["url"] != (clip.film.url if "://" in clip.film.url else clip.film.name):
            raise ValueError(f"its source is {fields['source']['url']}, but it shows {clip.film.name}")
        text = fields["positive" if side == "query" else "query"]["text"]
        self._counts[clip.film.name, clip.frames, f"{fields['query']['text']}/{text}"] += 1
        return clip, row

    def _find_clip(self, sample: ReadSample, fields: Iterable[str]) -> tuple[SampleClip, ClipFields]:
        """Returns the clip in some fields of a sample, and its row of the tables. Raises ValueError for no clip."""
        jpegs = tuple(sample.members[field] for field in fields if field.endswith(".jpg"))
        numbers = [number for data in jpegs for number in self._reader.numbers(data, "jpg")]
        films = [film for film in self._truth.films if film.has_number(numbers[0])]
        if not films or not all(films[0].has_number(number) for number in numbers):
            raise ValueError(f"its frames {numbers} are not of one film")
        film = films[0]
        films_mp4 = [sample.members[field] for field in fields if field.endswith(".mp4")]
        mp4 = [number for data in films_mp4 for number in self._reader.numbers(data, "mp4")]
        frames, moving = (tuple(number - film.first_number for number in each) for each in (numbers, mp4))
        row = self._rows.get((film.name, frames))
        if row is None:
            raise ValueError(f"frames {list(frames)} of {film.name} are those of none of its clips")
        return SampleClip(film, frames, moving, jpegs), row

    def _clip_faults(self, sample: ReadSample, clip: SampleClip, row: ClipFields) -> Iterator[str]:
        fields, film = sample.json, clip.film
        if any(later <= earlier for earlier, later in pairwise(clip.frames)):
            yield f"its frames {list(clip.frames)} are not in the order of time"
        if not all(row["start_s"] - _NEAR_S <= time_s < row["end_s"] for time_s in clip.times_s):
            yield f"its frames {list(clip.frames)} lie outside of its clip"
        if clip.mp4 and list(clip.mp4) != list(range(film.frame_at(row["start_s"]), film.frame_at(row["end_s"]))):
            yield f"its mp4 has frames {clip.mp4[0]} to {clip.mp4[-1]}, {len(clip.mp4)} of them"
        yield from self._text_faults(fields, clip, row)
        for negative in fields["negatives"]:
            if not negative["media"]:
                continue
            other, of = self._find_clip(sample, negative["media"])
            if negative["origin"] != Origin.CLIP_SIBLING or other.film.name != film.name:
                yield f"a negative of {film.name} is from {other.film.name} ({negative['origin']})"
            elif scenes_of(film, of) == scenes_of(film, row):
                yield f"a negative shows the same scenes {scenes_of(film, row)}"

    def _text_faults(self, fields: Mapping[str, Any], clip: SampleClip, row: ClipFields) -> Iterator[str]:
        """Checks that the texts are those of this clip, by the truth."""
        film = clip.film
        parts = [part for part in film.parts if all(part.start_s <= time_s < part.end_s for time_s in clip.times_s)]
        if fields["task"] == Task.VIDEO_QA:
            question = (fields["query"]["text"], fields["positive"]["text"])
            if question not in [each for part in parts for each in questions_on(part)]:
                yield f"{question} is not asked about frames {list(clip.frames)}"
            return
        text = fields["query"]["text"] or fields["positive"]["text"]
        if fields["caption_origin"] == CaptionOrigin.ORIGINAL:
            if text not in [part.text for part in parts] and text != row["video_text"]:
                yield f"{text!r} is no text of frames {list(clip.frames)}"
        elif fields["caption_model"] == MODEL and text != self._reader.description(clip.jpegs):
            yield f"{text!r} was not written of frames {list(clip.frames)}"

    def _missing(self) -> Iterator[str]:
        found = Counter((name, frames) for name, frames, _ in self._counts)
        max_counts = {
            film.name: max((n for (name, _), n in found.items() if name == film.name), default=1)
            for film in self._truth.films
        }
        for (name, frames), row in self._rows.items():
            if found[name, frames] != max_counts[name]:
                where = f"{name}, {row['start_s']:.2f} to {row['end_s']:.2f} s"
                yield f"{where}: in {found[name, frames]} samples, others in {max_counts[name]}"
        yield from (
            f"{name}: {words!r} is published {count} times"
            for (name, _, words), count in self._counts.items()
            if count > 1
        )


def _group_faults(samples: Iterable[ReadSample], expected: ExpectedSamples) -> Iterator[str]:
    """Checks that every sample is in a group, which is one run of samples in one tar; or that none is in any."""
    places = [(tar, group) for (tar, group), _ in groupby(samples, key=lambda one: (one.tar, one.json["group"]))]
    if any(bool(group) != expected.grouped for _, group in places):
        yield "some samples are in no group" if expected.grouped else "some samples are in a group"
    runs = Counter(group for _, group in places if group)
    if sum(runs.values()) - len(runs) > expected.cut_runs:
        yield from (f"group {group} is in {count} places" for group, count in runs.items() if count > 1)


def _numbers(data: bytes, ext: str) -> tuple[int, ...]:
    """Reads the numbers on the frames of a file. Raises ValueError where one can't be read."""
    if ext == "jpg":
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise ValueError("a frame cannot be decoded")
        return (number_on(pixels),)
    import av

    with av.open(io.BytesIO(data), "r") as container:
        return tuple(number_on(_luma(frame)) for frame in container.decode(video=0))


def _luma(frame: Any) -> Any:
    """Returns the brightness of a decoded frame, (height, width), without a conversion."""
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _description(jpegs: tuple[bytes, ...]) -> str:
    """Returns the caption that the dummy backend writes for a clip."""
    budget = BUDGET.per_image(len(jpegs))
    return dummy_caption(*(decode_to_budget(data, budget) for data in jpegs))
