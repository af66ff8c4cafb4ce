"""vLLM as an engine of `serving.vllm.server`. The only module that imports vLLM, in that process only.

A request becomes what `vllm.LLM.chat` makes of it: a user's turn whose parts are its images and its text, rendered with
the chat template and the processor of the model. Rendering (template, tokens, the processor's work on pixels)
happens on a thread of its own, and generation in vLLM's own processes, so they overlap. It is one thread: processors
are not thread-safe.

The renderer, its `ChatParams` and the stat logger are not public: pyproject.toml has an upper bound of vLLM for them.
They are used because nothing public renders a chat with PIL images for `AsyncLLM`, and because vLLM's own logger costs
time for every token.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from PIL import Image

from serving.request import GenerateRequest, GenerateResponse, ModelRequest
from serving.vllm.server import Config, EngineDied
from serving.vllm.torchvision_shim import inspect_models_in_this_process, mend_imports

# What must be in the environment before vllm is imported; what is set already stays.
_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "TOKENIZERS_PARALLELISM": "false",  # one prompt at a time is rendered; the threads would only take cores
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
mend_imports()

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

Prepared = tuple[Any, SamplingParams]  # what `AsyncLLM.generate` takes

_CPU_CACHE_GIB = "1"  # of keys and values, where there is no GPU: enough for some dozens of captions of a small model


def open_engine(config: Config) -> VllmEngine:
    """Load the model. Called on the event loop that the engine will serve."""
    if current_platform.is_cpu():
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", _CPU_CACHE_GIB)
    return VllmEngine(config)


def engine_args(settings: dict[str, Any], images: int) -> dict[str, Any]:
    """vLLM's engine arguments for a client's settings (`VllmSettings`, as JSON)."""
    named = ("model", "dtype", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "load_format")
    return {
        **{name: settings[name] for name in (*named, "enforce_eager", "gpu_memory_utilization")},
        "revision": settings["revision"] or None,
        "tensor_parallel_size": settings["tensor_parallel"],
        "limit_mm_per_prompt": {"image": images, "video": 0},
        "mm_processor_cache_gb": 0,  # no image comes twice
        "enable_prefix_caching": False,  # what prompts share comes after the image
        # JSON without room for blanks: small models go on writing them until the limit of tokens.
        "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
        "disable_log_stats": True,
        **settings["engine_args"],
    }


class VllmEngine:
    """An `Engine` that generates texts: a vLLM engine, its renderer, and how it samples."""

    def __init__(self, config: Config) -> None:
        self._meter = _StepMeter()
        self._requests = 0
        self._llm = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**engine_args(config["settings"], config["images"])),
            usage_context=UsageContext.LLM_CLASS,  # defaults for throughput, not for latency
            stat_loggers=[_stat_logger(self._meter)],
        )
        self._sampling = {key: value for key, value in config["sampling"].items() if key != "seed"}
        self._sampling["stop_token_ids"] = config["stop_token_ids"]
        self._renderer = self._llm.renderer
        self._chat = ChatParams(
            chat_template=config["chat_template"] or None,
            chat_template_kwargs={
                "add_generation_prompt": True,
                "continue_final_message": False,
                "tokenize": is_mistral_tokenizer(self._renderer.tokenizer),
            },
        )
        self._tokenizing = self._renderer.default_chat_tok_params.with_kwargs(add_special_tokens=False)
        self._renderer.warmup(self._chat)

    def prepare(self, request: ModelRequest) -> Prepared | GenerateResponse:
        assert isinstance(request, GenerateRequest)
        try:
            return self._render(request), self._sampling_params(request)
        except Exception as error:  # noqa: BLE001 - processors raise anything for an image that they don't take
            return _refused(error)

    async def run(self, prepared: Prepared) -> GenerateResponse:
        self._requests += 1
        self._meter.handed_over()
        try:
            async for output in self._llm.generate(*prepared, str(self._requests)):
                generated = output.outputs[0]
        except EngineDeadError as error:
            raise EngineDied(str(error)) from error
        except EngineGenerateError as error:
            return GenerateResponse(error="engine_error", detail=str(error.__cause__ or error))
        except Exception as error:  # noqa: BLE001 - a check of the request: a ValueError, or a class that newer vLLMs have
            return _refused(error)
        return GenerateResponse(
            generated.text, generated.finish_reason or "", len(output.prompt_token_ids or ()), len(generated.token_ids)
        )

    def _render(self, request: GenerateRequest) -> Any:
        parts: list[Any] = [{"type": "image_pil", "image_pil": Image.fromarray(image)} for image in request.images]
        messages: list[Any] = [{"role": "user", "content": [*parts, {"type": "text", "text": request.prompt}]}]
        _, (prompt,) = self._renderer.render_chat([messages], self._chat, self._tokenizing)
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

    def stats(self) -> dict[str, float]:
        return self._meter.stats()

    def close(self) -> None:
        self._llm.shutdown()


def _refused(error: Exception) -> GenerateResponse:
    reason = error.__cause__ or error  # processors' errors come wrapped
    return GenerateResponse(error="refused_input", detail=f"{type(reason).__name__}: {reason}"[:1000])


class _StepMeter:
    """How the engine's own process does, as it reports after each of its steps."""

    def __init__(self) -> None:
        self._tokens = 0
        self._running = 0
        self._busy_s = 0.0
        self._since: float | None = None  # when it is at work, the time up to which that is counted

    def handed_over(self) -> None:
        if self._since is None:
            self._since = time.monotonic()

    def stepped(self, tokens: int) -> None:
        self._count()
        self._tokens += tokens

    def scheduled(self, running: int, waiting: int) -> None:
        self._running = running
        if running or waiting:
            self.handed_over()  # also where a report of an idle engine crossed with a request
        else:
            self._count()
            self._since = None

    def stats(self) -> dict[str, float]:
        self._count()
        return {"steps": self._tokens, "running": self._running, "busy_s": round(self._busy_s, 3)}

    def _count(self) -> None:
        if self._since is not None:
            now = time.monotonic()
            self._busy_s += now - self._since
            self._since = now


def _stat_logger(meter: _StepMeter) -> type[PrometheusStatLogger]:
    """vLLM's way of handing out figures, in place of its own for Prometheus, which nobody asks here and which costs
    time for every token: one of that class is added where none is given."""

    class StatLogger(PrometheusStatLogger):
        def __init__(self, *_: Any, **__: Any) -> None:
            """None of the counters of the class are made."""

        def record(self, scheduler_stats: Any, iteration_stats: Any, *_: Any, **__: Any) -> None:
            if iteration_stats is not None:
                meter.stepped(iteration_stats.num_generation_tokens)
            if scheduler_stats is not None:
                meter.scheduled(scheduler_stats.num_running_reqs, scheduler_stats.num_waiting_reqs)

        def log_engine_initialized(self) -> None:
            """Nothing to say."""

        def record_admission_rejection(self, *_: Any) -> None:
            """None has a counter; nor is anything rejected."""

    return StatLogger
