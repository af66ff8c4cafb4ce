"""Jobs for the tests of the engines: in a module of their own, because workers import them by name."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.execution import Outcome
from corpus.stage import Resources

ONE = Resources()


class PlantedError(Exception):
    """What the jobs below raise on purpose."""


@dataclass(frozen=True)
class Square:
    """Answers an integer with its square; `opens` is a folder in which each opening leaves a file."""

    opens: str = ""
    resources: Resources = ONE
    raises_on: int = -1

    def open(self) -> Callable[[int], Outcome]:
        if self.opens:
            (Path(self.opens) / f"{os.getpid()}-{os.urandom(4).hex()}").touch()
        return self.square

    def square(self, item: int) -> Outcome:
        if item == self.raises_on:
            raise PlantedError(f"planted at {item}")
        return outcome(item, item * item)

    def on_worker_lost(self, item: int, why: str) -> Outcome:
        return Outcome("test", "square", str(item), error=why)


@dataclass(frozen=True)
class Deadly(Square):
    """Kills its worker at some items: always, or where `marker` is given, only while that file does not exist."""

    deadly: tuple[int, ...] = ()
    marker: str = ""

    def square(self, item: int) -> Outcome:
        if item in self.deadly:
            die_unless(self.marker)
        return super().square(item)


@dataclass(frozen=True)
class Meeting(Square):
    """An item that only ends when as many are at work in the same worker as it may have in flight."""

    def open(self) -> Callable[[int], Outcome]:
        barrier = threading.Barrier(self.resources.in_flight, timeout=30)

        def meet(item: int) -> Outcome:
            barrier.wait()
            return self.square(item)

        return meet


@dataclass(frozen=True)
class Pair(Square):
    """Items 0 and 1 wait for each other, at the two ends of a FIFO: they need a worker each."""

    fifo: str = ""

    def square(self, item: int) -> Outcome:
        os.close(os.open(self.fifo, (os.O_RDONLY, os.O_WRONLY)[item]))
        return super().square(item)


@dataclass(frozen=True)
class DiesOnOpening(Square):
    """Can't be opened by any worker."""

    def open(self) -> Callable[[int], Outcome]:
        os._exit(1)


@dataclass(frozen=True)
class Hang(Square):
    """Writes to a FIFO that it is at work, then never ends. Item 0 is answered."""

    fifo: str = ""

    def square(self, item: int) -> Outcome:
        if item == 0:
            return super().square(item)
        os.write(os.open(self.fifo, os.O_WRONLY), b"x")  # never closed: the FIFO ends with the worker
        threading.Event().wait()
        raise AssertionError("unreachable")


@dataclass(frozen=True)
class Freezes(Square):
    """Stops its worker at some items as SIGSTOP does, unless `marker` is there, a file that says it did."""

    frozen: tuple[int, ...] = ()
    marker: str = ""

    def square(self, item: int) -> Outcome:
        if item in self.frozen and not Path(self.marker).exists():
            Path(self.marker).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().square(item)


@dataclass(frozen=True)
class ForksAndDies(Square):
    """Dies at item 1, the first time, and leaves a forked process that has all its pipes; `marker` is a FIFO's path."""

    marker: str = ""

    def square(self, item: int) -> Outcome:
        if item == 1 and not Path(f"{self.marker}-forked").exists():
            Path(f"{self.marker}-forked").touch()
            if os.fork():
                os._exit(1)
            os.close(os.open(self.marker, os.O_RDONLY))  # until the test opens the other end
            os._exit(0)
        return super().square(item)


@dataclass(frozen=True)
class Gated(Square):
    """Begins, and goes on when the gate is open. `items` are those that wait; none given, all."""

    gate: str = ""
    items: tuple[int, ...] = ()

    def square(self, item: int) -> Outcome:
        wait_at(self.gate, item, self.items)
        return super().square(item)


@dataclass(frozen=True)
class LeavesAFile(Square):
    """Leaves a file when it is closed; its result says which process opened it, and how often that opened any."""

    closes: str = ""
    name: str = ""

    def open(self) -> Callable[[int], Outcome]:
        return _LeavesAFile(self)


class _LeavesAFile:
    def __init__(self, job: LeavesAFile) -> None:
        self.job = job

    def __call__(self, item: int) -> Outcome:
        return self.job.square(item)

    def close(self) -> None:
        (Path(self.job.closes) / f"{self.job.name}-{os.getpid()}-{os.urandom(4).hex()}").touch()


@dataclass(frozen=True)
class Unopenable(Square):
    """Raises when it is opened, as where the weights of a model are missing."""

    def open(self) -> Callable[[int], Outcome]:
        raise PlantedError("no weights")


@dataclass(frozen=True)
class Unpicklable(Square):
    """Returns, or raises, what pickle can't take."""

    def square(self, item: int) -> Outcome:
        if item == 0:
            raise UnpicklableError(threading.Lock())
        return threading.Lock()  # type: ignore[return-value]


class UnpicklableError(Exception):
    """An error that has a lock."""


@dataclass(frozen=True)
class Rows:
    """Random rows (key, value), as many as the item says."""

    raises_on: int = -1
    dies_on: int = -1  # always, or where `marker` is given, only while that file does not exist
    marker: str = ""
    resources: Resources = ONE
    gate: str = ""  # at which the items of `waits` wait
    waits: tuple[int, ...] = ()

    def open(self) -> Callable[[int], pa.Table]:
        return self.emit

    def emit(self, item: int) -> pa.Table:
        if item in self.waits:
            wait_at(self.gate, item, self.waits)
        if item == self.dies_on:
            die_unless(self.marker)
        if item == self.raises_on:
            raise PlantedError(f"planted at {item}")
        return random_rows(item)

    def on_worker_lost(self, item: int, why: str) -> pa.Table:
        raise RuntimeError(f"item {item}: {why}")


def outcome(item: int, value: int) -> Outcome:
    """An outcome that carries an item, a number and the GPUs that the worker sees."""
    seen = {"item": item, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    return Outcome("test", "square", str(item), rows=value, counts={"kept/": value}, metrics=seen)


def die_unless(marker: str) -> None:
    """End this process, leaving a file of that name; do nothing when it is there."""
    if marker and Path(marker).exists():
        return
    if marker:
        Path(marker).touch()
    os._exit(1)


def random_rows(rows: int) -> pa.Table:
    """As many rows as asked for, with keys over the whole of uint64 that recur among tables."""
    random = np.random.default_rng(rows)
    keys = random.integers(0, 50, rows).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    texts = pa.array(["", "a", "longer"]).take(random.integers(0, 3, rows))
    return pa.table({"key": keys, "value": np.arange(rows), "text": texts})


def sums(rows: pa.Table) -> pa.Table:
    """For each key how many rows it has, and the sum of their values."""
    return rows.group_by("key").aggregate([("value", "count"), ("value", "sum")])


def fail_to_reduce(rows: pa.Table) -> pa.Table:
    """A reduction that raises."""
    raise PlantedError("planted in reduce")


class Fifo:
    """The reading end of what `Hang` writes to."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "fifo")
        os.mkfifo(self.path)
        self._handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._handle, select.POLLIN)

    def read(self) -> bytes:
        """The next byte, or b"" when every writer is gone; AssertionError when neither happens for a minute."""
        assert self._poll.poll(60_000), "the workers neither came nor went"
        return os.read(self._handle, 1)


class Gate:
    """Where items wait. They say that they have begun, and go on when it is open, on whichever machine."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder)
        for name in ("begun", "open"):
            os.mkfifo(folder / name)
        self._begun = os.open(folder / "begun", os.O_RDWR | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._begun, select.POLLIN)

    def wait(self, items: int) -> None:
        """Waits until so many items have begun; AssertionError when they don't within a minute."""
        for _ in range(items):
            assert self._poll.poll(60_000), "no item began"
            os.read(self._begun, 1)

    def open(self) -> None:
        """Lets all items go on, those that come later as well."""
        os.open(f"{self.path}/open", os.O_RDWR)


def wait_at(gate: str, item: int, items: tuple[int, ...]) -> None:
    """Waits at a gate, where the item is one that does."""
    if items and item not in items:
        return
    handle = os.open(f"{gate}/begun", os.O_WRONLY)
    os.write(handle, b"x")
    os.close(handle)
    os.close(os.open(f"{gate}/open", os.O_RDONLY))


def environment() -> dict[str, str]:
    """The environment of a program that imports this project and this module."""
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
