"""Builds the demo's films and their truth.

    FOLDER/films/documentary.mp4       constant frame rate; FOLDER/films/annotations.jsonl has its parts
    FOLDER/films/...                   files that are named as videos and are none
    FOLDER/www/feature.mkv             variable frame rate, B-frames, no annotations; served on the demo's web
    FOLDER/films.json                  the truth (class FilmsTruth)

Every frame has a number (`frame_numbers`), which is unique over all films.
"""

from __future__ import annotations

import json
import shutil
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, count, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from demo.films.render import BLACK, CAMERAS, TRANSITION_FRAMES, Shot, gallery, write_film, write_tone
from demo.images.world import BASE_URL

DOCUMENTARY, FEATURE = "documentary.mp4", "feature.mkv"
_NUMBERS = {DOCUMENTARY: 0, FEATURE: 20_000}  # of the first frame
_NEAR_S = 0.002  # times in tables and in containers are rounded
_RATE = 12  # frames per second; in the feature on average
_SYNOPSIS = "A documentary that shows one thing after the other, each while the camera moves over it."


@dataclass(frozen=True)
class AnnotatedPart:
    """An annotated interval of a film. Seconds from the first frame."""

    start_s: float
    end_s: float
    text: str
    question: str = ""
    answer: str = ""
    again: bool = False  # an earlier part looks the same, and is described in the same words


@dataclass(frozen=True)
class FilmShot:
    """A shot of a film: its frames are `first` to `until`, the latter excluded."""

    first: int
    until: int
    scene: int
    ending: str  # of the transition to the next: cut, fade, dissolve
    reason: str = ""  # why it is no clip


@dataclass(frozen=True)
class Film:
    """The truth about a film."""

    name: str
    url: str  # a path, or a URL
    first_number: int  # on its first frame; the others count on
    times_s: list[float]
    shots: list[FilmShot]
    parts: list[AnnotatedPart]  # annotated; empty: its clips are its scenes

    @property
    def end_s(self) -> float:
        """The time at which the last frame ends, if it lasts as long as the one before it."""
        return 2 * self.times_s[-1] - self.times_s[-2]

    def has_number(self, number: int) -> bool:
        """Returns whether one of its frames has this number."""
        return 0 <= number - self.first_number < len(self.times_s)

    def frame_at(self, time_s: float) -> int:
        """Returns the first frame that is shown at a time or after it; the number of frames where none is."""
        return bisect_left(self.times_s, time_s - _NEAR_S)

    def shots_in(self, first: int, until: int) -> list[FilmShot]:
        """Returns the shots that have some of these frames."""
        return [shot for shot in self.shots if shot.first < until and shot.until > first]

    @property
    def hard_cuts(self) -> list[int]:
        """The first frames of shots that follow a cut."""
        return [new.first for old, new in pairwise(self.shots) if old.ending == "cut"]

    @property
    def transitions(self) -> list[tuple[int, int]]:
        """The other changes of shots: first frame of each, and first frame after it."""
        half = TRANSITION_FRAMES // 2
        return [(new.first - half, new.first + half) for old, new in pairwise(self.shots) if old.ending != "cut"]


@dataclass(frozen=True)
class FilmsTruth:
    """The truth: films, and files or URLs that are no videos, each with the reasons one of which it must get."""

    films: list[Film]
    refused: dict[str, list[str]]


def read_films_truth(path: Path) -> FilmsTruth:
    """Reads the truth that `build_films` writes."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    films = [
        Film(
            **{
                **film,
                "shots": [FilmShot(**shot) for shot in film["shots"]],
                "parts": [AnnotatedPart(**p) for p in film["parts"]],
            }
        )
        for film in stored["films"]
    ]
    return FilmsTruth(films, stored["refused"])


def build_films(
    folder: str | Path, base_url: str = BASE_URL, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Writes films, annotations and the truth into a world's folder; returns the truth's path.

    The same arguments give the same bytes, with the same encoder. `progress` is called with the number of frames that
    are encoded, and of all. Raises ModuleNotFoundError without PyAV.
    """
    parts = _documentary_shots(), _feature_shots()
    total = sum(shot.frames for shots in parts for shot in shots)
    encoded = count(1)

    def advance() -> None:
        if progress is not None:
            progress(next(encoded), total)

    folder = Path(folder).absolute()
    films = folder / "films"
    shutil.rmtree(films, ignore_errors=True)
    films.mkdir(parents=True)
    (folder / "www").mkdir(exist_ok=True)
    documentary = _documentary(films / DOCUMENTARY, parts[0], advance)
    feature = _feature(folder / "www" / FEATURE, f"{base_url}/images/{FEATURE}", parts[1], advance)
    _annotate(films / "annotations.jsonl", documentary)
    truth = FilmsTruth([documentary, feature], _write_refused(films, base_url))
    path = folder / "films.json"
    path.write_text(json.dumps(asdict(truth), indent=1), encoding="utf-8")
    return path


def _documentary_shots() -> list[Shot]:
    """Returns six minutes in 27 shots, of which the last but one repeats the third."""
    seconds = (12, 16, 11, 14, 17, 13, 15, 10, 18)
    scenes = [*range(24), 24, 2, 25]
    shots = [
        Shot(scene, seconds[place % len(seconds)] * _RATE, CAMERAS[(2 if place == 25 else place) % len(CAMERAS)])
        for place, scene in enumerate(scenes)
    ]
    shots[25] = Shot(2, shots[2].frames, shots[2].camera)
    return shots


def _documentary(path: Path, shots: Sequence[Shot], advance: Callable[[], None]) -> Film:
    times = [frame / _RATE for frame in range(sum(shot.frames for shot in shots))]
    film = _film(path, str(path), shots, [round(time_s, 3) for time_s in times])
    write_film(path, shots, _RATE, film.times_s, _numbers(film, shots), crf=28, advance=advance)
    return _with_parts(film, shots)


def _with_parts(film: Film, shots: Sequence[Shot]) -> Film:
    """Annotates most shots with a text, and every third with a question; the comments state the exceptions."""
    parts = []
    edges = [round(shot.first / _RATE, 3) for shot in film.shots] + [len(film.times_s) / _RATE]
    skipped = -1
    for place, shot in enumerate(shots):
        start_s, end_s, text = edges[place], edges[place + 1], shot.text
        if place in (6, skipped):  # nobody said anything of the seventh; what follows the tenth goes with it
            continue
        if place == 9:
            end_s, text, skipped = edges[11], f"{text} Then: {shots[10].text}", 10
        if place == 13:  # a moment within the shot, to the frame and no edge of it
            start_s, end_s = round(start_s + 2.25, 3), round(end_s - 1.75, 3)
        if place == len(shots) - 1:
            end_s += 3.5  # as annotations do
        has_question = place % 3 == 0
        again = place == 25
        answer = gallery()[shot.scene].caption if has_question else ""
        parts.append(
            AnnotatedPart(
                start_s, end_s, text, "What does the camera move over?" if has_question else "", answer, again
            )
        )
    return Film(film.name, film.url, film.first_number, film.times_s, film.shots, parts)


def _feature_shots() -> list[Shot]:
    """Returns five minutes: cuts, a fade, a dissolve, a flash, a dialogue, a repeated intro, black and a still."""
    intro = Shot(27, 144, "down")
    dialogue = [Shot(28 + turn % 2, 84, CAMERAS[turn % 2]) for turn in range(6)]
    lengths = (180, 108, 216, 156, 132, 204, 168, 120, 192, 160)
    plain = [Shot(30 + place, length, CAMERAS[place % 4]) for place, length in enumerate(lengths)]
    shots = [intro, plain[0], plain[1], *dialogue, plain[2]]
    shots += [Shot(3, 168, "left", ending="fade"), Shot(4, 180, "right", ending="dissolve"), Shot(9, 156, "down")]
    shots += [Shot(11, 216, "left", flash=True), plain[3], Shot(BLACK, 84), plain[4], intro, plain[5]]
    return [*shots, Shot(12, 108, "still"), *plain[6:], Shot(10, 180, "up")]


def _feature(path: Path, url: str, shots: Sequence[Shot], advance: Callable[[], None]) -> Film:
    # A frame stays for one, two or three ticks of a clock at twice the mean rate.
    steps = np.random.default_rng(7).integers(1, 4, sum(shot.frames for shot in shots))
    times_s = [round(float(at), 3) for at in np.concatenate([[0], np.cumsum(steps[:-1])]) / (2 * _RATE)]
    film = _film(path, url, shots, times_s)
    write_film(path, shots, 2 * _RATE, times_s, _numbers(film, shots), crf=28, advance=advance)
    return film


def _film(path: Path, url: str, shots: Sequence[Shot], times_s: list[float]) -> Film:
    firsts = [0, *accumulate(shot.frames for shot in shots)]
    film_shot = [
        FilmShot(first, until, shot.scene, shot.ending, _reason(shot))
        for shot, (first, until) in zip(shots, pairwise(firsts), strict=True)
    ]
    return Film(path.name, url, _NUMBERS[path.name], times_s, film_shot, [])


def _reason(shot: Shot) -> str:
    return "black" if shot.scene == BLACK else "static" if shot.camera == "still" else ""


def _numbers(film: Film, shots: Sequence[Shot]) -> list[int]:
    """Returns the number of each frame; a still shot has that of its first frame, or it would not be still."""
    return [
        film.first_number + film_shot.first + (0 if shot.camera == "still" else number)
        for shot, film_shot in zip(shots, film.shots, strict=True)
        for number in range(shot.frames)
    ]


def _annotate(path: Path, film: Film) -> None:
    """Writes the plain form: texts, then questions, of which the first is in the same record as its text."""
    lines: list[dict[str, Any]] = [{"video": film.name, "text": _SYNOPSIS}]
    for place, part in enumerate(film.parts):
        times = {"video": film.name, "start_s": part.start_s, "end_s": part.end_s}
        question = {"question": part.question, "answer": part.answer} if part.question else {}
        lines += [{**times, "text": part.text, **question}] if not place else [{**times, "text": part.text}]
        lines += [{**times, **question}] if place and question else []
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _write_refused(films: Path, base_url: str) -> dict[str, list[str]]:
    """Writes files that are named as videos and are none; returns them, and URLs, with their reasons."""
    cut_off, tone, page = (films / name for name in ("cut-off.mp4", "tone.mp4", "page.mp4"))
    content = (films / DOCUMENTARY).read_bytes()
    cut_off.write_bytes(content[: len(content) * 3 // 5])
    write_tone(tone, 3.0)
    page.write_text("<!doctype html><html><body><h1>This film has moved</h1></body></html>\n", encoding="utf-8")
    return {
        str(cut_off): ["truncated"],
        str(tone): ["no_video"],
        str(page): ["broken"],
        f"{base_url}/html/trailer.mp4": ["not_a_video"],
        f"{base_url}/status/410/gone.mp4": ["http_410"],
    }
