from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.request import BackendError, GenerateRequest, Pixels, SamplingSettings
from serving.vllm.client import VllmClient
from serving.vllm.settings import VllmSettings
from tests.helpers.processes import ends

WAIT_S = 60  # for what comes at once on a quiet machine


def captioner(engine: str = "open_engine", **settings: Any) -> VllmClient:
    named = VllmSettings(kind="vllm", model="fake", **{"stall_timeout_s": 60.0, **settings})
    return VllmClient(named, SamplingSettings(), engine=f"tests.helpers.fake_engine:{engine}")


@pytest.fixture
def fake() -> Iterator[VllmClient]:
    with_fake = captioner()
    yield with_fake
    with_fake.close()


def grey(level: int) -> Pixels:
    return np.full((8, 8, 3), level, np.uint8)


def a_pipe(folder: Path) -> Path:
    """Where an engine tells its processes."""
    path = folder / "pids"
    os.mkfifo(path)
    return path


def told_by(report: Path) -> list[int]:
    """The processes that an engine tells: wait for it to do so."""
    handle = os.open(report, os.O_RDONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    try:
        assert poll.poll(WAIT_S * 1000)
        return [int(process) for process in os.read(handle, 1000).split()]
    finally:
        os.close(handle)


def test_every_answer_belongs_to_its_own_request(fake: VllmClient) -> None:
    """Two thousand requests from four threads, with different texts and numbers of images of different sizes."""
    answered: dict[int, str] = {}

    def ask(numbers: range) -> None:
        sizes = [(number, np.full((number % 7 + 1, 5, 3), number % 251, np.uint8)) for number in numbers]
        asked = {
            number: fake.submit(GenerateRequest(f"echo {number}", (image,) * (number % 3))) for number, image in sizes
        }
        answered.update({number: future.result(WAIT_S).payload for number, future in asked.items()})

    threads = [threading.Thread(target=ask, args=(range(first, 2000, 4),)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {number: f"{number} {','.join([str(number % 251)] * (number % 3))}" for number in range(2000)}
    assert {number: text.rpartition(" ")[0] for number, text in answered.items()} == expected
    figures = fake.stats()
    assert (figures.images, figures.completion_tokens, figures.restarts) == (sum(n % 3 for n in range(2000)), 2000, 0)
    assert figures.prompt_tokens == sum(len(str(number)) for number in range(2000))
    assert figures.started_s > 0


def test_an_engine_may_answer_with_vectors(fake: VllmClient) -> None:
    """Hundreds of them among texts, each to its own request."""
    asked = [fake.submit(GenerateRequest(f"vector {n} 0.5" if n % 3 else f"echo {n}", ())) for n in range(300)]
    responses = [future.result(WAIT_S) for future in asked]
    for number, response in enumerate(responses):
        if number % 3:
            assert response.payload.dtype == np.float16 and response.payload.tolist() == [number, 0.5]
        else:
            assert response.payload.split()[0] == str(number)


def test_images_may_be_views(fake: VllmClient) -> None:
    large = np.zeros((16, 16, 3), np.uint8)
    large[4:8, 4:8] = 200
    answer = fake.submit(GenerateRequest("echo view", (large[4:8, 4:8], large[::-1]))).result(WAIT_S)
    assert answer.payload.startswith("view 200,12")  # 16 of the 256 pixels are 200


def test_an_image_of_no_size_reaches_the_engine(fake: VllmClient) -> None:
    answer = fake.submit(GenerateRequest("refuse", (np.zeros((0, 4, 3), np.uint8), grey(1)))).result(WAIT_S)
    assert (answer.error, answer.detail) == ("refused_input", "it was told to")


def test_no_more_than_the_bound_is_in_hand() -> None:
    with_fake = captioner(max_in_flight=3)
    held = [with_fake.submit(GenerateRequest("wait", ())) for _ in range(3)]
    came = threading.Event()

    def ask_for_a_fourth() -> None:
        try:
            with_fake.submit(GenerateRequest("echo", ()))
        except BackendError:
            came.set()

    asking = threading.Thread(target=ask_for_a_fourth)
    asking.start()
    with_fake.close()
    asking.join(WAIT_S)
    assert came.is_set()  # it waited until the captioner was closed
    for future in held:
        with pytest.raises(BackendError, match="closed"):
            future.result(WAIT_S)


def test_the_bound_is_what_the_engine_sees() -> None:
    with_fake = captioner(max_in_flight=5)
    answers = [with_fake.submit(GenerateRequest("echo", ())) for _ in range(300)]
    assert max(int(answer.result(WAIT_S).payload.split()[-1]) for answer in answers) <= 5
    with_fake.close()


def test_what_kills_the_engine_costs_its_own_row() -> None:
    with_fake = captioner(max_in_flight=40)
    poison = {57: "die", 58: "raise", 140: "stumble"}
    asked = [with_fake.submit(GenerateRequest(poison.get(number, f"echo {number}"), ())) for number in range(200)]
    answers = [future.result(WAIT_S) for future in asked]
    assert {number for number, answer in enumerate(answers) if answer.error} == set(poison)
    assert {answers[number].error for number in poison} == {"engine_died"}
    details = {number: answers[number].detail for number in poison}
    assert details == {
        57: "its process ended",
        58: "EngineDied: so it was told",
        140: "ZeroDivisionError: it was told to",
    }
    assert all(answer.payload.split()[0] == str(number) for number, answer in enumerate(answers) if not answer.error)
    assert 3 <= with_fake.stats().restarts <= 15
    with_fake.close()


def test_a_lone_request_that_kills_the_engine() -> None:
    with_fake = captioner()
    assert with_fake.submit(GenerateRequest("die", ())).result(WAIT_S).error == "engine_died"
    assert with_fake.submit(GenerateRequest("echo still", ())).result(WAIT_S).payload.startswith("still")
    with_fake.close()


def test_a_wedged_engine_is_started_again() -> None:
    with_fake = captioner(stall_timeout_s=0.5)
    asked = [with_fake.submit(GenerateRequest(prompt, ())) for prompt in ("echo 0", "hang", "echo 2")]
    answers = [future.result(WAIT_S) for future in asked]
    assert [answer.error for answer in answers] == ["", "engine_died", ""]
    assert "no token for 0.5 s" in answers[1].detail
    with_fake.close()


def test_an_engine_that_is_never_ready_is_given_up() -> None:
    with_fake = captioner("open_hanging", start_timeout_s=0.5, max_restarts=1)
    with pytest.raises(BackendError, match=r"not ready after 0\.5 s"):
        with_fake.submit(GenerateRequest("echo", ())).result(WAIT_S)
    assert with_fake.stats().restarts == 1
    with_fake.close()


def test_restarts_are_bounded() -> None:
    """Every request kills the engine: one of them may be found out alone, which proves nothing of the others."""
    with_fake = captioner(max_restarts=2)
    asked = [with_fake.submit(GenerateRequest("die", ())) for _ in range(20)]
    errors = [future.exception(WAIT_S) for future in asked]
    assert sum(isinstance(error, BackendError) for error in errors) >= 19
    assert 2 <= with_fake.stats().restarts <= 3
    with pytest.raises(BackendError, match=r"its process ended \(3 starts without a response\)"):
        with_fake.submit(GenerateRequest("echo", ()))
    with_fake.close()


def test_an_engine_that_crashes_at_its_start() -> None:
    with_fake = captioner("open_crashing", max_restarts=1)
    with pytest.raises(BackendError, match="about to crash"):
        with_fake.submit(GenerateRequest("echo", ())).result(WAIT_S)
    assert with_fake.stats().restarts == 1
    with_fake.close()


def test_what_is_wrong_with_the_model_is_said_at_once() -> None:
    with_fake = captioner("open_nothing")
    with pytest.raises(BackendError, match="ValueError: no such model: fake"):
        with_fake.submit(GenerateRequest("echo", ())).result(WAIT_S)
    assert with_fake.stats().restarts == 0
    with_fake.close()


def test_an_engine_that_dies_idle_is_started_again(fake: VllmClient) -> None:
    first = fake.submit(GenerateRequest("pid", ())).result(WAIT_S)
    os.kill(int(first.payload.split()[0]), signal.SIGKILL)
    second = fake.submit(GenerateRequest("pid", ())).result(WAIT_S)
    assert second.payload.split()[0] != first.payload.split()[0]
    assert not second.error


def test_nothing_outlives_close(tmp_path: Path) -> None:
    report = a_pipe(tmp_path)
    with_fake = captioner(engine_args={"report": str(report)})
    held = with_fake.submit(GenerateRequest("wait", ()))
    processes = told_by(report)
    with_fake.close()
    with_fake.close()
    with pytest.raises(BackendError, match="closed"):
        held.result(WAIT_S)
    assert len(processes) == 2
    assert all(ends(process) for process in processes)


PARENT = """
import sys
from serving.vllm.client import VllmClient
from serving.request import GenerateRequest, SamplingSettings
from serving.vllm.settings import VllmSettings

settings = VllmSettings(kind="vllm", model="fake", engine_args={"report": sys.argv[1]})
captioner = VllmClient(settings, SamplingSettings(), engine="tests.helpers.fake_engine:" + sys.argv[2])
captioner.submit(GenerateRequest("wait", ()))
sys.stdin.read()
"""


@pytest.mark.parametrize("engine", ["open_engine", "open_hanging"])
def test_no_engine_outlives_a_killed_parent(tmp_path: Path, engine: str) -> None:
    """Not one that is at work, nor one that is still loading its model; nor what they have started."""
    report = a_pipe(tmp_path)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(report), engine],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    processes = told_by(report)
    parent.kill()
    parent.communicate()
    assert len(processes) == 2
    assert all(ends(process) for process in processes)


def test_nothing_outlives_a_leader_that_is_killed_with_its_parent(tmp_path: Path) -> None:
    """As Ray does it: an actor and its children at once, but not their children."""
    report = a_pipe(tmp_path)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(report), "open_engine"],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    leader, started = told_by(report)
    parent.send_signal(signal.SIGSTOP)  # it must not be the one that notices
    os.kill(leader, signal.SIGKILL)
    parent.kill()
    parent.communicate()
    assert ends(leader) and ends(started)
