"""The settings of the client `vllm`: the model, its engine, and how the engine is supervised."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from corpus.settings import Settings, tuning


class VllmSettings(Settings):
    """Settings of a model that vLLM runs on this machine, one engine for each replica."""

    kind: Literal["vllm"]
    model: str = Field(min_length=1, description="a name of serving.models, a repository of the hub, or a folder")
    revision: str = Field(
        "",
        description="of the repository; empty: the one that the name stands for, or the newest. Of a model that brings "
        "code of its own (trust_remote_code) a commit: 40 hexadecimal digits",
    )
    family: str = Field("", description="of a model that serving.models doesn't know by name")
    dtype: str = Field("auto", description="of the weights as they are held: auto, bfloat16, float16, float32")
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share the weights of one replica")
    gpus: float | None = tuning(None, ge=0)  # of one replica; null: as many as `tensor_parallel`; 0: it runs on the CPU
    gpu_memory_utilization: float = tuning(0.9, gt=0, le=1)  # share of a GPU's memory that the engine takes
    max_model_len: int | None = Field(None, ge=1, description="tokens of prompt, images and caption; null: the model's")
    max_num_seqs: int = tuning(256, ge=1)  # requests that run at once
    max_num_batched_tokens: int | None = tuning(None, ge=1)  # of one step of the engine; null: as vLLM has it
    load_format: str = Field("auto", description="how weights are read; dummy: random ones, to measure speed")
    enforce_eager: bool = tuning(False)  # no compiled graphs: starts sooner, writes slower
    engine_args: dict[str, Any] = Field({}, description="any other of vLLM's engine arguments; they have the last word")
    max_in_flight: int = tuning(0, ge=0)  # handed to the engine at once; 0: twice `max_num_seqs`
    stall_timeout_s: float = tuning(300.0, gt=0)  # an engine that writes no token for so long is restarted
    start_timeout_s: float = tuning(1800.0, gt=0)  # the first start may have to download the weights
    max_restarts: int = tuning(3, ge=0)  # in a row, without an answer in between; then the client gives up

    @property
    def gpus_per_replica(self) -> float:
        """The number of GPUs that an engine reserves for one replica."""
        return float(self.tensor_parallel) if self.gpus is None else self.gpus

    @property
    def capacity(self) -> int:
        """The number of requests that the client accepts before its callers wait: those that run, and as many more."""
        return self.max_in_flight or 2 * self.max_num_seqs
