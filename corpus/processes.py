"""Child processes that end with their parent, however it ends, and not later than they may.

A child holds one end of a pipe that nobody writes to. The other end is closed when the parent wants the child to end,
or by the system when the parent is no more, killed with -9 for instance; then the child kills its process group. Linux
and macOS have this alike. (Linux alone has PR_SET_PDEATHSIG, which fires when the *thread* that started the child ends:
workers start children from threads.)

`ChildProcess` runs a Python program so, `ParentPipe` is for processes that `multiprocessing` starts, `ended_after` for
a call that may never come back.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Self

from corpus import child_process
from corpus.pending_file import drop_pending
from corpus.printable import printable

_STUCK = 70  # exit code: EX_SOFTWARE of sysexits.h
_FEW_ARENAS = {"MALLOC_ARENA_MAX": "1"}  # glibc reserves 128 MB of address space for each thread that allocates

_parent_pipes: weakref.WeakSet[Connection] = weakref.WeakSet()


class ParentPipe:
    """A pipe that tells a child when to end: `child_end` goes to `child_process.exit_with_parent` in the child."""

    def __init__(self) -> None:
        self.child_end, self._parent_end = multiprocessing.Pipe(duplex=False)
        _parent_pipes.add(self._parent_end)

    def close(self) -> None:
        """Ends the child, if there is one. Safe to call twice."""
        self.child_end.close()
        self._parent_end.close()


def _close_parent_pipes() -> None:
    """Closes what a forked copy of this process would hold open longer than this process lives."""
    for end in list(_parent_pipes):
        end.close()


os.register_at_fork(after_in_child=_close_parent_pipes)


@dataclass(frozen=True)
class Limits:
    """Limits of what a child process may use."""

    memory_bytes: int  # of its address space
    cpu_s: int
    file_bytes: int = 0  # of each file that it writes; pipes are none


class ChildProcess:
    """A Python program in a process of its own, killed with all that it started when the block or the parent ends.

    `program` is a file and its arguments, run with `python -P`. The process leads a group, and with it a session
    without a terminal: Ctrl-C is its parent's. With `own_group` false it doesn't yet, and the program calls `os.setsid`
    itself, once it has started what is to outlive it. `path` is its `sys.path`, instead of a new interpreter's.
    `reaper`: see `child_process.fork_reaper`; not for processes that come and go, for in the end nobody waits for a
    reaper.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        stdin: int | IO[Any] = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        environment: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        pass_fds: Sequence[int] = (),
        path: Sequence[str] | None = None,
        new_group: bool = True,
        reaper: bool = False,
    ) -> None:
        self._pipe = ParentPipe()
        descriptor = self._pipe.child_end.fileno()
        request = {
            "pipe": descriptor,
            "pass_fds": list(pass_fds),
            "limits": asdict(limits) if limits else None,
            "path": list(path) if path is not None else None,
            "reaper": reaper,
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", child_process.__file__, json.dumps(request), *program],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **(_FEW_ARENAS if limits else {}), **(environment or {})},
                pass_fds=[descriptor, *pass_fds],
                start_new_session=new_group,
            )
        except BaseException:
            self._pipe.close()
            raise
        self._pipe.child_end.close()  # the child has its copy
        self._killing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The number of the process, and of the group that it leads."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """What the process writes to its standard output, where `stdout` is subprocess.PIPE. Closed by `kill`."""
        assert self._process.stdout is not None
        return self._process.stdout

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Waits for the end and returns the exit code, -N after signal N; None if there is no end within the time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Ends the whole group, and waits for it. Safe to call twice, and from several threads."""
        with self._killing:
            # Before the leader is waited for: until then the group's number is nobody else's. (macOS refuses where only
            # the dead leader is left.)
            if self._process.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._process.kill()  # it may not lead a group yet
                self._process.wait()
            self._pipe.close()
            if self._process.stdout is not None:
                self._process.stdout.close()


def run_bounded(
    program: Sequence[str], log: Path, timeout_s: float, environment: Mapping[str, str] | None = None
) -> int | None:
    """Runs a program with its output in a file; returns its exit code, or None if it was killed at its deadline."""
    with (
        log.open("wb") as output,
        ChildProcess(program, stdout=output, stderr=subprocess.STDOUT, environment=environment) as child,
    ):
        return child.wait(timeout_s)


@contextmanager
def ended_after(seconds: float, what: str) -> Iterator[None]:
    """Ends the process after so many seconds inside the block, with a line on stderr that names `what`.

    For calls into libraries that may never return: no exception can be raised in them, and no signal is handled. The
    worker dies as if the library had crashed, and what is done about that is done: its shard is run again in processes
    of their own (`corpus.isolation`), down to the row that takes for ever.

    Only a process that another Python process started for its work is ended: what runs in a program's own process, or
    was started by a cluster, is left alone.
    """
    if multiprocessing.parent_process() is None or seconds > threading.TIMEOUT_MAX:
        yield
        return
    timer = threading.Timer(seconds, _end, (f"{what}: nothing came back within {seconds:.0f} s, the worker ends\n",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(line: str) -> None:
    sys.stderr.write(f"{printable(line.rstrip(), 1_000)}\n")
    sys.stderr.flush()
    drop_pending()
    os._exit(_STUCK)
