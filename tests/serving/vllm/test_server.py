"""No engine outlives the run that it works for, however that ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.request import BackendError, GenerateRequest
from tests.helpers.fake_clients import WAIT_S, fake_client
from tests.helpers.processes import ends


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


def test_nothing_outlives_close(tmp_path: Path) -> None:
    report = a_pipe(tmp_path)
    with_fake = fake_client(engine_args={"report": str(report)})
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
