"""LLaVA-Hound's records over folders of frames: captions both ways, questions, frames in the order of time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from corpus.settings import parse_settings
from corpus.workspace import Workspace
from pipelines.sources.json_records import BadRecordError
from pipelines.sources.llava_hound import LlavaHoundReader, LlavaHoundSource, read_record, spread_evenly
from pipelines.sources.pair_rows import PAIR_ROWS
from pipelines.sources.source_shards import source_fingerprint, write_source_shards
from tests.helpers.cases import cases


def record(number: int = 0, *turns: str, **more: Any) -> dict[str, Any]:
    values = turns or ("Describe the video.\n<video>", f"A dog runs, take {number}.")
    conversations = [{"from": ("human", "gpt")[at % 2], "value": value} for at, value in enumerate(values)]
    return {"id": f"v_{number}", "video": f"v_{number}", "conversations": conversations, **more}


def world(folder: Path, *records: Any, frames: int = 12) -> dict[str, Any]:
    """Annotations, and frames of all videos whose number is even."""
    lines = [json.dumps(each) if isinstance(each, dict) else each for each in records]
    (folder / "said.jsonl").write_text("\n".join(lines))
    for each in records:
        if isinstance(each, dict) and str(each.get("video"))[-1:] in "02468":
            video = folder / "frames" / each["video"]
            video.mkdir(parents=True, exist_ok=True)
            for at in range(frames):
                (video / f"c01_{at}.jpeg").write_bytes(b"")
            (video / "notes.txt").write_bytes(b"")
    return {"files": [str(folder / "said.jsonl")], "frames_folder": str(folder / "frames")}


def source(**settings: Any) -> LlavaHoundReader:
    return LlavaHoundReader(parse_settings({"kind": "llava_hound", **settings}, LlavaHoundSource))


def rows_of(rows: LlavaHoundReader) -> list[dict[str, Any]]:
    """All rows, after a look at whether the counts add up."""
    shards = list(rows.shards())
    assert all(shard.schema == PAIR_ROWS for shard in shards)
    found = [row for shard in shards for row in shard.to_pylist()]
    assert rows.counts["read"] == len(found) + sum(n for reason, n in rows.counts.items() if reason != "read")
    return found


def test_captions_find_videos(tmp_path: Path) -> None:
    rows = source(**world(tmp_path, record(0)), frames_per_video=4, licence="MIT")
    assert rows_of(rows) == [
        {
            "query": {"text": "A dog runs, take 0.", "images": []},
            "positive": {"text": "", "images": [f"v_0/c01_{at}.jpeg" for at in (0, 4, 7, 11)]},
            "negatives": [],
            "instruction": "",
            "positive_instruction": "",
            "positive_score": 0.0,
            "in_batch_negatives": True,
            "label": "",
            "subset": "",
            "key": "v_0",
            "file": str(tmp_path / "said.jsonl"),
            "line": 1,
            "url": "",
            "licence": "MIT",
        }
    ]
    assert rows.counts == {"read": 1, "no_frames": 0}


def test_videos_find_captions(tmp_path: Path) -> None:
    rows = source(**world(tmp_path, record(0)), pair_type="video_to_text")
    (row,) = rows_of(rows)
    assert row["instruction"] == "Describe the video." and row["positive"]["text"] == "A dog runs, take 0."
    assert row["query"]["text"] == "" and len(row["query"]["images"]) == 8


def test_questions_find_answers(tmp_path: Path) -> None:
    questions = record(2, "<video>\nWho runs?", "A dog.", "Where?", "On a beach.")
    rows = source(**world(tmp_path, questions), pair_type="qa")
    found = rows_of(rows)
    assert [(row["query"]["text"], row["positive"]["text"]) for row in found] == [
        ("Who runs?", "A dog."),
        ("Where?", "On a beach."),
    ]
    assert all(len(row["query"]["images"]) == 8 and not row["positive"]["images"] for row in found)


def test_videos_without_frames(tmp_path: Path) -> None:
    rows = source(**world(tmp_path, *(record(number) for number in range(6))), shard_rows=2)
    assert [row["key"] for row in rows_of(rows)] == ["v_0", "v_2", "v_4"]
    assert rows.counts == {"read": 6, "no_frames": 3}
    nothing = source(**world(tmp_path, record(1)))
    assert rows_of(nothing) == [] and nothing.counts == {"read": 1, "no_frames": 1}


def test_a_video_that_is_a_file_has_no_frames(tmp_path: Path) -> None:
    arguments = world(tmp_path, record(0), record(1, id=7.0))
    (tmp_path / "frames" / "v_1").write_bytes(b"mp4")
    rows = source(**arguments)
    assert [row["key"] for row in rows_of(rows)] == ["v_0"] and rows.counts == {"read": 2, "no_frames": 1}


@cases(
    ("broken", "reason"),
    [
        ({"video": ""}, "no_video"),
        ({"video": None}, "no_video"),
        ({"video": 7}, "bad_text"),
        ({"video": "../../etc"}, "no_video"),
        ({"video": "http://127.0.0.1/v_0"}, "no_video"),
        ({"video": "file:///etc"}, "no_video"),
        ({"video": "v\0"}, "no_video"),
        ({"video": "v" * 256}, "no_video"),
        ({"conversations": None}, "bad_turns"),
        ({"conversations": []}, "bad_turns"),
        ({"conversations": ["hello"]}, "bad_turns"),
        ({"conversations": [{"from": "gpt", "value": "a"}]}, "bad_turns"),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": " "}]}, "no_text"),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": 1}]}, "bad_text"),
    ],
)
def test_a_malformed_record_costs_its_row(broken: dict[str, Any], reason: str) -> None:
    settings = source(files=["a.jsonl"], frames_folder="frames").settings
    with pytest.raises(BadRecordError) as raised:
        read_record(record(**broken), settings)
    assert raised.value.reason == reason


def test_file_and_line_of_what_is_malformed(tmp_path: Path) -> None:
    rows = source(**world(tmp_path, record(0), "{", "[]", record(2, video=None), record(4)))
    assert [row["line"] for row in rows_of(rows)] == [1, 5]
    assert [(fault.line, fault.reason) for fault in rows.bad_records] == [
        (2, "not_json"),
        (3, "not_an_object"),
        (4, "no_video"),
    ]
    assert rows.counts["read"] == 5


def test_frames_are_looked_for_once_the_sample_is_drawn(tmp_path: Path) -> None:
    arguments = world(tmp_path, *(record(2 * number) for number in range(60)), frames=3)
    rows = source(**arguments, sample_rows=20, shard_rows=8)
    index = write_source_shards(Workspace(str(tmp_path / "workspace")), "hound", rows, source_fingerprint(rows))
    assert index.rows == 20 and len(index.shards) == 3
    assert index.counts == {"read": 60, "not_sampled": 40, "duplicate_row": 0, "no_frames": 0}


def test_frames_are_spread_evenly() -> None:
    names = [f"{at}" for at in range(10)]
    assert spread_evenly(names, 4) == ["0", "3", "6", "9"] and spread_evenly(names, 1) == ["5"]
    assert spread_evenly([], 8) == [] and spread_evenly([], 1) == []


def test_a_video_of_few_frames_has_as_many_as_the_others() -> None:
    assert spread_evenly(["0", "1"], 6) == ["0", "0", "0", "1", "1", "1"] and spread_evenly(["0"], 3) == ["0", "0", "0"]
    assert spread_evenly(["0", "1", "2"], 5) == ["0", "0", "1", "2", "2"]


def test_the_first_lines_of_a_file_alone_are_read(tmp_path: Path) -> None:
    """As a file is whose questions come first, and then captions: those after the limit are counted."""
    questions = [record(n, f"What runs {n}?", f"A dog {n}.") for n in range(6)]
    rows = source(
        **world(tmp_path, *questions, *[record(n) for n in range(6, 10)]), pair_type="qa", max_rows_per_file=6
    )
    assert [row["query"]["text"] for row in rows_of(rows)] == [f"What runs {n}?" for n in (0, 2, 4)]
    assert rows.counts == {"read": 10, "over_row_limit": 4, "no_frames": 3}


def test_a_request_for_a_description_is_no_question(tmp_path: Path) -> None:
    both = record(2, "Write a detailed description of the video.\n<video>", "A dog.", "Why?", "It plays.")
    rows = source(**world(tmp_path, record(0), both, record(4, "Say it all.", "A cat.")), pair_type="qa")
    assert [row["query"]["text"] for row in rows_of(rows)] == ["Why?", "Say it all."]
    assert rows.counts == {"read": 3, "no_question": 1, "no_frames": 0}
    rows = source(
        **world(tmp_path, record(4, "Say it all.", "A cat.")), pair_type="qa", description_prompts=["say it  all."]
    )
    assert rows_of(rows) == []
