"""The clips of a video as each other's negatives: together in a group, named in each pair, and when neither."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus.text.keys import normalize_text
from tests.helpers.clip_tables import Clip, make
from video.grouping.groups import group_id
from video.grouping.negatives import assign_pair_groups

FILM = [Clip(name, 5 * at, f"text {name}") for at, name in enumerate("abcde")]


def named(pairs: list[dict[str, Any]], clips: list[Clip]) -> dict[str, list[str]]:
    """text of each kept pair -> names of the clips among its negatives, or their texts."""
    names = {tuple(clip.frame_ids): clip.name for clip in clips}
    found = {}
    for pair in pairs:
        assert all(negative["origin"] == "clip_sibling" for negative in pair["negatives"])
        said = [names[tuple(each["items"])] if each["items"] else each["text"] for each in pair["negatives"]]
        found[pair["query"]["text"] or pair["positive"]["text"]] = said
    return found


@pytest.mark.parametrize(
    ("siblings", "grouped", "negatives"),
    [("in_batch", True, 0), ("explicit", False, 2), ("both", True, 2), ("none", False, 0)],
)
def test_siblings_are_kept_together_or_named_or_both(
    tmp_path: Path, siblings: str, grouped: bool, negatives: int
) -> None:
    found = make(tmp_path, FILM, sibling_negatives=siblings, negatives={"num_negatives": 2})
    assert {pair["group"] for pair in found} == {"g" if grouped else ""}
    assert {len(pair["negatives"]) for pair in found} == {negatives}


def test_named_siblings_are_the_nearest_in_time_as_clips_or_as_texts(tmp_path: Path) -> None:
    wanted = {"sibling_negatives": "explicit", "negatives": {"num_negatives": 2}}
    found = make(tmp_path / "a", FILM, **wanted)
    assert named(found, FILM) == {
        "text a": ["b", "c"],
        "text b": ["a", "c"],
        "text c": ["b", "d"],
        "text d": ["c", "e"],
        "text e": ["d", "c"],
    }
    assert {negative["text"] for pair in found for negative in pair["negatives"]} == {""}
    texts = make(tmp_path / "b", FILM, direction="clip_to_text", **wanted)
    assert named(texts, FILM)["text c"] == ["text b", "text d"]


def test_siblings_of_other_groups_and_clips_without_one_are_never_named(tmp_path: Path) -> None:
    clips = [*FILM[:2], replace(FILM[2], group="h"), replace(FILM[3], group=""), replace(FILM[4], group="h")]
    found = make(tmp_path, clips, sibling_negatives="both")
    assert named(found, clips) == {"text a": ["b"], "text b": ["a"], "text c": ["e"], "text d": [], "text e": ["c"]}
    assert [pair["group"] for pair in found] == ["g", "g", "h", "", "h"]


def test_a_sibling_of_which_the_same_is_said_is_no_negative(tmp_path: Path) -> None:
    texts = ["A man talks.", "a  man TALKS. ", "A dog", "", "A cat"]
    clips = [replace(clip, text=text) for clip, text in zip(FILM, texts, strict=True)]
    found = make(tmp_path / "a", clips, sibling_negatives="explicit")
    assert named(found, clips) == {
        "A man talks.": ["c", "d", "e"],  # a clip without a text is one all the same
        "a  man TALKS.": ["c", "d", "e"],
        "A dog": ["b", "d", "a", "e"],
        "": [],
        "A cat": ["d", "c", "b", "a"],
    }
    found = make(tmp_path / "b", clips, sibling_negatives="explicit", direction="clip_to_text")
    assert named(found, clips) == {
        "A man talks.": ["A dog", "A cat"],
        "a  man TALKS.": ["A dog", "A cat"],
        "A dog": ["a  man TALKS.", "A cat"],  # what two siblings say is there once
        "": [],
        "A cat": ["A dog", "a  man TALKS."],
    }


def test_those_that_are_passed_over_make_room_for_others(tmp_path: Path) -> None:
    clips = [replace(clip, text="the same") for clip in FILM[:4]] + [FILM[4]]
    found = make(tmp_path, clips, sibling_negatives="explicit", negatives={"num_negatives": 1})
    assert named(found, clips)["the same"] == ["e"]


def test_a_sibling_without_the_media_is_no_negative_but_its_text_is(tmp_path: Path) -> None:
    clips = [FILM[0], replace(FILM[1], mp4=False), FILM[2]]
    found = make(tmp_path / "a", clips, sibling_negatives="explicit", media="both")
    assert [pair["reason"] for pair in found] == ["", "no_mp4", ""]
    assert [len(pair["negatives"]) for pair in found] == [1, 0, 1]
    assert found[0]["negatives"][0]["items"] == [*clips[2].frame_ids, clips[2].mp4_id]
    found = make(tmp_path / "b", clips, sibling_negatives="explicit", media="both", direction="clip_to_text")
    assert named(found, clips)["text a"] == ["text b", "text c"]


def test_with_both_texts_a_clip_is_once_in_a_group_and_its_pairs_in_two(tmp_path: Path) -> None:
    clips = [replace(clip, caption=f"Caption {clip.name}.") for clip in FILM[:3]]
    clips.append(replace(FILM[3], text="", caption="Caption d."))
    found = make(tmp_path, clips, captions="both", sibling_negatives="both", on_missing_caption="original")
    kept = [pair for pair in found if pair["status"] == "kept"]
    assert [(pair["query"]["text"], pair["group"]) for pair in kept] == [
        ("text a", "g"),
        ("Caption a.", group_id(b"g", 1)),
        ("text b", "g"),
        ("Caption b.", group_id(b"g", 1)),
        ("text c", "g"),
        ("Caption c.", group_id(b"g", 1)),
        ("Caption d.", "g"),
    ]
    assert named(kept, clips)["Caption a."] == ["b", "c", "d"]
    texts = make(tmp_path / "b", clips, captions="both", sibling_negatives="explicit", direction="clip_to_text")
    assert named(texts, clips)["Caption a."] == ["Caption b.", "Caption c.", "Caption d."]
    assert named(texts, clips)["text a"] == ["text b", "text c", "Caption d."]


def test_what_is_said_twice_in_a_group_goes_into_a_second_one(tmp_path: Path) -> None:
    texts = ["He talks", "he talks", "HE  talks", "A dog", "A cat"]
    clips = [replace(clip, text=text) for clip, text in zip(FILM, texts, strict=True)]
    found = make(tmp_path, clips)
    assert [pair["group"] for pair in found] == ["g", "", "", "g", "g"]  # alone in a second and a third one
    clips += [Clip("f", 30, "a dog"), Clip("g", 35, frames=0, text="not shown")]
    found = make(tmp_path / "b", clips)
    assert [pair["group"] for pair in found] == ["g", group_id(b"g", 1), "", "g", "g", group_id(b"g", 1), ""]


def test_no_group_has_a_clip_or_a_text_twice_and_none_is_of_one() -> None:
    groups = ["x", "x", "y", "x", "x", "", "y", "x", "z", "x", "y"]
    clips = [b"1", b"1", b"2", b"3", b"1", b"4", b"2", b"3", b"5", b"6", b"7"]
    texts = ["a", "b", "c", "B", "c", "d", "e", "a", "f", " a ", "E"]
    members = defaultdict(list)
    for at, name in enumerate(assign_pair_groups(groups, clips, texts)):
        members[name].append(at)
    members.pop("")
    assert sum(map(len, members.values())) >= 7
    for rows in members.values():
        assert len(rows) > 1
        assert len({groups[row] for row in rows}) == 1
        assert len({clips[row] for row in rows}) == len({normalize_text(texts[row]) for row in rows}) == len(rows)


def test_other_moments_of_the_video_are_a_moments_negatives_if_they_share_little_of_its_time(tmp_path: Path) -> None:
    moments = [
        Clip("a", 0, "he runs", group="g", kind="annotated", length_s=10),
        Clip("b", 2, "he runs fast", group="g", kind="annotated", length_s=10),
        Clip("c", 20, "he falls", group="", kind="annotated"),
        Clip("d", 40, "he falls", group="h", kind="annotated"),
        Clip("e", 30, "a scene", group="g"),
        Clip("f", 0, "of another", group="g", video="two", kind="annotated"),
    ]
    found = make(tmp_path, moments, unit="moments")
    assert {pair["group"] for pair in found} == {""}
    assert named(found[:2], moments) == {"he runs": ["c", "d"], "he runs fast": ["c", "d"]}
    assert named(found[2:3], moments) == {"he falls": ["b", "a"]}  # not the other time that he falls
    assert named(found[4:], moments) == {"of another": []}
    looser = make(tmp_path / "b", moments, unit="moments", negatives={"max_iou": 0.9, "num_negatives": 1})
    assert named(looser[:1], moments) == {"he runs": ["b"]}


def test_answers_to_the_same_question_about_siblings_are_negatives(tmp_path: Path) -> None:
    clips = [
        replace(FILM[0], questions=[("What is it?", "A cat"), ("Is it day?", "yes")]),
        replace(FILM[1], questions=[("Is it day?", "Yes"), ("what is it?", "A dog")]),
        replace(FILM[2], questions=[("Who speaks?", "Nobody")]),
        replace(FILM[3], questions=[]),
    ]
    found = make(tmp_path, clips, unit="questions", sibling_negatives="both")
    assert [[each["text"] for each in pair["negatives"]] for pair in found] == [
        ["A dog", "Nobody"],
        ["A dog", "Nobody"],  # the other one says yes too
        ["A cat", "Nobody"],
        ["A cat", "Nobody"],
        ["Yes", "A cat"],
        [],
    ]
    second = group_id(b"g", 1)
    assert [pair["group"] for pair in found] == ["g", second, "g", second, "g", ""]
