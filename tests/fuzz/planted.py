"""Targets with planted faults: what the tests hold the harness itself against."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from .target import Limits, Reader, Target

LIMITS = Limits(cpu_s=0.3, wall_s=1, memory_bytes=64 << 20, address_bytes=512 << 20)
EVERY = 4  # of so many inputs, about one shows the fault
_held: list[bytes] = []


class Refused(ValueError):
    """An error that every planted reader promises."""


def raises() -> None:
    raise KeyError("planted")


def crashes() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def spins() -> None:
    while True:
        pass


def waits() -> None:
    signal.pause()


def hoards() -> None:
    _held.append(b"x" * (128 << 20))


def asks_for_too_much() -> None:
    try:
        bytearray(1 << 30)
    except MemoryError as error:
        raise Refused("as if the input were to blame") from error


def refuses() -> None:
    raise Refused("planted")


def is_faulty(data: bytes) -> bool:
    """Whether a planted reader shows its fault at these bytes."""
    return not data or data[0] % EVERY == 0


def _planted(fault: Callable[[], None]) -> Callable[[Path], Reader]:
    """A reader that shows its fault at some inputs."""

    def read(data: bytes) -> None:
        if is_faulty(data):
            fault()

    seeds = [bytes([number]) for number in range(EVERY)]
    return lambda folder: Reader(read, seeds, (Refused,))


FAULTS = (raises, crashes, spins, waits, hoards, asks_for_too_much, refuses)
TARGETS = {fault.__name__: Target(fault.__name__, 1, _planted(fault), LIMITS) for fault in FAULTS}
