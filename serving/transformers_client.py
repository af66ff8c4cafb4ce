"""The client `transformers`: embeddings by transformers' own forward pass, one request at a time, in this process.

It is the reference that the vectors of vLLM are held against, and what computes them where there is no vLLM. The vector
is the hidden state of the input's last token, of norm 1. With flat positions the text model gets 0, 1, 2 ... on all
three axes, as the released code of RzenEmbed runs it (https://github.com/360CVGroup/RzenEmbed).
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from corpus.settings import Settings, tuning
from serving.request import NOT_FINITE, TOO_LONG, BackendError, EmbedRequest, ModelResponse, Vector, VectorResponse
from serving.vllm.settings import Positions
from serving.vllm.torchvision_shim import patch_imports

_MAX_IN_FLIGHT = 32
_REMOTE_CODE = {"trust_remote_code": False}


class TransformersSettings(Settings):
    """Settings of an embedder that transformers runs: slower than vLLM by far, and what vLLM is held against."""

    kind: Literal["transformers"] = Field(
        description="The transformers library's own forward pass, one input at a time."
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field("float32", description="The type of the weights.")
    gpus: float = tuning(0, ge=0, description="The GPUs of one replica; 0 runs it on the CPU.")

    @property
    def gpus_per_replica(self) -> float:
        """The number of GPUs that are reserved for one replica."""
        return self.gpus


class TransformersClient:
    """A `ModelClient` of an embedder in this process. The first request loads it.

    `model` is a repository or a folder. A request's prompt is the whole input, with a placeholder for each image; its
    images have at least `min_pixels` and at most `max_pixels`, or are resized. One of more than `max_tokens` gets no
    vector but `too_long`.
    """

    def __init__(
        self,
        settings: TransformersSettings,
        model: str,
        revision: str = "",
        *,
        positions: Positions,
        max_tokens: int,
        min_pixels: int,
        max_pixels: int,
    ) -> None:
        self._settings = settings
        self._source = {"pretrained_model_name_or_path": model, "revision": revision or "main"}
        self._flat = positions == "flat"
        self._max_tokens = max_tokens
        self._pixels = {"shortest_edge": min_pixels, "longest_edge": max_pixels}  # the Qwen processors' names of them
        self._thread = ThreadPoolExecutor(1, "embedder")
        self._free = threading.Semaphore(_MAX_IN_FLIGHT)
        self._loaded: tuple[Any, Any, str] | None = None

    def submit(self, request: EmbedRequest) -> Future[VectorResponse]:
        """Enqueues a request, and waits while many are."""
        self._free.acquire()
        try:
            call = self._thread.submit(self._respond, request)
        except RuntimeError as error:
            self._free.release()
            raise BackendError("the client was closed") from error
        call.add_done_callback(lambda _: self._free.release())
        return call

    def close(self) -> None:
        """Ends the thread; requests that wait are cancelled."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._loaded = None

    def _respond(self, request: EmbedRequest) -> VectorResponse:
        model, processor, device = self._loaded = self._loaded or self._load()
        try:
            inputs = self._inputs(processor, request)
        except (ValueError, TypeError, RuntimeError) as error:
            return ModelResponse(error="refused_input", detail=f"{type(error).__name__}: {error}"[:1000])
        tokens = inputs["input_ids"].shape[1]
        if tokens > self._max_tokens:
            detail = f"{tokens} tokens, of which {self._max_tokens} are read"
            return ModelResponse(error=TOO_LONG, detail=detail, prompt_tokens=tokens)
        vector = last_token_vector(model, inputs.to(device), self._flat)
        if not np.isfinite(vector).all():
            return ModelResponse(error=NOT_FINITE, detail="a vector with NaNs", prompt_tokens=tokens)
        return ModelResponse(vector, "stop", tokens)

    def _inputs(self, processor: Any, request: EmbedRequest) -> Any:
        images = [Image.fromarray(image) for image in request.images]
        sizes = {"images_kwargs": {"size": self._pixels}} if images else {}
        return processor(text=[request.text], images=images or None, return_tensors="pt", **sizes)

    def _load(self) -> tuple[Any, Any, str]:
        """Loads the model; returns it with its processor and its device. Raises BackendError."""
        patch_imports()
        try:
            import torch
            from transformers import AutoModel, AutoProcessor

            device = "cuda" if self._settings.gpus else "cpu"
            dtype = getattr(torch, self._settings.dtype)
            model = AutoModel.from_pretrained(**self._source, dtype=dtype, **_REMOTE_CODE).to(device).eval()
            return model, AutoProcessor.from_pretrained(**self._source, **_REMOTE_CODE), device
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise BackendError(
                f"transformers cannot load {self._source['pretrained_model_name_or_path']}: {error}"
            ) from error


def last_token_vector(model: Any, inputs: Any, flat: bool) -> Vector:
    """Returns the normalised hidden state of the last token of one input, float32[dimension].

    `flat`: the positions are 0, 1, 2 ... on each of the three axes, else the model's own.
    """
    import torch

    length = inputs["input_ids"].shape[1]
    device = inputs["input_ids"].device
    positions = {"position_ids": torch.arange(length, device=device).expand(3, 1, length)} if flat else {}
    with torch.inference_mode():
        state = model(**inputs, **positions, use_cache=False).last_hidden_state[0, -1].float()
        vector: Vector = torch.nn.functional.normalize(state, dim=0).cpu().numpy()
    return vector
