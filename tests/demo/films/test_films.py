"""The demo's films are as their truth says: decoded with PyAV alone, frame by frame."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from demo.films.films import DOCUMENTARY, FEATURE, Film, FilmsTruth, build_films
from demo.films.frame_numbers import number_on
from demo.films.render import BLACK, gallery
from video.budget import VideoError
from video.probe import probe


@pytest.fixture(scope="module")
def seen(film_world: Path, film_truth: FilmsTruth) -> dict[str, tuple[list[float], list[int], np.ndarray]]:
    """Of each film the times, the numbers and small grey pictures of all its frames."""
    return {film.name: build_clip(film_path(film_world, film)) for film in film_truth.films}


def film_path(world: Path, film: Film) -> Path:
    return world / ("films" if film.name == DOCUMENTARY else "www") / film.name


def build_clip(path: Path) -> tuple[list[float], list[int], np.ndarray]:
    times, numbers, pictures = [], [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray(format="gray")
            times.append(round(float(frame.pts * frame.time_base), 3))
            numbers.append(number_on(pixels))
            pictures.append(cv2.resize(pixels[:220], (32, 22), interpolation=cv2.INTER_AREA))
    return times, numbers, np.array(pictures, np.int16)


def test_every_frame_is_there_at_its_time_with_its_number(film_truth: FilmsTruth, seen: dict) -> None:
    for film in film_truth.films:
        times, numbers, _ = seen[film.name]
        assert times == film.times_s
        for shot in film.shots:
            own = numbers[shot.first : shot.until]
            counted = [film.first_number + frame for frame in range(shot.first, shot.until)]
            assert own == ([counted[0]] * len(counted) if shot.reason == "static" else counted)
    first, second = (set(seen[film.name][1]) for film in film_truth.films)
    assert not first & second


def test_pictures_jump_at_hard_cuts_only(film_truth: FilmsTruth, seen: dict) -> None:
    for film in film_truth.films:
        pictures = seen[film.name][2]
        jumps = np.abs(np.diff(pictures, axis=0)).mean(axis=(1, 2))
        cuts = np.array(film.hard_cuts)
        assert jumps[cuts - 1].min() > 20
        jumps[cuts - 1] = 0
        for start, end in film.transitions:
            assert jumps[start - 1 : end].sum() > 20  # in steps
            jumps[start - 1 : end] = 0
        assert (jumps > 8).sum() == (4 if film.name == FEATURE else 0)  # the flash goes up, and down again


def test_the_feature_has_all_that_is_hard_about_films(film_world: Path, film_truth: FilmsTruth, seen: dict) -> None:
    (film,) = [film for film in film_truth.films if film.name == FEATURE]
    assert not film.parts
    said = probe(film_path(film_world, film))
    assert said.variable_rate and 290 < said.duration_s < 300
    with av.open(str(film_path(film_world, film))) as container:
        shown = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert shown != sorted(shown)  # B-frames
    assert [shot.ending for shot in film.shots if shot.ending != "cut"] == ["fade", "dissolve"]
    scenes = [shot.scene for shot in film.shots]
    assert any(scenes[at : at + 2] * 3 == scenes[at : at + 6] for at in range(len(scenes)))  # a dialogue
    assert scenes.count(scenes[0]) == 2  # the intro
    pictures = seen[FEATURE][2]
    (black,) = [shot for shot in film.shots if shot.reason == "black"]
    assert black.scene == BLACK and pictures[black.first : black.until].max() < 20
    (still,) = [shot for shot in film.shots if shot.reason == "static"]
    assert np.abs(np.diff(pictures[still.first : still.until], axis=0)).max() <= 2
    ((start, end),) = [film.transitions[0]]
    assert pictures[(start + end) // 2].mean() < 15  # the fade


def test_the_documentary_is_described_as_it_is(film_world: Path, film_truth: FilmsTruth) -> None:
    (film,) = [film for film in film_truth.films if film.name == DOCUMENTARY]
    assert not film.transitions and not probe(film_path(film_world, film)).variable_rate
    assert 370 < film.times_s[-1] < 390
    texts = [part.text for part in film.parts]
    assert len(texts) == 25 and len(set(texts)) == 24  # one thing is shown twice
    for part in film.parts:
        (first, *more) = [
            shot
            for shot in film.shots
            if film.times_s[shot.first] < part.end_s - 0.01 and film.times_s[shot.until - 1] > part.start_s
        ]
        assert gallery()[first.scene].caption in part.text
        assert all(gallery()[shot.scene].caption in part.text for shot in more)
        assert part.answer in ("", gallery()[first.scene].caption) and bool(part.question) == bool(part.answer)
    assert sum(bool(part.question) for part in film.parts) == 8
    assert [len([s for s in film.shots if s.scene == shot.scene]) for shot in film.shots].count(2) == 2
    for part, following in pairwise(film.parts):
        assert part.end_s <= following.start_s
    assert film.parts[-1].end_s > film.times_s[-1] + 3


def test_annotations_say_what_the_truth_says(film_world: Path, film_truth: FilmsTruth) -> None:
    lines = [json.loads(line) for line in (film_world / "films" / "annotations.jsonl").read_text().splitlines()]
    film = film_truth.films[0]
    said: dict[tuple[float, float], dict[str, str]] = {}
    for line in lines[1:]:
        assert line["video"] == DOCUMENTARY
        said.setdefault((line["start_s"], line["end_s"]), {}).update(line)
    assert "start_s" not in lines[0] and lines[0]["text"]
    for part in film.parts:
        own = said.pop((part.start_s, part.end_s))
        assert (own["text"], own.get("question", ""), own.get("answer", "")) == (part.text, part.question, part.answer)
    assert not said


def test_what_is_no_video_gets_its_reason(film_truth: FilmsTruth) -> None:
    local = {path: reasons for path, reasons in film_truth.refused.items() if "://" not in path}
    assert len(local) == 3 and len(film_truth.refused) == 5
    for path, reasons in local.items():
        with pytest.raises(VideoError) as raised:
            probe(path)
        assert raised.value.reason in reasons


def test_same_arguments_same_bytes(film_world: Path, tmp_path: Path) -> None:
    build_films(tmp_path)
    for name in ("films/documentary.mp4", "films/cut-off.mp4", "films/tone.mp4", "www/feature.mkv"):
        one, other = (hashlib.sha256((folder / name).read_bytes()).digest() for folder in (film_world, tmp_path))
        assert one == other, name
