"""The probability of Yes, from what is known of an answer's first token."""

from __future__ import annotations

import math

import pytest

from serving.yes_no import NO, NO_ANSWER, SPELLINGS, YES, answer_of, yes_response


def test_spellings_are_answers_whatever_their_case_and_space() -> None:
    assert {answer_of(each) for each in SPELLINGS} == {YES, NO} and len(set(SPELLINGS)) == 8
    assert [answer_of(token) for token in (" YES", "no\n", "Not", "yesterday", "")] == [YES, NO, "", "", ""]


def test_the_spellings_of_an_answer_are_added_up() -> None:
    likely = [(YES, math.log(0.3)), (YES, math.log(0.15)), (NO, math.log(0.05)), ("", math.log(0.5))]
    response = yes_response(likely, prompt_tokens=9)
    assert response.payload is not None and response.prompt_tokens == 9
    assert response.payload.dtype == "float32" and response.payload[0] == pytest.approx(0.9)


def test_one_of_both_is_enough_and_none_is_an_error() -> None:
    for answer, expected in ((YES, 1.0), (NO, 0.0)):
        payload = yes_response([(answer, -3.0)]).payload
        assert payload is not None and payload[0] == expected
    for likely in ([], [("", -0.1)], [(YES, -math.inf)], [(NO, math.nan)]):
        response = yes_response(likely)
        assert response.error == NO_ANSWER and response.payload is None
