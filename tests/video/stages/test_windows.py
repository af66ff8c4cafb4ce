"""Windows of videos whose clips were really made: their frames say which they are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from corpus.stage import Gives
from tests.helpers.clip_shards import jpeg_numbers, moment, run_clips, run_on, video_row
from tests.helpers.videos import Shot, Truth, make_video
from video.clips import ClipSettings
from video.frames import uniform_times
from video.grouping.groups import group_id
from video.schema import CLIPS_SCHEMA, GROUPS_SCHEMA
from video.stages.clips import Clips, ClipsSettings
from video.stages.groups import ClipGroupsSettings, Groups
from video.stages.windows import Windows, WindowSettings

CLIPS = ClipsSettings(clips=ClipSettings(min_s=1, max_s=10, stitch=False))
SHORT = WindowSettings(min_s=6.0, max_s=12.0, whole_video_min_s=4.0, max_gap_s=1.0)
CAPTION = pa.schema([("caption", pa.string())])
Rows = list[dict[str, Any]]


def film(path: Path, frames: list[int], seeds: list[int] | None = None, **video: Any) -> Truth:
    shots = [
        Shot(frames=count, picture="photo", seed=seed, camera="pan")
        for count, seed in zip(frames, seeds or range(len(frames)), strict=True)
    ]
    return make_video(path, shots, **{"size": (192, 144), "rate": 10, "gop": 10, **video})


def grouped(root: Path, *videos: dict[str, Any], settings: ClipsSettings = CLIPS) -> Rows:
    clips = run_clips(root, Clips(settings), videos)
    return run_on(root, Groups(ClipGroupsSettings()), [{"clips": clips}], "000000", clips=CLIPS_SCHEMA)


def windows(root: Path, *shards: Rows, settings: WindowSettings = SHORT, shard: str = "000000") -> Rows:
    tables = [{"rows": rows} for rows in shards]
    return run_on(root, Windows(settings), tables, shard, rows=GROUPS_SCHEMA)


@pytest.mark.parametrize(
    "video", [{}, {"start_s": 3.0, "variable": True, "rate": 20}], ids=["plain", "late-and-variable"]
)
def test_a_long_video_is_windows_with_the_frames_of_its_clips(tmp_path: Path, video: dict[str, Any]) -> None:
    path = tmp_path / "film.mkv"
    truth = film(path, [30, 20, 30, 40, 20, 40], [0, 1, 0, 2, 3, 4], **video)
    clips = grouped(tmp_path, video_row(path))
    assert [row["reason"] for row in clips].count("near_duplicate_sibling") == 1
    found = windows(tmp_path, clips)
    assert [row["start_s"] for row in found[1:]] == [row["end_s"] for row in found[:-1]]
    assert (found[0]["start_s"], found[-1]["end_s"]) == (0.0, clips[-1]["end_s"])
    borders = {row["start_s"] for row in clips} | {clips[-1]["end_s"]}
    stored = {part["item_id"] for clip in clips for part in clip["parts"]}
    first_s = truth.times_s[0]
    for row in found:
        assert {row["start_s"], row["end_s"]} <= borders
        assert SHORT.min_s <= row["end_s"] - row["start_s"] <= SHORT.max_s
        assert (row["status"], row["kind"], row["text"]) == ("kept", "window", "")
        seen = jpeg_numbers(tmp_path, row)
        assert row["frame_times_s"] == [round(truth.times_s[number] - first_s, 6) for number in seen]
        for time_s, wanted_s in zip(row["frame_times_s"], uniform_times(row["start_s"], row["end_s"], 8), strict=True):
            assert abs(time_s - wanted_s) < 0.5  # a clip of ten seconds has a frame in each 1.25 of them
        assert {part["item_id"] for part in row["parts"]} <= stored
        ids = b"".join(part["item_id"] for part in row["parts"])
        assert row["item_id"] == hashlib.sha256(ids).digest()[:16]
        assert (row["width"], row["height"], row["black"], row["static"]) == (196, 140, False, False)
        assert 0 < row["sharpness"] < 10 and row["hashes"] is None and row["representative"] is None
    assert sum(row["scenes"] for row in found) == 6
    names = {row["group"] for row in found}
    assert len(names) == 1 and "" not in names and not names & {row["group"] for row in clips}
    assert names == {group_id(b"windows\0" + path.name.encode(), 0)}


def test_a_short_video_is_one_window_with_what_is_said_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    film(path, [30, 20, 30])
    about = [moment(None, question="What?", answer="This."), moment(0.0, 3.0, "a start"), moment(3.0, None, "an end")]
    video = video_row(path, text="all of it", annotations=about, timed=True)
    (row,) = windows(tmp_path, grouped(tmp_path, video))
    assert (row["kind"], row["start_s"], row["end_s"]) == ("whole_video", 0.0, 8.0)
    assert (row["text"], row["video_text"], row["context"]) == ("all of it", "all of it", "(1) a start (2) an end")
    assert row["questions"] == row["video_questions"] == [{"question": "What?", "answer": "This."}]
    assert row["group"] == ""
    numbers = jpeg_numbers(tmp_path, row)
    assert numbers == sorted(numbers) and len(set(numbers)) == 8
    # Of a clip that is the whole video it has the very frames.
    (whole,) = grouped(tmp_path, video_row(path, text="all of it"))
    (same,) = windows(tmp_path, [whole])
    assert same["parts"] == whole["parts"] and same["item_id"] != whole["item_id"]


def test_a_window_of_a_long_video_has_not_the_text_of_the_whole(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4", [40] * 5)
    asked = [moment(None, question="What?", answer="This.")]
    video = video_row(tmp_path / "film.mp4", text="all of it", annotations=asked)
    clips = grouped(tmp_path, video, settings=CLIPS.model_copy(update={"single_clip_max_s": 5.0}))
    found = windows(tmp_path, clips)
    assert [(row["kind"], row["text"], row["video_text"]) for row in found] == [("window", "", "all of it")] * 2
    assert [len(row["video_questions"]) for row in found] == [1, 0] and not any(row["questions"] for row in found)


def test_what_was_removed_is_no_part_of_a_window(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4", [30, 30, 30, 30, 30])
    clips = grouped(tmp_path, video_row(tmp_path / "film.mp4"))
    clips[2] |= {"status": "filtered", "reason": "blurred"}
    found = windows(tmp_path, clips)
    assert [(row["start_s"], row["end_s"]) for row in found] == [(0.0, 6.0), (9.0, 15.0)]
    bad = [{**clip, "status": "failed", "reason": "no_frames"} for clip in clips]
    (none,) = windows(tmp_path, bad)
    assert (none["status"], none["reason"], none["url"]) == ("filtered", "no_window", clips[0]["url"])
    bare = [{**clip, "parts": [], "frame_times_s": None} for clip in clips]
    assert {(row["status"], row["reason"], row["group"]) for row in windows(tmp_path, bare)} == {
        ("failed", "no_frames", "")
    }


def test_a_video_that_failed_is_no_window_and_one_that_lost_its_name_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video at all")
    clips = grouped(tmp_path, video_row(tmp_path / "text.mp4"))
    lost = {"status": "failed", "reason": "error:ProcessDied"}
    found = windows(tmp_path, [*clips, lost])
    assert [(row["video"], row["reason"], row["duration_s"]) for row in found] == [("text.mp4", "no_window", None)]


def test_captions_are_hints_where_there_are_any(tmp_path: Path) -> None:
    film(tmp_path / "film.mp4", [30, 20, 30])
    said = [moment(0.0, 3.0, "a start"), moment(3.0, 5.0, "a middle"), moment(5.0, None, "an end")]
    clips = grouped(tmp_path, video_row(tmp_path / "film.mp4", annotations=said, timed=True))
    captions = [
        {"caption": "a cat", "status": "kept", "reason": ""},
        {"caption": None, "status": "failed", "reason": "empty"},
        {"caption": "two dogs", "status": "kept", "reason": ""},
    ]
    stage = Windows(SHORT, captions=True)
    tables = [{"rows": clips, "caption": captions}]
    (row,) = run_on(tmp_path, stage, tables, "000000", rows=GROUPS_SCHEMA, caption=CAPTION)
    assert row["context"] == "(1) a cat (2) a middle (3) two dogs"
    assert row["status"] == "kept"
    assert Windows(SHORT).reads == ("rows",)


def test_each_shard_has_the_windows_of_the_videos_that_begin_in_it(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        film(tmp_path / name, [30, 20, 30])
    clips = grouped(tmp_path, *(video_row(tmp_path / name) for name in ("one.mp4", "two.mp4")))
    later = [{**clip, "home_shard": 1} for clip in clips if clip["video"] == "two.mp4"]
    first = [clip for clip in clips if clip["video"] == "one.mp4"]
    assert [row["video"] for row in windows(tmp_path, first, later)] == ["one.mp4"]
    assert [row["video"] for row in windows(tmp_path, later, shard="000001")] == ["two.mp4"]
    assert windows(tmp_path, [], later) == []


def test_what_windows_are_made_of_must_be_there() -> None:
    sources: Any = {"films": SimpleNamespace(gives=Gives.CLIPS), "web": SimpleNamespace(gives=Gives.IMAGES)}

    def conflicts(named: str, keep_frames: bool = True) -> list[str]:
        clips, windows = SimpleNamespace(keep_frames=keep_frames), SimpleNamespace(sources={named: WindowSettings()})
        return list(Windows.conflicts(sources, SimpleNamespace(clips=clips, windows=windows)))

    assert conflicts("films") == []
    assert conflicts("web") == ["stages.windows.sources: no source of videos 'web'; there is films"]
    assert conflicts("films", keep_frames=False) == [
        "stages.clips: films becomes windows, and that takes its clips' frames"
    ]
