"""Near-duplicate search over 64-bit perceptual hashes: every pair within a Hamming radius, without comparing all.

Two hashes that differ in at most r bits agree in full on at least one of r + 1 bands of bits (pigeonhole), so only
hashes that share a band are compared, and no pair is missed. A shuffle by `lsh_band_keys` brings those together;
`pairs_within_radius` compares them, in one band or, where all hashes are in one place, in all.

What it costs. A shuffle carries r + 1 rows a hash. Random hashes give buckets of n / 2^(64/(r+1)) rows, and a bucket
of s rows s²/2 comparisons of about a nanosecond; a bucket above some hundred rows is split by the same argument on
the bits that its rows don't yet share, so long as that halves the work. The worst case are hashes that crowd together
in all their bits: they are compared each with each. Nothing is ever left out of a comparison because it is large.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from corpus.arrays import RowPairs, ranges
from corpus.hashing import GOLDEN

HASH_BITS = 64
MAX_RADIUS_BITS = 8

BitRange = tuple[int, int]  # first bit, counted from the highest, and width

_MAX_BAND_BITS = 32  # enough to tell billions of hashes apart, and leaves room for the band's number in a key
_BAND_SHIFT = np.uint64(60)
_SPLIT_ROWS = 64  # times r + 1: where sorting by r + 1 smaller bands gets cheaper than comparing each with each
_BLOCK_WORDS = 1 << 16  # words compared in one call: half a MiB, which stays in a core's cache
_TILE_ROWS = 64
_SAMPLED_ROWS = 4096
_BATCH_PAIRS = 1 << 16


def band_ranges(radius: int) -> list[BitRange]:
    """Returns the r + 1 disjoint bands of a hash."""
    cuts = [HASH_BITS * band // (radius + 1) for band in range(radius + 2)]
    return [(start, min(stop - start, _MAX_BAND_BITS)) for start, stop in pairwise(cuts)]


def lsh_band_keys(hashes: np.ndarray, radius: int) -> np.ndarray:
    """Returns the shuffle keys of each hash, uint64[n, r + 1], one for each band.

    Two hashes within `radius` bits have at least one key in common. The highest 4 bits of a key are its band; the
    others are scrambled, so that keys modulo a number of partitions are spread evenly even where a hash's bits aren't.
    """
    keys = np.empty((len(hashes), radius + 1), dtype=np.uint64)
    for band, (start, width) in enumerate(band_ranges(radius)):
        scrambled = _prefix(_rotate(hashes, start, HASH_BITS), width) * GOLDEN
        scrambled ^= scrambled >> np.uint64(32)
        keys[:, band] = tag_keys(scrambled, band)
    return keys


def tag_keys(values: np.ndarray, band: int) -> np.ndarray:
    """Returns keys of some values (uint64[n]) that never equal those of another band (0 .. 15): the lowest 4 bits give
    way.
    """
    return (values >> np.uint64(4)) | (np.uint64(band) << _BAND_SHIFT)


def key_bands(keys: np.ndarray) -> np.ndarray:
    """Returns the band that each key belongs to, uint64[n]."""
    return keys >> _BAND_SHIFT


def pairs_within_radius(hashes: np.ndarray, radius: int, band: int | None = None) -> Iterator[RowPairs]:
    """Yields pairs of positions in `hashes` (uint64[n], any order) whose hashes differ in at most `radius` bits.

    Each pair of different hashes comes once. Equal hashes are joined in a chain of n - 1 pairs, not with each other,
    and only one of them is paired with other hashes: what is connected is the same, and a pile of equal hashes costs
    no more than its sorting. With `band`, only pairs for which it is the first band that they share: the union over
    all bands, each given all hashes that share its keys, is what comes without `band`.

    Yields batches of about 65,000 pairs. Memory: about 40 (r + 1) bytes a hash at the most.
    """
    if len(hashes) < 2:
        return
    bit_ranges = band_ranges(radius)
    start, width = (0, 0) if band is None else bit_ranges[band]
    words = _rotate(hashes, start, HASH_BITS)
    order = np.argsort(words)
    words = words[order]
    repeats = np.append(False, words[1:] == words[:-1])
    if not band:
        chained = np.flatnonzero(repeats)
        yield order[chained - 1], order[chained]
    words, order = words[~repeats], order[~repeats]
    starts, sizes = _buckets(words, width)
    earlier = [_mask(bit_range, HASH_BITS) for bit_range in bit_ranges[: band or 0]]
    for a, b in _batched(_within(words, starts, sizes, width, radius)):
        yield _differing_in(earlier, hashes, order[a], order[b])


def _within(words: np.ndarray, starts: np.ndarray, sizes: np.ndarray, shared: int, radius: int) -> Iterator[RowPairs]:
    """Yields near pairs inside the buckets of `words` (sorted, distinct), whose rows share their
    highest `shared` bits.
    """
    large = sizes > _SPLIT_ROWS * (radius + 1)
    yield from _compare(words, starts[~large], sizes[~large], radius)
    if large.any():
        yield from _split(words, starts[large], sizes[large], shared, radius)


def _split(words: np.ndarray, starts: np.ndarray, sizes: np.ndarray, shared: int, radius: int) -> Iterator[RowPairs]:
    """Yields near pairs inside large buckets: by bands of the bits that are not yet shared, where that pays."""
    free = HASH_BITS - shared
    parents = _prefix(words[starts], shared)
    rows = ranges(starts, sizes)
    bit_ranges = _balanced_bands(words[rows], free, radius)
    work = np.zeros(len(starts))
    layouts = []
    for start, width in bit_ranges:
        # The shared bits stay on top, so sorting and grouping by prefix never mixes two parents.
        band_words = _rotate(words[rows], start, free)
        order = np.argsort(band_words)
        band_words = band_words[order]
        band_starts, band_sizes = _buckets(band_words, shared + width)
        parent = np.searchsorted(parents, _prefix(band_words[band_starts], shared))
        work += np.bincount(parent, weights=np.square(band_sizes, dtype=np.float64), minlength=len(parents))
        layouts.append((band_words, rows[order], band_starts, band_sizes, parent))
    pays = work < np.square(sizes, dtype=np.float64) / 2
    yield from _compare(words, starts[~pays], sizes[~pays], radius)
    for band, (band_words, order, band_starts, band_sizes, parent) in enumerate(layouts):
        chosen = pays[parent]
        earlier = [_mask(bit_range, free) for bit_range in bit_ranges[:band]]
        shared_now = shared + bit_ranges[band][1]
        inside = _within(band_words, band_starts[chosen], band_sizes[chosen], shared_now, radius)
        for a, b in _batched(inside):
            yield _differing_in(earlier, words, order[a], order[b])


def _balanced_bands(words: np.ndarray, free: int, radius: int) -> list[BitRange]:
    """Returns r + 1 bands of the lowest `free` bits, cut so that each tells the words apart about as well as the
    others.

    Words that crowd together are alike in most bits: a band of such bits alone would hold them all.
    """
    some = words[:: -(-len(words) // _SAMPLED_ROWS)]
    bits = np.arange(free - 1, -1, -1, dtype=np.uint64)
    share = np.mean((some[:, None] >> bits) & np.uint64(1), axis=0)
    information = np.cumsum(share * (1 - share))
    cuts = np.searchsorted(information, information[-1] * np.arange(1, radius + 1) / (radius + 1)).tolist()
    return [(start, stop - start) for start, stop in pairwise([0, *cuts, free])]


def _compare(words: np.ndarray, starts: np.ndarray, sizes: np.ndarray, radius: int) -> Iterator[RowPairs]:
    """Yields near pairs inside buckets, each row compared with each: side by side where there are many of about one
    size.
    """
    steps = np.left_shift(1, np.maximum(np.frexp(sizes)[1] - 4, 0))
    heights = -(-sizes // steps) * steps  # at most an eighth above the size: few different heights, little waste
    for height in np.unique(heights).tolist():
        same_height = heights == height
        tiles = -(-height // _TILE_ROWS)
        if height < tiles * np.count_nonzero(same_height):  # what takes fewer calls
            yield from _side_by_side(words, starts[same_height], sizes[same_height], height, radius)
        else:
            for start, size in zip(starts[same_height].tolist(), sizes[same_height].tolist(), strict=True):
                yield from _tiled(words[start : start + size], start, radius)


def _side_by_side(
    words: np.ndarray, starts: np.ndarray, sizes: np.ndarray, height: int, radius: int
) -> Iterator[RowPairs]:
    """Yields near pairs inside buckets of at most `height` rows: a bucket is a column, compared with itself shifted."""
    columns = max(1, _BLOCK_WORDS // height)
    for first in range(0, len(starts), columns):
        some, filled = starts[first : first + columns], sizes[first : first + columns]
        wide = len(some)
        # A short column reads on into the next bucket; what is found there is dropped below.
        rows = np.minimum(some + np.arange(height)[:, None], len(words) - 1)
        stack = words[rows].ravel()
        for shift in range(1, height):
            near = np.bitwise_count(stack[shift * wide :] ^ stack[: -shift * wide]) <= radius
            row, column = np.divmod(np.flatnonzero(near), wide)
            real = row + shift < filled[column]
            a = some[column[real]] + row[real]
            yield a, a + shift


def _tiled(words: np.ndarray, start: int, radius: int) -> Iterator[RowPairs]:
    """Yields near pairs inside one bucket, some rows at a time against all that follow."""
    size = len(words)
    tile = max(1, min(_TILE_ROWS, _BLOCK_WORDS // size))
    for first in range(0, size, tile):
        near = np.bitwise_count(words[first : first + tile, None] ^ words[first:]) <= radius
        a, b = np.divmod(np.flatnonzero(near), size - first)
        once = a < b
        yield a[once] + first + start, b[once] + first + start


def _buckets(words: np.ndarray, shared: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns start and size of each run of two or more sorted words that share their highest `shared` bits."""
    prefix = _prefix(words, shared)
    starts = np.append(0, np.flatnonzero(prefix[1:] != prefix[:-1]) + 1)
    sizes = np.diff(np.append(starts, len(words)))
    several = sizes > 1
    return starts[several], sizes[several]


def _batched(pairs: Iterator[RowPairs]) -> Iterator[RowPairs]:
    """Yields the same pairs in fewer arrays."""
    waiting: list[RowPairs] = []
    count = 0
    for a, b in pairs:
        if len(a):
            waiting.append((a, b))
            count += len(a)
        if count >= _BATCH_PAIRS:
            yield _joined(waiting)
            waiting, count = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(pairs: list[RowPairs]) -> RowPairs:
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])


def _differing_in(masks: list[np.uint64], hashes: np.ndarray, a: np.ndarray, b: np.ndarray) -> RowPairs:
    """Returns the pairs that differ under every one of the masks."""
    difference = hashes[a] ^ hashes[b]
    differs = np.ones(len(a), dtype=bool)
    for mask in masks:
        differs &= (difference & mask) != 0
    return a[differs], b[differs]


def _mask(bit_range: tuple[int, int], bits: int) -> np.uint64:
    start, width = bit_range
    return np.uint64(((1 << width) - 1) << (bits - start - width))


def _prefix(words: np.ndarray, bits: int) -> np.ndarray:
    """Returns the highest `bits` bits, as numbers (numpy shifts by 64 to 0)."""
    return words >> np.uint64(HASH_BITS - bits)


def _rotate(words: np.ndarray, by: int, bits: int) -> np.ndarray:
    """Returns the lowest `bits` bits rotated left, the others as they are."""
    ones = np.uint64((1 << bits) - 1)
    low = words & ones
    return (words & ~ones) | (((low << np.uint64(by)) | (low >> np.uint64(bits - by))) & ones)
