"""Readers of several files: one of them is damaged, the others are whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..mutate import Mutation, Repair
from ..target import Reader


def several(
    folder: Path,
    files: Mapping[str, Sequence[bytes]],
    read: Callable[[], object],
    refusals: tuple[type[Exception], ...],
    own: Sequence[Mutation] = (),
    repairs: Mapping[str, Repair] | None = None,
) -> Reader:
    """`files`: path below the folder -> its seeds, of which the first is the whole one.

    An input's first byte numbers the file that it is, in the order of their names; where it numbers none it is the
    remainder that does.
    """
    names = sorted(files)
    repairs = repairs or {}
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(files[name][0])

    def read_one(data: bytes) -> object:
        name = names[(data[0] if data else 0) % len(names)]
        path = folder / name
        path.write_bytes(data[1:])
        try:
            return read()
        finally:
            path.write_bytes(files[name][0])

    def repair(data: bytes) -> bytes:
        name = names[(data[0] if data else 0) % len(names)]
        return data[:1] + repairs[name](data[1:]) if name in repairs else data

    def inside(change: Mutation) -> Mutation:
        return lambda data, random, seeds: data[:1] + change(data[1:], random, [seed[1:] for seed in seeds])

    seeds = [bytes([at]) + seed for at, name in enumerate(names) for seed in files[name]]
    return Reader(read_one, seeds, refusals, [inside(change) for change in own], repair)
