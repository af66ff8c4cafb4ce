"""Encoder `descriptor`: colours and gradients of pictures, words of texts (`mining.descriptor`); no model."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Literal

import numpy as np
from pydantic import Field

from corpus.image.pixel_budget import PixelBudget
from mining.descriptor import DIMENSION, describe
from mining.encoders.base import NO_CONTENT, Encoder, EncoderSettings
from serving.request import EmbedRequest, ModelResponse, VectorResponse

_REVISION = "1"  # another one where the same picture or text gets another descriptor
_DESCRIBED_PIXELS = 128 * 128


class DescriptorSettings(EncoderSettings):
    """Settings of the encoder without a model, which compares pictures with pictures, and texts with texts."""

    summary = (
        "no model: colours and gradients of pictures, words of texts; compares images with images, texts with texts"
    )

    kind: Literal["descriptor"] = Field("descriptor", description="Descriptors of texts and images, without a model.")

    @property
    def one_space(self) -> bool:
        return False

    def encoder(self) -> Encoder:
        return Encoder(
            self.kind,
            model="",
            revision=_REVISION,
            dimension=DIMENSION,
            open=DescriptorClient,
            budget=PixelBudget(max_pixels=_DESCRIBED_PIXELS),
            reads_instructions=False,
        )


class DescriptorClient:
    """A `ModelClient` that describes at once, on the calling thread."""

    def submit(self, request: EmbedRequest) -> Future[VectorResponse]:
        """Returns the descriptor of a side; `no_content` for one without images and words."""
        vector = describe(request.images, request.prompt)
        answer: Future[VectorResponse] = Future()
        if vector is None:
            answer.set_result(ModelResponse(error=NO_CONTENT))
        else:
            answer.set_result(ModelResponse(vector.astype(np.float32)))
        return answer

    def close(self) -> None:
        """Does nothing: nothing is held."""
