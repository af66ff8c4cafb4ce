"""Child processes end with their parent, at their deadline and with their block, and with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus import processes
from corpus.bisection import run_rows
from corpus.isolation import isolate
from corpus.processes import ChildProcess, run_bounded
from corpus.stage import ROWS, Shard
from corpus.storage import Store
from tests.helpers.crashing import HANGING, Crashing
from tests.helpers.endless import ENDLESS, endless
from tests.helpers.engine_works import Fifo


def test_a_child_ends_with_its_block_and_takes_its_own_along(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    with ChildProcess(endless(tmp_path, fifo)) as child:
        assert fifo.read() == b"x"
        assert os.getpgid(child.pid) == child.pid
    assert child.wait() == -signal.SIGKILL
    assert fifo.read() == b""
    child.kill()  # again does nothing


def test_a_child_that_makes_its_group_itself_is_killed_with_it(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    (tmp_path / "late.py").write_text(ENDLESS.replace("fifo =", "os.setsid(); fifo =", 1))
    with ChildProcess([str(tmp_path / "late.py"), fifo.path], new_group=False):
        assert fifo.read() == b"x"
    assert fifo.read() == b""


def test_a_program_that_does_not_end_is_killed_with_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = Fifo(tmp_path)
    wait = subprocess.Popen.wait

    def wait_for_its_child(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout is None:
            return wait(process)
        assert fifo.read() == b"x"
        raise subprocess.TimeoutExpired(process.args, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait_for_its_child)
    assert run_bounded(endless(tmp_path, fifo), tmp_path / "log", 5.0) is None
    assert fifo.read() == b""


def test_the_exit_code_and_the_output_are_those_of_the_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    cases = {
        "print(*sys.argv)": (0, f"{program} a b c\n"),
        "print(os.environ['PLANTED'])": (0, "planted\n"),
        "print('last words', file=sys.stderr); sys.exit(7)": (7, "last words\n"),
        "print(__name__, flush=True); os.kill(os.getpid(), signal.SIGTERM)": (-signal.SIGTERM, "__main__\n"),
        "print(sys.stdin.read() == '')": (0, "True\n"),
        "print(os.path.dirname(sys.argv[0]) in sys.path)": (0, "False\n"),
    }
    found = {}
    for code in cases:
        program.write_text(f"import os, signal, sys\n{code}")
        ended = run_bounded([str(program), "a", "b c"], tmp_path / "log", 60.0, {"PLANTED": "planted"})
        found[code] = (ended, (tmp_path / "log").read_text())
    assert found == cases


def test_a_path_of_modules_replaces_that_of_a_new_interpreter(tmp_path: Path) -> None:
    (tmp_path / "planted_module.py").write_text("VALUE = 3")
    (tmp_path / "program.py").write_text("import planted_module; print(planted_module.VALUE)")
    program, path = [str(tmp_path / "program.py")], [*sys.path, str(tmp_path)]
    with ChildProcess(program, stdout=subprocess.PIPE, path=path) as child:
        assert child.output.read() == b"3\n"


def test_a_program_that_cannot_be_started_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.sys, "executable", str(tmp_path / "missing"))
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        ChildProcess(["program.py"])
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_call_that_never_comes_back_costs_its_row() -> None:
    stage = Crashing()
    rows = {ROWS: pa.table({"text": ["a", "bb", HANGING, "dddd"]})}
    table = run_rows(stage, isolate(stage), Shard("s", "000000", 0, np.arange(4), rows, Store("memory://")))
    assert table.column("length").to_pylist() == [1, 2, None, 4]
    assert table.column("reason").to_pylist()[2] == "error:ProcessDied"


def test_a_programs_own_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def timer(*_: object) -> None:
        raise AssertionError("a timer runs")

    monkeypatch.setattr(processes.threading, "Timer", timer)
    with processes.ended_after(0.0, "this process"):
        assert threading.current_thread() is threading.main_thread()
