"""Clips are judged and grouped: planted rows whose outcome is known, and a real video over two shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from corpus.schema import table_schema
from corpus.settings import SettingsError, parse_settings
from tests.helpers import videos
from tests.helpers.cases import cases
from tests.helpers.clip_shards import run_clips, run_on, video_row
from tests.helpers.videos import Pixels, Shot, make_video
from video.clips import ClipSettings
from video.grouping.groups import GroupSettings, group_id
from video.schema import CLIPS_SCHEMA
from video.stages.clips import Clips, ClipsSettings
from video.stages.groups import ClipGroupsSettings, Groups, first_failed_rule

HASHES = np.random.default_rng(5).integers(0, 2**64, 64, dtype=np.uint64).tolist()
GOOD = {
    "sharpness": 2.0,
    "brightness": 120.0,
    "motion": 3.0,
    "black": False,
    "static": False,
    "width": 448,
    "height": 336,
}
Rows = list[dict[str, Any]]


def clip(name: str, start_s: float | None, picture: int | None = None, **said: Any) -> dict[str, Any]:
    """A good clip of five seconds, of a video that begins in shard 3."""
    return {
        "item_id": name.encode().ljust(16, b"\0"),
        "video": "one",
        "home_shard": 3,
        "start_s": start_s,
        "end_s": None if start_s is None else start_s + 5,
        "hashes": [] if picture is None else [HASHES[picture]] * 4,
        **GOOD,
        "status": "kept",
        "reason": "",
        **said,
    }


def groups(root: Path, *shards: Rows, settings: ClipGroupsSettings | None = None, shard: str = "000003") -> Rows:
    stage = Groups(settings or ClipGroupsSettings())
    return run_on(root, stage, [{"clips": rows} for rows in shards], shard, clips=CLIPS_SCHEMA)


def named(rows: Rows) -> list[str]:
    return [(row["item_id"] or b"-").rstrip(b"\0").decode() for row in rows]


def test_alike_clips_stand_for_each_other_and_the_rest_is_a_group(tmp_path: Path) -> None:
    one, two = group_id(b"one", 0), group_id(b"two", 0)
    rows = [clip("a", 0, 0), clip("b", 5, 1), clip("c", 10, 0, end_s=16.0)]
    rows += [clip("d", 0, 0, video="two"), clip("e", 5, 2, video="two"), clip("f", 0, 3, video="three")]
    found = groups(tmp_path, rows)
    assert named(found) == ["a", "b", "c", "d", "e", "f"]
    assert [row["group"] for row in found] == ["", one, one, two, two, ""]
    assert [(row["status"], row["reason"]) for row in found] == [("duplicate", "near_duplicate_sibling")] + [
        ("kept", "")
    ] * 5
    c = rows[2]["item_id"]
    assert [row["representative"] for row in found] == [c, None, c, None, None, None]


def test_what_was_removed_comes_through_as_it_was_and_takes_no_part(tmp_path: Path) -> None:
    rows = [
        clip("a", 0, 0),
        clip("b", 5, 0, status="filtered", reason="too_short", end_s=30.0),
        clip("-", None, video="two", item_id=None, status="failed", reason="truncated", detail="half of it"),
        clip("c", 10, 1),
        clip("-", float("nan"), item_id=None, status="failed", reason="not_an_interval"),
    ]
    found = groups(tmp_path, rows)
    told = [
        (name, row["status"], row["reason"], bool(row["group"])) for name, row in zip(named(found), found, strict=True)
    ]
    assert told == [
        ("a", "kept", "", True),
        ("b", "filtered", "too_short", False),
        ("c", "kept", "", True),
        ("-", "failed", "not_an_interval", False),
        ("-", "failed", "truncated", False),
    ]
    assert found[-1]["detail"] == "half of it"
    assert found[0]["hashes"] == [HASHES[0]] * 4
    assert groups(tmp_path, rows[2:3])[0]["reason"] == "truncated"
    assert groups(tmp_path, []) == []


def test_rows_are_in_order_of_videos_then_time_then_item(tmp_path: Path) -> None:
    first = [clip("c", 9, 0, video="z"), clip("b", 4, 1, video="a"), clip("f", 4, 2, video="z", end_s=8.0)]
    second = [clip("a", 4, 3, video="z", end_s=8.0), clip("d", 0, 4, video="z"), clip("e", 1, 5, video="a")]
    assert named(groups(tmp_path, first, second)) == ["d", "a", "f", "c", "e", "b"]


def test_each_shard_has_the_videos_that_begin_in_it(tmp_path: Path) -> None:
    first = [clip("a", 0, 0, video="zero", home_shard=2), clip("b", 0, 1), clip("c", 5, 2)]
    second = [clip("d", 10, 1), clip("e", 0, 0, video="two", home_shard=4)]
    assert named(groups(tmp_path, first, second)) == ["b", "c", "d"]
    assert named(groups(tmp_path, second, shard="000004")) == ["e"]
    assert groups(tmp_path, first, second)[2]["status"] == "duplicate"  # like one of the shard before
    lost = clip("x", None, video=None, home_shard=None, item_id=None, status="failed", reason="error:ProcessDied")
    assert [row["reason"] for row in groups(tmp_path, [*first, lost])] == ["", "", "error:ProcessDied"]


@cases(
    ("said", "settings", "reason"),
    [
        ({"black": True, "brightness": 2.0, "sharpness": 0.0}, {}, "black"),
        ({"black": True, "brightness": 20.0}, {"drop_black": False}, ""),
        ({"brightness": 5.0}, {}, "too_dark"),
        ({"brightness": 250.0}, {}, "too_bright"),
        ({"static": True, "motion": 0.1}, {}, ""),
        ({"static": True, "motion": 0.1}, {"drop_static": True}, "static"),
        ({"motion": 0.9}, {"min_motion": 1.0}, "low_motion"),
        ({"sharpness": 0.3}, {}, "blurred"),
        ({"sharpness": 0.3}, {"min_sharpness": 0.0}, ""),
        ({"height": 140}, {"min_side_px": 200}, "too_small"),
        ({"width": None, "height": None, "sharpness": None, "black": None}, {"min_side_px": 200}, ""),
        ({}, {}, ""),
    ],
)
def test_a_clip_is_filtered_by_the_first_rule_that_it_breaks(
    said: dict[str, Any], settings: dict[str, Any], reason: str
) -> None:
    table = pa.Table.from_pylist([clip("a", 0, **said)], table_schema(CLIPS_SCHEMA))
    assert first_failed_rule(table, ClipGroupsSettings(**settings)).to_pylist() == [reason]


def test_what_is_filtered_is_in_no_group_and_like_nothing(tmp_path: Path) -> None:
    rows = [
        clip("a", 0, 0, end_s=30.0, sharpness=0.1),
        clip("b", 30, 0),
        clip("c", 35, 1),
        clip("d", 40, 2, black=True),
    ]
    found = groups(tmp_path, rows)
    assert [row["reason"] for row in found] == ["blurred", "", "", "black"]
    assert [row["status"] for row in found] == ["filtered", "kept", "kept", "filtered"]
    assert [bool(row["group"]) for row in found] == [False, True, True, False]
    assert [row["representative"] for row in found] == [None] * 4


def test_moments_that_overlap_stay(tmp_path: Path) -> None:
    moments = [clip("a", 0, 0), clip("b", 2, 0), clip("c", 6, 1), clip("d", 8, 2)]
    found = groups(tmp_path, [{**moment, "kind": "annotated"} for moment in moments])
    assert [row["status"] for row in found] == ["kept"] * 4
    one, two = group_id(b"one", 0), group_id(b"one", 1)
    assert [row["group"] for row in found] == [one, two, one, two]


def test_moments_that_look_the_same_stay_if_they_are_told_apart(tmp_path: Path) -> None:
    """In one shot of a camera that never moves, say."""
    said = ["He opens the door.", "He shuts it.", "He  OPENS the door.", "", ""]
    moments = [clip(name, 5 * at, 0, kind="annotated", text=said[at]) for at, name in enumerate("abcd")]
    moments[3]["questions"] = [{"question": "Where?", "answer": "There."}]
    assert [row["status"] for row in groups(tmp_path, moments)] == ["kept", "kept", "duplicate", "kept"]
    alike = ClipGroupsSettings(respect_descriptions=False)
    assert [row["status"] for row in groups(tmp_path, moments, settings=alike)] == ["kept"] + ["duplicate"] * 3
    scenes = [{**moment, "kind": "scenes"} for moment in moments]
    assert [row["status"] for row in groups(tmp_path, scenes)] == ["kept"] + ["duplicate"] * 3


def test_a_video_over_two_shards_is_one_set_of_groups(tmp_path: Path) -> None:
    """A B A C in three spans of two shards, and a blurred and a black shot with them."""
    path = tmp_path / "film.mp4"
    shots = [Shot(frames=50, picture="photo", seed=seed, camera="pan") for seed in (0, 1, 0, 2)]
    truth = make_video(path, [*shots, Shot(frames=50, picture="black")], size=(192, 144), numbered=False, start_s=1.0)
    settings = ClipsSettings(clips=ClipSettings(min_s=1, max_s=10, stitch=False))
    known = {"first_frame_s": truth.times_s[0], "duration_s": 10.0, "segments": 3}
    spans = [
        video_row(path, segment_end_s=3.0, **known),
        video_row(path, segment_start_s=3.0, segment_end_s=5.0, **known),
        video_row(path, segment_start_s=5.0, **known),
    ]
    first = run_clips(tmp_path, Clips(settings), spans[:1])
    second = run_clips(tmp_path, Clips(settings), spans[1:], shard="000001")
    found = groups(tmp_path, first, second, shard="000000")
    assert [row["start_s"] for row in found] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert [row["reason"] for row in found] == ["", "", "near_duplicate_sibling", "", "black"]
    key = group_id(path.name.encode(), 0)
    assert [row["group"] for row in found] == [key, key, "", key, ""]
    assert found[2]["representative"] == found[0]["item_id"] == found[0]["representative"]
    assert [len(row["parts"]) for row in found] == [8] * 5
    assert groups(tmp_path, second, shard="000001") == []


def test_blurred_and_dark_shots_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = videos.pictures

    def spoilt(shots: Sequence[Shot], size: tuple[int, int]) -> Iterator[Pixels]:
        for number, picture in enumerate(pictures(shots, size)):
            if number // 20 == 1:
                picture = cv2.GaussianBlur(picture, (0, 0), 0.02 * size[0]).astype(np.uint8)
            yield (picture * (0.04 if number // 20 == 3 else 1.0)).astype(np.uint8)

    monkeypatch.setattr(videos, "pictures", spoilt)
    path = tmp_path / "film.mp4"
    shots = [Shot(frames=20, picture="photo", seed=seed, camera="pan") for seed in range(5)]
    make_video(path, shots, size=(320, 240), rate=10, numbered=False)
    settings = ClipsSettings(clips=ClipSettings(min_s=1, max_s=10, stitch=False))
    clips = run_clips(tmp_path, Clips(settings), [video_row(path)])
    lenient = ClipGroupsSettings(drop_black=False)
    for settings, dark in ((ClipGroupsSettings(), "black"), (lenient, "too_dark")):
        found = groups(tmp_path, clips, settings=settings, shard="000000")
        assert [row["reason"] for row in found] == ["", "blurred", "", dark, ""]
        assert len({row["group"] for row in found if row["status"] == "kept"} - {""}) == 1


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(SettingsError, match="twice min_group_size"):
        parse_settings({"group": {"min_group_size": 5, "max_group_size": 8}}, ClipGroupsSettings)
    assert ClipGroupsSettings(group=GroupSettings(max_group_size=9)).canonical()["group"]["max_group_size"] == 9
