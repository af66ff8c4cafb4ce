"""The child's side of `corpus.processes`: it ends with its parent, and keeps to limits.

As a program of its own it runs another one so: `python -P child_process.py REQUEST PROGRAM [ARGUMENT...]`. Only the
standard library is imported, because the program may have other packages than this project's.
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn

PARENT_DIED = 71  # exit code: EX_OSERR of sysexits.h
_REAPER_POLL_S = 1.0


def exit_with_parent(pipe: Connection | int, cleanup: Callable[[], None] | None = None) -> None:
    """Ends this process as soon as the other end of a pipe is closed, which nobody writes to: so does a parent's end.

    A process that leads a group ends with all that it has started. A thread waits for it, which needs the interpreter:
    a call into a library that never lets go of it is not ended.
    """

    def wait() -> None:
        with suppress(OSError):
            os.read(pipe if isinstance(pipe, int) else pipe.fileno(), 1)
        if cleanup is not None:
            cleanup()
        if os.getpgrp() == os.getpid():
            kill_this_group()
        os._exit(PARENT_DIED)

    threading.Thread(target=wait, name="parent watch", daemon=True).start()


def kill_this_group() -> NoReturn:
    """Ends this process and all that it has started, save those that left its group."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
    raise SystemExit  # not reached


def fork_reaper(descriptors: Sequence[int]) -> None:
    """Forks a process that outlives this one by a moment, to kill what is left of the group that it leads then.

    For a process that starts others and is killed together with whoever would miss it: Ray kills a worker and its
    children, but not what these have started. To be called while there is one thread. `descriptors` are those of pipes
    and sockets of this process, whose ends others wait for.
    """
    leader = os.getpid()
    if os.fork():
        return
    for descriptor in descriptors:
        os.close(descriptor)
    os.setsid()  # out of the group
    while os.getppid() == leader:
        time.sleep(_REAPER_POLL_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    os._exit(0)


def limit_resources(limits: dict[str, int]) -> None:
    """Sets limits of this process, by the names of `corpus.processes.Limits`. It leaves no core file either."""
    kinds = {"memory_bytes": resource.RLIMIT_AS, "cpu_s": resource.RLIMIT_CPU, "file_bytes": resource.RLIMIT_FSIZE}
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, limit in limits.items():
        grace = 1 if name == "cpu_s" else 0  # SIGXCPU at the first limit, SIGKILL at the second one
        resource.setrlimit(kinds[name], (limit, limit + grace))


def _main(request: dict[str, Any], program: list[str]) -> None:
    if request["reaper"]:
        fork_reaper([request["pipe"], *request["pass_fds"]])
    if request["limits"] is not None:
        limit_resources(request["limits"])
    os.set_inheritable(request["pipe"], False)
    exit_with_parent(request["pipe"])
    if request["path"] is not None:
        sys.path[:] = request["path"]
    sys.argv = program
    runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]), sys.argv[2:])
