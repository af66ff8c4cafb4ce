"""Right clips raise nothing; every way of being wrong is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo.checks.clips import border_f1, compare_clips
from demo.films.films import FEATURE, FilmsTruth
from tests.helpers.film_results import Row, as_table, right_rows


@pytest.fixture
def rows(film_truth: FilmsTruth) -> list[Row]:
    return right_rows(film_truth)


def at(rows: list[Row], name: str, place: int) -> Row:
    """The n-th clip of a film."""
    return [row for row in rows if row.get("video") == name][place]


def feature_clip(rows: list[Row], place: int) -> Row:
    return at(rows, FEATURE, place)


def test_what_is_right_raises_nothing(film_truth: FilmsTruth, rows: list[Row]) -> None:
    assert compare_clips(film_truth, as_table(rows)) == []
    assert compare_clips(film_truth, as_table(rows[::-1])) == []


def test_a_frame_too_far_is_no_cut(film_truth: FilmsTruth, rows: list[Row]) -> None:
    film = film_truth.films[1]
    first, second = feature_clip(rows, 0), feature_clip(rows, 1)
    late = film.times_s[film.hard_cuts[0] + 1]
    first["end_s"] = second["start_s"] = late
    feature = [row for row in rows if row["url"] == film.url]
    cuts = len(film.hard_cuts)
    score, missed, wrong = border_f1(film, feature)
    assert (missed, wrong) == ([film.hard_cuts[0]], [film.hard_cuts[0] + 1])
    assert score == pytest.approx((cuts - 1) / cuts)
    said = compare_clips(film_truth, as_table(rows))
    assert [line for line in said if "F1 of its cuts" in line]
    assert [line for line in said if f"reaches over the cuts at frames [{film.hard_cuts[0]}]" in line]


def joined(rows: list[Row]) -> None:
    feature_clip(rows, 1)["end_s"] = feature_clip(rows, 2)["end_s"]
    rows.remove(feature_clip(rows, 2))


def over_a_fade(rows: list[Row]) -> None:
    faded = next(
        place for place in range(40) if feature_clip(rows, place)["end_s"] != feature_clip(rows, place + 1)["start_s"]
    )
    feature_clip(rows, faded)["end_s"] = feature_clip(rows, faded + 1)["start_s"]


def kept(reason: str) -> Callable[[list[Row]], None]:
    def change(rows: list[Row]) -> None:
        row = next(row for row in rows if row["reason"] == reason)
        row |= {"status": "kept", "reason": "", "group": f"group of {row['video']}"}

    return change


def named(name: str, place: int, **change: object) -> Callable[[list[Row]], None]:
    return lambda rows: at(rows, name, place).update(change)


def dropped(name: str, place: int) -> Callable[[list[Row]], None]:
    return lambda rows: rows.remove(at(rows, name, place))


def all_of_a_scene_stand_aside(rows: list[Row]) -> None:
    feature_clip(rows, 0).update(status="duplicate", reason="near_duplicate_sibling", group="")


@pytest.mark.parametrize(
    "change, said",
    [
        (joined, "reaches over the cuts"),
        (over_a_fade, "frames of a transition"),
        (kept("black"), "planted as ['black'], but it is kept ()"),
        (kept("static"), "planted as ['static'], but it is kept ()"),
        (kept("near_duplicate_sibling"), "is in its group 2 times"),
        (dropped("feature.mkv", 4), "is in 0 clips"),
        (named("feature.mkv", 4, status="filtered", reason="blurred"), "it is filtered (blurred)"),
        (named("feature.mkv", 1, group="another"), "clips are in the groups"),
        (named("feature.mkv", 1, group=""), "clips are in the groups"),
        (all_of_a_scene_stand_aside, "is a duplicate of none"),
        (named("documentary.mp4", 3, text="something else"), "'something else'"),
        (named("documentary.mp4", 0, questions=[]), "and [] are its texts"),
        (named("documentary.mp4", 3, start_s=1.5), "there is no such clip"),
        (named("documentary.mp4", 3, status="filtered", reason="black"), "it is filtered (black)"),
        (dropped("documentary.mp4", 7), "there is no such clip"),
    ],
)
def test_what_is_wrong_is_said(
    film_truth: FilmsTruth, rows: list[Row], change: Callable[[list[Row]], None], said: str
) -> None:
    change(rows)
    lines = compare_clips(film_truth, as_table(rows))
    assert any(said in line for line in lines), lines


def test_clips_that_nobody_described_are_said(film_truth: FilmsTruth, rows: list[Row]) -> None:
    rows.append({**at(rows, "documentary.mp4", 0), "start_s": 70.0, "end_s": 75.0})
    assert any("70 to 75 s is not annotated" in line for line in compare_clips(film_truth, as_table(rows)))


def test_what_is_no_video_must_be_refused_with_its_reason(film_truth: FilmsTruth, rows: list[Row]) -> None:
    url = next(iter(film_truth.refused))
    for change in ([{"reason": "no_video"}], [{"status": "kept"}], []):
        changed = [row for row in rows if row["url"] != url]
        changed += [{"url": url, "status": "failed", "reason": "truncated", **each} for each in change]
        (line,) = compare_clips(film_truth, as_table(changed))
        assert line.startswith(f"{url}: one row that failed (truncated) was to be expected")


def test_other_videos_are_said(film_truth: FilmsTruth, rows: list[Row]) -> None:
    rows.append({"url": "elsewhere.mp4", "status": "failed", "reason": "broken"})
    assert compare_clips(film_truth, as_table(rows)) == ["elsewhere.mp4: no such video should be here"]
