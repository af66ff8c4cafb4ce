"""Chat completions of OpenAI-compatible endpoints: body of a request, and what its response says."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any, Literal

import cv2
import numpy as np

from corpus.printable import LONE_SURROGATE
from serving.openai.exchange import CallFailure, Route, clean, count_of, json_value, message_of
from serving.openai.settings import EndpointSettings
from serving.request import (
    GenerateRequest,
    GenerateResponse,
    ModelRequest,
    ModelResponse,
    Pixels,
    SamplingSettings,
    Vector,
    VectorResponse,
    YesNoRequest,
)
from serving.yes_no import answer_of, yes_response

_MAX_SEED = 2**63 - 1  # servers read it as int64
_TOP_LOGPROBS = 20  # the most that OpenAI's protocol allows


class EncodeError(ValueError):
    """Pixels that cannot be encoded: wrong shape or type, or a side that the format can't hold."""


def chat_route(settings: EndpointSettings, sampling: SamplingSettings) -> Route[GenerateRequest, str]:
    """Returns the route of requests for texts."""
    return Route(
        "chat/completions",
        partial(chat_body, settings=settings, sampling=sampling),
        read_response,
        "`model`, `sampling`, `structured_output`, `extra_body`, the size of the images",
    )


def chat_body(request: GenerateRequest, settings: EndpointSettings, sampling: SamplingSettings) -> bytes:
    """Returns the request as JSON, the same bytes for the same request. Raises ValueError for what can't be sent."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": "user", "content": _content(request, settings)}],
        "temperature": sampling.temperature if request.temperature is None else request.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed & _MAX_SEED,
    }
    if sampling.repetition_penalty != 1:  # OpenAI itself doesn't know it
        body["repetition_penalty"] = sampling.repetition_penalty
    if request.json_schema:
        schema = json.loads(request.json_schema)
        if settings.structured_output == "guided_json":
            body["guided_json"] = schema
        else:
            response_format = {"name": "caption", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": response_format}
    return json.dumps(body | settings.extra_body, sort_keys=True, separators=(",", ":")).encode("ascii")


def yes_no_route(settings: EndpointSettings) -> Route[YesNoRequest, Vector]:
    """Returns the route of questions that are answered by Yes or No."""
    return Route(
        "chat/completions",
        partial(_yes_no_body, settings=settings),
        read_yes_no,
        "`model`, `extra_body`, the size of the images, and whether the server gives `logprobs`",
    )


def _yes_no_body(request: YesNoRequest, settings: EndpointSettings) -> bytes:
    body = {
        "model": settings.model,
        "messages": [{"role": "user", "content": _content(request, settings)}],
        "temperature": 0.0,
        "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": _TOP_LOGPROBS,
    }
    return json.dumps(body | settings.extra_body, sort_keys=True, separators=(",", ":")).encode("ascii")


def _content(request: ModelRequest, settings: EndpointSettings) -> list[dict[str, Any]]:
    urls = [data_url(image, settings.image_format, settings.jpeg_quality) for image in request.images]
    images: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [*images, {"type": "text", "text": request.prompt}]


def data_url(pixels: Pixels, image_format: Literal["jpeg", "png"], jpeg_quality: int) -> str:
    """Encodes RGB pixels, uint8 (height, width, 3), as `data:image/...;base64,...`, always as the same text.

    Raises EncodeError.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise EncodeError(f"expected uint8 pixels (height, width, 3), got {pixels.dtype} {pixels.shape}")
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if image_format == "jpeg" else []
    try:
        bgr = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(f".{image_format}", bgr, options)
    except cv2.error as error:
        raise EncodeError(f"{image_format}: {error.err or error}") from None
    if not done:
        raise EncodeError(f"{image_format}: {pixels.shape[1]}×{pixels.shape[0]} pixels can't be written")
    return f"data:image/{image_format};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"


def read_response(data: bytes) -> GenerateResponse | CallFailure:
    """Parses a chat completion: text, finish reason, tokens; error `bad_answer` where it has no text."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        return CallFailure("bad_answer", f"not JSON: {error}", "request")
    choice = json_value(message, "choices", 0)
    finish_reason, text = json_value(choice, "finish_reason"), json_value(choice, "message", "content")
    if finish_reason in ("error", "abort"):  # of requests that lmdeploy or vLLM dropped
        return CallFailure("server_error", f"finish_reason: {finish_reason}", "request")
    if not isinstance(text, str):
        found = "no text in the message" if choice else clean(f"no choices: {message_of(data)}")
        return GenerateResponse(error="bad_answer", detail=found)
    return GenerateResponse(
        payload=LONE_SURROGATE.sub("\ufffd", text),
        finish_reason=clean(finish_reason) if isinstance(finish_reason, str) else "",
        prompt_tokens=count_of(json_value(message, "usage", "prompt_tokens")),
        completion_tokens=count_of(json_value(message, "usage", "completion_tokens")),
    )


def read_yes_no(data: bytes) -> VectorResponse | CallFailure:
    """Parses a chat completion with log-probabilities: the probability of Yes; error `no_answer` or `bad_answer`."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        return CallFailure("bad_answer", f"not JSON: {error}", "request")
    likely = json_value(message, "choices", 0, "logprobs", "content", 0, "top_logprobs")
    if not isinstance(likely, list):
        return ModelResponse(error="bad_answer", detail=f"no logprobs: {clean(message_of(data))}")
    answers = [
        (answer_of(each["token"]), float(each["logprob"]))
        for each in likely
        if isinstance(each, dict)
        and isinstance(each.get("token"), str)
        and isinstance(each.get("logprob"), (int, float))
    ]
    return yes_response(answers, count_of(json_value(message, "usage", "prompt_tokens")))
