"""Clips become pairs: which sides they have, what they are made of, and why some are none."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from corpus.schema import Task, pair_id
from corpus.settings import Settings, SettingsError, parse_settings
from pipelines.config import AnyPairs
from pipelines.pairs.clips import ClipPairs, ClipPairSettings
from pipelines.pairs.image_text import Pairs, PairSettings
from tests.helpers.clip_tables import Clip, make

CLIPS = [Clip("a", 0, "a cat "), Clip("b", 5, "a dog"), Clip("c", 10, None), Clip("d", 15, "gone", reason="static")]


def part(start_s: float, end_s: float, video: str = "one") -> dict[str, Any]:
    return {"video": hashlib.sha256(video.encode()).hexdigest()[:32], "start_s": start_s, "end_s": end_s}


def test_a_text_finds_its_clip(tmp_path: Path) -> None:
    found = make(tmp_path, CLIPS, query_instruction="Find it: ", positive_instruction="Understand it.")
    assert found[0] == {
        "pair_id": pair_id("films", "a cat", *CLIPS[0].frame_ids),
        "query": {"instruction": "Find it: ", "text": "a cat", "items": [], "clip": None},
        "positive": {"instruction": "Understand it.", "text": "", "items": CLIPS[0].frame_ids, "clip": part(0.0, 5.0)},
        "negatives": [],
        "positive_score": 0.0,
        "in_batch_negatives": True,
        "group": "g",
        "label": "",
        "caption_origin": "original",
        "caption_model": "",
        "caption_prompt": "",
        "source_url": "http://example.org/one.mp4",
        "source_sha256": b"v" * 32,
        "licence": "",
        "status": "kept",
        "reason": "",
    }
    assert [(pair["query"]["text"], pair["group"], pair["reason"]) for pair in found] == [
        ("a cat", "g", ""),
        ("a dog", "g", ""),
        ("", "", "no_text"),
    ]


def test_a_clip_finds_its_text(tmp_path: Path) -> None:
    pair = make(tmp_path, CLIPS, direction="clip_to_text")[1]
    assert pair["query"] == {"instruction": "", "text": "", "items": CLIPS[1].frame_ids, "clip": part(5.0, 10.0)}
    assert pair["positive"] == {"instruction": "", "text": "a dog", "items": [], "clip": None}


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        ("frames", [("frames", ""), ("frames", "no_frames"), ("frames", ""), ("frames", "no_frames")]),
        ("mp4", [("mp4", ""), ("mp4", ""), ("mp4", "no_mp4"), ("mp4", "no_mp4")]),
        ("both", [("both", ""), ("both", "no_frames"), ("both", "no_mp4"), ("both", "no_frames")]),
    ],
)
def test_a_clip_is_its_frames_in_order_then_its_mp4(
    tmp_path: Path, media: str, expected: list[tuple[str, str]]
) -> None:
    clips = [Clip("a", text="t"), Clip("b", text="t", frames=0), Clip("c", text="t", mp4=False)]
    clips.append(Clip("d", text="t", frames=0, mp4=False))
    found = make(tmp_path, clips, media=media)
    assert [pair["reason"] for pair in found] == [reason for _, reason in expected]
    whole = {"frames": clips[0].frame_ids, "mp4": [clips[0].mp4_id], "both": [*clips[0].frame_ids, clips[0].mp4_id]}
    assert found[0]["positive"]["items"] == whole[media]


def test_captions_are_chosen_as_for_images(tmp_path: Path) -> None:
    clips = [Clip("a", 0, "a cat", caption="A cat."), Clip("b", 5, "a dog"), Clip("c", 10, "", caption="A bird.")]
    found = make(tmp_path, clips, captions="generated", on_missing_caption="drop")
    said = [(pair["query"]["text"], pair["caption_origin"], pair["caption_model"], pair["reason"]) for pair in found]
    assert said == [
        ("A cat.", "generated", "vlm", ""),
        ("", "generated", "vlm", "no_caption"),
        ("A bird.", "generated", "vlm", ""),
    ]


def test_each_text_of_a_clip_is_a_pair_of_its_own(tmp_path: Path) -> None:
    clips = [Clip("a", 0, "a cat", other_texts=["it sleeps ", "fur"], caption="A cat."), Clip("b", 5, "a dog")]
    own = ["a cat", "it sleeps", "fur"]

    def texts(name: str, **settings: Any) -> list[str]:
        found = make(tmp_path / name, clips, **settings)
        assert len({pair["pair_id"] for pair in found}) == len(found)
        assert [pair["positive"]["items"] for pair in found[:-1]] == [clips[0].frame_ids] * (len(found) - 1)
        # None of the clip's own texts makes the clip a negative, nor is it twice in a group.
        assert all(each["items"] == clips[1].frame_ids for pair in found[:-1] for each in pair["negatives"])
        groups = [pair["group"] for pair in found[:-1] if pair["group"]]
        assert len(set(groups)) == len(groups)
        return [pair["query"]["text"] for pair in found]

    assert texts("original", sibling_negatives="both") == [*own, "a dog"]
    assert texts("both", captions="both") == [*own, "A cat.", "a dog"]
    assert texts("generated", captions="generated") == ["A cat.", "a dog"]
    assert texts("mix", captions="mix", generated_share=0.0) == [*own, "a dog"]


def test_moments_are_the_clips_that_somebody_described(tmp_path: Path) -> None:
    clips = [Clip("a", 0, "a cat", kind="annotated"), Clip("b", 5, "b"), Clip("c", 9, "", kind="annotated")]
    found = make(tmp_path, clips, unit="moments")
    assert [(pair["query"]["text"], pair["reason"]) for pair in found] == [("a cat", ""), ("", "no_text")]


def test_a_question_about_a_clip_finds_its_answer(tmp_path: Path) -> None:
    asked = [("What is it? ", "A cat"), ("What colour?", "red"), ("Why?", ""), ("", "Because")]
    clips = [Clip("a", questions=asked), Clip("b"), Clip("c", frames=0, questions=asked[:1])]
    found = make(tmp_path, clips, unit="questions")
    assert [(pair["query"]["text"], pair["positive"]["text"], pair["reason"]) for pair in found] == [
        ("What is it?", "A cat", ""),
        ("What colour?", "red", ""),
        ("Why?", "", "no_text"),
        ("", "", "no_text"),
        ("", "", "no_text"),
        ("What is it?", "A cat", "no_frames"),
    ]
    assert found[0]["query"]["items"] == clips[0].frame_ids and found[0]["positive"]["items"] == []
    assert {pair["group"] for pair in found} == {""} and not any(pair["negatives"] for pair in found)
    assert found[0]["pair_id"] == pair_id("films", "What is it?", "A cat", *clips[0].frame_ids)


def test_a_shard_without_clips_has_no_pairs(tmp_path: Path) -> None:
    assert make(tmp_path / "a", []) == []
    assert make(tmp_path / "b", [Clip("a", text="t", reason="static")], sibling_negatives="both") == []
    assert make(tmp_path / "c", [Clip("a", text="t")], unit="moments") == []
    assert len(make(tmp_path / "d", [Clip("a", frames=0, mp4=False)], sibling_negatives="both")) == 1


# Settings


class Datasets(Settings):
    datasets: dict[str, AnyPairs]


def parse(**dataset: Any) -> PairSettings | ClipPairSettings:
    return parse_settings({"datasets": {"d": dataset}}, Datasets).datasets["d"]


def test_a_dataset_that_does_not_say_is_of_images() -> None:
    assert parse(source="s") == parse(source="s", kind="images") == PairSettings(source="s")
    clips = parse(source="s", kind="clips")
    assert isinstance(clips, ClipPairSettings)
    assert Datasets(datasets={"d": clips}).datasets["d"] is clips
    assert Datasets.model_json_schema()["$defs"].keys() >= {"PairSettings", "ClipPairSettings"}


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        (
            {"source": "s", "sibling_negatives": "in_batch"},
            "datasets.d.sibling_negatives: unknown key; known keys: captions, generated_sh",
        ),
        ({"source": "s", "captoins": "both"}, "datasets.d.captoins: unknown key; did you mean 'captions'?"),
        (
            {"source": "s", "kind": "clips", "sibling_negative": "x"},
            "datasets.d.sibling_negative: unknown key; did you mean 'sibling_negatives'?",
        ),
        (
            {"source": "s", "kind": "clips", "negatives": {"gaps": 1}},
            "datasets.d.negatives.gaps: unknown key; did you mean 'min_gap_s'?",
        ),
        ({"kind": "clips"}, "datasets.d.source: Field required"),
        ({"source": "s", "kind": "clip"}, "datasets.d: Input tag 'clip' found using kind() does not match any of the"),
        ({"source": "s", "kind": ["clips"]}, "datasets.d: Unable to extract tag using discriminator kind()"),
        ({"source": "s", "kind": "clips", "unit": "moment"}, "datasets.d.unit: Input should be 'clips', 'moments'"),
        (
            {"source": "s", "kind": "clips", "unit": "questions", "captions": "both"},
            "datasets.d: captions: both, but of questions the text is question and answer",
        ),
    ],
)
def test_what_is_wrong_with_a_dataset_is_said(dataset: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse(**dataset)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("of", "task", "siblings", "windows"),
    [
        ("clips", Task.VIDEO_RETRIEVAL, "in_batch", False),
        ("moments", Task.VIDEO_RETRIEVAL, "explicit", False),
        ("windows", Task.VIDEO_RETRIEVAL, "in_batch", True),
        ("questions", Task.VIDEO_QA, "none", False),
        ("window_questions", Task.VIDEO_QA, "none", True),
    ],
)
def test_defaults_go_by_what_the_pairs_are_of(of: str, task: Task, siblings: str, windows: bool) -> None:
    settings = parse(source="s", kind="clips", unit=of)
    assert isinstance(settings, ClipPairSettings)
    assert (settings.task, settings.sibling_negatives, settings.windows) == (task, siblings, windows)
    own = parse(source="s", kind="clips", unit=of, task="image_qa", sibling_negatives="both")
    assert isinstance(own, ClipPairSettings) and (own.task, own.sibling_negatives) == (Task.IMAGE_QA, "both")


def test_the_kind_of_a_dataset_is_part_of_a_fingerprint() -> None:
    assert Pairs("d", PairSettings(source="s")).fingerprint_inputs()["kind"] == "images"
    assert ClipPairs("d", ClipPairSettings(kind="clips", source="s")).fingerprint_inputs()["kind"] == "clips"
