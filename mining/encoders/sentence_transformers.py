"""Encoder `sentence_transformers`: any model that the library of that name loads, in the worker's process.

An instruction goes where the model has its place for prompts (`encode(prompt=...)`): before the text, into a system
message, or left out of the pooling, as the model's own configuration says. N. Reimers and I. Gurevych, Sentence-BERT,
2019.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from mining.encoders.base import EmbedClient, Encoder
from mining.encoders.local_model import MIXED, SEVERAL_IMAGES, LocalEncoderSettings, groups
from serving.batching import BatchClient
from serving.models import is_folder, revision_of
from serving.request import TOO_LONG, BackendError, EmbedRequest, VectorResponse

_COMMIT = re.compile(r"[0-9a-f]{40}")


class SentenceTransformersSettings(LocalEncoderSettings):
    """Settings of a model of sentence-transformers."""

    summary: ClassVar[str] = "any model of sentence-transformers: texts, and images where the model reads them"
    packages: ClassVar[str] = "sentence-transformers"

    kind: Literal["sentence_transformers"] = Field(description="A model that sentence-transformers loads.")
    model: str = Field(min_length=1, description="A repository of the hub, or a folder.")
    revision: str = Field(
        "", description="The revision of the repository; empty is the newest, and of a folder a digest of its files."
    )
    images: bool = Field(False, description="Whether the model reads images; without it such sides get no vector.")
    truncate: bool = Field(
        False, description="Whether a vector is its first `dimension` numbers, of a model that was trained for it."
    )
    max_tokens: int = Field(0, ge=0, description="The most tokens of a side; 0 is the model's own limit.")
    trust_remote_code: bool = Field(
        False, description="Whether code from the repository is run; `revision` must then be a commit."
    )

    @model_validator(mode="after")
    def _pins_code(self) -> SentenceTransformersSettings:
        if self.trust_remote_code and not is_folder(self.model) and not _COMMIT.fullmatch(self.revision):
            raise ValueError(
                f"revision {self.revision!r}: code from {self.model} is run (trust_remote_code): set it to a commit "
                "that you have reviewed (40 hexadecimal digits), or use a local folder"
            )
        return self

    def encoder(self) -> Encoder:
        return Encoder(
            self.kind,
            model=self.model,
            revision=revision_of(self.model, self.revision),
            dimension=self.dimension,
            open=partial(_open_client, self),
            budget=self.pixels,
            max_tokens=self.max_tokens,
            settings={"dtype": self.dtype, "truncate": self.truncate},
            reads_images=self.images,
            resources=self.resources,
        )


def _open_client(settings: SentenceTransformersSettings) -> EmbedClient:
    """Loads the model. Raises BackendError where it is none, or does not fit the settings."""
    return BatchClient(SentenceModel(settings).vectors, settings.batch_size)


class SentenceModel:
    """A loaded model, which computes the vectors of several sides at once."""

    def __init__(self, settings: SentenceTransformersSettings) -> None:
        self._settings = settings
        self._model = _load(settings)
        advice = ", or `truncate: true` if it was trained for fewer"
        if not (settings.truncate and (self._model.get_embedding_dimension() or 0) >= settings.dimension):
            settings.check_dimension(settings.model, self._model.get_embedding_dimension(), advice)
        if settings.images and not self._model.supports("image"):
            raise BackendError(f"model {settings.model} reads no images: it reads {self._model.modalities}")
        self._max_tokens = settings.max_tokens or self._model.max_seq_length

    def vectors(self, requests: Sequence[EmbedRequest]) -> list[VectorResponse]:
        """Returns the responses to requests, in their order."""
        responses = [VectorResponse(error=self._refusal(request)) for request in requests]
        accepted = [place for place, response in enumerate(responses) if not response.error]
        kinds = groups((_kind(requests[place]), requests[place].instruction) for place in accepted)
        for (_, instruction), members in kinds.items():
            places = [accepted[member] for member in members]
            inputs = [_input(requests[place]) for place in places]
            for place, response in zip(places, self._encode(inputs, instruction), strict=True):
                responses[place] = response
        return responses

    def _encode(self, inputs: list[Any], instruction: str) -> list[VectorResponse]:
        """Returns the vectors of inputs of one kind under one instruction."""
        fitting = self._fitting(inputs, instruction)
        responses = [VectorResponse(error="" if fits else TOO_LONG) for fits in fitting]
        places = np.flatnonzero(fitting).tolist()
        if places:
            settings = self._settings
            vectors = self._model.encode(
                [inputs[place] for place in places],
                prompt=instruction,
                batch_size=settings.batch_size,
                show_progress_bar=False,
                truncate_dim=settings.dimension if settings.truncate else None,
                convert_to_tensor=True,
            )
            for place, vector in zip(places, vectors.float().cpu().numpy(), strict=True):
                responses[place] = VectorResponse(vector)
        return responses

    def _fitting(self, inputs: list[Any], instruction: str) -> np.ndarray:
        """Returns which inputs have no more tokens than the model reads, bool[n]: it would cut off
        others without a word.
        """
        if not self._max_tokens:
            return np.ones(len(inputs), np.bool_)
        uncut = {"text": {"truncation": False}}
        features = self._model.preprocess(inputs, prompt=instruction, processing_kwargs=uncut)
        mask = features.get("attention_mask")
        if mask is None:  # of images alone, in a model with a tower for each
            return np.ones(len(inputs), np.bool_)
        return mask.sum(dim=1).cpu().numpy() <= self._max_tokens

    def _refusal(self, request: EmbedRequest) -> str:
        """Returns why the model does not read a side; "" where it does."""
        if len(request.images) > 1 and not self._model.supports("message"):
            return SEVERAL_IMAGES
        if request.images and request.prompt and not self._model.supports(("image", "text")):
            return MIXED
        return ""


def _load(settings: SentenceTransformersSettings) -> Any:
    from serving.vllm.torchvision_shim import patch_imports

    try:
        import torch

        patch_imports()
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise settings.missing_packages(error) from error
    try:
        return SentenceTransformer(
            settings.model,
            revision=settings.revision or None,
            device=settings.torch_device(),
            trust_remote_code=settings.trust_remote_code,
            model_kwargs={"dtype": getattr(torch, settings.dtype)},
        )
    except (OSError, ValueError, ImportError) as error:
        raise BackendError(f"model {settings.model}: cannot be loaded: {error}") from error


def _kind(request: EmbedRequest) -> tuple[bool, int]:
    return bool(request.prompt), len(request.images)


def _input(request: EmbedRequest) -> Any:
    """Returns a side as the library takes it."""
    if not request.images:
        return request.prompt
    from PIL import Image

    images = [Image.fromarray(np.ascontiguousarray(image)) for image in request.images]
    image: Any = images if len(images) > 1 else images[0]
    if request.prompt:
        return {"image": image, "text": request.prompt}
    return {"image": image} if len(images) > 1 else image
