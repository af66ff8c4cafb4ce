"""A process that reads inputs, one after the other, within limits; what goes wrong is told in lines of JSON.

It takes slices (`{"target", "first", "count"}`) from its standard input, a line each, until that ends, and gives
findings, and a line for each slice that is done, on its standard output. Which input is in hand stands on a board that
the coordinator maps too, and reads when the worker is dead.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import mmap
import os
import re
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .target import Limits, Reader, Target, make_input

BOARD = struct.Struct("<qqqq")  # input in hand (-1: none), inputs read, of these refused, when it began (ns, monotonic)
_ROOT = Path(__file__).parents[2]
_TOLD = 2  # findings of a kind that are told in full, of each slice
# What libraries say that turn a failed allocation into an error of another kind. libav's "Cannot allocate memory" is
# none of it: libav says so of sizes that it never asks for.
_OUT_OF_MEMORY = re.compile("(?i)insufficient memory|fail(ed|ure)? to allocate|malloc|out of memory|bad_alloc")


@dataclass
class Slice:
    """Inputs `first` to `first + count - 1` of a target."""

    target: str
    first: int
    count: int


def main() -> None:
    """Entry point: `worker.py MODULE BOARD SCRATCH`; the module's TARGETS are those that slices name."""
    module, board_path, scratch = sys.argv[1:]
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)  # then it kills, as it does where nobody handles it
    targets: dict[str, Target] = importlib.import_module(module).TARGETS
    with Path(board_path).open("r+b") as file, mmap.mmap(file.fileno(), BOARD.size) as board:
        readers: dict[str, Reader] = {}
        for line in sys.stdin:
            job = Slice(**json.loads(line))
            if job.target not in readers:
                folder = Path(scratch) / job.target
                folder.mkdir(exist_ok=True)
                readers[job.target] = targets[job.target].open(folder)
            _run(job, readers[job.target], targets[job.target].limits, board, told)


def _run(job: Slice, reader: Reader, limits: Limits, board: mmap.mmap, told: IO[str]) -> None:
    """Read the inputs of a slice. After one that took too much memory the process ends: a peak stands for good."""
    found: Counter[str] = Counter()
    refused = 0
    memory = _Memory(limits)
    started = time.monotonic()
    for done in range(job.count):
        number = job.first + done
        data = make_input(job.target, reader, number)
        board[:] = BOARD.pack(number, done, refused, time.monotonic_ns())
        error = _read(reader, data, limits.cpu_s)
        refused += isinstance(error, reader.refusals)
        finding = memory.excess()
        if error is not None and not _is_fine(error, reader):
            finding = finding or describe(error)
        if finding is not None:
            signature = f"{finding['kind']} {finding['where']}"
            found[signature] += 1
            if found[signature] <= _TOLD:
                print(json.dumps({"target": job.target, "input": number, **finding}), file=told)
            if finding["kind"] == "memory":
                board[:] = BOARD.pack(-1, done + 1, refused, 0)
                sys.exit()
    board[:] = BOARD.pack(-1, job.count, refused, 0)
    seconds = time.monotonic() - started
    line = {"target": job.target, "inputs": job.count, "refused": refused, "found": found.total(), "seconds": seconds}
    print(json.dumps({"done": line}), file=told)


def _read(reader: Reader, data: bytes, cpu_s: float) -> Exception | None:
    """What the reader raises."""
    try:
        with _bounded(cpu_s):
            reader.read(data)
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        return error
    return None


def _is_fine(error: Exception, reader: Reader) -> bool:
    """Whether an error is one that the reader promises, and no lack of memory in disguise."""
    return isinstance(error, reader.refusals) and (reader.parses_python or not out_of_memory(error))


@contextlib.contextmanager
def _bounded(cpu_s: float) -> Iterator[None]:
    """Inside, so much processor time is there: more is the end of this process."""
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class _Memory:
    """Bounds address space from now on, and tells what takes more memory than the limit, children included."""

    def __init__(self, limits: Limits) -> None:
        statm = Path("/proc/self/statm").read_text().split()
        pages, resident = int(statm[0]), int(statm[1])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + limits.address_bytes, hard))
        self._most_kb = (resident * resource.getpagesize() + limits.memory_bytes) >> 10
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew

    def excess(self) -> dict[str, Any] | None:
        """A finding, where the peak of this process, or of any child so far, lies above the limit."""
        status = Path("/proc/self/status").read_bytes()
        own_kb = int(status[status.index(b"VmHWM:") + 6 :].split(None, 1)[0])
        children_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if max(own_kb, children_kb) <= self._most_kb:
            return None
        what = f"{own_kb >> 10} MiB, children {children_kb >> 10} MiB"
        return {"kind": "memory", "where": "", "what": what, "trace": ""}


def describe(error: BaseException) -> dict[str, Any]:
    """A finding: the error, and the innermost line of this project that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_ours(frame.filename)]
    at = ours[-1] if ours else frames[-1]
    where = f"{os.path.relpath(at.filename, _ROOT)}:{at.lineno} {type(error).__name__}"
    kind = "memory error" if out_of_memory(error) else "exception"
    what = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()[:500]
    trace = "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace").decode()
    return {"kind": kind, "where": where, "what": what, "trace": trace[-6000:]}


def _is_ours(file: str) -> bool:
    below = Path(file).relative_to(_ROOT).parts if Path(file).is_relative_to(_ROOT) else (".",)
    return not below[0].startswith(".") and below[:2] != ("tests", "fuzz")


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an error was caused by memory that was asked for and not there."""
    while error is not None:
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


if __name__ == "__main__":
    main()
