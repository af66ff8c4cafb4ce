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
from corpus.execution import run_rows
from corpus.isolation import isolate
from corpus.processes import ChildProcess, Limits, run_bounded
from corpus.stage import ROWS, Shard
from corpus.storage import Store
from tests.helpers.crashing import HANGING, Crashing
from tests.helpers.engine_works import Fifo, environment

# Starts another process, then writes a byte to a FIFO that stays open as long as one of the two lives.
ENDLESS = """
import os, signal, subprocess, sys
fifo = os.open(sys.argv[1], os.O_WRONLY)
subprocess.Popen(["sleep", "600"], pass_fds=[fifo])
os.write(fifo, b"x")
signal.pause()
"""
# Starts the program that its arguments name. What it forks lives until standard input ends: longer than itself.
PARENT = """
import os, signal, sys
from corpus.processes import ChildProcess
child = ChildProcess(sys.argv[1:])
if not os.fork():
    os.read(0, 1)
    os._exit(0)
signal.pause()
"""
# Calls a stage on a row that waits for ever.
ISOLATING = """
import sys, numpy, pyarrow
from corpus.isolation import isolate
from corpus.stage import ROWS, Shard
from corpus.storage import Store
from tests.helpers.crashing import PAUSING, Crashing
rows = {ROWS: pyarrow.table({"text": [PAUSING + sys.argv[1]]})}
if __name__ == "__main__":
    isolate(Crashing())(Shard("s", "000000", 0, numpy.arange(1), rows, Store("memory://")))
"""


def endless(folder: Path, fifo: Fifo) -> list[str]:
    (folder / "endless.py").write_text(ENDLESS)
    return [str(folder / "endless.py"), fifo.path]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_and_takes_its_own_along(tmp_path: Path, number: signal.Signals) -> None:
    fifo = Fifo(tmp_path)
    command = [sys.executable, "-c", PARENT, *endless(tmp_path, fifo)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment()) as parent:
        assert fifo.read() == b"x"
        parent.send_signal(number)
        assert parent.wait() == -number
        assert fifo.read() == b"", "what the parent has forked lives on, and holds nothing open"


def test_a_call_in_a_process_of_its_own_ends_with_its_parent(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    (tmp_path / "isolating.py").write_text(ISOLATING)
    command = [sys.executable, str(tmp_path / "isolating.py"), fifo.path]
    with subprocess.Popen(command, env=environment()) as parent:
        assert fifo.read() == b"x"
        parent.kill()
        assert fifo.read() == b""


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


def test_a_reaper_kills_what_a_killed_child_has_started(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    with ChildProcess(endless(tmp_path, fifo), reaper=True) as child:
        assert fifo.read() == b"x"
        os.kill(child.pid, signal.SIGKILL)
        assert fifo.read() == b"", "before anybody has asked for it"


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


def test_limits_of_memory_files_and_time_hold(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    writes = f"open({str(tmp_path / 'file')!r}, 'w', buffering=1).write('a\\n' * 2000)"
    cases = {
        "try: bytearray(10**9)\nexcept MemoryError: print('no memory')": (0, b"no memory\n"),
        "print(len(bytearray(10**8)))": (0, b"100000000\n"),
        f"try: {writes}\nexcept OSError as error: print(error)": (0, b"[Errno 27] File too large\n"),
        "while True: pass": (-signal.SIGXCPU, b""),
    }
    found = {}
    for code in cases:
        program.write_text(code)
        limits = Limits(memory_bytes=500_000_000, cpu_s=1, file_bytes=1000)
        with ChildProcess([str(program)], stdout=subprocess.PIPE, limits=limits) as child:
            output = child.output.read()
            found[code] = (child.wait(), output)
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
