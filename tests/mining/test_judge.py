"""The judge's questions, their keys, and its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.pool import Pool
from corpus.settings import SettingsError
from corpus.storage import Store
from mining.judge import (
    DEFAULT_PROMPT,
    TOO_MANY_IMAGES,
    Judge,
    JudgeSettings,
    Question,
    QuestionSide,
    question_key,
    render_question,
)
from tests.helpers.fake_judge import serve_judge
from tests.helpers.small_worlds import World

NO_PLACES: dict[str, dict[str, str]] = {}


def text_side(text: str) -> QuestionSide:
    return QuestionSide((), text, False)


def settings(url: str, **changes: Any) -> JudgeSettings:
    return JudgeSettings.model_validate({"backend": {"kind": "openai", "model": "m", "endpoints": [url]}, **changes})


def test_a_question_names_the_images_of_each_side_in_the_order_in_which_they_stand() -> None:
    question = Question("Find it: ", text_side("a {candidate} dog"), QuestionSide((b"1" * 16,), "", False))
    assert (
        render_question("{instruction}|{query}|{candidate}", question, 0, 1) == "Find it:|a {candidate} dog|[image 1]"
    )
    both = render_question("{query}|{candidate}", question, 2, 3)
    assert both == "[images 1 to 2] a {candidate} dog|[images 3 to 5]"
    assert "Yes or No" in render_question(DEFAULT_PROMPT, question, 0, 1)


def test_whatever_changes_a_question_changes_its_key() -> None:
    first, second = b"1" * 16, b"2" * 16
    question = Question("i", text_side("q"), QuestionSide((first, second), "c", False))
    others = [
        question._replace(instruction="j"),
        question._replace(query=text_side("r")),
        question._replace(query=question.candidate, candidate=question.query),
        question._replace(candidate=QuestionSide((second, first), "c", False)),
        question._replace(candidate=QuestionSide((first, second), "c", True)),
        question._replace(candidate=QuestionSide((first,), "c", False)),
    ]
    keys = [question_key("p", each) for each in (question, *others)] + [question_key("other p", question)]
    assert len(set(keys)) == len(keys) and {len(key) for key in keys} == {16}


def test_prompts_without_a_place_for_a_side_are_refused() -> None:
    for prompt in ("{query}?", "{candidate}?", "{query} {query} {candidate}"):
        with pytest.raises(ValueError, match="must be in it once"):
            JudgeSettings(prompt=prompt)
    with pytest.raises((ValueError, SettingsError), match=r"unknown|xtra"):
        JudgeSettings.model_validate({"promt": "x"})


def test_equal_questions_are_asked_once_and_what_has_no_image_says_why(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    pictures = world.pictures(3)
    query = QuestionSide((pictures[0],), "which is it", False)
    questions = [
        Question("", query, text_side("the right one")),
        Question("", query, text_side("a wrong one")),
        Question("", query, text_side("the right one")),
        Question("", query, QuestionSide((b"?" * 16,), "", False)),
        Question("", query, QuestionSide(tuple(pictures), "", False)),
    ]
    with serve_judge({"right": 0.97}) as server:
        judge = Judge(settings(server.url, video_frames=2), NO_PLACES)
        answers = judge.answer(Store(world.url), Pool(world.url, tuple(world.items)), questions)
        judge.close()
        assert len(server.asked) == 2 and [len(each.images) for each in server.asked] == [1, 1]
    assert np.allclose(answers.scores[:3], [0.97, 0.02, 0.97], atol=1e-3) and np.isnan(answers.scores[3:]).all()
    assert dict(answers.reasons) == {"missing_item": 1, TOO_MANY_IMAGES: 1} and answers.from_cache == 0
    assert answers.keys[0] == answers.keys[2] != answers.keys[1]


def test_thresholds_are_no_part_of_what_a_score_depends_on_and_the_model_is() -> None:
    first, same = settings("http://a/v1").producer, settings("http://b/v1", candidates=3).producer
    other = settings("http://a/v1", max_pixels=50_000).producer
    assert first["model"] == "m" and first == same | {"backend": first["backend"]} and first != other
