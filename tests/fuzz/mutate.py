"""Mutations of bytes: what disks, networks and malice do to a file, drawn from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

# (data, generator, the seeds of the target) -> mutated data.
Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]
Repair = Callable[[bytes], bytes]

MAX_BYTES = 1 << 20  # of an input
_ANOTHER_ROUND = 0.4  # probability
_OWN = 0.75  # probability that a mutation knows the format, where there are such
_REPAIRED = 0.75  # probability
_HEAD, _TAIL = 128, 512  # bytes in which formats keep their headers and directories
_LONGEST_RUN = 64


def mutated(
    seeds: Sequence[bytes], random: Random, own: Sequence[Mutation] = (), repair: Repair | None = None
) -> bytes:
    """One of the seeds after one or more mutations, `own` ones among them; mostly with its checksums set right."""
    data = random.choice(seeds)
    while True:
        change = random.choice(own) if own and random.random() < _OWN else random.choice(GENERIC)
        data = change(data, random, seeds)[:MAX_BYTES]
        if random.random() >= _ANOTHER_ROUND:
            break
    return repair(data) if repair is not None and random.random() < _REPAIRED else data


def place(data: bytes, random: Random) -> int:
    """A position: as often near the beginning and near the end as anywhere."""
    where = random.randrange(3)
    if where == 0:
        return random.randrange(min(len(data), _HEAD) + 1)
    if where == 1:
        return len(data) - random.randrange(min(len(data), _TAIL) + 1)
    return random.randrange(len(data) + 1)


def flip_bits(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        changed[min(place(data, random), len(data) - 1)] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A run becomes noise, or one byte again and again."""
    at, length = place(data, random), random.randint(1, _LONGEST_RUN)
    run = random.randbytes(length) if random.random() < 0.5 else random.choice(b"\x00\xff\x20\x41").to_bytes() * length
    return data[:at] + run + data[at + length :]


def set_integer(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A field of 1 to 8 bytes becomes an extreme number, or one near a length, in either byte order."""
    width = random.choice((1, 2, 4, 8))
    most = (1 << 8 * width) - 1
    number = random.choice((0, 1, 2, most, most - 1, most >> 1, (most >> 1) + 1, len(data), random.randrange(most + 1)))
    at = place(data, random)
    return data[:at] + (number & most).to_bytes(width, random.choice(("big", "little"))) + data[at + width :]


def cut_off(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    return data[: place(data, random)]


def remove(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    at = place(data, random)
    return data[:at] + data[at + random.choice((1, 2, 4, 16, 512, len(data) // 4 + 1)) :]


def repeat(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A chunk comes again: once, or many times."""
    at, length = place(data, random), random.choice((1, 4, 16, 64, 512, len(data) // 4 + 1))
    times = random.choice((1, 1, 1, 2, 16, 256))
    return data[:at] + data[at : at + length] * times + data[at:]


def insert(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    at = place(data, random)
    return data[:at] + random.randbytes(random.randint(1, _LONGEST_RUN)) + data[at:]


def splice(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """The beginning of this, the end of another; or a chunk of another in the middle."""
    other = random.choice(seeds)
    at, begin = place(data, random), place(other, random)
    if random.random() < 0.5:
        return data[:at] + other[begin:]
    chunk = other[begin : begin + random.choice((4, 16, 64, 512))]
    return data[:at] + chunk + data[at + random.choice((0, len(chunk))) :]


GENERIC: tuple[Mutation, ...] = (flip_bits, overwrite, set_integer, cut_off, remove, repeat, insert, splice)
