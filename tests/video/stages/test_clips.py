"""Rows of videos become rows of clips: real files, whose frames say which ones they are."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import video.stages.clips
from corpus.media import MediaWriter
from corpus.schema import item_id
from corpus.storage import MissingError, Store
from tests.helpers.clip_shards import contents, in_place, jpeg_numbers, moment, mp4_numbers, run_clips, video_row
from tests.helpers.videos import Shot, Truth, audio_only, make_video, truncate
from video.budget import VideoError
from video.clips import ClipSettings
from video.stages.clips import Clips, ClipsSettings
from video.transcode.cut import CutSettings
from video.transcode.encode import EncodeSettings

WATCH: dict[str, Any] = {"clips": ClipSettings(min_s=1, max_s=10, stitch=False)}
FRAMES = ClipsSettings(**WATCH)
BOTH = ClipsSettings(**WATCH, mp4=True, cut=CutSettings(encode=EncodeSettings(preset="ultrafast")))
Rows = list[dict[str, Any]]


def film(path: Path, frames: tuple[int, ...] = (50, 40, 75), **video: Any) -> Truth:
    made = [Shot(frames=count, picture="photo", seed=seed, camera="pan") for seed, count in enumerate(frames)]
    return make_video(path, made, **{"size": (192, 144), "gop": 10, **video})


def end_s(truth: Truth) -> float:
    return truth.times_s[-1] - truth.times_s[0] + 0.04


def intervals(rows: Rows) -> list[tuple[float, float]]:
    return [(row["start_s"], row["end_s"]) for row in rows]


def judged(rows: Rows) -> list[tuple[str, str]]:
    return [(row["status"], row["reason"]) for row in rows]


@pytest.mark.parametrize(
    "video", [{}, {"start_s": 4.0, "variable": True, "b_frames": 2}], ids=["plain", "late-and-variable"]
)
def test_a_video_that_nobody_described_becomes_its_scenes(tmp_path: Path, video: dict[str, Any]) -> None:
    path = tmp_path / "film.mkv"
    truth = film(path, **video)
    rows = run_clips(tmp_path, Clips(BOTH), [video_row(path)])
    first_s = truth.times_s[0]
    cuts = [round(time_s - first_s, 6) for time_s in truth.cuts_s]
    assert [row["start_s"] for row in rows] == [0.0, *cuts]
    assert [row["end_s"] for row in rows][:-1] == cuts
    assert rows[-1]["end_s"] == pytest.approx(rows[-1]["duration_s"], abs=0.13)
    edges = [0, *truth.cut_frames, len(truth.times_s)]
    for row, begin, after in zip(rows, edges, edges[1:], strict=False):
        assert (row["status"], row["kind"], row["scenes"]) == ("kept", "scenes", 1)
        assert mp4_numbers(tmp_path, row) == list(range(begin, after))
        assert row["mp4_frames"] == after - begin
        seen = jpeg_numbers(tmp_path, row)
        assert len(seen) == 8 and begin <= min(seen) and max(seen) < after
        assert row["frame_times_s"] == [round(truth.times_s[number] - first_s, 6) for number in seen]
        assert (row["width"], row["height"]) == (196, 140)
        assert not row["black"] and not row["static"] and row["motion"] > 0 and 4 <= len(row["hashes"]) <= 8
        assert (row["text"], row["questions"], row["video_text"], row["video_questions"]) == ("", [], "", [])
        assert (row["url"], row["video"], row["home_shard"], row["licence"]) == (str(path), "film.mkv", 0, "CC0")
    assert rows[0]["remuxed"]


def test_a_clip_is_named_by_the_contents_of_its_parts(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4")
    for row in run_clips(tmp_path, Clips(BOTH), [video_row(tmp_path / "film.mp4")]):
        every = contents(tmp_path, row, "jpg") + contents(tmp_path, row, "mp4")
        assert [part["ext"] for part in row["parts"]] == ["jpg"] * 8 + ["mp4"]
        assert [part["item_id"] for part in row["parts"]] == [item_id(data) for data in every]
        assert row["item_id"] == hashlib.sha256(b"".join(every)).digest()[:16]
        assert [row[name] for name in ("media", "offset", "size", "ext")] == [None] * 4


def test_only_what_is_asked_for_is_stored(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4", (50,))
    (frames,) = run_clips(tmp_path, Clips(FRAMES), [video_row(tmp_path / "film.mp4")])
    assert {part["ext"] for part in frames["parts"]} == {"jpg"}
    assert (frames["mp4_frames"], frames["remuxed"]) == (None, None)
    alone = ClipsSettings(**WATCH, keep_frames=False, mp4=True)
    (mp4,) = run_clips(tmp_path, Clips(alone), [video_row(tmp_path / "film.mp4")])
    assert [part["ext"] for part in mp4["parts"]] == ["mp4"]
    assert (mp4["frame_times_s"], mp4["width"], mp4["height"]) == (None, None, None)
    assert mp4["sharpness"] > 0


def test_the_spans_of_a_video_together_give_each_clip_once(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    truth = film(path, (50, 40, 75, 30), start_s=1.0)
    known = {"first_frame_s": truth.times_s[0], "duration_s": end_s(truth), "segments": 3, "text": "a film"}
    asked = [moment(None, question="What?", answer="This.")]
    spans = [
        video_row(path, segment_end_s=2.5, annotations=asked, **known),
        video_row(path, segment_start_s=2.5, segment_end_s=3.0, **known),
        video_row(path, segment_start_s=3.0, **known),
    ]
    settings = FRAMES.model_copy(update={"single_clip_max_s": 600.0})  # what is in several rows is not taken as a whole
    first = run_clips(tmp_path, Clips(settings), spans[:2])
    second = run_clips(tmp_path, Clips(settings), spans[2:], shard="000001")
    assert judged(first) == [("kept", "")] * 2 + [("filtered", "no_clips")]
    kept = [row for row in first + second if row["status"] == "kept"]
    whole = run_clips(tmp_path, Clips(FRAMES), [video_row(path)])
    assert intervals(kept) == intervals(whole)
    assert [row["item_id"] for row in kept] == [row["item_id"] for row in whole]
    assert [row["video_text"] for row in first + second] == ["a film"] * 5
    assert [row["video_questions"] for row in first + second] == [[{"question": "What?", "answer": "This."}]] + [[]] * 4
    assert {row["home_shard"] for row in first + second} == {0}


def test_described_moments_are_the_clips_of_a_video_and_what_is_said_of_one_twice_is_one_clip(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    truth = film(path, start_s=2.0)
    said = [
        moment(None, question="Of all?", answer="Yes."),
        moment(0.5, 2.0, "the first"),
        moment(1.0, 4.5),
        moment(1.0, 4.5, "the second", "Who?", "She."),
        moment(1.0, 4.5, "in other words", "Where?"),
        moment(1.0, 4.5, "the second"),
        moment(4.0, None, "to the end"),
        moment(5.0, 3.0, "backwards"),
        moment(1000.0, 1001.0, "later"),
    ]
    rows = run_clips(tmp_path, Clips(BOTH), [video_row(path, timed=True, annotations=said, text="all of it")])
    found = {(row["start_s"], row["end_s"]): row for row in rows}
    last_s = round(end_s(truth), 6)
    assert set(found) == {(0.5, 2.0), (1.0, 4.5), (4.0, last_s), (5.0, 3.0), (1000.0, 1001.0)} and len(rows) == 5
    assert found[1.0, 4.5]["text"] == "the second" and found[1.0, 4.5]["other_texts"] == ["in other words"]
    assert [row["other_texts"] for row in rows].count([]) == 4
    assert found[1.0, 4.5]["questions"] == [
        {"question": "Who?", "answer": "She."},
        {"question": "Where?", "answer": ""},
    ]
    assert [found[at]["text"] for at in [(0.5, 2.0), (4.0, last_s)]] == ["the first", "to the end"]
    assert [found[at]["reason"] for at in [(5.0, 3.0), (1000.0, 1001.0)]] == ["not_an_interval", "outside_video"]
    assert all(found[at]["status"] == "failed" and not found[at]["parts"] for at in [(5.0, 3.0), (1000.0, 1001.0)])
    for (start_s, until_s), row in found.items():
        assert (row["kind"], row["scenes"], row["video_text"]) == ("annotated", 0, "all of it")
        if row["status"] == "kept":
            assert mp4_numbers(tmp_path, row) == truth.frames_in(2.0 + start_s, 2.0 + until_s)
    assert [row["video_questions"] for row in rows].count([]) == 4


def test_times_are_those_that_a_player_shows_where_the_sound_begins_before_the_picture(tmp_path: Path) -> None:
    for name, zero_s in [("film.mkv", 0.0), ("film.mp4", 0.0), ("film.ts", 10.0)]:
        path = tmp_path / name
        truth = film(path, start_s=zero_s + 2.0, sound_s=zero_s, audio=True, b_frames=0)
        late_s = truth.times_s[0] - zero_s  # of the first frame, as a player shows it
        cuts = [time_s - zero_s for time_s in truth.cuts_s]
        scenes = run_clips(tmp_path, Clips(FRAMES), [video_row(path)])
        near = {"abs": 0.05}  # the frames of a sound do not begin with those of the picture
        assert [row["start_s"] for row in scenes] == pytest.approx([late_s, *cuts], **near), name
        assert scenes[0]["frame_times_s"][0] > 2
        said = [moment(3.0, 5.0, "all in the picture"), moment(0.0, 2.5, "before it"), moment(1.5, 3.0, "mostly in it")]
        said.append(moment(8.0, None, "to the end"))
        rows = run_clips(tmp_path, Clips(BOTH), [video_row(path, timed=True, annotations=said)])
        found = {row["text"]: row for row in rows}
        assert found["before it"]["reason"] == "outside_video"
        first = mp4_numbers(tmp_path, found["all in the picture"])
        assert first == pytest.approx(truth.frames_in(zero_s + 3.0, zero_s + 5.0), abs=1), name
        mostly, last = found["mostly in it"], found["to the end"]
        assert (mostly["start_s"], mostly["end_s"]) == (pytest.approx(late_s, **near), 3.0)
        assert mp4_numbers(tmp_path, last)[-1] == 164 and last["end_s"] == pytest.approx(late_s + 6.6, **near)


def test_less_than_two_frames_are_no_clip(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4", (50,))
    said = [moment(1.0, 1.01, "one frame"), moment(1.005, 1.035, "none begins"), moment(1.0, 1.1, "three")]
    for settings in (FRAMES, BOTH, BOTH.model_copy(update={"keep_frames": False})):
        rows = run_clips(tmp_path, Clips(settings), [video_row(tmp_path / "film.mp4", timed=True, annotations=said)])
        assert {row["text"]: (row["status"], row["reason"]) for row in rows} == {
            "one frame": ("filtered", "too_short"),
            "none begins": ("filtered", "too_short"),
            "three": ("kept", ""),
        }
        assert all(not row["parts"] for row in rows if row["reason"])
    make_video(tmp_path / "slow.mkv", [Shot(frames=2, picture="photo", seed=seed) for seed in (1, 2)], rate=1)
    (row,) = run_clips(
        tmp_path, Clips(FRAMES), [video_row(tmp_path / "slow.mkv", timed=True, annotations=[moment(0.1, 0.9)])]
    )
    assert (row["status"], row["reason"]) == ("filtered", "too_short")


def test_a_span_of_a_described_video_in_which_nothing_is_described_says_so(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4")
    rows = run_clips(tmp_path, Clips(FRAMES), [video_row(tmp_path / "film.mp4", timed=True, text="all of it")])
    assert judged(rows) == [("filtered", "no_annotation")]
    assert (rows[0]["home_shard"], rows[0]["video_text"], rows[0]["parts"]) == (0, "all of it", None)


def test_a_short_video_that_is_described_as_a_whole_is_one_clip(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    truth = film(path)
    asked = video_row(path, annotations=[moment(None, question="What?", answer="This.")])
    twice = video_row(path, text="three places", annotations=[moment(None, text="a walk"), moment(None, text="a walk")])
    for given, text, others, questions in [
        (video_row(path, text="three places"), "three places", [], []),
        (asked, "", [], [{"question": "What?", "answer": "This."}]),
        (twice, "three places", ["a walk"], []),
    ]:
        (row,) = run_clips(tmp_path, Clips(BOTH), [given])
        assert (row["kind"], row["text"], row["other_texts"], row["questions"]) == (
            "whole_video",
            text,
            others,
            questions,
        )
        assert row["video_other_texts"] == others
        assert (row["start_s"], row["end_s"]) == (0.0, pytest.approx(end_s(truth)))
        assert mp4_numbers(tmp_path, row) == list(range(165))
        assert len(row["frame_times_s"]) == 8
    longer = BOTH.model_copy(update={"single_clip_max_s": 6.0})
    assert [row["kind"] for row in run_clips(tmp_path, Clips(longer), [asked])] == ["scenes"] * 3


def test_bad_videos_have_their_reasons_and_the_others_of_the_shard_their_clips(tmp_path: Path) -> None:
    good = [tmp_path / "good.mp4", tmp_path / "fine.mkv"]
    for path in good:
        film(path, (50, 40))
    audio_only(tmp_path / "sound.mp4")
    (tmp_path / "text.mp4").write_text("no video at all")
    (tmp_path / "empty.mp4").touch()
    film(tmp_path / "short.mp4", (50,))
    truncate(tmp_path / "short.mp4", 0.5)
    bad = [tmp_path / f"{name}.mp4" for name in ("sound", "text", "empty", "short")]
    rows = run_clips(tmp_path, Clips(FRAMES), [video_row(path) for path in (good[0], *bad, good[1])])
    reasons = ["no_video", "broken", "empty_file", "truncated"]
    assert judged(rows) == [("kept", "")] * 2 + [("failed", reason) for reason in reasons] + [("kept", "")] * 2
    assert all(
        row["detail"] and row["home_shard"] == 0 and not row["parts"] for row in rows if row["status"] == "failed"
    )
    assert [row["url"] for row in rows] == [str(path) for path in (good[0], good[0], *bad, good[1], good[1])]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(VideoError("broken", "planted"), "broken"), (RuntimeError("planted"), "error:RuntimeError")],
)
def test_clips_before_the_damage_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, reason: str
) -> None:
    film(tmp_path / "film.mp4")
    segment_clips = video.stages.clips.segment_clips

    def breaks(*given: Any, **more: Any) -> Any:
        yield next(iter(segment_clips(*given, **more)))
        raise fault

    monkeypatch.setattr(video.stages.clips, "segment_clips", breaks)
    rows = run_clips(tmp_path, Clips(FRAMES), [video_row(tmp_path / "film.mp4")] * 2)
    assert judged(rows) == [("kept", ""), ("failed", reason)] * 2
    assert [row["detail"] for row in rows] == [None, "planted"] * 2


def test_what_breaks_every_video_of_a_shard_is_no_fault_of_the_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "film.mp4", (50,))

    def breaks(*given: Any, **more: Any) -> Any:
        raise RuntimeError("planted")

    monkeypatch.setattr(video.stages.clips, "segment_clips", breaks)
    with pytest.raises(AssertionError, match="every video raised; the last one: RuntimeError: planted"):
        run_clips(tmp_path, Clips(FRAMES), [video_row(tmp_path / "film.mp4")] * 8)


def test_what_storage_raises_is_left_as_it_is(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4", (50,))
    place = in_place(tmp_path / "film.mp4")
    (tmp_path / "film.mp4").unlink()
    with pytest.raises(AssertionError, match=MissingError.__name__):
        run_clips(tmp_path, Clips(FRAMES), [video_row(tmp_path / "film.mp4")], [place])


def test_what_a_player_shows_is_what_is_stored(tmp_path: Path) -> None:
    """Joined recordings whole, mirrored and anamorphic films upright and square: in frames, in mp4, in columns."""
    for part in (0, 1):
        make_video(tmp_path / f"{part}.ts", [Shot(50, seed=part, camera="pan")], size=(192, 144), gop=10)
    (tmp_path / "joined.ts").write_bytes((tmp_path / "0.ts").read_bytes() + (tmp_path / "1.ts").read_bytes())
    film(tmp_path / "mirror.mp4", (50,), rotation=90, mirrored=True)
    film(tmp_path / "wide.mkv", (50,), pixel_aspect=Fraction(3, 2), size=(288, 144))
    film(tmp_path / "plain.mp4", (50,))
    names = ("joined.ts", "mirror.mp4", "wide.mkv", "plain.mp4")
    rows = run_clips(tmp_path, Clips(BOTH), [video_row(tmp_path / name) for name in names])
    by_name = {name: [row for row in rows if row["url"].endswith(name)] for name in names}
    assert all(row["status"] == "kept" and row["dynamic_range"] == "sdr" for row in rows)
    assert [row["duration_s"] for found in by_name.values() for row in found[:1]] == pytest.approx(
        [4.0, 2.0, 2.0, 2.0], abs=0.01
    )
    assert intervals(by_name["joined.ts"]) == [pytest.approx((0.0, 2.0)), pytest.approx((2.0, 4.0))]
    assert [row["remuxed"] for row in rows] == [False, False, False, False, True]
    assert {(row["width"], row["height"]) for row in by_name["wide.mkv"]} == {(280, 140)}
    assert {(row["width"], row["height"]) for row in by_name["mirror.mp4"]} == {(196, 140)}
    for row in rows:
        assert mp4_numbers(tmp_path, row) == list(range(50))
        assert jpeg_numbers(tmp_path, row) == pytest.approx([3, 9, 15, 21, 28, 34, 40, 46], abs=3)


def test_a_video_in_a_tar_of_the_workspace_is_read_where_it_lies(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4")
    data = (tmp_path / "film.mp4").read_bytes()
    media = MediaWriter(Store(tmp_path), "media/films/000000.tar")
    media.add(item_id(b"else"), "mp4", b"else" * 300)
    offset, size = media.add(item_id(data), "mp4", data)
    media.commit()
    digest = hashlib.sha256(data).digest()
    place = {"item_id": item_id(data), "media": media.path, "offset": offset, "size": size, "ext": "mp4"}
    far = video_row("https://films.example/film.mp4")
    rows = run_clips(tmp_path, Clips(BOTH), [far], [{**place, "downloaded_sha256": digest}])
    near = run_clips(tmp_path, Clips(BOTH), [video_row(tmp_path / "film.mp4")])
    assert [row["item_id"] for row in rows] == [row["item_id"] for row in near]
    assert intervals(rows) == intervals(near) and len(rows) == 3
    assert {row["downloaded_sha256"] for row in rows} == {digest}
    assert {row["url"] for row in rows} == {"https://films.example/film.mp4"}


def test_a_shard_without_rows_gives_none(tmp_path: Path) -> None:
    assert run_clips(tmp_path, Clips(FRAMES), []) == []
