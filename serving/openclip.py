"""CLIP models of open_clip: vectors of texts and of pictures in one space.

A. Radford and others, Learning Transferable Visual Models From Natural Language Supervision, 2021. A model reads a text
up to its context length, 77 tokens mostly, and open_clip cuts a longer one without a word: `ClipModel.token_counts`
tells of which texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from serving.local_model import LocalModelSettings
from serving.models import revision_of
from serving.request import BackendError, Pixels

_LOCAL = "local-dir:"
_PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


class ClipModelSettings(LocalModelSettings):
    """Settings of a model of open_clip."""

    packages: ClassVar[str] = "open-clip"

    model: str = Field(
        min_length=1, description="A name such as ViT-B-32, local-dir:/a/folder, or hf-hub:owner/repository."
    )
    pretrained: str = Field("", description="The weights of a named model: a tag of open_clip, or a file.")
    revision: str = Field("", description="What results record as the revision; empty takes a digest of local files.")

    @property
    def weights_revision(self) -> str:
        """The revision, or a digest of the folder or of the file with the weights; "" for weights of the network."""
        local = self.model.removeprefix(_LOCAL) if self.model.startswith(_LOCAL) else self.pretrained
        return revision_of(local, self.revision) if local else self.revision


class ClipModel:
    """A loaded model. Raises BackendError where there is none. Not thread-safe."""

    def __init__(self, settings: ClipModelSettings) -> None:
        self._device = settings.torch_device()
        self._model, self._preprocess, self._tokenizer, self._dtype = _load(settings, self._device)
        self._batch_size = settings.batch_size
        self._room: int = self._tokenizer.context_length  # tokens, those of the start and the end included
        self._padding = int(self._tokenizer([""], context_length=2 * self._room)[0, -1])
        self._around = self._count("", self._room)  # tokens of the start and the end
        self.dimension = self.text_vectors(["a"]).shape[1]

    def token_counts(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the tokens of each text, int64[n], and how many of them the model reads, int64[n]."""
        # No tokenizer makes more tokens than bytes; cleaning a text may lengthen it a little.
        total = [self._count(text, 2 * max(len(text.encode()), self._room)) for text in texts]
        read = [self._count(text, self._room) for text in texts]
        return np.array(total, np.int64) - self._around, np.array(read, np.int64) - self._around

    def text_vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Returns float32[n, dimension], of any norm. A text is read up to the context length."""
        import torch

        parts = [np.zeros((0, getattr(self, "dimension", 1)), np.float32)] if not texts else []
        for batch in self._batches(texts):
            with torch.inference_mode():
                found = self._model.encode_text(self._tokenizer(list(batch)).to(self._device))
            parts.append(found.float().cpu().numpy())
        return np.concatenate(parts)

    def image_vectors(self, images: Sequence[Pixels]) -> np.ndarray:
        """Returns float32[n, dimension], of norm 1."""
        import torch
        from PIL import Image

        parts = [np.zeros((0, self.dimension), np.float32)] if not images else []
        for batch in self._batches(images):
            pictures = [Image.fromarray(np.ascontiguousarray(each)) for each in batch]
            with torch.inference_mode():
                pixels = torch.stack([self._preprocess(picture) for picture in pictures])
                found = self._model.encode_image(pixels.to(self._device, self._dtype), normalize=True)
            parts.append(found.float().cpu().numpy())
        return np.concatenate(parts)

    def _count(self, text: str, room: int) -> int:
        """Returns the tokens of a text up to the last one that is no padding."""
        is_token = self._tokenizer([text], context_length=room).numpy()[0] != self._padding
        return int(room - is_token[::-1].argmax()) if is_token.any() else 0

    def _batches(self, inputs: Sequence[Any]) -> Iterator[Sequence[Any]]:
        for start in range(0, len(inputs), self._batch_size):
            yield inputs[start : start + self._batch_size]


def _load(settings: ClipModelSettings, device: str) -> tuple[Any, Any, Any, Any]:
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
