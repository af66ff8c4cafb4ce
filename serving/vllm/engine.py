"""The vLLM engines of `serving.vllm.server`, which run in a process of their own, and the one that generates texts.

Only this module and `serving.vllm.pooling` import vLLM, in the engine's process only. A request for a text is rendered
as `vllm.LLM.chat` does it: a user's turn of images and a text, by the model's chat template and processor. Rendering
(template, tokens, pixels) has a thread, generation runs in vLLM's processes, so they overlap. It is one thread, because
processors are not thread-safe.

The renderer, its `ChatParams` and the stat logger are private: pyproject.toml has an upper bound of vLLM for them.
They are used because nothing public renders a chat with PIL images for `AsyncLLM`, and because vLLM's own logger costs
time for every token.
"""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

from PIL import Image

from serving.request import GenerateRequest, GenerateResponse, ModelRequest, ModelResponse, YesNoRequest
from serving.vllm.server import EngineConfig, EngineDied
from serving.vllm.torchvision_shim import inspect_models_in_this_process, patch_imports
from serving.yes_no import NO_ANSWER, SPELLINGS, answer_of, yes_response

# Environment variables that must be set before vllm is imported, unless the user has set them.
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TOKENIZERS_PARALLELISM": "false",  # one prompt is rendered at a time: more threads would only take cores
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
patch_imports()

from vllm import SamplingParams  # noqa: E402
from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: E402
from vllm.platforms import current_platform  # noqa: E402
from vllm.renderers import ChatParams  # noqa: E402
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams  # noqa: E402
from vllm.usage.usage_lib import UsageContext  # noqa: E402
from vllm.utils.mistral import is_mistral_tokenizer  # noqa: E402
from vllm.v1.engine.async_llm import AsyncLLM  # noqa: E402
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError  # noqa: E402
from vllm.v1.metrics.loggers import PrometheusStatLogger  # noqa: E402

inspect_models_in_this_process()

PreparedT = TypeVar("PreparedT")

_CPU_CACHE_GIB = "1"  # of the KV cache without a GPU: enough for some dozens of captions of a small model


def open_vllm(config: EngineConfig) -> VllmEngine[Any]:
    """Loads the model. To be called on the event loop that runs the engine."""
    limit_cpu_cache()
    return GenerateEngine(config)


def limit_cpu_cache() -> None:
    """Limits the KV cache where there is no GPU."""
    if current_platform.is_cpu():
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", _CPU_CACHE_GIB)


def engine_args(settings: dict[str, Any], images: int) -> dict[str, Any]:
    """Returns vLLM's engine arguments for a client's settings (`VllmSettings` as JSON)."""
    named = ("model", "dtype", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "load_format")
    return {
        **{name: settings[name] for name in (*named, "enforce_eager", "gpu_memory_utilization")},
        "revision": settings["revision"] or None,
        "tensor_parallel_size": settings["tensor_parallel"],
        "limit_mm_per_prompt": {"image": images, "video": 0},
        "mm_processor_cache_gb": 0,  # no image comes twice
        "enable_prefix_caching": False,  # what prompts share comes after the image
        "disable_log_stats": True,
        **settings["engine_args"],
    }


class VllmEngine(ABC, Generic[PreparedT]):
    """An `InferenceEngine` over a vLLM engine with these arguments. Subclasses know its requests and responses."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._counter = _StepCounter()
        self._requests = 0
        self._llm = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**arguments),
            usage_context=UsageContext.LLM_CLASS,  # defaults for throughput, not for latency
            stat_loggers=[_stat_logger(self._counter)],
        )
        self._renderer = self._llm.renderer

    @abstractmethod
    def prepare(self, request: ModelRequest) -> PreparedT | ModelResponse[Any]:
        """Renders a request, or returns a response with an error."""

    @abstractmethod
    def outputs(self, prepared: PreparedT, request_id: str) -> AsyncIterator[Any]:
        """Submits a request to vLLM; yields its outputs."""

    @abstractmethod
    def response(self, output: Any) -> ModelResponse[Any]:
        """Returns the response of the last output of a request."""

    async def run(self, prepared: PreparedT) -> ModelResponse[Any]:
        """Runs one request."""
        self._requests += 1
        self._counter.mark_busy()
        try:
            async for output in self.outputs(prepared, str(self._requests)):
                last = output
        except EngineDeadError as error:
            raise EngineDied(str(error)) from error
        except EngineGenerateError as error:
            return ModelResponse(error="engine_error", detail=str(error.__cause__ or error))
        except Exception as error:  # noqa: BLE001 - a check of the request: a ValueError, or a class that newer vLLMs have
            return refused(error)
        return self.response(last)

    def stats(self) -> dict[str, float]:
        """Returns tokens so far, running requests and busy seconds."""
        return self._counter.stats()

    def close(self) -> None:
        """Shuts vLLM down."""
        self._llm.shutdown()


class GenerateEngine(VllmEngine[tuple[Any, SamplingParams]]):
    """An engine that generates texts, and answers questions by Yes or No. A request is prepared as arguments of vLLM's
    `generate`.
    """

    def __init__(self, config: EngineConfig) -> None:
        super().__init__(
            {
                # No whitespace in JSON: small models would go on writing it until the limit of tokens.
                "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
                **engine_args(config["settings"], config["images"]),
            }
        )
        self._sampling = {key: value for key, value in config["sampling"].items() if key != "seed"}  # requests have one
        self._sampling["stop_token_ids"] = config["stop_token_ids"]
        self._chat = ChatParams(
            chat_template=config["chat_template"] or None,
            chat_template_kwargs={
                "add_generation_prompt": True,
                "continue_final_message": False,
                "tokenize": is_mistral_tokenizer(self._renderer.tokenizer),
            },
        )
        self._tokenize_params = self._renderer.default_chat_tok_params.with_kwargs(add_special_tokens=False)
        self._renderer.warmup(self._chat)
        self._answers = _answer_tokens(self._renderer.tokenizer)

    def prepare(self, request: ModelRequest) -> tuple[Any, SamplingParams] | ModelResponse[Any]:
        """Renders a request by the model's chat template."""
        assert isinstance(request, (GenerateRequest, YesNoRequest))
        if isinstance(request, YesNoRequest) and len(set(self._answers.values())) < 2:
            return ModelResponse(error=NO_ANSWER, detail="the tokenizer begins Yes and No with the same token")
        try:
            if isinstance(request, YesNoRequest):
                return self._render(request), self._first_token()
            return self._render(request), self._sampling_params(request)
        except Exception as error:  # noqa: BLE001 - processors raise anything for an image that they reject
            return refused(error)

    def outputs(self, prepared: tuple[Any, SamplingParams], request_id: str) -> AsyncIterator[Any]:
        """Generates one text."""
        return self._llm.generate(*prepared, request_id)

    def response(self, output: Any) -> ModelResponse[Any]:
        """Returns the text, or the probability of Yes."""
        generated = output.outputs[0]
        if generated.logprobs is not None:
            found = generated.logprobs[0] if generated.logprobs else {}
            answers = ((self._answers.get(token, ""), entry.logprob) for token, entry in found.items())
            return yes_response(answers, len(output.prompt_token_ids or ()))
        return GenerateResponse(
            generated.text, generated.finish_reason or "", len(output.prompt_token_ids or ()), len(generated.token_ids)
        )

    def _render(self, request: ModelRequest) -> Any:
        parts: list[Any] = [{"type": "image_pil", "image_pil": Image.fromarray(image)} for image in request.images]
        messages: list[Any] = [{"role": "user", "content": [*parts, {"type": "text", "text": request.prompt}]}]
        _, (prompt,) = self._renderer.render_chat([messages], self._chat, self._tokenize_params)
        return prompt

    def _sampling_params(self, request: GenerateRequest) -> SamplingParams:
        structured = StructuredOutputsParams(json=json.loads(request.json_schema)) if request.json_schema else None
        temperature = self._sampling["temperature"] if request.temperature is None else request.temperature
        return SamplingParams(
            **{**self._sampling, "temperature": temperature},
            seed=request.seed if temperature else None,  # a seed makes sampling slower
            structured_outputs=structured,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _first_token(self) -> SamplingParams:
        return SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprob_token_ids=sorted(self._answers),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )


def _answer_tokens(tokenizer: Any) -> dict[int, str]:
    """Returns the tokens that an answer begins with, and which answer. A token that begins both is left out."""
    begins: dict[int, set[str]] = {}
    for spelling in SPELLINGS:
        tokens = tokenizer.encode(spelling, add_special_tokens=False)
        if tokens:
            begins.setdefault(tokens[0], set()).add(answer_of(spelling))
    return {token: answers.pop() for token, answers in begins.items() if len(answers) == 1}


def refused(error: Exception) -> ModelResponse[Any]:
    """Returns the response to a request that vLLM, or the model's processor, rejects."""
    reason = error.__cause__ or error  # processors' errors come wrapped
    return ModelResponse(error="refused_input", detail=f"{type(reason).__name__}: {reason}"[:1000])


class _StepCounter:
    """A counter of the engine's tokens, load and busy time, updated after each step of vLLM."""

    def __init__(self) -> None:
        self._tokens = 0
        self._running = 0
        self._busy_s = 0.0
        self._busy_since: float | None = None  # while it is busy: the time up to which that is counted

    def mark_busy(self) -> None:
        if self._busy_since is None:
            self._busy_since = time.monotonic()

    def add_tokens(self, tokens: int) -> None:
        self._count()
        self._tokens += tokens

    def set_load(self, running: int, waiting: int) -> None:
        self._running = running
        if running or waiting:
            self.mark_busy()  # also when a request crossed with the report of an idle engine
        else:
            self._count()
            self._busy_since = None

    def stats(self) -> dict[str, float]:
        self._count()
        return {"steps": self._tokens, "running": self._running, "busy_s": round(self._busy_s, 3)}

    def _count(self) -> None:
        if self._busy_since is not None:
            now = time.monotonic()
            self._busy_s += now - self._busy_since
            self._busy_since = now


def _stat_logger(counter: _StepCounter) -> type[PrometheusStatLogger]:
    """Returns a logger class that passes vLLM's statistics to the counter.

    It replaces vLLM's own for Prometheus, which vLLM adds where no logger of that class is given, and which costs time
    for every token.
    """

    class StatLogger(PrometheusStatLogger):
        def __init__(self, *_: Any, **__: Any) -> None:
            """Creates none of the counters of the base class."""

        def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
            if iteration_stats is not None:
                counter.add_tokens(iteration_stats.num_generation_tokens)
            if scheduler_stats is not None:
                counter.set_load(scheduler_stats.num_running_reqs, scheduler_stats.num_waiting_reqs)

        def log_engine_initialized(self) -> None:
            """Logs nothing."""

        def record_admission_rejection(self, *_: Any) -> None:
            """Counts nothing."""

    return StatLogger
