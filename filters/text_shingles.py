"""Sets of word shingles and their MinHash signatures, for whole columns of texts.

MinHash: A. Broder, On the resemblance and containment of documents, 1997. Two sets agree in each of a signature's
numbers with the probability of their Jaccard similarity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.hashing import hash_strings, mix64
from filters.text_keys import comparable, one_array

# Scripts that put no blanks between words: each character counts as one.
UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
_BETWEEN_WORDS = r"[^\p{L}\p{N}\p{M}]+"
_BLOCK_TEXTS = 128  # whose signatures are made side by side: with the step's numbers they fit a core's cache
_NONE = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class Shingles:
    """Sets of 32-bit numbers: set i is values[offsets[i] : offsets[i + 1]], ascending and distinct."""

    values: np.ndarray  # uint32
    offsets: np.ndarray  # int64[n + 1]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.offsets)

    def smallest(self, most: int) -> Shingles:
        """The `most` smallest numbers of each set: a sample of it that other sets' samples can be compared with."""
        sizes = np.minimum(self.sizes, most)
        offsets = np.append(0, np.cumsum(sizes))
        return Shingles(self.values[spread(self.offsets[:-1], sizes)], offsets)

    def to_lists(self) -> pa.Array:
        return pa.LargeListArray.from_arrays(self.offsets, pa.array(self.values))

    @classmethod
    def of_lists(cls, lists: pa.Array | pa.ChunkedArray) -> Shingles:
        lists = one_array(lists)
        sizes = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        return cls(pc.list_flatten(lists).to_numpy(), np.append(0, np.cumsum(sizes)))


def spread(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The places start, start + 1 ... of each run of some sizes, one run after the other, int64."""
    return np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)


def split_words(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Lower-case words of each text, without punctuation: a list array; null and what has no words give no words."""
    texts = pc.utf8_lower(pc.fill_null(one_array(texts), ""))
    texts = pc.replace_substring_regex(texts, _BETWEEN_WORDS, " ")
    if not pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        texts = pc.replace_substring_regex(texts, UNSPACED, r" \1 ")
    texts = pc.ascii_trim_whitespace(texts)
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)
    return pc.ascii_split_whitespace(texts)


def shingle_hashes(words: pa.Array, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A hash of each run of `width` words, uint64, and how many each text has, int64[n].

    A text with fewer words has one: of all its words. One without words has none.
    """
    counts = pc.fill_null(pc.list_value_length(words), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    hashes = hash_strings(pc.list_flatten(words))
    ends = np.cumsum(counts)
    runs = np.maximum(counts - width + 1, np.minimum(counts, 1))
    starts = spread(ends - counts, runs)
    shortest = int(counts[counts > 0].min(initial=width))
    last = np.repeat(ends, runs) if shortest < width else None
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
    """The set of each text's shingles of `width` words. A text without words has one, of its signs."""
    hashes, sizes = shingle_hashes(split_words(texts), width)
    wordless = np.flatnonzero(sizes == 0)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    if len(wordless):
        signs = hash_strings(comparable(one_array(texts).take(pa.array(wordless))))
        rows, hashes = np.append(rows, wordless), np.append(hashes, signs)
    marked = (rows.astype(np.uint64) << np.uint64(32)) | (hashes >> np.uint64(32))
    marked.sort()
    marked = marked[np.append(True, marked[1:] != marked[:-1])[: len(marked)]]
    counts = np.bincount((marked >> np.uint64(32)).astype(np.int64), minlength=len(sizes))
    return Shingles(marked.astype(np.uint32), np.append(0, np.cumsum(counts)))


def signatures(sets: Shingles, permutations: int, seed: int = 0, tag: int = 0) -> np.ndarray:
    """MinHash signatures, uint32[n, permutations]; of an empty set all ones.

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
        least = np.full((len(rows), permutations), _NONE)
        going = np.searchsorted(-sizes, -np.arange(sizes[0]), side="left")  # how many have a number at each step
        for at, some in enumerate(going.tolist()):
            numbers = step[:some]
            np.multiply(values[starts[:some] + at, None], factors, out=numbers)
            numbers ^= shifts
            np.minimum(least[:some], numbers, out=least[:some])
        found[rows] = least
    return found


def _scramble(values: np.ndarray, tag: int) -> np.ndarray:
    """A bijection of 32 bits, another one for each tag (the finalizer of MurmurHash3)."""
    values = values ^ np.uint32(tag * 0x9E3779B9 & 0xFFFFFFFF)
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))
