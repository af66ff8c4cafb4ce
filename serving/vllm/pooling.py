"""The vLLM engine that computes embeddings: the hidden state of an input's last token, of norm 1.

A request's prompt is the whole input as the model reads it, with a placeholder where each image goes. No input is ever
cut, because without its last token it would get another kind of vector: its tokens, those of images included, are
counted before vLLM gets it, and one that is too long is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from serving.request import NOT_FINITE, TOO_LONG, EmbedRequest, ModelRequest, ModelResponse
from serving.vllm.engine import VllmEngine, engine_args, limit_cpu_cache, refused  # first: it makes vllm importable
from serving.vllm.positions import flat_positions
from serving.vllm.server import EngineConfig

from vllm import PoolingParams  # isort: skip
from vllm.config import PoolerConfig  # isort: skip

_NORM_TOLERANCE = 1e-3  # far above what rounding does


def open_pooling(config: EngineConfig) -> PoolingEngine:
    """Loads the model. To be called on the event loop that runs the engine."""
    limit_cpu_cache()
    return PoolingEngine(config)


def pooling_args(settings: dict[str, Any], images: int) -> dict[str, Any]:
    """Returns vLLM's engine arguments for an embedder's settings (`PoolingModelSettings` as JSON)."""
    positions = {"hf_overrides": flat_positions} if settings["positions"] == "flat" else {}
    return {
        **engine_args(settings, images),
        **positions,
        "runner": "pooling",
        "pooler_config": PoolerConfig(seq_pooling_type="LAST", use_activation=True),
        "enable_chunked_prefill": False,  # an input is one step
        "enable_prefix_caching": False,  # under load it ignores which image it is (vLLM's issue 20261)
    }


class PoolingEngine(VllmEngine[Any]):
    """An engine that computes vectors. A request is prepared as vLLM's input."""

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(pooling_args(config["settings"], config["images"]))
        self._params = PoolingParams(task="embed", use_activation=True)
        self._max_tokens = config["settings"]["max_model_len"]
        # No limit here: vLLM's own is another error, and says nothing of how many tokens there are.
        self._tokenize_params = replace(self._renderer.default_cmpl_tok_params, max_total_tokens=None)

    def prepare(self, request: ModelRequest) -> Any:
        """Tokenizes a request and processes its images; `too_long` for one of too many tokens."""
        assert isinstance(request, EmbedRequest)
        try:
            prompt = self._render(request)
        except Exception as error:  # noqa: BLE001 - processors raise anything for an image that they reject
            return refused(error)
        tokens = len(prompt["prompt_token_ids"])
        if tokens > self._max_tokens:
            detail = f"{tokens} tokens, of which {self._max_tokens} are read"
            return ModelResponse(error=TOO_LONG, detail=detail, prompt_tokens=tokens)
        return prompt

    def outputs(self, prepared: Any, request_id: str) -> AsyncIterator[Any]:
        """Computes one vector."""
        return self._llm.encode(prepared, self._params.clone(), request_id)

    def response(self, output: Any) -> ModelResponse[Any]:
        """Returns the vector, float32[dimension]; `not_finite` where it has not norm 1."""
        self._counter.add_tokens(1)
        vector = output.outputs.data.float().numpy()
        tokens = len(output.prompt_token_ids or ())
        norm = float(np.linalg.norm(vector))
        if not abs(norm - 1) <= _NORM_TOLERANCE:  # NaN is not
            return ModelResponse(error=NOT_FINITE, detail=f"a vector of norm {norm:g}", prompt_tokens=tokens)
        return ModelResponse(vector, "stop", tokens)

    def _render(self, request: EmbedRequest) -> Any:
        prompt: dict[str, Any] = {"prompt": request.text}
        if request.images:
            prompt["multi_modal_data"] = {"image": [Image.fromarray(image) for image in request.images]}
        (rendered,) = self._renderer.render_cmpl([prompt], self._tokenize_params)
        return rendered
