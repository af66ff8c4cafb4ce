"""Near-duplicate search over 256-bit perceptual hashes (PDQ): every pair within a Hamming radius of at most 31.

Pigeonhole bands as in `corpus.hamming` do not help at that radius: 32 bands of 8 bits would leave an eighth of all
pairs to compare. Here a hash has 16 bands of 16 bits, and of two hashes that differ in at most 31 bits some band
differs in at most one (multi-index hashing: M. Norouzi, A. Punjani, D. J. Fleet, Fast Search in Hamming Space with
Multi-Index Hashing, CVPR 2012). So for each band, rows are compared with those whose band is the same or has one bit
flipped: 17 of 65,536 buckets. No pair is missed.

What it costs. Of n²/2 pairs of hashes that are spread evenly 16 · 17 / 65,536 = 0.4 % are compared, at 10 to 20
nanoseconds each; that is n² still. A shuffle divides the rows by `hash_blocks` into b blocks and brings each two
of them together (`block_pair_keys`): b rows a hash, b (b + 1) / 2 tasks, each of which holds two blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from corpus.arrays import RowPairs, ranges
from corpus.hashing import GOLDEN, mix64

HASH_BYTES = 32
MAX_LONG_RADIUS_BITS = 31

Hashes256 = npt.NDArray[np.uint64]  # [n, 4]: the 32 bytes of each hash as four numbers

_BANDS = 16
_BAND_BITS = 16
_BUCKETS = 1 << _BAND_BITS
_BATCH_CANDIDATES = 1 << 16  # compared in one call: what that takes stays in a core's cache


def as_words(data: npt.NDArray[np.uint8]) -> Hashes256:
    """Returns hashes of 32 bytes each (uint8[n, 32] or flat) as four numbers each."""
    return np.ascontiguousarray(data).reshape(-1, HASH_BYTES).view(np.uint64)


def differing_bits(a: Hashes256, b: Hashes256) -> npt.NDArray[np.int64]:
    """Returns the number of bits in which a[i] and b[i] differ, int64[n]."""
    return np.bitwise_count(a ^ b).sum(axis=1, dtype=np.int64)


def hash_blocks(hashes: Hashes256, blocks: int) -> npt.NDArray[np.int64]:
    """Returns the block of each hash, 0 .. blocks - 1: the same for equal hashes, spread evenly over different ones."""
    return (_mixed(hashes) % np.uint64(blocks)).astype(np.int64)


def block_pair_keys(blocks: int) -> npt.NDArray[np.uint64]:
    """Returns the shuffle key of each two blocks, uint64[blocks, blocks], the same for (i, j) and (j, i)."""
    number = np.arange(blocks)
    low, high = np.minimum.outer(number, number), np.maximum.outer(number, number)
    return (low * blocks + high + 1).astype(np.uint64) * GOLDEN


def near_pairs(hashes: Hashes256, radius: int) -> Iterator[RowPairs]:
    """Yields pairs of positions whose hashes differ in at most `radius` bits; some pairs come several times.

    Equal hashes are joined in a chain, and only the first of them is paired with other hashes: what is connected is the
    same.
    """
    order, repeats = _sorted(hashes)
    chained = np.flatnonzero(repeats)
    yield order[chained - 1], order[chained]
    first = order[~repeats]
    distinct = hashes[first]
    for a, b in _near(distinct, distinct, radius, within=True):
        yield first[a], first[b]


def near_pairs_between(a: Hashes256, b: Hashes256, radius: int) -> Iterator[RowPairs]:
    """Yields pairs (position in `a`, position in `b`) of hashes that differ in at most `radius` bits; some come
    several times.

    Of equal hashes of one side only the first is paired.
    """
    first_a, first_b = (order[~repeats] for order, repeats in map(_sorted, (a, b)))
    for rows_a, rows_b in _near(a[first_a], b[first_b], radius, within=False):
        yield first_a[rows_a], first_b[rows_b]


def _mixed(hashes: Hashes256) -> npt.NDArray[np.uint64]:
    """Returns a number for each hash, the same for equal ones."""
    mixed = mix64(hashes[:, 0])
    for word in range(1, hashes.shape[1]):
        mixed = mix64(mixed ^ hashes[:, word])
    return mixed


def _sorted(hashes: Hashes256) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Returns an order that brings equal hashes together, and which of the hashes in it equal the one before.

    By one number of 64 bits, not by four. Should two different hashes have the same one, equal ones may lie apart: then
    they are found as any other near pair.
    """
    order = np.argsort(_mixed(hashes), kind="stable")
    ordered = hashes[order]
    repeats = np.zeros(len(hashes), bool)
    repeats[1:] = (ordered[1:] == ordered[:-1]).all(axis=1)
    return order, repeats


def _near(a: Hashes256, b: Hashes256, radius: int, within: bool) -> Iterator[RowPairs]:
    """Yields near pairs of distinct hashes; with `within` (a is b) each once for a band, in one order."""
    if not 0 <= radius <= MAX_LONG_RADIUS_BITS:
        raise ValueError(f"a radius of {radius} bits; {MAX_LONG_RADIUS_BITS} at most")
    for band, band_radius in enumerate(_band_radii(radius)):
        values_a, values_b = (side.view(np.uint16)[:, band] for side in (a, b))
        order_a, order_b = (np.argsort(values, kind="stable") for values in (values_a, values_b))  # by radix
        sorted_a, sorted_b = (np.ascontiguousarray(side.T) for side in (a[order_a], b[order_b]))
        values_a, sizes_b = values_a[order_a].astype(np.int64), np.bincount(values_b, minlength=_BUCKETS)
        starts_b = np.cumsum(sizes_b) - sizes_b
        for mask in (0, *(1 << bit for bit in range(_BAND_BITS if band_radius else 0))):
            bucket = values_a ^ mask
            starts, sizes = starts_b[bucket], sizes_b[bucket]
            if within and mask:
                sizes = np.where(bucket > values_a, sizes, 0)
            elif within:  # the rows that follow in the same bucket
                following = np.arange(len(a)) + 1
                starts, sizes = following, starts + sizes - following
            for rows_a, rows_b in _verified(sorted_a, sorted_b, starts, sizes, radius):
                yield order_a[rows_a], order_b[rows_b]


def _band_radii(radius: int) -> list[int]:
    """Returns for each band that is compared in how many bits it may differ: some band of a near pair does not differ
    in more.

    With r = 16 s + t: if the first t + 1 bands differed in s + 1 bits or more and the others in s or more, the hashes
    would differ in more than r.
    """
    every, more = divmod(radius, _BANDS)
    radii = [every if band <= more else every - 1 for band in range(_BANDS)]
    return [each for each in radii if each >= 0]


def _verified(
    a: Hashes256, b: Hashes256, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], radius: int
) -> Iterator[RowPairs]:
    """Yields those pairs of columns i of `a` and starts[i], starts[i] + 1, ... (sizes[i] of them) of `b` that are near.

    `a` and `b` are transposed, uint64[4, n]: what is compared together lies together.
    """
    rows = np.flatnonzero(sizes)
    rows_starts, rows_sizes = starts[rows], sizes[rows]
    stops = np.cumsum(rows_sizes)
    first = 0
    while first < len(rows):
        done = stops[first] - rows_sizes[first]
        last = max(first + 1, int(np.searchsorted(stops, done + _BATCH_CANDIDATES, side="right")))
        some = slice(first, last)
        rows_a, rows_b = np.repeat(rows[some], rows_sizes[some]), ranges(rows_starts[some], rows_sizes[some])
        # Two of the four numbers tell nearly all other pairs apart: 128 random bits differ in 64.
        half = _differing_in_two(a[:2], b[:2], rows_a, rows_b)
        likely = np.flatnonzero(half <= radius)
        if len(likely):
            rows_a, rows_b = rows_a[likely], rows_b[likely]
            near = half[likely] + _differing_in_two(a[2:], b[2:], rows_a, rows_b) <= radius
            yield rows_a[near], rows_b[near]
        first = last


def _differing_in_two(
    a: Hashes256, b: Hashes256, rows_a: npt.NDArray[np.int64], rows_b: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Returns in how many bits two numbers (uint64[2, n]) of some columns differ, uint8[m]."""
    one = np.bitwise_count(a[0].take(rows_a) ^ b[0].take(rows_b))
    return one + np.bitwise_count(a[1].take(rows_a) ^ b[1].take(rows_b))
