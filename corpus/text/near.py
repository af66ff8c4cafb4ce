"""Near-duplicate texts by MinHash and locality-sensitive hashing, checked against their sets of shingles.

A signature is cut into bands of rows; texts that agree in all rows of a band share a key, and those that share a key
are compared. Two texts of Jaccard similarity s share one of b bands of r rows with the probability 1 - (1 - s^r)^b
(J. Leskovec, A. Rajaraman, J. Ullman, Mining of Massive Datasets, 3.4). What is compared is the sets themselves, so
what is found is as alike as was asked for; what chance keeps from being compared is missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.hashing import mix64
from corpus.settings import Settings
from corpus.text.minhash import Shingles, shingles, signatures, spread

Pairs = tuple[np.ndarray, np.ndarray]  # two int64[m]: pair i is (first[i], second[i]), first[i] < second[i]

_NUMBERS_AT_ONCE = 1 << 20  # in sets that are compared in one go


class TextNearSettings(Settings):
    """What counts as nearly the same text."""

    min_jaccard: float = Field(0.8, ge=0.3, le=1, description="of the texts' sets of shingles: shared / all")
    shingle_words: int = Field(3, ge=1, le=10, description="words of a shingle; characters in scripts without blanks")
    permutations: int = Field(128, ge=16, le=1024, description="numbers of a MinHash signature")
    min_recall: float = Field(0.99, gt=0, lt=1, description="share of the pairs at `min_jaccard` to be compared")
    max_shingles: int = Field(512, ge=64, description="longer texts are compared by a sample of that many shingles")
    max_compared: int = Field(
        64, ge=1, description="texts of one bucket (boilerplate) that each is compared with: those most like it"
    )


def band_plan(settings: TextNearSettings) -> tuple[int, int]:
    """Bands and rows of a band: as many rows as the recall allows (little is compared in vain), then as few bands."""
    missed = math.log(1 - settings.min_recall)
    for rows in range(settings.permutations, 0, -1):
        shared = settings.min_jaccard**rows
        bands = 1 if shared >= settings.min_recall else math.ceil(missed / math.log1p(-shared))
        if bands * rows <= settings.permutations:
            return bands, rows
    return settings.permutations, 1


def signature_band_keys(signed: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """The key of each band of each signature, uint64[n, bands]: those of different bands differ."""
    keys = np.empty((len(signed), bands), dtype=np.uint64)
    for band in range(bands):
        key = np.full(len(signed), mix64(np.array([band + 1], np.uint64))[0])
        for row in range(band * rows, (band + 1) * rows):
            key = mix64(key + signed[:, row])
        keys[:, band] = key
    return keys


def near_texts(texts: pa.Array | pa.ChunkedArray, settings: TextNearSettings) -> Pairs:
    """Positions of texts that are nearly the same, each pair once, in ascending order; all texts in memory.

    Takes about 4 bytes a shingle, and 4 × `permutations` + 8 × bands a text.
    """
    sets = shingles(texts, settings.shingle_words)
    bands, rows = band_plan(settings)
    keys = signature_band_keys(signatures(sets, bands * rows), bands, rows)
    samples = sets.smallest(settings.max_shingles)
    similarity_order = smallest_values(samples)
    items = np.arange(len(sets))
    found = [shared_keys(keys[:, band], items, similarity_order, settings.max_compared) for band in range(bands)]
    first, second = unique_pairs(found, len(sets))
    near = jaccard_at_least(samples, first, second, settings)
    return first[near], second[near]


def shared_keys(keys: np.ndarray, items: np.ndarray, similarity_order: np.ndarray, most: int) -> Pairs:
    """Pairs of `items` (int64[n]) that share a key. In a bucket of more than `most` + 1, each only with the `most` that
    follow it in the order of `similarity_order` (unsigned, n), then of the items."""
    order = np.lexsort((items, similarity_order, keys))
    keys, items = keys[order], items[order]
    found = []
    going = np.arange(max(0, len(keys) - 1))
    for step in range(1, most + 1):
        going = going[going + step < len(keys)]
        going = going[keys[going] == keys[going + step]]
        if not len(going):
            break
        found.append((items[going], items[going + step]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def unique_pairs(pairs: list[Pairs], items: int) -> Pairs:
    """Each pair of different items 0 .. items - 1 once, ordered."""
    first = np.concatenate([np.minimum(a, b) for a, b in pairs]) if pairs else np.empty(0, np.int64)
    second = np.concatenate([np.maximum(a, b) for a, b in pairs]) if pairs else np.empty(0, np.int64)
    both = np.unique(first[first != second] * max(1, items) + second[first != second])
    return both // max(1, items), both % max(1, items)


def smallest_values(sets: Shingles) -> np.ndarray:
    """The smallest number of each set, uint32[n], 0 of an empty one: sets that are alike lie together in its order."""
    least = np.zeros(len(sets), dtype=np.uint32)
    some = np.flatnonzero(sets.sizes > 0)
    least[some] = sets.values[sets.offsets[some]]
    return least


def jaccard_at_least(
    samples: Shingles, first: np.ndarray, second: np.ndarray, settings: TextNearSettings
) -> np.ndarray:
    """Which pairs of sets (samples of at most `max_shingles` numbers) reach `min_jaccard`, bool[m]."""
    sizes = samples.sizes
    least = np.minimum(sizes[first], sizes[second])
    near = least >= settings.min_jaccard * np.maximum(sizes[first], sizes[second])  # else they cannot be
    places = np.flatnonzero(near)
    for some in _parts(places, (sizes[first] + sizes[second])[places]):
        found_jaccard = jaccard(samples, first[some], second[some], settings.max_shingles)
        near[some] = found_jaccard >= settings.min_jaccard - 1e-9
    return near


def jaccard(samples: Shingles, first: np.ndarray, second: np.ndarray, most: int) -> np.ndarray:
    """Jaccard similarity of pairs of sets, float64[m]; 0 for two empty ones.

    Exact where both have fewer than `most` numbers. Else it is that of the `most` smallest numbers of their union, of
    which the samples hold all: a random sample, with a standard error of at most 0.5 / sqrt(most).
    """
    pairs = np.arange(len(first), dtype=np.uint64) << np.uint64(32)
    ends = np.concatenate([first, second])
    sizes = samples.sizes[ends]
    numbers = np.repeat(np.concatenate([pairs, pairs]), sizes)
    numbers |= samples.values[spread(samples.offsets[ends], sizes)]
    numbers.sort()
    new = np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)]
    union = numbers[new]
    twice = np.diff(np.append(np.flatnonzero(new), len(numbers))) == 2
    pair = (union >> np.uint64(32)).astype(np.int64)
    counts = np.bincount(pair, minlength=len(first))
    if len(sizes) and sizes.max() >= most:
        sampled = np.maximum(samples.sizes[first], samples.sizes[second]) >= most
        rank = np.arange(len(union)) - np.repeat(np.cumsum(counts) - counts, counts)
        counted = ~sampled[pair] | (rank < most)
        pair, twice = pair[counted], twice[counted]
        counts = np.bincount(pair, minlength=len(first))
    shared = np.bincount(pair, weights=twice, minlength=len(first))
    return shared / np.maximum(counts, 1)


def _parts(places: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """The places in runs of about _NUMBERS_AT_ONCE numbers."""
    if len(places):
        cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _NUMBERS_AT_ONCE)) + 1
        yield from np.split(places, cuts)
