"""Annotation files in the forms of the public sets, sound and broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.settings import SettingsError
from pipelines.sources import json_records
from pipelines.sources.json_records import BadRecord, records, seconds
from pipelines.sources.video_annotations import (
    Annotation,
    AnyForm,
    Llava,
    Plain,
    ShareGpt4Video,
    Vript,
    asks_for_description,
    read_annotations,
)
from tests.helpers.cases import cases


def write(path: Path, *lines: Any) -> str:
    """JSON lines; what is a string is written as it is."""
    text = "".join((line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return str(path)


def read(form: AnyForm, cuts: tuple[str, ...] = ()) -> tuple[list[Annotation], list[BadRecord]]:
    bad_records: list[BadRecord] = []
    return list(read_annotations(form, form.files, cuts, bad_records)), bad_records


def of_video(video: str, text: str = "", question: str = "", answer: str = "") -> Annotation:
    return Annotation(video, None, None, text, question, answer, True)


def part(video: str, start_s: float | None, end_s: float | None, text: str, *question_and_answer: str) -> Annotation:
    question, answer = question_and_answer or ("", "")
    return Annotation(video, start_s, end_s, text, question, answer, False)


def location(bad: BadRecord) -> tuple[int, str]:
    return bad.line, bad.reason


SHARED = {
    "video_id": "yt-a.1",
    "zip_folder": "panda_videos_1.zip",
    "timestamp": ["00:00:00.000", "00:00:02.500"],
    "captions": [
        {"idx": "1", "content": "A cup."},
        {"idx": "2", "content": "It falls."},
        {"idx": "-1", "content": "A cup that falls."},
    ],
}


def test_sharegpt4video(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        SHARED,
        {"video_id": "b", "captions": "none"},
        {"captions": [{"idx": "-1", "content": "of what?"}]},
        {"video_id": "c", "captions": [{"idx": -1, "content": " whole \n"}]},
        {"video_id": "d", "captions": [{"idx": "-1", "content": ""}]},
    )
    found, bad_records = read(ShareGpt4Video(kind="sharegpt4video", files=(file,)))
    unknown = [part("yt-a.1", None, None, "A cup."), part("yt-a.1", None, None, "It falls.")]
    assert found == [of_video("yt-a.1", "A cup that falls."), *unknown, of_video("c", "whole")]
    assert [location(each) for each in bad_records] == [(2, "no_text"), (3, "no_video"), (5, "no_text")]
    assert {fault.file for fault in bad_records} == {file}


def test_sharegpt4video_with_times(tmp_path: Path) -> None:
    edges = {**SHARED, "video_id": "edges", "timestamp": [0, 2.5, "7"]}
    wrong = {**SHARED, "video_id": "wrong", "timestamp": [0]}
    file = write(tmp_path / "a.jsonl", SHARED, edges, wrong)
    found, bad_records = read(ShareGpt4Video(kind="sharegpt4video", files=(file,), times_key="timestamp"))
    assert found[1:3] == [part("yt-a.1", 0.0, 2.5, "A cup."), part("yt-a.1", 2.5, None, "It falls.")]
    assert found[5] == part("edges", 2.5, 7.0, "It falls.")
    assert [location(each) for each in bad_records] == [(3, "bad_time")]


def talk(*values: str, **more: Any) -> dict[str, Any]:
    turns = [{"from": ("human", "gpt")[at % 2], "value": value} for at, value in enumerate(values)]
    return {"id": 7, "video": "dir/v.mp4", "conversations": turns, **more}


def test_llava_keeps_pairs_of_question_and_answer(tmp_path: Path) -> None:
    records = [
        talk("<image>\nWhat is it?", "A dog.", "And then?\n<video>", "It runs. "),
        talk("<video>\n<video>\nWhere <image> is it?", "Here.", start="00:01:02.500", end="1:05"),
        talk("<video>\n", "A street at night."),
        talk("Who?", "She.", end=4),
    ]
    array = tmp_path / "array.json"
    array.write_text(json.dumps(records, indent=2), encoding="utf-8-sig")
    lines = write(tmp_path / "lines.json", *records)
    found, bad_records = read(Llava(kind="llava", files=(str(array),)))
    assert found == [
        of_video("dir/v.mp4", "", "What is it?", "A dog."),
        of_video("dir/v.mp4", "", "And then?", "It runs."),
        part("dir/v.mp4", 62.5, 65.0, "", "Where is it?", "Here."),
        of_video("dir/v.mp4", "A street at night."),
        part("dir/v.mp4", 0.0, 4.0, "", "Who?", "She."),
    ]
    assert not bad_records
    assert read(Llava(kind="llava", files=(lines,))) == (found, [])


def test_llava_record_that_is_malformed_costs_itself(tmp_path: Path) -> None:
    good = talk("Q?", "A.")
    system = {**good, "conversations": [{"from": "system", "value": "Be kind."}, *good["conversations"]]}
    file = write(
        tmp_path / "a.jsonl",
        good,
        '{"id": 1, "video": "cut off',
        "",
        talk("Q?", "A.", "no answer?"),
        talk("Q?", ""),
        talk("Q?", "A.", start=5, end=5),
        talk("Q?", "A.", start="soon"),
        talk("Q?", "A.", start=float("nan")),
        {**good, "video": ["a.mp4", "b.mp4"]},
        {"image": "a.jpg", "conversations": good["conversations"]},
        '{"video": "v.mp4", "conversations": [{"from": "human", "value": "\\ud800"}, {"from": "gpt", "value": "A"}]}',
        {**good, "conversations": None},
        '"text"',
        "[" * 100_000,
        system,
    )
    found, bad_records = read(Llava(kind="llava", files=(file,)))
    assert found == [of_video("dir/v.mp4", "", "Q?", "A.")] * 2
    assert [location(each) for each in bad_records] == [
        (2, "not_json"),
        (4, "bad_turns"),
        (5, "no_text"),
        (6, "bad_time"),
        (7, "bad_time"),
        (8, "bad_time"),
        (9, "bad_text"),
        (10, "no_video"),
        (11, "bad_text"),
        (12, "bad_turns"),
        (13, "not_an_object"),
        (14, "not_json"),
    ]


def clip(name: str, content: str | None) -> dict[str, Any]:
    caption = {"shot_type": "close-up", "camera_movement": "still", "content": content, "scene_title": "One"}
    return {"video_id": "x-1", "clip_id": name, "video_title": "...", "caption": caption, "voiceover": [""]}


@pytest.fixture
def script(tmp_path: Path) -> str:
    """A file of captions as Vript has one for each video."""
    path = tmp_path / "x-1_caption.json"
    names = [f"x-1-Scene-00{number}" for number in range(1, 5)]
    data: dict[str, Any] = {name: clip(name, f"About {name}.") for name in names}
    data[names[2]] = {**data[names[2]], "caption": None}
    meta = {"video_id": "x-1", "video_title": "...", "num_clips": 4, "integrity": False}
    path.write_text(json.dumps({"meta": meta, "data": data}, indent=4))
    return str(path)


@pytest.mark.parametrize("as_list", [False, True])
def test_vript_takes_times_from_cuts(tmp_path: Path, script: str, as_list: bool) -> None:
    times = {"x-1-Scene-001": ("00:00:00.000", "00:00:04.200"), "x-1-Scene-002": ("4.2", 9), "x-1-Scene-004": (9, 8)}
    cuts: Any = {name: {"from": start, "to": end} for name, (start, end) in times.items()}
    if as_list:
        cuts = {"clips": [{"clip": name, **cut} for name, cut in cuts.items()]}
    file = tmp_path / "x-1_cut_meta.json"
    file.write_text(json.dumps(cuts))
    form = Vript(kind="vript", files=(script,), clip_id_key="clip", clip_start_key="from", clip_end_key="to")
    found, bad_records = read(form, (str(file),))
    assert found == [
        part("x-1", 0.0, 4.2, "About x-1-Scene-001."),
        part("x-1", 4.2, 9.0, "About x-1-Scene-002."),
        part("x-1", None, None, "About x-1-Scene-004."),
    ]
    assert [(fault.file, fault.reason) for fault in bad_records] == [(str(file), "bad_time"), (script, "no_text")]
    assert "x-1-Scene-004" in bad_records[0].detail and "x-1-Scene-003" in bad_records[1].detail


def test_vript_clips_that_are_videos(script: str) -> None:
    found, _ = read(Vript(kind="vript", files=(script,), videos_are_clips=True))
    assert found[0] == of_video("x-1-Scene-001", "About x-1-Scene-001.") and len(found) == 3


def test_plain(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        {"video": "ü/ヴ.mp4", "start_s": 1, "end_s": "2.5", "text": "Une fête à 東京"},
        {"video": "v", "text": "All of it.", "question": "Who?", "answer": "Nobody."},
        {"video": "v", "start_s": "1:00:00", "text": "Late."},
        {"video": "v", "question": "No answer?"},
        {"video": "v", "start_s": -1, "text": "x"},
        {"video": "v", "start_s": True, "text": "x"},
        {"video": "v", "text": 5},
    )
    found, bad_records = read(Plain(kind="plain", files=(file,)))
    assert found == [
        part("ü/ヴ.mp4", 1.0, 2.5, "Une fête à 東京"),
        of_video("v", "All of it.", "Who?", "Nobody."),
        part("v", 3600.0, None, "Late."),
    ]
    assert [location(each) for each in bad_records] == [
        (4, "no_text"),
        (5, "bad_time"),
        (6, "bad_time"),
        (7, "bad_text"),
    ]


def test_a_plain_record_with_an_unknown_key_is_not_read_without_it(tmp_path: Path) -> None:
    records = [
        {"video": "v", "start": 1, "end": 3, "text": "x"},
        {"video": "v", "start_s": 1, "ends_s": 3, "text": "x"},
        {"video": "v", "#": 7, "text": "x"},
        {"video": "v", "text": "x"},
    ]
    found, bad_records = read(Plain(kind="plain", files=(write(tmp_path / "a.jsonl", *records),)))
    assert found == [of_video("v", "x")]
    assert [location(each) for each in bad_records] == [(1, "unknown_key"), (2, "unknown_key"), (3, "unknown_key")]
    known = "known keys: video, start_s, end_s, text, question, answer"
    assert [fault.detail for fault in bad_records] == [
        "'start': did you mean 'start_s'?",
        "'ends_s': did you mean 'end_s'?",
        f"'#': {known}",
    ]


def test_a_time_that_a_form_does_not_read_does_not_make_the_record_one_of_the_whole_video(tmp_path: Path) -> None:
    records = [
        talk("Q?", "A.", start_time=1, end_time=3),
        talk("Q?", "A.", start=1, end_sec=3),
        talk("Q?", "A.", segment=[1, 3]),
        talk("Q?", "A.", timestamps=[[1, 3]]),
        talk("Q?", "A.", start=1, end=3, start_frame=25, end_frame=75, segment=[1, 3]),
        talk("Q?", "A.", start=None, start_time="", duration=30),
    ]
    file = write(tmp_path / "a.jsonl", *records)
    found, bad_records = read(Llava(kind="llava", files=(file,)))
    assert found == [part("dir/v.mp4", 1.0, 3.0, "", "Q?", "A."), of_video("dir/v.mp4", "", "Q?", "A.")]
    assert [location(each) for each in bad_records] == [(line, "unsupported_time") for line in (1, 2, 3, 4)]
    assert bad_records[0].detail.startswith(
        "'start_time' looks like a time of a part of the video; read are 'start' and"
    )
    named, bad_records = read(Llava(kind="llava", files=(file,), start_key="start_time", end_key="end_time"))
    assert named[0] == part("dir/v.mp4", 1.0, 3.0, "", "Q?", "A.") and bad_records[0].line == 2


def test_times_that_cannot_be_cost_their_record_in_every_form(tmp_path: Path) -> None:
    wrong = [(-1, 1), (float("nan"), 2), (2, float("nan")), (4, 3), (1, 1), (float("inf"), None), ("soon", 3), ([1], 3)]
    plain = [{"video": "v", "start_s": start, "end_s": end, "text": "x"} for start, end in wrong]
    llava = [talk("Q?", "A.", start=start, end=end) for start, end in wrong]
    shared = [{**SHARED, "timestamp": [start, 5 if end is None else end, end]} for start, end in wrong]
    shared += [{**SHARED, "timestamp": times} for times in ("0,2", 7, {"0": 2})]
    forms: list[tuple[AnyForm, int]] = [
        (Plain(kind="plain", files=(write(tmp_path / "p.jsonl", *plain),)), len(plain)),
        (Llava(kind="llava", files=(write(tmp_path / "l.jsonl", *llava),)), len(llava)),
        (
            ShareGpt4Video(kind="sharegpt4video", files=(write(tmp_path / "s.jsonl", *shared),), times_key="timestamp"),
            len(shared),
        ),
    ]
    for form, count in forms:
        found, bad_records = read(form)
        assert (found, [fault.reason for fault in bad_records]) == ([], ["bad_time"] * count), form.kind


def test_the_times_of_a_vript_clip_are_those_that_come_first(tmp_path: Path, script: str) -> None:
    name = "x-1-Scene-001"
    cuts = [{"clip_id": name, "start": 1, "end": end} for end in (2, 2, 3)]
    file = write(tmp_path / "cuts.jsonl", *cuts)
    found, bad_records = read(Vript(kind="vript", files=(script,)), (file,))
    assert found[0] == part("x-1", 1.0, 2.0, f"About {name}.")
    assert [(fault.file, fault.line, fault.reason) for fault in bad_records if fault.file == file] == [
        (file, 3, "bad_time")
    ]


@pytest.mark.parametrize(
    ("text", "values", "faulty"),
    [
        ('[{"a": 1},\n{"a": 2}]', [(1, {"a": 1}), (2, {"a": 2})], []),
        ('[\n{"a": 1},\n{"a": },\n{"a": 3}\n]\n', [(2, {"a": 1}), (4, {"a": 3})], [3]),  # goes on after the broken one
        ('[\n  {"a": 1},\n  {"a": 2', [(2, {"a": 1})], [3]),  # cut off
        ('{\n "a": 1\n}\n{\n "a": 2\n}', [(1, {"a": 1}), (4, {"a": 2})], []),
        ('{"a": 1\n{"a": 2}\n', [(2, {"a": 2})], [1]),
        ("", [], []),
        ("[]", [], []),
        ("<html>\n</html>", [], [1]),
    ],
)
def test_records_by_line(tmp_path: Path, text: str, values: list[Any], faulty: list[int]) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    bad_records: list[BadRecord] = []
    assert list(records(str(path), bad_records)) == values
    assert [location(each) for each in bad_records] == [(line, "not_json") for line in faulty]


def test_what_is_too_long_to_be_held_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "_MAX_LINE_BYTES", 100)
    monkeypatch.setattr(json_records, "_MAX_JSON_BYTES", 100)
    lines = tmp_path / "a.jsonl"
    lines.write_text(json.dumps({"a": "x" * 500}) + '\n{"a": 2}\n')
    bad_records: list[BadRecord] = []
    assert list(records(str(lines), bad_records)) == [(2, {"a": 2})]
    assert [location(each) for each in bad_records] == [(1, "line_too_long")]
    (tmp_path / "a.json").write_text(" " * 101)
    with pytest.raises(SettingsError, match="a JSON file of over 100 bytes"):
        list(records(str(tmp_path / "a.json"), bad_records))


def test_bytes_that_are_no_unicode_cost_their_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"video": "a", "text": "caf\xe9"}\r\n{"video": "b", "text": "one\xe2\x80\xa8line"}\r\n')
    found, bad_records = read(Plain(kind="plain", files=(str(path),)))
    assert found == [of_video("b", "one\u2028line")]
    assert [location(each) for each in bad_records] == [(1, "bad_text")]


def test_files_in_a_store() -> None:
    fsspec.filesystem("memory").pipe_file("/forms/a.jsonl", b'{"video": "v", "text": "T"}')
    assert read(Plain(kind="plain", files=("memory://forms/a.jsonl",))) == ([of_video("v", "T")], [])


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("00:01:02.500", 62.5),
        ("12.5", 12.5),
        ("1:02", 62.0),
        ("90", 90.0),
        ("00:00:01,250", 1.25),
        (3, 3.0),
        (0, 0.0),
        ("", None),
        (None, None),
    ],
)
def test_times(value: Any, wanted: float | None) -> None:
    assert seconds(value) == wanted


@cases("value", ["-1", "1:60", "1:60:00", "1:2:3:4", "1e3", "٣", "9" * 400, [1], False, float("inf"), -0.5])
def test_what_is_no_time(value: Any) -> None:
    with pytest.raises(ValueError, match="not a time"):
        seconds(value)


def test_llava_answers_to_a_request_for_a_description_are_descriptions(tmp_path: Path) -> None:
    prompts = ("<image>\nGenerate video descriptions that include all actions.", "Tell it.", "Who runs?")
    turns = [
        [{"from": "human", "value": prompt}, {"from": "gpt", "value": f"Answer {n}."}]
        for n, prompt in enumerate(prompts)
    ]
    file = tmp_path / "said.jsonl"
    file.write_text("\n".join(json.dumps({"video": "a.mp4", "conversations": turn}) for turn in turns))
    found, bad_records = read(Llava(kind="llava", files=(str(file),), description_prompts=("tell it.",)))
    assert [(each.text, each.question, each.answer) for each in found] == [
        ("Answer 0.", "", ""),
        ("Answer 1.", "", ""),
        ("", "Who runs?", "Answer 2."),
    ]
    assert bad_records == []


# Prompts that ask for a description of a video, and questions that do not

REQUESTS = (
    "Describe the video in detail.",
    "Please describe in detail this short clip.",
    "Could you please summarize the given video?",
    "Write a detailed description of the video.",
    "Generate video captions that name all people and what they do. Do not list frames.",
    "Provide an overview of the content of this footage",
    "Give a caption for the clip",
    "Caption this video",
    "Please describe what happens here in detail.",
    "Describe what you see in this clip",
    "Carefully watched, then: Caption this video",
)
QUESTIONS = (
    "What happens in the video?",
    "Describe the colour of the dog's collar in the video.",
    "Describe the video's second speaker.",
    "Write down how many people the video shows.",
    "Give the name of the dish that the video shows.",
    "Provide a description of the man's hat in the video.",
    "Which caption fits the video?",
    "Describe what happens after the dog jumps.",
    "Describe what happens in the video when the light turns green.",
    "",
)


def test_requests_are_told_from_questions() -> None:
    wrong = [text for text in REQUESTS[:-1] if not asks_for_description(text)]
    wrong += [text for text in QUESTIONS if asks_for_description(text)]
    assert wrong == []


def test_known_prompts_are_requests_whatever_they_say() -> None:
    assert not asks_for_description(REQUESTS[-1])
    assert asks_for_description(REQUESTS[-1], [REQUESTS[-1].upper().replace(" ", "  ")])
    assert not asks_for_description(REQUESTS[-1] + " Why?", [REQUESTS[-1]])
