"""Encoder `openclip`: a CLIP of open_clip, whose two towers give texts and images vectors of one space.

Of a clip's frames the vector is the mean of their normalised vectors (H. Luo and others, CLIP4Clip, 2021). A text that
open_clip would cut at its context length gets no vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from mining.encoders.base import EmbedClient, Encoder
from mining.encoders.local_model import MIXED, LocalEncoderSettings
from serving.batching import BatchClient
from serving.openclip import ClipModel, ClipModelSettings
from serving.request import TOO_LONG, EmbedRequest, VectorResponse


class OpenClipSettings(ClipModelSettings, LocalEncoderSettings):
    """Settings of a model of open_clip."""

    summary: ClassVar[str] = "any model of open_clip: texts and images in one space; texts of at most 77 tokens, mostly"

    kind: Literal["openclip"] = Field(description="A model that open_clip loads.")
    video_frames: int = Field(8, ge=1, description="The frames of a clip whose vectors are averaged.")

    def encoder(self) -> Encoder:
        return Encoder(
            self.kind,
            model=self.model,
            revision=self.weights_revision,
            dimension=self.dimension,
            open=partial(_open_client, self),
            budget=self.pixels,
            video_frames=self.video_frames,
            settings={"pretrained": self.pretrained, "dtype": self.dtype},
            reads_instructions=False,
            resources=self.resources,
        )


def _open_client(settings: OpenClipSettings) -> EmbedClient:
    """Loads the model. Raises BackendError where it is none, or does not fit the settings."""
    model = ClipModel(settings)
    settings.check_dimension(settings.model, model.dimension)
    return BatchClient(partial(_vectors, model), settings.batch_size)


def _vectors(model: ClipModel, requests: Sequence[EmbedRequest]) -> list[VectorResponse]:
    """Returns the responses to requests, in their order."""
    responses = [VectorResponse(error=MIXED if each.images and each.prompt else "") for each in requests]
    texts = [place for place, each in enumerate(requests) if not each.images]
    total, read = model.token_counts([requests[place].prompt for place in texts])
    for place, fits in zip(texts, (total == read).tolist(), strict=True):
        responses[place] = VectorResponse(error="" if fits else TOO_LONG)
    texts = [place for place in texts if not responses[place].error]
    for place, vector in zip(texts, model.text_vectors([requests[place].prompt for place in texts]), strict=True):
        responses[place] = VectorResponse(vector)
    pictured = [place for place, each in enumerate(requests) if each.images and not each.prompt]
    images = model.image_vectors([image for place in pictured for image in requests[place].images])
    last = np.cumsum([len(requests[place].images) for place in pictured]).tolist()
    for place, end in zip(pictured, last, strict=True):
        responses[place] = VectorResponse(images[end - len(requests[place].images) : end].mean(axis=0))
    return responses
