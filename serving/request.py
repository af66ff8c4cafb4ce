"""Requests and responses of models: the types that stages and the backends of serving share.

They are generic over the answer's payload: a text for `GenerateRequest`; a vector, where a backend answers with one.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from corpus.settings import Settings

Pixels = NDArray[np.uint8]  # RGB levels 0 to 255, (height, width, 3)
Payload = TypeVar("Payload", str, NDArray[Any])
R = TypeVar("R", bound="ModelRequest", contravariant=True)


class SamplingSettings(Settings):
    """How a model samples its tokens. Part of a text's identity."""

    temperature: float = Field(0.0, ge=0, le=5, description="0: the likeliest token each time")
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1, description="a caption is cut off there, and then ends with its last sentence")
    repetition_penalty: float = Field(1.0, gt=0, description="above 1: tokens that came already are less likely")
    seed: int = Field(0, ge=0, description="of the choice of prompts and, with each image's digest, of the sampling")


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A user's turn: a text after its images, in order. What else a task needs is in a subclass."""

    task: ClassVar[str] = ""

    prompt: str
    images: tuple[Pixels, ...]


@dataclass(frozen=True, slots=True)
class GenerateRequest(ModelRequest):
    """One text to generate."""

    task: ClassVar[str] = "generate"

    seed: int = 0
    json_schema: str = ""  # the text must be JSON of this schema; "": free text
    temperature: float | None = None  # None: that of the settings; a second attempt at 0 would give the same again


REQUEST_TYPES: dict[str, type[ModelRequest]] = {each.task: each for each in (GenerateRequest,)}


@dataclass(frozen=True)  # no slots: with them, `ModelResponse[str](...)` fails in Python 3.11
class ModelResponse(Generic[Payload]):
    """The response of a model. `error` is a reason in snake_case where there is no payload, "" where there is one."""

    payload: Payload | None = None
    finish_reason: str = ""  # "stop", or "length" when the limit of tokens cut a text off
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    detail: str = ""  # of an error, for people


GenerateResponse = ModelResponse[str]


class BackendError(RuntimeError):
    """A backend that can't go on: no request's fault, and no other request will fare better."""


class ModelClient(Protocol[R, Payload]):
    """A model at work. Thread-safe: several shards submit requests at once."""

    def submit(self, request: R) -> Future[ModelResponse[Payload]]:
        """Enqueue a request. Waits while the backend has enough of them in flight.

        The future never raises for what a request does: that is a response with an error. It, and `submit`, raise
        BackendError when the backend can't go on.
        """
        ...

    def close(self) -> None:
        """Stop the model and all that runs for it. What is not answered ends with BackendError."""
        ...
