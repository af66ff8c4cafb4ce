"""Encoders: what turns the sides of pairs into vectors, each a client of serving."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.image.pixel_budget import PixelBudget
from mining.descriptor import DIMENSION, describe
from mining.settings import EmbedSettings
from mining.vectors import VectorKeys
from serving.request import EmbedRequest, ModelClient, ModelResponse

NO_CONTENT = "no_content"
_DESCRIPTOR_REVISION = "1"  # another one where the same picture or text gets another descriptor
_DESCRIBED_PIXELS = 128 * 128

Vector = NDArray[Any]


@dataclass(frozen=True)
class Encoder:
    """What stages must know of an encoder before it runs, and how it is opened."""

    dimension: int
    reads_instructions: bool
    budget: PixelBudget  # the sizes at which it sees images
    producer: dict[str, Any]  # all that its vectors depend on besides their input
    keys: VectorKeys
    open: Callable[[], ModelClient[EmbedRequest, Vector]]


def find_encoder(settings: EmbedSettings) -> Encoder:
    """The encoder that the settings name."""
    kind = settings.encoder.kind
    budget = PixelBudget(max_pixels=_DESCRIBED_PIXELS)
    keys = VectorKeys(
        encoder=kind,
        revision=_DESCRIPTOR_REVISION,
        positions="",
        min_pixels=budget.min_pixels,
        max_pixels=budget.max_pixels,
        dimension=DIMENSION,
    )
    producer = {"encoder": kind, "revision": _DESCRIPTOR_REVISION, "dimension": DIMENSION}
    return Encoder(DIMENSION, False, budget, producer, keys, DescriptorClient)


class DescriptorClient:
    """A `ModelClient` that describes at once, on the calling thread."""

    def submit(self, request: EmbedRequest) -> Future[ModelResponse[Vector]]:
        """The descriptor of a side; `no_content` for one without images and words."""
        vector = describe(request.images, request.prompt)
        answer: Future[ModelResponse[Vector]] = Future()
        if vector is None:
            answer.set_result(ModelResponse(error=NO_CONTENT))
        else:
            answer.set_result(ModelResponse(vector.astype(np.float32)))
        return answer

    def close(self) -> None:
        """Nothing is held."""
