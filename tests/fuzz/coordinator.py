"""Hands slices of inputs to workers, watches them, and puts together what they find."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .target import Target
from .worker import BOARD, Slice

ROOT = Path(__file__).parents[2]
SLICE_INPUTS = 5000
_POLL_S = 1.0
_MODULE = "tests.fuzz.targets"
_TRACE_CHARS = 6000


@dataclass
class Count:
    """What became of the inputs of a target. `found` counts findings, each time that they come."""

    inputs: int = 0
    refused: int = 0
    found: int = 0
    seconds: float = 0.0


@dataclass
class Report:
    """Counts by target, and findings: `target`, `input`, `kind` (exception, memory, crash, hang), `where`, `what`."""

    counts: dict[str, Count] = field(default_factory=dict)
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return sum(count.inputs for count in self.counts.values())

    def add(self, target: str, inputs: int, refused: int, found: int, seconds: float) -> None:
        count = self.counts.setdefault(target, Count())
        count.inputs += inputs
        count.refused += refused
        count.found += found
        count.seconds += seconds


def share_out(targets: Mapping[str, Target], inputs: int, first: int) -> Iterator[Slice]:
    """Slices of some `inputs` in all, each target by its share, at least one each; from number `first` on."""
    whole = sum(target.share for target in targets.values())
    for name, target in targets.items():
        count = max(1, round(inputs * target.share / whole))
        for begin in range(0, count, SLICE_INPUTS):
            yield Slice(name, first + begin, min(SLICE_INPUTS, count - begin))


def run(
    slices: Iterable[Slice],
    targets: Mapping[str, Target],
    on_finding: Callable[[dict[str, Any]], None] = lambda finding: None,
    processes: int = 1,
    end_s: float = math.inf,
    module: str = _MODULE,
) -> Report:
    """Read the inputs of all slices, as far as there is time: after `end_s` of the monotonic clock no slice begins.

    `module` is where workers import the `targets` from.
    """
    work: queue.SimpleQueue[Slice] = queue.SimpleQueue()
    for job in slices:
        work.put(job)
    report, lock = Report(), threading.Lock()

    def found(finding: dict[str, Any]) -> None:
        with lock:
            report.findings.append(finding)
            on_finding(finding)

    def count(*counts: Any) -> None:
        with lock:
            report.add(*counts)

    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=_in_memory(), ignore_cleanup_errors=True) as scratch:
        lanes = [_Lane(Path(scratch) / str(number), targets, module, found, count) for number in range(processes)]
        with ThreadPoolExecutor(processes) as pool:
            for ended in [pool.submit(lane.run, work, end_s) for lane in lanes]:
                ended.result()
    return report


def _in_memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class _Lane:
    """One worker at a time, and what it is doing."""

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, Target],
        module: str,
        found: Callable[[dict[str, Any]], None],
        count: Callable[..., None],
    ) -> None:
        folder.mkdir()
        self._folder = folder
        self._targets = targets
        self._module = module
        self._found = found
        self._count = count
        self._worker: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def run(self, work: queue.SimpleQueue[Slice], end_s: float) -> None:
        (self._folder / "board").write_bytes(BOARD.pack(-1, 0, 0, 0))
        with (self._folder / "board").open("r+b") as file, mmap.mmap(file.fileno(), BOARD.size) as self._board:
            try:
                while time.monotonic() < end_s:
                    job: Slice | None = work.get_nowait()
                    while job is not None:
                        job = self._slice(job)
            except queue.Empty:
                pass
            finally:
                self._end()

    def _slice(self, job: Slice) -> Slice | None:
        """Have a slice worked on; what is left of it after the worker's death."""
        if self._worker is None:
            self._start()
        assert self._worker is not None and self._worker.stdin is not None
        self._board[:] = BOARD.pack(-1, 0, 0, 0)
        started = time.monotonic()
        self._worker.stdin.write(json.dumps(vars(job)).encode() + b"\n")
        self._worker.stdin.flush()
        found = 0
        for line in self._lines(self._targets[job.target].limits.wall_s):
            if "done" in line:
                self._count(*line["done"].values())
                return None
            self._found(line)
            found += 1
        status = self._worker.wait()
        self._worker = None
        number, done, refused, _ = BOARD.unpack(self._board[:])
        if status > 0:  # Python's word for what happens outside of the reader
            raise RuntimeError(f"{job.target}, input {number}: the worker failed: {self._stderr()}")
        if number >= 0:  # died of it
            self._found(self._death(job.target, number, status))
            done, found = done + 1, found + 1
        self._count(job.target, done, refused, found, time.monotonic() - started)
        return Slice(job.target, job.first + done, job.count - done) if done < job.count else None

    def _start(self) -> None:
        scratch = self._folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        quiet = {"OPENCV_LOG_LEVEL": "SILENT", "PYTHONWARNINGS": "ignore", "TMPDIR": str(scratch)}
        environment = {**os.environ, **quiet}
        self._unread = b""
        with (self._folder / "stderr").open("wb") as stderr:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.worker", self._module, str(self._folder / "board"), str(scratch)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                env=environment,
            )

    def _lines(self, wall_s: float) -> Iterator[dict[str, Any]]:
        """What the worker tells, until its end. One that waits too long over an input is killed."""
        assert self._worker is not None and self._worker.stdout is not None
        output = self._worker.stdout
        while True:
            if not select.select([output], [], [], _POLL_S)[0]:
                number, _, _, began = BOARD.unpack(self._board[:])
                if number >= 0 and time.monotonic_ns() - began > wall_s * 1e9:
                    self._worker.kill()
                continue
            data = os.read(output.fileno(), 1 << 16)
            if not data:
                return
            *lines, self._unread = (self._unread + data).split(b"\n")
            yield from map(json.loads, lines)

    def _death(self, target: str, number: int, status: int) -> dict[str, Any]:
        name = signal.Signals(-status).name if status < 0 else f"exit code {status}"
        kind = "hang" if name in ("SIGPROF", "SIGKILL") else "crash"
        trace = self._stderr()
        where = next((line.strip() for line in trace.splitlines() if f'"{ROOT}/' in line and "/fuzz/" not in line), "")
        return {"target": target, "input": number, "kind": kind, "where": where, "what": name, "trace": trace}

    def _stderr(self) -> str:
        return (self._folder / "stderr").read_bytes()[-_TRACE_CHARS:].decode("utf-8", "replace")

    def _end(self) -> None:
        if self._worker is not None and self._worker.stdin is not None:
            with contextlib.suppress(OSError):
                self._worker.stdin.close()
            self._worker.wait()
