"""The settings of vLLM engines on this machine: the model, its engine, and how the engine is supervised."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from corpus.settings import Settings, tuning

Positions = Literal["flat", "mrope"]

MIN_MODEL_LEN = 2000  # tokens of the longest input of an embedder: an image of 1,280, or 8 frames of 180, and a text
# Engine arguments that keep vectors right, and requests from hanging.
_LENGTHS = {"max_model_len", "max_num_batched_tokens", "enable_chunked_prefill"}
_OURS = _LENGTHS | {"runner", "convert", "pooler_config", "enable_prefix_caching", "limit_mm_per_prompt"}


class VllmEngineSettings(Settings):
    """Settings of any engine: its memory, its load, and when it is restarted."""

    dtype: str = Field("auto", description="The type of the weights in memory: auto, bfloat16, float16 or float32.")
    tensor_parallel: int = Field(1, ge=1, description="The number of GPUs that share the weights of one replica.")
    gpus: float | None = tuning(
        None, ge=0, description="The GPUs of one replica; null is `tensor_parallel`, 0 runs it on the CPU."
    )
    gpu_memory_utilization: float = tuning(
        0.9, gt=0, le=1, description="The share of a GPU's memory that the engine takes."
    )
    max_num_seqs: int = tuning(256, ge=1, description="The requests that run at once.")
    load_format: str = Field("auto", description="How weights are read; dummy takes random ones, to measure speed.")
    enforce_eager: bool = tuning(
        False, description="Whether the engine runs without compiled graphs: it starts sooner and writes slower."
    )
    engine_args: dict[str, Any] = Field(
        {}, description="Any other of vLLM's engine arguments; they override the settings above."
    )
    max_in_flight: int = tuning(
        0, ge=0, description="The requests that are handed to the engine at once; 0 is twice `max_num_seqs`."
    )
    stall_timeout_s: float = tuning(
        300.0, gt=0, description="An engine that answers nothing, and writes no token, for so long is restarted."
    )
    start_timeout_s: float = tuning(
        1800.0, gt=0, description="The longest start of the engine; the first may download the weights."
    )
    max_restarts: int = tuning(
        3, ge=0, description="The restarts in a row, without an answer in between, after which the client gives up."
    )

    @property
    def gpus_per_replica(self) -> float:
        """The number of GPUs that an engine reserves for one replica."""
        return float(self.tensor_parallel) if self.gpus is None else self.gpus

    @property
    def capacity(self) -> int:
        """The number of requests that the client accepts before its callers wait: those that run, and as many more."""
        return self.max_in_flight or 2 * self.max_num_seqs


class VllmSettings(VllmEngineSettings):
    """Settings of a model that vLLM runs on this machine, one engine for each replica."""

    kind: Literal["vllm"] = Field(description="A vLLM engine on this machine for each replica.")
    model: str = Field(min_length=1, description="A name of serving.models, a repository of the hub, or a folder.")
    revision: str = Field(
        "",
        description="The revision of the repository; empty is the one of the named model, or the newest. A model "
        "with code of its own (trust_remote_code) needs a commit of 40 hexadecimal digits.",
    )
    family: str = Field("", description="The family of a model that serving.models does not know by name.")
    max_model_len: int | None = Field(
        None, ge=1, description="The most tokens of prompt, images and caption; null is the model's own."
    )
    max_num_batched_tokens: int | None = tuning(
        None, ge=1, description="The most tokens of one step of the engine; null is vLLM's own."
    )


class PoolingSettings(VllmEngineSettings):
    """Settings of the vLLM engines of an embedder, one for each replica."""

    kind: Literal["vllm"] = Field("vllm", description="A vLLM engine on this machine for each replica.")
    max_num_batched_tokens: int = tuning(
        8192, ge=MIN_MODEL_LEN, description="The most tokens of one step of the engine: no input may have more."
    )


class PoolingModelSettings(PoolingSettings):
    """An embedder and the settings of its engine, as a client takes them.

    A request of more tokens than a step may have would wait for ever, without a word (vLLM's issue 41969): no settings
    allow it, and the engine refuses what is longer than `max_model_len` before vLLM gets it.
    """

    model: str = Field(min_length=1, description="A repository of the hub, or a folder.")
    revision: str = Field("", description="The revision of the repository; empty is the newest.")
    positions: Positions = Field(
        "mrope", description="The positions of tokens: the model's own (mrope), or 0, 1, 2 ... (flat)."
    )
    max_model_len: int = Field(MIN_MODEL_LEN, ge=MIN_MODEL_LEN, description="The most tokens of an input.")

    @model_validator(mode="after")
    def _one_step_takes_any_input(self) -> PoolingModelSettings:
        if self.max_num_batched_tokens < self.max_model_len:
            raise ValueError(
                f"max_num_batched_tokens: {self.max_num_batched_tokens} is less than an input may have "
                f"({self.max_model_len} tokens): longer inputs would wait for ever"
            )
        ours = sorted(_OURS & self.engine_args.keys()) + (
            ["hf_overrides"] if self.positions == "flat" and "hf_overrides" in self.engine_args else []
        )
        if ours:
            raise ValueError(f"engine_args: {', '.join(ours)}: set by the encoder's own settings")
        return self
