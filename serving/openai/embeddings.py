"""Embeddings of OpenAI-compatible endpoints: settings, body of a request, and the vector in its response.

A side of a text alone is sent as `input`, as all servers take it. One with images is sent as `messages`, which is
vLLM's extension (its Chat Embeddings API): the server applies the model's chat template.
"""

from __future__ import annotations

import base64
import binascii
import json
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from serving.openai.chat import data_url
from serving.openai.client import EndpointClient
from serving.openai.exchange import REFUSED, CallFailure, Route, clean, count_of, json_value, message_of
from serving.openai.settings import EndpointAccess
from serving.request import TOO_LONG, BackendError, EmbedRequest, ModelResponse, Vector, VectorResponse

_TOO_LONG_MESSAGES = ("maximum context length", "maximum model length", "max_model_len", "too long", "too many tokens")


class EmbeddingsAccess(EndpointAccess):
    """Settings of servers that speak OpenAI's embeddings protocol."""

    reserved: ClassVar[frozenset[str]] = frozenset({"model", "input", "messages", "encoding_format", "dimensions"})
    set_elsewhere: ClassVar[str] = "`model`, `dimension`, `send_dimension`, `encoding_format`"

    dimension: int = Field(ge=1, description="The numbers of a vector; another number in a response ends the run.")
    send_dimension: bool = Field(
        False,
        description="Whether the server is told to shorten its vectors to `dimension`, of a model that was trained "
        "for it.",
    )
    max_tokens: int = Field(
        0,
        ge=0,
        description="A side of which the server counts so many tokens or more gets no vector: a server may cut it "
        "off there without a word. 0: the server refuses what is too long.",
    )
    encoding_format: Literal["base64", "float"] = Field(
        "base64", description="How vectors are sent: as bytes, or as numbers in JSON, which takes four times as long."
    )
    images: Literal["none", "messages"] = Field(
        "none",
        description="Whether sides with images are sent: in `messages`, as `vllm serve --runner pooling` takes them.",
    )


class EmbeddingsClient(EndpointClient[EmbedRequest, Vector]):
    """The client of servers that speak OpenAI's embeddings protocol."""

    def __init__(self, settings: EmbeddingsAccess) -> None:
        super().__init__(settings, embeddings_route(settings))


def embeddings_route(settings: EmbeddingsAccess) -> Route[EmbedRequest, Vector]:
    """Returns the route of requests for vectors."""
    return Route(
        "embeddings",
        partial(embeddings_body, settings=settings),
        partial(read_vector, settings=settings),
        "`model`, `send_dimension`, `encoding_format`, `images`, `extra_body`, the size of the images",
        refusal,
    )


def embeddings_body(request: EmbedRequest, settings: EmbeddingsAccess) -> bytes:
    """Returns the request as JSON, the same bytes for the same request. Raises ValueError for what can't be sent."""
    body: dict[str, Any] = {"model": settings.model, "encoding_format": settings.encoding_format}
    if request.images:
        urls = [data_url(image, settings.image_format, settings.jpeg_quality) for image in request.images]
        content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        if request.text:
            content.append({"type": "text", "text": request.text})
        body["messages"] = [{"role": "user", "content": content}]
    else:
        body["input"] = request.text
    if settings.send_dimension:
        body["dimensions"] = settings.dimension
    return json.dumps(body | settings.extra_body, sort_keys=True, separators=(",", ":")).encode("ascii")


def read_vector(data: bytes, settings: EmbeddingsAccess) -> VectorResponse | CallFailure:
    """Parses a response: its vector, float32[dimension]; error `bad_answer` where it has none, `too_long`.

    Raises BackendError for a vector of another dimension: so would all others be.
    """
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        return CallFailure("bad_answer", f"not JSON: {error}", "request")
    vector = _numbers(json_value(message, "data", 0, "embedding"))
    if vector is None:
        return ModelResponse(error="bad_answer", detail=clean(f"no vector: {message_of(data)}"))
    if len(vector) != settings.dimension:
        raise BackendError(
            f"model {settings.model}: its vectors have {len(vector)} numbers, not {settings.dimension}: set `dimension`"
            ", or `send_dimension` if the model was trained to have its vectors shortened"
        )
    tokens = count_of(json_value(message, "usage", "prompt_tokens"))
    if settings.max_tokens and tokens >= settings.max_tokens:
        return ModelResponse(error=TOO_LONG, detail=f"{tokens} tokens")
    return ModelResponse(vector, prompt_tokens=tokens)


def refusal(message: str) -> str:
    """Returns the error that a server's message stands for, as OpenAI, vLLM and others word it."""
    return TOO_LONG if any(words in message.lower() for words in _TOO_LONG_MESSAGES) else REFUSED


def _numbers(value: Any) -> Vector | None:
    """Returns a vector that is sent as a list of numbers, or as float32 in base64; None for anything else."""
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
        if isinstance(value, list) and all(isinstance(number, (int, float)) for number in value):
            return np.array(value, np.float32)
    except (ValueError, binascii.Error, OverflowError):
        pass
    return None
