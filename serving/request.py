"""The types of a model's requests and responses, which stages and the clients of `serving` share.

Responses are generic over their payload: a text for a `GenerateRequest`, a vector for an embedding, a probability for
a question.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from numpy.typing import NDArray
from pydantic import Field

from corpus.image.decode import Pixels
from corpus.settings import Settings

TOO_LONG = "too_long"  # an error of a ModelResponse: a request of more tokens than the model reads
NOT_FINITE = "not_finite"  # an error of a ModelResponse: a vector that is zero, or has infinities or NaNs

Vector = NDArray[Any]
PayloadT = TypeVar("PayloadT", str, NDArray[Any])
_RequestT = TypeVar("_RequestT", bound="ModelRequest", contravariant=True)


class SamplingSettings(Settings):
    """Settings of how a model samples tokens. They are part of a text's fingerprint."""

    temperature: float = Field(0.0, ge=0, le=5, description="The temperature; 0 takes the likeliest token each time.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="The smallest set of likeliest tokens with this total probability is sampled from."
    )
    max_tokens: int = Field(
        256,
        ge=1,
        description="The longest answer in tokens; a caption that is cut off there ends with its last full sentence.",
    )
    repetition_penalty: float = Field(
        1.0, gt=0, description="Values above 1 make tokens that came already less likely."
    )
    seed: int = Field(
        0, ge=0, description="The seed of the choice of prompts and, with each image's digest, of the sampling."
    )


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A user's turn: images in order, and a text after them. Subclasses add what a task needs."""

    task: ClassVar[str] = ""

    prompt: str
    images: tuple[Pixels, ...]


@dataclass(frozen=True, slots=True)
class GenerateRequest(ModelRequest):
    """A request for one generated text."""

    task: ClassVar[str] = "generate"

    seed: int = 0
    json_schema: str = ""  # the text must be JSON of this schema; "": free text
    temperature: float | None = None  # None: that of the settings. A second attempt at 0 would repeat the first


@dataclass(frozen=True, slots=True)
class EmbedRequest(ModelRequest):
    """One vector to compute: of the prompt, of the images or of both, under an instruction.

    The instruction is what the recipe has for the task and the side, with its own separator at its end: a model that
    has no place for it reads `text`.
    """

    task: ClassVar[str] = "embed"

    instruction: str = ""

    @property
    def text(self) -> str:
        """The instruction and the prompt, joined as they are."""
        return self.instruction + self.prompt


@dataclass(frozen=True, slots=True)
class YesNoRequest(ModelRequest):
    """A question that is answered by Yes or No, about texts, images or both.

    The payload of its response is float32[1]: P(Yes) / (P(Yes) + P(No)) of the first token (UniME-V2, arXiv
    2510.13515).
    """

    task: ClassVar[str] = "yes_no"


_TYPES: tuple[type[ModelRequest], ...] = (GenerateRequest, EmbedRequest, YesNoRequest)
REQUEST_TYPES: dict[str, type[ModelRequest]] = {each.task: each for each in _TYPES}


@dataclass(frozen=True)  # no slots: with them, `ModelResponse[str](...)` fails in Python 3.11
class ModelResponse(Generic[PayloadT]):
    """The response of a model: a payload, or an `error` (a reason in snake_case)."""

    payload: PayloadT | None = None
    finish_reason: str = ""  # "stop", or "length" when the limit of tokens cut a text off
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    detail: str = ""  # of an error, for people to read


VectorResponse = ModelResponse[Vector]
GenerateResponse = ModelResponse[str]


class BackendError(RuntimeError):
    """A backend that cannot go on, whatever it is sent: no request's fault."""


class ModelClient(Protocol[_RequestT, PayloadT]):
    """The client of a running model. Thread-safe: several shards submit requests at once."""

    def submit(self, request: _RequestT) -> Future[ModelResponse[PayloadT]]:
        """Enqueues a request, and waits while the backend has enough of them in flight.

        An error that a request causes is a response with `error`. The future and `submit` raise BackendError when the
        backend cannot go on.
        """
        ...

    def close(self) -> None:
        """Stops the model and all its processes. Requests in flight end with BackendError."""
        ...
