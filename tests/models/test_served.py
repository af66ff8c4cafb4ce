"""The backend `openai` against a real server: `vllm serve` with the test VLM."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from demo.vlm import CHECKPOINT
from demo.vlm.scenes import all_scenes, draw_shapes, read_caption
from pipelines.engines import EngineSettings, open_engine
from recaption.stage import Caption
from serving.openai.client import OpenAiClient
from serving.openai.settings import EndpointSettings
from serving.request import GenerateRequest, SamplingSettings
from tests.helpers.captioning import caption_all, draw_shards, right_share, settings

NAME = "test-vlm"
STARTS_IN_S = 1800.0


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """The settings of a backend that asks the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME, "--max-model-len", "512"]
    options += ["--enforce-eager", "--max-num-seqs", "32", "--generation-config", "vllm", "--no-enable-log-requests"]
    options += ["--limit-mm-per-prompt", '{"image": 4, "video": 0}']
    more = {"PYTHONPATH": os.pathsep.join(sys.path), "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    log = tmp_path_factory.mktemp("served") / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.helpers.serve_vllm", "--model", str(CHECKPOINT), *options]
        server = subprocess.Popen(
            command, env={**os.environ, **more}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/health", log)
        yield {"kind": "openai", "model": NAME, "family": "qwen2_vl", "endpoints": [f"http://127.0.0.1:{port}/v1"]}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_until_it_answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(int(STARTS_IN_S)):
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=1)
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
    raise AssertionError(f"the server did not start: {log.read_text(errors='replace')[-3000:]}")


def test_every_caption_belongs_to_its_picture(served: dict[str, object], tmp_path: Path) -> None:
    scenes = draw_shards(tmp_path, 300, 3, broken=(7, 150))
    engine = open_engine(EngineSettings(kind="local", workers=1))
    caption_all(scenes, engine, Caption("a", settings(backend={**served, "image_format": "png"})))
    engine.close()
    assert right_share(scenes) >= 0.95
    rows = scenes.captions("000000")
    assert (rows[7]["caption"], rows[7]["reject_reason"]) == (None, "truncated")
    assert {row["caption_model"] for row in rows} == {NAME}
    assert all(row["prompt_tokens"] > 16 and row["completion_tokens"] > 5 for row in rows if row["caption"])


def test_several_images_in_one_request(served: dict[str, object]) -> None:
    rng = np.random.default_rng(5)
    endpoints = OpenAiClient(EndpointSettings.model_validate(served), SamplingSettings(max_tokens=60))
    try:
        images = tuple(draw_shapes(all_scenes()[number], rng, 112) for number in (100, 3000, 5000))
        one, three = (endpoints.submit(GenerateRequest("Describe it.", images[:count])) for count in (1, 3))
        assert (one.result().error, three.result().error) == ("", "")
        assert read_caption(one.result().payload) is not None
        # 16 visual tokens for each image of 112 × 112 pixels, and what marks its beginning and its end.
        assert three.result().prompt_tokens == one.result().prompt_tokens + 2 * (16 + 2)
    finally:
        endpoints.close()


def test_a_request_that_is_too_long_costs_one_row(served: dict[str, object]) -> None:
    rng = np.random.default_rng(6)
    endpoints = OpenAiClient(EndpointSettings.model_validate(served), SamplingSettings(max_tokens=60))
    try:
        image = (draw_shapes(all_scenes()[7], rng, 112),)
        long, good = (endpoints.submit(GenerateRequest(text, image)) for text in ("word " * 2000, "Describe it."))
        assert long.result().error == "refused_input"
        assert good.result().error == ""
    finally:
        endpoints.close()
