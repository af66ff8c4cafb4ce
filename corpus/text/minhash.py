"""Near-duplicate texts: sets of word shingles, MinHash signatures, locality-sensitive hashing, and an exact check.

Two sets agree in each of a signature's numbers with the probability of their Jaccard similarity (A. Broder, On the
resemblance and containment of documents, 1997). A signature is cut into bands of rows; texts that agree in all rows of
a band share a key, and those that share a key are compared. Two texts of similarity s share one of b bands of r rows
with the probability 1 - (1 - s^r)^b (J. Leskovec, A. Rajaraman, J. Ullman, Mining of Massive Datasets, 3.4). What is
compared is the sets themselves, so no pair that is found is less similar than was asked for; what chance keeps from
being compared is missed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import RowPairs, one_array, places_in_runs, ranges
from corpus.hashing import hash_strings, mix64
from corpus.settings import Settings, tuning
from corpus.text.keys import normalize_for_comparison
from corpus.text.words import split_words_and_signs

_BLOCK_TEXTS = 128  # whose signatures are made side by side: with the step's numbers they fit a core's cache
_NONE = np.uint32(0xFFFFFFFF)
BAND_TAG = np.uint64(1 << 63)  # set in a shuffle's keys of bands, not in those of content
_NUMBERS_AT_ONCE = 1 << 20  # in sets that are compared in one go


class TextNearSettings(Settings):
    """Settings of near-duplicate texts."""

    min_jaccard: float = Field(
        0.8,
        ge=0.3,
        le=1,
        description="The Jaccard similarity of the texts' sets of shingles from which they are near duplicates.",
    )
    shingle_words: int = Field(
        3, ge=1, le=10, description="The words of a shingle; characters in scripts without blanks."
    )
    num_permutations: int = Field(
        128, ge=16, le=1024, description="The number of hash functions of a MinHash signature."
    )
    min_recall: float = Field(
        0.99, gt=0, lt=1, description="The share of the pairs at exactly `min_jaccard` that must be compared."
    )
    max_shingles: int = Field(
        512,
        ge=64,
        description="The most shingles of a text that are compared; of a longer text, a sample of that many.",
    )
    max_bucket_comparisons: int = Field(
        64,
        ge=1,
        description="The most texts of one LSH bucket, such as boilerplate, that each is compared with: those "
        "most similar to it.",
    )
    keep_emitted: bool = tuning(
        False,
        description="Whether the signatures and shingles of each shard are kept in the workspace (`emitted/`), so that "
        "with more rows only new shards are read again; they may take several times the room of the texts.",
    )


@dataclass(frozen=True)
class Shingles:
    """Sets of 32-bit numbers: set i is values[offsets[i] : offsets[i + 1]], ascending and distinct."""

    values: np.ndarray  # uint32
    offsets: np.ndarray  # int64[n + 1]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        """The number of shingles of each set, int64[n]."""
        return np.diff(self.offsets)

    def smallest(self, limit: int) -> Shingles:
        """Returns the `most` smallest numbers of each set: a sample of it that other sets' samples can be compared
        with.
        """
        sizes = np.minimum(self.sizes, limit)
        offsets = np.append(0, np.cumsum(sizes))
        return Shingles(self.values[ranges(self.offsets[:-1], sizes)], offsets)

    def to_lists(self) -> pa.Array:
        """Returns the sets as a column of lists."""
        return pa.LargeListArray.from_arrays(self.offsets, pa.array(self.values))

    @classmethod
    def of_lists(cls, lists: pa.Array | pa.ChunkedArray) -> Shingles:
        """Builds the sets from a column of lists, which have no nulls and are ascending."""
        lists = one_array(lists)
        sizes = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(pc.list_flatten(lists).to_numpy(), np.append(0, np.cumsum(sizes)))


def shingle_hashes(words: pa.Array, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a hash of each run of `width` words, uint64, and how many each text has, int64[n].

    A text with fewer words has one: of all its words. One without words has none.
    """
    counts = pc.fill_null(pc.list_value_length(words), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    hashes = hash_strings(pc.list_flatten(words))
    stops = np.cumsum(counts)
    runs = np.maximum(counts - width + 1, np.minimum(counts, 1))
    starts = ranges(stops - counts, runs)
    shortest = int(counts[counts > 0].min(initial=width))
    last = np.repeat(stops, runs) if shortest < width else None
    found = hashes[starts]
    for step in range(1, width):
        places = starts + step
        if last is None or step < shortest:
            found = mix64(found) + hashes[places]
        else:
            inside = np.flatnonzero(places < last)
            found[inside] = mix64(found[inside]) + hashes[places[inside]]
    return mix64(found), runs


def shingles(texts: pa.Array | pa.ChunkedArray, width: int) -> Shingles:
    """Returns the set of each text's shingles of `width` words and signs. A text without any has one, of its
    punctuation.
    """
    hashes, sizes = shingle_hashes(split_words_and_signs(texts), width)
    wordless = np.flatnonzero(sizes == 0)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    if len(wordless):
        marks = hash_strings(normalize_for_comparison(one_array(texts).take(pa.array(wordless))))
        rows, hashes = np.append(rows, wordless), np.append(hashes, marks)
    marked = (rows.astype(np.uint64) << np.uint64(32)) | (hashes >> np.uint64(32))
    marked.sort()
    marked = marked[np.append(True, marked[1:] != marked[:-1])[: len(marked)]]
    counts = np.bincount((marked >> np.uint64(32)).astype(np.int64), minlength=len(sizes))
    return Shingles(marked.astype(np.uint32), np.append(0, np.cumsum(counts)))


def signatures(sets: Shingles, permutations: int, seed: int = 0, tag: int = 0) -> np.ndarray:
    """Returns MinHash signatures, uint32[n, permutations]; of an empty set all ones.

    Sets under different `tag`s have no number in common. The signature of a union is the minimum of the signatures.
    """
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, 1 << 31, permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    shifts = rng.integers(0, 1 << 32, permutations, dtype=np.uint32)
    values = _scramble(sets.values, tag)
    order = np.argsort(-sets.sizes, kind="stable")  # the longest first: those that go on lie together
    found = np.empty((len(sets), permutations), np.uint32)
    step = np.empty((_BLOCK_TEXTS, permutations), np.uint32)
    for first in range(0, len(order), _BLOCK_TEXTS):
        rows = order[first : first + _BLOCK_TEXTS]
        starts, sizes = sets.offsets[rows], sets.sizes[rows]
        smallest = np.full((len(rows), permutations), _NONE)
        going = np.searchsorted(-sizes, -np.arange(sizes[0]), side="left")  # how many have a number at each step
        for at, some in enumerate(going.tolist()):
            numbers = step[:some]
            np.multiply(values[starts[:some] + at, None], factors, out=numbers)
            numbers ^= shifts
            np.minimum(smallest[:some], numbers, out=smallest[:some])
        found[rows] = smallest
    return found


def _scramble(values: np.ndarray, tag: int) -> np.ndarray:
    """Applies a bijection of 32 bits, another one for each tag (the finalizer of MurmurHash3)."""
    values = values ^ np.uint32(tag * 0x9E3779B9 & 0xFFFFFFFF)
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


def band_plan(settings: TextNearSettings) -> tuple[int, int]:
    """Returns the number of bands and that of rows of a band.

    They are as many rows as the recall allows (little is compared in vain), then as few bands.
    """
    missed = math.log(1 - settings.min_recall)
    for rows in range(settings.num_permutations, 0, -1):
        shared = settings.min_jaccard**rows
        bands = 1 if shared >= settings.min_recall else math.ceil(missed / math.log1p(-shared))
        if bands * rows <= settings.num_permutations:
            return bands, rows
    return settings.num_permutations, 1


def signature_band_keys(signed: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Returns the key of each band of each signature, uint64[n, bands]: those of different bands differ."""
    keys = np.empty((len(signed), bands), dtype=np.uint64)
    for band in range(bands):
        key = np.full(len(signed), mix64(np.array([band + 1], np.uint64))[0])
        for row in range(band * rows, (band + 1) * rows):
            key = mix64(key + signed[:, row])
        keys[:, band] = key
    return keys


def near_texts(texts: pa.Array | pa.ChunkedArray, settings: TextNearSettings) -> RowPairs:
    """Returns the positions of texts that are nearly the same, each pair once, in ascending order; all texts in memory.

    Takes about 4 bytes a shingle, and 4 × `permutations` + 8 × bands a text.
    """
    sets = shingles(texts, settings.shingle_words)
    bands, rows = band_plan(settings)
    keys = signature_band_keys(signatures(sets, bands * rows), bands, rows)
    samples = sets.smallest(settings.max_shingles)
    similarity_order = smallest_values(samples)
    items = np.arange(len(sets))
    found = [
        shared_keys(keys[:, band], items, similarity_order, settings.max_bucket_comparisons) for band in range(bands)
    ]
    first, second = unique_pairs(found, len(sets))
    near = jaccard_reaches(samples, first, second, settings)
    return first[near], second[near]


def near_pairs_of_bands(
    keys: np.ndarray, member: np.ndarray, shingle_lists: Sequence[pa.ChunkedArray], settings: TextNearSettings
) -> RowPairs:
    """Returns the pairs of members that share a key of a band, and are near in every column of shingles.

    `keys`, uint64[n], are of bands, and `member`, int64[n], is whose each of them is. `shingle_lists`, one column or
    two, have n lists of the smallest shingles, equal in all rows of a member. In a bucket that is too large, members
    with similar shingles in the last column, then in the first, are compared.
    """
    members, first_row, item = np.unique(member, return_index=True, return_inverse=True)
    sets = [Shingles.of_lists(column.take(first_row)) for column in shingle_lists]
    similarity_order = np.zeros(len(members), np.uint64)
    for each in reversed(sets):
        similarity_order = (similarity_order << np.uint64(32)) | smallest_values(each)
    candidates = shared_keys(keys, item, similarity_order[item], settings.max_bucket_comparisons)
    first, second = unique_pairs([candidates], len(members))
    for each in sets:
        near = jaccard_reaches(each, first, second, settings)
        first, second = first[near], second[near]
    return members[first], members[second]


def shared_keys(keys: np.ndarray, items: np.ndarray, similarity_order: np.ndarray, limit: int) -> RowPairs:
    """Returns pairs of `items` (int64[n]) that share a key. In a bucket of more than `most` + 1, each only with the
    `most` that follow it in the order of `similarity_order` (unsigned, n), then of the items.
    """
    order = np.lexsort((items, similarity_order, keys))
    keys, items = keys[order], items[order]
    found = []
    going = np.arange(max(0, len(keys) - 1))
    for step in range(1, limit + 1):
        going = going[going + step < len(keys)]
        going = going[keys[going] == keys[going + step]]
        if not len(going):
            break
        found.append((items[going], items[going + step]))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def unique_pairs(pairs: list[RowPairs], items: int) -> RowPairs:
    """Returns each pair of different items 0 .. items - 1 once, ordered."""
    first = np.concatenate([np.minimum(a, b) for a, b in pairs]) if pairs else np.empty(0, np.int64)
    second = np.concatenate([np.maximum(a, b) for a, b in pairs]) if pairs else np.empty(0, np.int64)
    both = np.unique(first[first != second] * max(1, items) + second[first != second])
    return both // max(1, items), both % max(1, items)


def smallest_values(sets: Shingles) -> np.ndarray:
    """Returns the smallest number of each set, uint32[n], 0 of an empty one: sets that are alike lie together in its
    order.
    """
    smallest = np.zeros(len(sets), dtype=np.uint32)
    some = np.flatnonzero(sets.sizes > 0)
    smallest[some] = sets.values[sets.offsets[some]]
    return smallest


def jaccard_reaches(samples: Shingles, first: np.ndarray, second: np.ndarray, settings: TextNearSettings) -> np.ndarray:
    """Returns which pairs of sets (samples of at most `max_shingles` numbers) reach `min_jaccard`, bool[m]."""
    sizes = samples.sizes
    smallest = np.minimum(sizes[first], sizes[second])
    near = smallest >= settings.min_jaccard * np.maximum(sizes[first], sizes[second])  # else they cannot be
    places = np.flatnonzero(near)
    for some in _parts(places, (sizes[first] + sizes[second])[places]):
        found_jaccard = jaccard(samples, first[some], second[some], settings.max_shingles)
        near[some] = found_jaccard >= settings.min_jaccard - 1e-9
    return near


def jaccard(samples: Shingles, first: np.ndarray, second: np.ndarray, limit: int) -> np.ndarray:
    """Returns the Jaccard similarity of pairs of sets, float64[m]; 0 for two empty ones.

    Exact where both have fewer than `most` numbers. Else it is that of the `most` smallest numbers of their union, of
    which the samples hold all: a random sample, with a standard error of at most 0.5 / sqrt(most).
    """
    pairs = np.arange(len(first), dtype=np.uint64) << np.uint64(32)
    stops = np.concatenate([first, second])
    sizes = samples.sizes[stops]
    numbers = np.repeat(np.concatenate([pairs, pairs]), sizes)
    numbers |= samples.values[ranges(samples.offsets[stops], sizes)]
    numbers.sort()
    new = np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)]
    union = numbers[new]
    twice = np.diff(np.append(np.flatnonzero(new), len(numbers))) == 2
    pair = (union >> np.uint64(32)).astype(np.int64)
    counts = np.bincount(pair, minlength=len(first))
    if len(sizes) and sizes.max() >= limit:
        sampled = np.maximum(samples.sizes[first], samples.sizes[second]) >= limit
        rank = places_in_runs(counts)
        counted = ~sampled[pair] | (rank < limit)
        pair, twice = pair[counted], twice[counted]
        counts = np.bincount(pair, minlength=len(first))
    shared = np.bincount(pair, weights=twice, minlength=len(first))
    return shared / np.maximum(counts, 1)


def _parts(places: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the places in runs of about _NUMBERS_AT_ONCE numbers."""
    if len(places):
        cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _NUMBERS_AT_ONCE)) + 1
        yield from np.split(places, cuts)
