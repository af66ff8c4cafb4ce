"""What a captioner is asked, and what it answers: the words that the stage and its backends share."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from corpus.settings import Settings

Pixels = NDArray[np.uint8]  # RGB levels 0 to 255, (height, width, 3)


class Sampling(Settings):
    """How the model writes. Part of a caption's identity."""

    temperature: float = Field(0.0, ge=0, le=5, description="0: the likeliest token each time")
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1, description="a caption is cut off there, and then ends with its last sentence")
    repetition_penalty: float = Field(1.0, gt=0, description="above 1: tokens that came already are less likely")
    seed: int = Field(0, ge=0, description="of the choice of prompts and, with each image's digest, of the sampling")


@dataclass(frozen=True, slots=True)
class Request:
    """One caption to write: a text as the user's turn, after its images, in order."""

    prompt: str
    images: tuple[Pixels, ...]
    seed: int = 0
    json_schema: str = ""  # the answer must be JSON of this schema; "": free text
    temperature: float | None = None  # None: as the sampling says; a second try at 0 would write the same again


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `error` is a reason in snake_case where there is no text, "" where there is."""

    text: str = ""
    finish_reason: str = ""  # "stop", or "length" when the limit of tokens cut it off
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    detail: str = ""  # of an error, for people


class CaptionerError(RuntimeError):
    """A captioner that can't go on: no request's fault, and no other request will fare better."""


class Captioner(Protocol):
    """A model at work. Thread-safe: several shards feed it at once."""

    def submit(self, request: Request) -> Future[Answer]:
        """Have a caption written. Waits while the captioner has enough in hand.

        The future never raises for what a request does: that is an Answer with an error. It, and `submit`, raise
        CaptionerError when the captioner can't go on.
        """
        ...

    def close(self) -> None:
        """Stop the model and all that runs for it. What is not answered ends with CaptionerError."""
        ...
