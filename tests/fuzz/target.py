"""What is fuzzed: a reader, valid inputs to begin with, and the errors that the reader promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from .mutate import Mutation, Repair, mutated


@dataclass(frozen=True)
class Limits:
    """What one input may cost. Beyond `address_bytes` the system refuses memory, and the reader gets a MemoryError."""

    cpu_s: float = 10  # of processor time, all threads together
    wall_s: float = 120  # where it waits instead: for a child, a lock, a socket
    memory_bytes: int = 1 << 30  # above what the worker held before; the same for a child
    address_bytes: int = 3 << 30  # above what the worker had mapped before


class Unexpected(Exception):
    """A reader raised nothing, but what it gave is not what it promises."""


@dataclass(frozen=True)
class Reader:
    """`read` takes one input; whatever it raises besides `refusals` is a finding."""

    read: Callable[[bytes], object]
    seeds: Sequence[bytes]
    refusals: tuple[type[Exception], ...] = ()
    own: Sequence[Mutation] = ()
    repair: Repair | None = None
    parses_python: bool = False  # a MemoryError behind a refusal is then Python's word for what is nested too deep


@dataclass(frozen=True)
class Target:
    """`open` is called once in a worker, with a folder for the target's files; `share` is of a million inputs."""

    name: str
    share: int
    open: Callable[[Path], Reader]
    limits: Limits = Limits()


def make_input(name: str, reader: Reader, number: int) -> bytes:
    """The input of this number: always the same bytes, as long as the seeds are."""
    return mutated(reader.seeds, Random(f"{name}:{number}"), reader.own, reader.repair)
