"""A corpus of right samples raises nothing; frames, words, negatives and groups that are wrong are said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpus.image.pixel_budget import decode_to_budget
from demo.checks.clip_samples import ExpectedSamples, compare_samples
from demo.films.films import FEATURE, FilmsTruth
from recaption.dummy import BUDGET, MODEL, dummy_caption
from tests.helpers.cases import cases
from tests.helpers.film_results import FRAMES, Row, as_table, jpeg, right_rows, samples_of, write_corpus
from video.transcode.cut import cut_many

Samples = list[dict[str, Any]]


def compared(folder: Path, truth: FilmsTruth, change: Callable[[Samples], Any], **more: Any) -> list[str]:
    rows = right_rows(truth)
    samples = samples_of(truth, rows)
    change(samples)
    write_corpus(folder / "films", truth, samples, **more)
    return compare_samples(truth, {"films": ExpectedSamples(as_table(rows), grouped=True)}, folder)


def test_what_is_right_raises_nothing(film_truth: FilmsTruth, tmp_path: Path) -> None:
    assert compared(tmp_path, film_truth, lambda samples: None) == []


def of_another_part(samples: Samples) -> None:
    samples[3]["query"]["text"] = samples[4]["query"]["text"]


def another_source(samples: Samples) -> None:
    samples[3]["source"]["url"] = samples[-1]["source"]["url"]


def other_frames(samples: Samples) -> None:
    row = samples[3]["shown"]["positive"]
    samples[3]["shown"]["positive"] = {**row, "frame_times_s": [time_s + 1 for time_s in row["frame_times_s"]]}


def backwards(samples: Samples) -> None:
    row = samples[3]["shown"]["positive"]
    samples[3]["shown"]["positive"] = {**row, "frame_times_s": row["frame_times_s"][::-1]}


def of_two_films(samples: Samples) -> None:
    samples[3]["shown"]["negative_0"] = samples[-1]["shown"]["positive"]


def itself(samples: Samples) -> None:
    samples[3]["shown"]["negative_0"] = samples[3]["shown"]["positive"]


def from_anywhere(samples: Samples) -> None:
    samples[3]["negatives"][0]["origin"] = "random"


def in_no_group(samples: Samples) -> None:
    samples[0]["group"] = ""


def in_halves(samples: Samples) -> None:
    for sample in samples[:12]:
        sample["group"] = "first half"


def apart(samples: Samples) -> None:
    samples.append(samples.pop(3))


def over_two_films(samples: Samples) -> None:
    for sample in samples:
        sample["group"] = "one"


def missing(samples: Samples) -> None:
    samples.pop(3)


def twice(samples: Samples) -> None:
    samples.insert(4, {**samples[3], "shown": dict(samples[3]["shown"]), "pair_id": "f" * 32})


def in_other_words(samples: Samples) -> None:
    last = samples[-1]
    other = {"query": {"text": "something else", "media": []}, "pair_id": "f" * 32}
    samples.append({**last, **other, "shown": dict(last["shown"])})


def asked_of_another(samples: Samples) -> None:
    samples[3].update(task="video_qa")


@cases(
    "change, said",
    [
        (of_another_part, "is no text of frames"),
        (another_source, "but it shows documentary.mp4"),
        (other_frames, "are those of none of its clips"),
        (backwards, "are those of none of its clips"),
        (of_two_films, "a negative of documentary.mp4 is from feature.mkv"),
        (itself, "a negative shows the same scenes"),
        (from_anywhere, "(random)"),
        (in_no_group, "some samples are in no group"),
        (in_halves, "a group has 12 of the 24 clips"),
        (apart, "is in 2 places"),
        (over_two_films, "a group has clips of documentary.mp4 and feature.mkv"),
        (missing, "in 0 samples, others in 1"),
        (twice, "are in a group 2 times"),
        (twice, "is published 2 times"),
        (in_other_words, "in 1 samples, others in 2"),
        (asked_of_another, "is not asked about"),
    ],
)
def test_what_is_wrong_is_said(
    film_truth: FilmsTruth, tmp_path: Path, change: Callable[[Samples], Any], said: str
) -> None:
    lines = compared(tmp_path, film_truth, change)
    assert any(said in line for line in lines), lines


def described(truth: FilmsTruth) -> Callable[[Samples], None]:
    """Samples of the feature say what can be measured in their frames."""
    film = truth.films[1]

    def write(samples: Samples) -> None:
        for sample in samples:
            row: Row = sample["shown"]["positive"]
            if row["url"] == film.url:
                jpegs = [jpeg(film, film.frame_at(time_s)) for time_s in row["frame_times_s"]]
                frames = [decode_to_budget(data, BUDGET.per_image(FRAMES)) for data in jpegs]
                sample.update(query={"text": dummy_caption(*frames), "media": []}, caption_model=MODEL)

    return write


def test_captions_are_those_of_the_frames_that_are_shown(film_truth: FilmsTruth, tmp_path: Path) -> None:
    assert compared(tmp_path, film_truth, described(film_truth)) == []

    def exchange(samples: Samples) -> None:
        described(film_truth)(samples)
        samples[-1]["query"] = {"text": "The first of 4 frames is nothing at all.", "media": []}

    (line,) = compared(tmp_path / "wrong", film_truth, exchange)
    assert "'The first of 4 frames is nothing at all.' was not written of frames" in line


@pytest.mark.parametrize("late_frames", [0, 1])
def test_an_mp4_has_all_frames_of_its_clip_and_no_other(
    film_truth: FilmsTruth, tmp_path: Path, late_frames: int
) -> None:
    film = film_truth.films[1]
    rows = right_rows(film_truth)
    row = next(row for row in rows if row["video"] == FEATURE and row["start_s"] > 0)
    (sample,) = [one for one in samples_of(film_truth, rows) if one["shown"]["positive"] is row]
    interval = (film.times_s[film.frame_at(row["start_s"]) + late_frames], row["end_s"])
    (clip,) = cut_many(str(film_path(film_truth)), [interval])
    sample["positive"]["media"].append("positive.mp4")
    sample["negatives"] = []
    write_corpus(tmp_path / "films", film_truth, [sample], {"positive.mp4": clip.data})
    lines = compare_samples(film_truth, {"films": ExpectedSamples(as_table([row]), grouped=True)}, tmp_path)
    assert [line for line in lines if "its mp4 has frames" in line] == lines
    assert bool(lines) == bool(late_frames)


def film_path(truth: FilmsTruth) -> Path:
    """Where the feature lies that the truth has a URL of."""
    return Path(truth.films[0].url).parents[1] / "www" / FEATURE


def test_samples_have_as_many_frames_as_they_say(film_truth: FilmsTruth) -> None:
    assert all(len(row["frame_times_s"]) == FRAMES for row in right_rows(film_truth) if row.get("frame_times_s"))
