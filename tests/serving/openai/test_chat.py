"""What is sent to an endpoint, and what its answers mean."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from serving.openai.chat import chat_body, read_response, read_yes_no, yes_no_route
from serving.openai.exchange import CallFailure, classify_status
from serving.openai.settings import EndpointSettings
from serving.request import GenerateRequest, GenerateResponse, ModelResponse, SamplingSettings, YesNoRequest
from tests.helpers.fake_endpoint import picture

SCHEMA = {"type": "object", "properties": {"caption": {"type": "string"}}, "required": ["caption"]}


def settings(**changes: Any) -> EndpointSettings:
    return EndpointSettings(**({"kind": "openai", "model": "m", "endpoints": ("http://host/v1",)} | changes))


def body_of(request: GenerateRequest, sampling: SamplingSettings | None = None, **changes: Any) -> dict[str, Any]:
    return json.loads(chat_body(request, settings(**changes), sampling or SamplingSettings()))


def test_images_come_before_the_text() -> None:
    body = body_of(
        GenerateRequest("Describe.", (picture(1), picture(2)), seed=5), SamplingSettings(temperature=0.5, top_p=0.9)
    )
    (message,) = body.pop("messages")
    assert message["role"] == "user"
    *images, text = message["content"]
    assert text == {"type": "text", "text": "Describe."}
    assert [part["type"] for part in images] == ["image_url", "image_url"]
    urls = [part["image_url"]["url"] for part in images]
    assert all(url.startswith("data:image/jpeg;base64,") for url in urls) and urls[0] != urls[1]
    assert body == {"model": "m", "temperature": 0.5, "top_p": 0.9, "max_tokens": 256, "seed": 5}


def test_sampling_is_sent_where_it_is_wanted() -> None:
    assert body_of(GenerateRequest("?", ()), SamplingSettings(repetition_penalty=1.1))["repetition_penalty"] == 1.1
    assert body_of(GenerateRequest("?", (), temperature=0.7), SamplingSettings(temperature=0.2))["temperature"] == 0.7
    assert body_of(GenerateRequest("?", (), temperature=0.0), SamplingSettings(temperature=0.2))["temperature"] == 0.0
    assert body_of(GenerateRequest("?", (), seed=2**64 - 1))["seed"] == 2**63 - 1  # what a server reads as int64


def test_json_is_asked_for_as_the_server_knows_it() -> None:
    request = GenerateRequest("?", (), json_schema=json.dumps(SCHEMA))
    wanted = {"type": "json_schema", "json_schema": {"name": "caption", "schema": SCHEMA, "strict": True}}
    assert body_of(request)["response_format"] == wanted
    older = body_of(request, structured_output="guided_json")
    assert older["guided_json"] == SCHEMA and "response_format" not in older


def test_what_is_kept_of_an_answer_can_be_written() -> None:
    """JSON can spell halves of characters, in an error's message too."""
    for data in (b'{"error": {"message": "\\ud800 \\u001b[31m"}}', b'{"choices": [], "message": "\\ud800"}'):
        answer = read_response(data)
        assert isinstance(answer, ModelResponse) and answer.error == "bad_answer"
        assert answer.detail.isprintable()


def test_the_extra_body_is_sent_along() -> None:
    assert body_of(GenerateRequest("?", ()), extra_body={"top_k": 1, "mm": {"a": [1]}})["mm"] == {"a": [1]}


def test_the_same_request_is_the_same_bytes() -> None:
    def body(schema: str, **extra: int) -> bytes:
        request = GenerateRequest("Größe?", (picture(9),), 3, schema)
        return chat_body(request, settings(extra_body=extra), SamplingSettings())

    one, other = '{"a": 1, "b": 2}', '{"b":2,"a":1}'
    assert body(one, x=1, y=2) == body(other, y=2, x=1)
    assert body(one, x=1, y=2) != body(one, x=1, y=3)


def completion(message: Any, finish_reason: Any = "stop", **others: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}], **others}).encode()


def test_a_completion_is_read() -> None:
    data = completion({"content": "A red cube."}, "length", usage={"prompt_tokens": 9, "completion_tokens": 4})
    assert read_response(data) == GenerateResponse("A red cube.", "length", 9, 4)
    assert read_response(completion({"content": ""}, None)) == GenerateResponse("", "")
    odd = {"prompt_tokens": None, "completion_tokens": "4"}
    assert read_response(completion({"content": "x"}, usage=odd)) == GenerateResponse("x", "stop")


def test_a_text_that_utf8_cannot_hold_is_mended() -> None:
    answer = read_response(b'{"choices": [{"message": {"content": "a \\ud83d b \\ud83d\\ude00"}}]}')
    assert isinstance(answer, ModelResponse)
    assert answer.payload == "a \ufffd b \U0001f600"


@pytest.mark.parametrize(
    "data",
    [
        *(b"[]", b"null", b"7", b'{"choices": []}', b'{"choices": {"0": 1}}', b'{"choices": [null]}'),
        *(completion(None), completion({}), completion("text"), completion({"content": ["text"]})),
    ],
)
def test_a_completion_without_a_text_is_a_bad_answer(data: bytes) -> None:
    answer = read_response(data)
    assert isinstance(answer, ModelResponse)
    assert (answer.payload, answer.error) == (None, "bad_answer")


@pytest.mark.parametrize("data", [b"", b"<html>", b'{"choices": [', b"\xff\xfe\x00", b"[" * 200_000, b"1" * 10_000])
def test_what_is_not_json_may_be_better_next_time(data: bytes) -> None:
    trouble = read_response(data)
    assert isinstance(trouble, CallFailure)
    assert (trouble.error, trouble.fault) == ("bad_answer", "request")


@pytest.mark.parametrize(
    ("status", "error", "fault"),
    [
        (429, "rate_limited", "endpoint"),
        (408, "timeout", "request"),
        (504, "timeout", "request"),
        (409, "server_error", "request"),
        (500, "server_error", "request"),
        (502, "server_error", "unclear"),
        (503, "server_error", "unclear"),
        (599, "server_error", "request"),
        (204, "bad_answer", "request"),
    ],
)
def test_what_is_tried_again_and_whose_fault_it_is(status: int, error: str, fault: str) -> None:
    trouble = classify_status(status, "planted", 0.0)
    assert isinstance(trouble, CallFailure)
    assert (trouble.error, trouble.fault, trouble.detail) == (error, fault, f"{status}: planted")


@pytest.mark.parametrize("status", [400, 413, 415, 422, 451])
def test_what_is_refused_is_not_tried_again(status: int) -> None:
    assert classify_status(status, "too wide", 9.0) == GenerateResponse(error="refused_input", detail="too wide")


def test_a_question_asks_for_one_token_and_its_likeliest_spellings() -> None:
    body = json.loads(yes_no_route(settings()).body(YesNoRequest("Is it red?", (picture(1),))))
    (message,) = body.pop("messages")
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert body == {"model": "m", "temperature": 0.0, "max_tokens": 1, "logprobs": True, "top_logprobs": 20}


def judged(likely: Any) -> ModelResponse[Any] | CallFailure:
    choice = {"message": {"content": "Yes"}, "logprobs": {"content": [{"token": "Yes", "top_logprobs": likely}]}}
    return read_yes_no(json.dumps({"choices": [choice], "usage": {"prompt_tokens": 12}}).encode())


def test_a_judgement_is_the_share_of_yes() -> None:
    likely = [
        {"token": "Yes", "logprob": math.log(0.6)},
        {"token": " no", "logprob": math.log(0.2)},
        {"token": "It"},
        7,
    ]
    response = judged([*likely, 7])
    assert isinstance(response, ModelResponse) and response.prompt_tokens == 12
    assert response.payload is not None and response.payload[0] == pytest.approx(0.75)


def test_an_answer_that_is_no_judgement_says_why() -> None:
    for likely, error in (([{"token": "Perhaps", "logprob": -0.1}], "no_answer"), ("none", "bad_answer")):
        response = judged(likely)
        assert isinstance(response, ModelResponse) and response.error == error
    assert isinstance(read_yes_no(b"<html>"), CallFailure)
    no_logprobs = read_yes_no(b'{"choices": [{"message": {"content": "Yes"}}]}')
    assert isinstance(no_logprobs, ModelResponse) and no_logprobs.error == "bad_answer"
