"""A process that is frozen is ended, and no other one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engines.ray_heartbeats import Heartbeat, StallLimit, end_stalled, heartbeat_folder
from tests.helpers.engine_works import environment

WORKS = """
import sys, threading
from pipelines.engines.ray_heartbeats import Heartbeat, StallLimit
with Heartbeat(StallLimit("run", 0.5)).working("laion/000007"):
    print("works", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def process(temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that works on an item without end."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS], env=environment() | {"TMPDIR": str(temporary)}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"works\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def beats(process: subprocess.Popen[bytes], times: int) -> int:
    """Waits for signs of life of a process; returns how many came."""
    path = heartbeat_folder() / f"run-{process.pid}"
    found = {path.read_bytes()}
    while len(found) <= times:
        found.add(path.read_bytes())
    return len(found) - 1


def test_a_frozen_process_is_ended_with_the_name_of_its_item(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    found = []
    while not found:
        found = end_stalled(StallLimit("run", 0.5))
    assert [(each.process, each.items) for each in found] == [(process.pid, "laion/000007")]
    assert found[0].silent_s > 0.5
    assert process.wait(60) == -signal.SIGKILL
    assert end_stalled(StallLimit("run", 0.5)) == []
    assert list(heartbeat_folder().iterdir()) == [], "what it left is removed"


def test_one_that_works_is_not_however_long_its_item_takes(process: subprocess.Popen[bytes]) -> None:
    assert beats(process, 15) == 15  # three times as long as it may be silent
    assert end_stalled(StallLimit("run", 0.5)) == []
    assert process.poll() is None


def test_another_runs_processes_are_nobody_elses(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    assert end_stalled(StallLimit("other", 0)) == []
    assert process.poll() is None


def test_it_names_what_is_worked_on(temporary: Path) -> None:
    heartbeat = Heartbeat(StallLimit("run", 60))
    with heartbeat.working("a"), heartbeat.working("b"):
        (path,) = heartbeat_folder().iterdir()
        assert path.name == f"run-{os.getpid()}"
        assert path.read_bytes().split(b" ", 2)[1:] == [str(os.getpid()).encode(), b"a, b"]
    with heartbeat.working("c"):
        assert path.read_bytes().split(b" ", 2)[2] == b"c"
    assert end_stalled(StallLimit("other", 0)) == []
    assert path.exists(), "of a process that lives"


def test_a_folder_that_others_may_write_to_is_not_trusted(temporary: Path) -> None:
    folder = heartbeat_folder()
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="not a folder of this user alone"):
        end_stalled(StallLimit("run", 0))
    with Heartbeat(StallLimit("run", 60)).working("a"):
        assert list(folder.iterdir()) == []
