"""Encoder `openclip`: a CLIP of open_clip, whose two towers give texts and images vectors of one space.

A. Radford and others, Learning Transferable Visual Models From Natural Language Supervision, 2021. Of a clip's frames
the vector is the mean of their normalised vectors (H. Luo and others, CLIP4Clip, 2021). open_clip cuts a text at its
context length, 77 tokens mostly, without a word: here such a text gets no vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mining.encoders.base import EmbedClient, Encoder
from mining.encoders.local_model import MIXED, LocalModelSettings
from serving.batching import BatchClient
from serving.models import revision_of
from serving.request import TOO_LONG, BackendError, EmbedRequest, Pixels, VectorResponse

_LOCAL = "local-dir:"
_PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


class OpenClipSettings(LocalModelSettings):
    """Settings of a model of open_clip."""

    summary: ClassVar[str] = "any model of open_clip: texts and images in one space; texts of at most 77 tokens, mostly"
    packages: ClassVar[str] = "open-clip"

    kind: Literal["openclip"] = Field(description="A model that open_clip loads.")
    model: str = Field(
        min_length=1, description="A name such as ViT-B-32, local-dir:/a/folder, or hf-hub:owner/repository."
    )
    pretrained: str = Field("", description="The weights of a named model: a tag of open_clip, or a file.")
    revision: str = Field("", description="What vectors record as the revision; empty takes a digest of local files.")
    video_frames: int = Field(8, ge=1, description="The frames of a clip whose vectors are averaged.")

    def encoder(self) -> Encoder:
        local = self.model.removeprefix(_LOCAL) if self.model.startswith(_LOCAL) else self.pretrained
        return Encoder(
            self.kind,
            model=self.model,
            revision=revision_of(local, self.revision) if local else self.revision,
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
    return BatchClient(ClipModel(settings).vectors, settings.batch_size)


class ClipModel:
    """A loaded model, which computes the vectors of several sides at once."""

    def __init__(self, settings: OpenClipSettings) -> None:
        self._device = settings.torch_device()
        self._model, self._preprocess, self._tokenizer, self._dtype = _load(settings, self._device)
        self._batch_size = settings.batch_size
        settings.check_dimension(settings.model, self._text_vectors(["a"]).shape[1])

    def vectors(self, requests: Sequence[EmbedRequest]) -> list[VectorResponse]:
        """Returns the responses to requests, in their order."""
        responses = [VectorResponse(error=MIXED if each.images and each.prompt else "") for each in requests]
        texts = [place for place, each in enumerate(requests) if not each.images]
        fitting = self._fitting([requests[place].prompt for place in texts])
        for place, fits in zip(texts, fitting, strict=True):
            responses[place] = VectorResponse(error="" if fits else TOO_LONG)
        texts = [place for place in texts if not responses[place].error]
        for place, vector in zip(texts, self._text_vectors([requests[place].prompt for place in texts]), strict=True):
            responses[place] = VectorResponse(vector)
        pictured = [place for place, each in enumerate(requests) if each.images and not each.prompt]
        images = self._image_vectors([image for place in pictured for image in requests[place].images])
        last = np.cumsum([len(requests[place].images) for place in pictured]).tolist()
        for place, end in zip(pictured, last, strict=True):
            responses[place] = VectorResponse(images[end - len(requests[place].images) : end].mean(axis=0))
        return responses

    def _fitting(self, texts: list[str]) -> np.ndarray:
        """Returns which texts the tokenizer does not cut, bool[n]: with room for twice the tokens
        these have no more.
        """
        if not texts:
            return np.zeros(0, np.bool_)
        length = self._tokenizer.context_length
        padding = int(self._tokenizer([""], context_length=2 * length)[0, -1])
        lengths = [
            _lengths(self._tokenizer(texts, context_length=room).numpy(), padding) for room in (length, 2 * length)
        ]
        return np.asarray(lengths[0] == lengths[1])

    def _text_vectors(self, texts: list[str]) -> np.ndarray:
        """Returns float32[n, dimension]."""
        if not texts:
            return np.zeros((0, 1), np.float32)
        import torch

        with torch.inference_mode():
            return np.asarray(self._model.encode_text(self._tokenizer(texts).to(self._device)).float().cpu().numpy())

    def _image_vectors(self, images: Sequence[Pixels]) -> np.ndarray:
        """Returns float32[n, dimension], of norm 1."""
        import torch
        from PIL import Image

        parts = [np.zeros((0, 1), np.float32)] if not images else []
        for start in range(0, len(images), self._batch_size):
            pictures = [
                Image.fromarray(np.ascontiguousarray(each)) for each in images[start : start + self._batch_size]
            ]
            with torch.inference_mode():
                pixels = torch.stack([self._preprocess(picture) for picture in pictures])
                found = self._model.encode_image(pixels.to(self._device, self._dtype), normalize=True)
            parts.append(found.float().cpu().numpy())
        return np.concatenate(parts)


def _load(settings: OpenClipSettings, device: str) -> tuple[Any, Any, Any, Any]:
    """Returns the model, its image transform, its tokenizer, and the type of its inputs."""
    from serving.vllm.torchvision_shim import patch_imports

    try:
        patch_imports()
        import open_clip
    except ImportError as error:
        raise settings.missing_packages(error) from error
    precision = _PRECISIONS[settings.dtype]
    try:
        model, preprocess = open_clip.create_model_from_pretrained(
            settings.model, settings.pretrained or None, precision=precision, device=device
        )
        return model.eval(), preprocess, open_clip.get_tokenizer(settings.model), open_clip.get_input_dtype(precision)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise BackendError(f"model {settings.model}: cannot be loaded: {error}") from error


def _lengths(tokens: np.ndarray, padding: int) -> np.ndarray:
    """Returns the tokens of each row before its padding, int64[n]."""
    is_token = tokens != padding
    return np.where(is_token.any(axis=1), tokens.shape[1] - is_token[:, ::-1].argmax(axis=1), 0)
