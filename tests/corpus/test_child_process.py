"""A child ends with its parent, and takes along what it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.processes import ChildProcess, Limits
from tests.helpers.endless import endless
from tests.helpers.engine_works import Fifo, environment

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


def test_a_reaper_kills_what_a_killed_child_has_started(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    with ChildProcess(endless(tmp_path, fifo), reaper=True) as child:
        assert fifo.read() == b"x"
        os.kill(child.pid, signal.SIGKILL)
        assert fifo.read() == b"", "before anybody has asked for it"


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
