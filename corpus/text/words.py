"""The words of texts, of whole columns and one by one: the same words, whoever counts, compares or hashes them.

A word is a run of letters, digits and marks, in lower case, with the apostrophes inside it: "dog's" is one word, while
"well-known" is two, as it is without its hyphen. Of scripts that put no blanks between words each character is one.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array, string_bytes

_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
_WORD = r"\p{L}\p{N}\p{M}"
_APOSTROPHES = "[’＇]"  # other forms of '
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*")
# Signs that tell texts apart as words do: C++ and C#, x < 3 and x > 3, 50 % and 50 $, stars, emoji. In UTF-8 all begin
# with a byte of `_SIGN_BYTES`, as do those that `_MARKED` reads as signs.
_SIGNS = (
    r"+<>=|~^$#%\\\x{a2}-\x{a7}\x{a9}\x{ac}\x{ae}\x{b0}\x{b1}\x{b6}\x{d7}\x{f7}\x{2030}\x{2044}\x{20a0}-\x{20bf}"
    r"\x{2190}-\x{2bff}\x{ff03}-\x{ff05}\x{ff0b}\x{ff1c}-\x{ff1e}\x{1f000}-\x{1faff}"
)
_ASCII_SIGNS = b"+<>=|~^$#%\\"
_SIGN_BYTES = _ASCII_SIGNS + b"\xc2\xe2\xef\xf0"
_FORM_SELECTORS = r"[\x{fe0e}\x{fe0f}]"  # of emoji
# Punctuation that is a sign next to a number: a minus, times, and what stands inside 1.5, 3/4 and 10:30.
_MARKED = (
    (r"(^|[^\p{L}\p{N}\p{M}\-–−])[-–−][ \x{a0}]?(\p{N})", r"\1 − \2"),
    (r"(?: \* |\*)(\p{N})", r" ∗ \1"),
    (r"(\p{N})\.(\p{N})", r"\1 ⋅ \2"),
    (r"(\p{N})/(\p{N})", r"\1 ∕ \2"),
    (r"(\p{N}):(\p{N})", r"\1 ∶ \2"),
)


def _between(kept: str) -> str:
    """Returns the pattern of what stands between words: any run of characters that are not `kept`, save one apostrophe
    alone that is neither the text's first nor its last character."""
    return rf"[^{kept}]*[^{kept}'][^{kept}]*|'{{2,}}|^'|'$"


_BETWEEN_WORDS = _between(_WORD)
_BETWEEN_WORDS_AND_SIGNS = _between(_WORD + _SIGNS)


def words(text: str) -> list[str]:
    """Returns the words of one text."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    text = text.encode(errors="replace").decode()  # of half a character no column can be made
    return split_words(pa.array([text], pa.string()))[0].as_py() or []


def split_words(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns the words of each text, lists of strings. Of null and a text without words that is null or empty."""
    return _split(_spaced(_lower(texts)), _BETWEEN_WORDS)


def counts_between_blanks(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Counts what stands between blanks in each text, int32[n]: words, of which a file name or a URL is one."""
    return pc.count_substring_regex(pc.replace_substring_regex(texts, _UNSPACED, r" \1 "), r"[^\s\p{Z}]+")


def split_words_and_signs(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns the words of each text as `split_words` does, and in their places the signs that tell texts apart.

    Signs are symbols (of mathematics, currencies, emoji), and punctuation next to a number that changes it.
    """
    lower = _lower(texts)
    signed = np.flatnonzero(_may_have_signs(lower))
    if not len(signed):
        return _split(_spaced(lower), _BETWEEN_WORDS)
    some = lower.take(pa.array(signed))
    for pattern, sign in _MARKED:
        some = pc.replace_substring_regex(some, pattern, sign)
    some = pc.replace_substring_regex(some, f"([{_SIGNS}])", r" \1 ")
    some = pc.replace_substring_regex(some, _FORM_SELECTORS, " ")
    some = pc.replace_substring_regex(_spaced(some), _BETWEEN_WORDS_AND_SIGNS, " ")
    mask = np.zeros(len(lower), dtype=bool)
    mask[signed] = True
    plain = pc.replace_substring_regex(_spaced(lower.filter(pa.array(~mask))), _BETWEEN_WORDS, " ")
    order = np.empty(len(lower), np.int64)
    order[~mask], order[mask] = np.arange(len(plain)), len(plain) + np.arange(len(some))
    return _split_at_blanks(pa.concat_arrays([plain, some]).take(pa.array(order)))


def _lower(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    return pc.utf8_lower(pc.fill_null(one_array(texts), ""))


def _spaced(texts: pa.Array) -> pa.Array:
    """Returns the texts with blanks around characters that are words, and with one form of the apostrophe."""
    if pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        return texts
    texts = pc.replace_substring_regex(texts, _APOSTROPHES, "'")
    return pc.replace_substring_regex(texts, _UNSPACED, r" \1 ")


def _split(texts: pa.Array, between: str) -> pa.Array:
    return _split_at_blanks(pc.replace_substring_regex(texts, between, " "))


def _split_at_blanks(texts: pa.Array) -> pa.Array:
    texts = pc.ascii_trim_whitespace(texts)
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)
    return pc.ascii_split_whitespace(texts)


def _may_have_signs(texts: pa.Array) -> np.ndarray:
    """Returns False for texts without any character that `split_words_and_signs` may take for a sign, bool[n].

    Looks at bytes: at the first ones of signs, and at those of punctuation with a digit behind them, blanks aside.
    """
    places, data = string_bytes(texts)
    found = np.zeros(len(texts), dtype=bool)
    if not len(data):
        return found
    some = data[: places[-1]]
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
