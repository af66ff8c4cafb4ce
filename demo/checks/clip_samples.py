"""Holding what was published of the demo's films against what was planted: the numbers are read off every frame.

The corpus is read as any trainer would: tar files and JSON.
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
from demo.checks.clips import Row, questions_on, scenes_of
from demo.films.films import Film, Truth
from demo.films.frame_numbers import number_on
from recaption.dummy import BUDGET, MODEL, dummy_caption

_NEAR_S = 0.002


@dataclass(frozen=True)
class Sample:
    """One sample of a corpus."""

    tar: str
    json: dict[str, Any]
    members: dict[str, bytes]  # by field


@dataclass(frozen=True)
class Shown:
    """The clip on a side of a sample."""

    film: Film
    frames: tuple[int, ...]  # of the film, counted from 0
    mp4: tuple[int, ...]  # likewise; empty: there is no mp4
    jpegs: tuple[bytes, ...]

    @property
    def times_s(self) -> list[float]:
        """When its frames are seen."""
        return [self.film.times_s[frame] for frame in self.frames]


@dataclass(frozen=True)
class Made:
    """What a dataset is made of."""

    rows: pa.Table  # `video.schema.GROUPS_SCHEMA`: all that are kept must be in it, and nothing else
    grouped: bool  # the clips of a film must lie together


def compare_samples(truth: Truth, made: Mapping[str, Made], corpus: str | Path) -> list[str]:
    """What is not as planted in the datasets of a corpus, a line for each; empty if all is."""
    differences = []
    reading = _Reading()
    for dataset, of in made.items():
        rows = [row for row in of.rows.to_pylist() if row["status"] == Status.KEPT]
        samples = list(read_samples(Path(corpus) / dataset))
        looked = _Looked(truth, rows, reading)
        differences += [f"{dataset}: {line}" for line in [*looked.all(samples), *_lying(samples, of.grouped)]]
    return differences


def read_samples(folder: Path) -> Iterator[Sample]:
    """The samples of a dataset, in the order in which they lie."""
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for _, entries in groupby(tar, key=lambda entry: entry.name.split(".", 1)[0]):
                members = {entry.name.split(".", 1)[1]: _content(tar, entry) for entry in entries}
                yield Sample(path.name, json.loads(members.pop("json")), members)


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(entry)
    assert file is not None, f"{entry.name} is no file"
    return file.read()


class _Reading:
    """What is read off bytes, each once: most clips are in several samples."""

    def __init__(self) -> None:
        self.numbers = functools.cache(_numbers)
        self.description = functools.cache(_description)


class _Looked:
    """Looks at the samples of one dataset."""

    def __init__(self, truth: Truth, rows: Iterable[Row], reading: _Reading) -> None:
        self._truth = truth
        self._reading = reading
        self._rows: dict[tuple[str, tuple[int, ...]], Row] = {}
        for row in rows:
            film = next(film for film in truth.films if film.url == row["url"])
            self._rows[film.name, tuple(film.frame_at(time_s) for time_s in row["frame_times_s"])] = row
        self._seen: Counter[tuple[str, tuple[int, ...], str]] = Counter()

    def all(self, samples: Iterable[Sample]) -> Iterator[str]:
        """What is wrong with each sample, and what is missing."""
        groups: dict[str, list[tuple[Shown, Row]]] = defaultdict(list)
        for sample in samples:
            try:
                shown, row = self._own(sample)
                yield from (f"{sample.json['pair_id']}: {line}" for line in self._wrong(sample, shown, row))
            except ValueError as error:
                yield f"{sample.json['pair_id']}: {error}"
                continue
            if sample.json["group"]:
                groups[sample.json["group"]].append((shown, row))
        yield from self._missing()
        for members in groups.values():
            yield from self._wrong_group(members)

    def _wrong_group(self, members: Sequence[tuple[Shown, Row]]) -> Iterator[str]:
        """All clips of one film, each once."""
        names = {shown.film.name for shown, _ in members}
        if len(names) > 1:
            yield f"a group has clips of {' and '.join(sorted(names))}"
        all_of = sum(name in names for name, _ in self._rows)
        if len(members) != all_of:
            yield f"a group has {len(members)} of the {all_of} clips of {' and '.join(sorted(names))}"
        scenes = Counter(scenes_of(shown.film, row) for shown, row in members)
        yield from (f"scenes {scene} are in a group {count} times" for scene, count in scenes.items() if count > 1)

    def _own(self, sample: Sample) -> tuple[Shown, Row]:
        fields = sample.json
        side = "query" if fields["query"]["media"] else "positive"
        shown, row = self._look(sample, fields[side]["media"])
        if fields["source"]["url"] != (shown.film.url if "://" in shown.film.url else shown.film.name):
            raise ValueError(f"its source is {fields['source']['url']}, but it shows {shown.film.name}")
        text = fields["positive" if side == "query" else "query"]["text"]
        self._seen[shown.film.name, shown.frames, f"{fields['query']['text']}/{text}"] += 1
        return shown, row

    def _look(self, sample: Sample, fields: Iterable[str]) -> tuple[Shown, Row]:
        """The clip in some fields of a sample, and the row of tables that it is of. ValueError: it is none."""
        jpegs = tuple(sample.members[field] for field in fields if field.endswith(".jpg"))
        numbers = [number for data in jpegs for number in self._reading.numbers(data, "jpg")]
        films = [film for film in self._truth.films if film.numbered(numbers[0])]
        if not films or not all(films[0].numbered(number) for number in numbers):
            raise ValueError(f"its frames {numbers} are not of one film")
        film = films[0]
        films_mp4 = [sample.members[field] for field in fields if field.endswith(".mp4")]
        mp4 = [number for data in films_mp4 for number in self._reading.numbers(data, "mp4")]
        frames, moving = (tuple(number - film.first_number for number in each) for each in (numbers, mp4))
        row = self._rows.get((film.name, frames))
        if row is None:
            raise ValueError(f"frames {list(frames)} of {film.name} are those of none of its clips")
        return Shown(film, frames, moving, jpegs), row

    def _wrong(self, sample: Sample, shown: Shown, row: Row) -> Iterator[str]:
        fields, film = sample.json, shown.film
        if any(later <= earlier for earlier, later in pairwise(shown.frames)):
            yield f"its frames {list(shown.frames)} are not in the order of time"
        if not all(row["start_s"] - _NEAR_S <= time_s < row["end_s"] for time_s in shown.times_s):
            yield f"its frames {list(shown.frames)} lie outside of its clip"
        if shown.mp4 and list(shown.mp4) != list(range(film.frame_at(row["start_s"]), film.frame_at(row["end_s"]))):
            yield f"its mp4 has frames {shown.mp4[0]} to {shown.mp4[-1]}, {len(shown.mp4)} of them"
        yield from self._wrong_words(fields, shown, row)
        for negative in fields["negatives"]:
            if not negative["media"]:
                continue
            other, of = self._look(sample, negative["media"])
            if negative["origin"] != Origin.CLIP_SIBLING or other.film.name != film.name:
                yield f"a negative of {film.name} is from {other.film.name} ({negative['origin']})"
            elif scenes_of(film, of) == scenes_of(film, row):
                yield f"a negative shows the same scenes {scenes_of(film, row)}"

    def _wrong_words(self, fields: Mapping[str, Any], shown: Shown, row: Row) -> Iterator[str]:
        """Whether the words are those of this clip, by the truth."""
        film = shown.film
        parts = [part for part in film.parts if all(part.start_s <= time_s < part.end_s for time_s in shown.times_s)]
        if fields["task"] == Task.VIDEO_QA:
            question = (fields["query"]["text"], fields["positive"]["text"])
            if question not in [each for part in parts for each in questions_on(part)]:
                yield f"{question} is not asked about frames {list(shown.frames)}"
            return
        text = fields["query"]["text"] or fields["positive"]["text"]
        if fields["caption_origin"] == CaptionOrigin.ORIGINAL:
            if text not in [part.text for part in parts] and text != row["video_text"]:
                yield f"{text!r} is not said of frames {list(shown.frames)}"
        elif fields["caption_model"] == MODEL and text != self._reading.description(shown.jpegs):
            yield f"{text!r} was not written of frames {list(shown.frames)}"

    def _missing(self) -> Iterator[str]:
        found = Counter((name, frames) for name, frames, _ in self._seen)
        most = {
            film.name: max((n for (name, _), n in found.items() if name == film.name), default=1)
            for film in self._truth.films
        }
        for (name, frames), row in self._rows.items():
            if found[name, frames] != most[name]:
                where = f"{name}, {row['start_s']:.2f} to {row['end_s']:.2f} s"
                yield f"{where}: in {found[name, frames]} samples, others in {most[name]}"
        yield from (
            f"{name}: {words!r} is there {count} times" for (name, _, words), count in self._seen.items() if count > 1
        )


def _lying(samples: Iterable[Sample], grouped: bool) -> Iterator[str]:
    """Every sample is in a group, which is one run of samples in one tar; or none is in any."""
    places = [(tar, group) for (tar, group), _ in groupby(samples, key=lambda one: (one.tar, one.json["group"]))]
    if any(bool(group) != grouped for _, group in places):
        yield "some samples are in no group" if grouped else "some samples are in a group"
    runs = Counter(group for _, group in places if group)
    yield from (f"group {group} lies in {count} places" for group, count in runs.items() if count > 1)


def _numbers(data: bytes, ext: str) -> tuple[int, ...]:
    """The numbers on the frames of a file. ValueError where one cannot be read."""
    if ext == "jpg":
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise ValueError("a frame cannot be decoded")
        return (number_on(pixels),)
    import av

    with av.open(io.BytesIO(data), "r") as container:
        return tuple(number_on(_luma(frame)) for frame in container.decode(video=0))


def _luma(frame: Any) -> Any:
    """The brightness of a decoded frame, (height, width), as it lies: nothing is converted."""
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _description(jpegs: tuple[bytes, ...]) -> str:
    """What the captioner without a model says of a clip."""
    budget = BUDGET.per_image(len(jpegs))
    return dummy_caption(*(decode_to_budget(data, budget) for data in jpegs))
