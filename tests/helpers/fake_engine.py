"""An engine without a model, that does what prompts tell it. Nothing of it takes time.

"echo TEXT"    answers TEXT and the mean level of each image
"die"          the process ends at once, as after a segmentation fault
"hang"         the event loop stops for good
"wait"         is never answered, while others are
"vector 1 2"   answers with a vector of these numbers
"pid"          answers the process's number
"refuse"       an answer with an error, as for an image that the processor does not take
"raise"        the engine says that it is dead
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from serving.request import GenerateRequest, GenerateResponse, ModelResponse
from serving.vllm.server import EngineConfig, EngineDied


class FakeEngine:
    def __init__(self, config: EngineConfig) -> None:
        self.most = 0
        self.running = 0
        self.tokens = 0
        start_another(config)

    def prepare(self, request: GenerateRequest) -> GenerateRequest | GenerateResponse:
        if request.prompt == "refuse":
            return GenerateResponse(error="refused_input", detail="it was told to")
        if request.prompt == "stumble":
            raise ZeroDivisionError("it was told to")
        return request

    async def run(self, request: GenerateRequest) -> ModelResponse[Any]:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        command, _, rest = request.prompt.partition(" ")
        if command == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if command == "hang":
            threading.Event().wait()
        if command == "wait":
            await asyncio.Event().wait()
        self.running -= 1
        if command == "pid":
            return GenerateResponse(str(os.getpid()), "stop")
        if command == "vector":
            return ModelResponse(np.array(rest.split(), np.float16), prompt_tokens=len(rest))
        if command == "raise":
            raise EngineDied("so it was told")
        self.tokens += 1
        levels = ",".join(f"{image.mean():.0f}" for image in request.images)
        return GenerateResponse(f"{rest} {levels} {self.most}", "stop", len(rest), 1)

    def stats(self) -> dict[str, float]:
        return {"steps": self.tokens, "running": self.running, "busy_s": 0.5}

    def close(self) -> None:
        """Nothing is left behind that the group's end does not end."""


def start_another(config: EngineConfig) -> None:
    """An engine starts processes of its own. Reports both to whom the settings name."""
    if report := config["settings"]["engine_args"].get("report"):
        process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        Path(report).write_text(f"{os.getpid()} {process.pid}")


def open_engine(config: EngineConfig) -> FakeEngine:
    return FakeEngine(config)


def open_nothing(config: EngineConfig) -> FakeEngine:
    raise ValueError("no such model: " + config["settings"]["model"])


def open_hanging(config: EngineConfig) -> FakeEngine:
    start_another(config)
    threading.Event().wait()
    return FakeEngine(config)


def open_crashing(config: EngineConfig) -> FakeEngine:
    print("about to crash", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return FakeEngine(config)
