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
from corpus.text.keys import normalize_for_comparison, one_array

# Scripts that put no blanks between words: each character counts as one.
UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
_BETWEEN_WORDS = r"[^\p{L}\p{N}\p{M}]+"
# Signs that tell texts apart as words do: C++ and C#, x < 3 and x > 3, 50 % and 50 $, stars, emoji. In UTF-8 all begin
# with a byte of `_SIGN_BYTES`, as do those that `_MARKED` reads as signs.
_SIGNS = (
    r"+<>=|~^$#%\\\x{a2}-\x{a7}\x{a9}\x{ac}\x{ae}\x{b0}\x{b1}\x{b6}\x{d7}\x{f7}\x{2030}\x{2044}\x{20a0}-\x{20bf}"
    r"\x{2190}-\x{2bff}\x{ff03}-\x{ff05}\x{ff0b}\x{ff1c}-\x{ff1e}\x{1f000}-\x{1faff}"
)
_ASCII_SIGNS = b"+<>=|~^$#%\\"
_SIGN_BYTES = _ASCII_SIGNS + b"\xc2\xe2\xef\xf0"
_BETWEEN_WORDS_AND_SIGNS = (
    rf"[^\p{{L}}\p{{N}}\p{{M}}{_SIGNS}]+|[\x{{fe0e}}\x{{fe0f}}]"  # nor what selects an emoji's form
)
# Punctuation that is a sign next to a number: a minus, times, and what stands inside 1.5, 3/4 and 10:30.
_MARKED = (
    (r"(^|[^\p{L}\p{N}\p{M}\-–−])[-–−][ \x{a0}]?(\p{N})", r"\1 − \2"),
    (r"(?: \* |\*)(\p{N})", r" ∗ \1"),
    (r"(\p{N})\.(\p{N})", r"\1 ⋅ \2"),
    (r"(\p{N})/(\p{N})", r"\1 ∕ \2"),
    (r"(\p{N}):(\p{N})", r"\1 ∶ \2"),
)
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
    return _split(pc.replace_substring_regex(texts, _BETWEEN_WORDS, " "))


def _split(texts: pa.Array) -> pa.Array:
    """Words of texts that have nothing but words and blanks."""
    if not pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        texts = pc.replace_substring_regex(texts, UNSPACED, r" \1 ")
    texts = pc.ascii_trim_whitespace(texts)
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)
    return pc.ascii_split_whitespace(texts)


def split_words_and_signs(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Words of each text as `split_words` gives them, and in their places the signs that tell texts apart.

    Signs are symbols (of mathematics, currencies, emoji), and punctuation next to a number that changes it.
    """
    texts = pc.utf8_lower(pc.fill_null(one_array(texts), ""))
    signed = np.flatnonzero(_may_have_signs(texts))
    if not len(signed):
        return split_words(texts)
    some = texts.take(pa.array(signed))
    for pattern, sign in _MARKED:
        some = pc.replace_substring_regex(some, pattern, sign)
    some = pc.replace_substring_regex(some, f"([{_SIGNS}])", r" \1 ")
    some = pc.replace_substring_regex(some, _BETWEEN_WORDS_AND_SIGNS, " ")
    mask = np.zeros(len(texts), dtype=bool)
    mask[signed] = True
    plain = pc.replace_substring_regex(texts.filter(pa.array(~mask)), _BETWEEN_WORDS, " ")
    order = np.empty(len(texts), np.int64)
    order[~mask], order[mask] = np.arange(len(plain)), len(plain) + np.arange(len(some))
    return _split(pa.concat_arrays([plain, some]).take(pa.array(order)))


def _may_have_signs(texts: pa.Array) -> np.ndarray:
    """False for texts without any character that `split_words_and_signs` may take for a sign, bool[n].

    Looks at bytes: at the first ones of signs, and at those of punctuation with a digit behind them, blanks aside.
    """
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    found = np.zeros(len(texts), dtype=bool)
    if offsets is None or data is None or not data.size:
        return found
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    some = np.frombuffer(data, np.uint8)[: places[-1]]
    at = np.flatnonzero(_IS_SIGN_BYTE[some])
    following = some[np.minimum(at + 1, len(some) - 1)]
    after_blank = some[np.minimum(at + 2, len(some) - 1)]
    digit = _IS_DIGIT[following] | ((following == 32) & _IS_DIGIT[after_blank]) | (following >= 0x80)
    times = (some[at] == 0xC3) & ((following == 0x97) | (following == 0xB7))
    kept = _IS_SURE_SIGN[some[at]] | times | (_IS_NUMBER_MARK[some[at]] & digit)
    rows = np.searchsorted(places, at[kept], side="right") - 1
    found[rows[rows >= 0]] = True
    return found


def _byte_set(members: bytes) -> np.ndarray:
    table = np.zeros(256, dtype=bool)
    table[list(members)] = True
    return table


_NUMBER_MARKS = b"-*./:"
_IS_DIGIT = _byte_set(b"0123456789")
_IS_SURE_SIGN = _byte_set(_SIGN_BYTES)
_IS_NUMBER_MARK = _byte_set(_NUMBER_MARKS)
_IS_SIGN_BYTE = _byte_set(_SIGN_BYTES + _NUMBER_MARKS + b"\xc3")


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
    """The set of each text's shingles of `width` words and signs. A text without any has one, of its punctuation."""
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
