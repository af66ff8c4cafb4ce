"""Measures our engine process and its protocol against `vllm serve` behind an OpenAI-compatible client.

Both run the project's test VLM with the same arguments, each in another process that the same code (`VllmClient`)
supervises, restarts and retries; only the connection between client and engine differs. Ours sends pixels over a socket
pair; the peer gets chat requests, with lossless PNGs as data URLs, over a Unix socket. It asserts the same captions in
every round and after a `kill -9` of the engine with requests in flight; and with `--poison` that of rows with one
poisonous picture exactly that one has an error, whichever process the picture kills. Run it where torch and vLLM are:

    .venv-models/bin/python -m benchmarks.vllm_serve

Besides the usual figures, the JSON line has for both: seconds to start, to the last caption after a kill, MB (PSS) of
all processes of the engine, and the milliseconds of processor time that bring an image of 768 × 768 to the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np

from benchmarks.harness import versus
from benchmarks.vllm_server import KILLS, POISON
from demo.vlm import CHECKPOINT
from demo.vlm.scenes import all_scenes, draw_shapes
from serving.openai.chat import chat_route
from serving.openai.exchange import CallFailure, post
from serving.openai.settings import EndpointSettings
from serving.request import GenerateRequest, GenerateResponse, ModelRequest, Pixels, SamplingSettings
from serving.vllm.client import VllmClient
from serving.vllm.protocol import ConnectionClosed, Header, responses_frame
from serving.vllm.server import EngineConfig
from serving.vllm.settings import VllmSettings
from serving.vllm.supervisor import TICK_S
from serving.vllm.torchvision_shim import patch_imports

PROMPT = "Describe the image in one short sentence."
WAIT_S = 600
ROOT = Path(__file__).parents[1]


class ServedEngine:
    """`vllm serve` in another process, with the interface of `EngineHandle`."""

    def __init__(self, config: EngineConfig) -> None:
        self.started_at = time.monotonic()
        self.stopped = False
        self._folder = tempfile.TemporaryDirectory(prefix="rzen-bench-")
        self._socket = f"{self._folder.name}/vllm"
        self._log = Path(self._folder.name) / "log"
        self._settings = EndpointSettings(
            kind="openai", model="served", endpoints=("http://vllm/v1",), image_format="png", timeout_s=WAIT_S,
            max_outage_s=WAIT_S + 1,
        )  # fmt: skip
        self._sampling = SamplingSettings.model_validate(config["sampling"])
        self._frames: queue.SimpleQueue[tuple[Header, bytes] | None] = queue.SimpleQueue()  # None: it is gone
        self._tokens = 0
        self._encoders = ThreadPoolExecutor(2)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.vllm_server", *_options(config), "--uds", self._socket],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, start_new_session=True,
                env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"},
            )  # fmt: skip
        self._loop = asyncio.new_event_loop()
        for work in (self._loop.run_forever, self._wait):
            threading.Thread(target=work, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop)

    @property
    def group(self) -> int:
        return self._process.pid

    def submit(self, number: int, request: ModelRequest) -> None:
        asyncio.run_coroutine_threadsafe(self._respond(number, request), self._loop)

    def receive(self, tick: Callable[[], None]) -> tuple[Header, bytes]:
        while True:
            try:
                frame = self._frames.get(timeout=TICK_S)
            except queue.Empty:
                tick()
                continue
            if frame is None:
                raise ConnectionClosed("the server has ended")
            return frame

    def stop(self) -> None:
        self.stopped = True
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)

    def close(self) -> None:
        self.kill()
        self._process.wait()
        asyncio.run_coroutine_threadsafe(self._session.close(), self._loop).result(WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._encoders.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def trim_log(self) -> None:
        """Does nothing: a benchmark is over before the log is long."""

    def log_end(self, length: int = 4000) -> str:
        return self._log.read_bytes()[-length:].decode(errors="replace")

    def _wait(self) -> None:
        self._process.wait()
        self.kill()  # what it has left behind
        self._frames.put(None)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(self._socket, limit=0, keepalive_timeout=2.0),
            headers={"Content-Type": "application/json"},
        )
        while self._process.poll() is None:
            with suppress(aiohttp.ClientError, OSError):
                async with self._session.get("http://vllm/health") as response:
                    if response.status == 200:
                        self._frames.put(({"ready": True}, b""))
                        return
            await asyncio.sleep(0.1)

    async def _respond(self, number: int, request: ModelRequest) -> None:
        assert isinstance(request, GenerateRequest)
        with suppress(RuntimeError):  # closed meanwhile
            route = chat_route(self._settings, self._sampling)
            body = await self._loop.run_in_executor(self._encoders, route.body, request)
            outcome = await post(self._session, "http://vllm/v1", body, self._settings, "", route)
            if isinstance(outcome, CallFailure):  # a lost connection, or what a server says whose engine is dead
                self.kill()
                return
            self._tokens += outcome.completion_tokens
            stats = {"steps": self._tokens, "running": 0, "busy_s": 0.0}
            self._frames.put((responses_frame([(number, outcome)], stats)[0], b""))


def _options(config: EngineConfig) -> list[str]:
    settings = config["settings"]
    return [
        *("--model", settings["model"], "--served-model-name", "served", "--dtype", settings["dtype"]),
        *("--max-model-len", str(settings["max_model_len"]), "--max-num-seqs", str(settings["max_num_seqs"])),
        *("--limit-mm-per-prompt", json.dumps({"image": config["images"], "video": 0})),
        *("--mm-processor-cache-gb", "0", "--no-enable-prefix-caching", "--enforce-eager", "--disable-log-stats"),
        *("--generation-config", "vllm", "--disable-uvicorn-access-log"),
    ]


def pictures(count: int, side_px: int) -> list[Pixels]:
    """Returns scenes that the test VLM can read."""
    rng = np.random.default_rng(0)
    scenes = all_scenes()
    return [draw_shapes(scenes[place], rng, side_px) for place in rng.permutation(len(scenes))[:count]]


def captions(client: VllmClient, images: list[Pixels]) -> list[GenerateResponse]:
    """Returns the responses of the engine."""
    futures = [client.submit(GenerateRequest(PROMPT, (image,))) for image in images]
    return [future.result(WAIT_S) for future in futures]


def texts(client: VllmClient, images: list[Pixels]) -> list[str]:
    answers = captions(client, images)
    assert not any(answer.error for answer in answers), answers
    return [answer.payload or "" for answer in answers]


def same(ours: list[str], peers: list[str]) -> None:
    """Checks for the same captions, except for a few that differ by the rounding of another batch."""
    equal = sum(one == two for one, two in zip(ours, peers, strict=True))
    assert equal >= 0.98 * len(ours), f"{equal} of {len(ours)} captions are equal"


def memory_mb(group: int) -> float:
    """Returns the proportional set size of all processes of a group."""
    total_kb = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total_kb += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total_kb / 1024


def transport_ms(client: VllmClient, count: int = 24) -> float:
    """Returns the milliseconds of processor time per image of 768 × 768, in the client and in the process it calls.

    The engine's core and its workers are not included: it is encoding, sending, decoding and the model's processor.
    """
    import psutil

    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (96, 96, 3)).astype(np.uint8) for _ in range(count)]
    large = [cv2.resize(each, (768, 768), interpolation=cv2.INTER_CUBIC) for each in noise]  # as smooth as photographs
    images = [each.astype(np.uint8) for each in large]
    assert client.process_group
    processes = [psutil.Process(), psutil.Process(client.process_group)]
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    captions(client, images)
    return (sum(sum(process.cpu_times()[:2]) for process in processes) - before) / count * 1000


def killed(client: VllmClient, images: list[Pixels], truth: list[str]) -> float:
    """Returns the seconds until all captions are there when the engine is killed with requests in flight."""
    import psutil

    futures = [client.submit(GenerateRequest(PROMPT, (image,))) for image in images[:48]]
    futures[0].result(WAIT_S)
    assert client.process_group
    (core,) = [
        child
        for child in psutil.Process(client.process_group).children(recursive=True)
        if "EngineCore" in " ".join(child.cmdline())
    ]
    started = time.perf_counter()
    core.kill()
    futures += [client.submit(GenerateRequest(PROMPT, (image,))) for image in images[48:]]
    same([future.result(WAIT_S).payload or "" for future in futures], truth)
    return time.perf_counter() - started


def blamed(client: VllmClient, images: list[Pixels], row: int) -> list[int]:
    """Returns the rows that get an error when the picture of `row` kills."""
    poison = np.broadcast_to(np.array(POISON, np.uint8), images[row].shape)
    answers = captions(client, [*images[:row], poison, *images[row + 1 :]])
    return [place for place, answer in enumerate(answers) if answer.error]


def main() -> None:
    """Runs the command line: `python -m benchmarks.vllm_serve`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--side-px", type=int, default=112, help="of the pictures: 112 is what the test VLM knows")
    parser.add_argument("--max-num-seqs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--poison", action="store_true", help="also plant a picture that kills: some twelve starts")
    options = parser.parse_args()
    images = pictures(options.images, options.side_px)
    settings = VllmSettings(
        kind="vllm", model=str(CHECKPOINT), max_model_len=2048, max_num_seqs=options.max_num_seqs, enforce_eager=True,
        gpus=0,
    )  # fmt: skip
    opened: dict[str, Callable[[], VllmClient]] = {
        "ours": partial(
            VllmClient, settings, SamplingSettings(max_tokens=40), engine="benchmarks.vllm_server:open_poisonable"
        ),
        "peer": partial(VllmClient, settings, SamplingSettings(max_tokens=40), start=ServedEngine),
    }
    figures: dict[str, dict[str, Any]] = {}
    engines: dict[str, VllmClient] = {}
    for name, open_it in opened.items():
        engines[name] = open_it()
        texts(engines[name], images)  # and it is warm
        group = engines[name].process_group
        assert group
        figures[name] = {"start_s": round(engines[name].stats().started_s, 1), "pss_mb": round(memory_mb(group))}
        print(name, figures[name], file=sys.stderr)
    found = versus(
        "vllm_serve", "images/s", options.images, partial(texts, engines["ours"], images),
        partial(texts, engines["peer"], images), "vllm serve", same, options.rounds,
    )  # fmt: skip
    for name, engine in engines.items():
        truth = texts(engine, images)
        figures[name]["transport_ms"] = round(transport_ms(engine), 1)
        figures[name]["after_kill_s"] = round(killed(engine, images, truth), 1)
        print(name, figures[name], file=sys.stderr)
        engine.close()
    for kind in ("server", "engine") if options.poison else ():
        os.environ[KILLS] = kind
        for name, open_it in opened.items():
            engine = open_it()
            figures[name][f"blamed_when_it_kills_the_{kind}"] = blamed(engine, images[:8], 5)
            figures[name][f"restarts_when_it_kills_the_{kind}"] = engine.stats().restarts
            engine.close()
            print(name, figures[name], file=sys.stderr)
    print(json.dumps({**found, "figures": figures}))
    for name in opened:
        for kind in ("server", "engine") if options.poison else ():
            assert figures[name][f"blamed_when_it_kills_the_{kind}"] == [5], (name, kind)


if __name__ == "__main__":
    patch_imports()
    main()
