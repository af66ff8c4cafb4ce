"""Keys by which two texts, or two sides of pairs, count as the same: whole columns at a time."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import GOLDEN, hash_lists, hash_strings, mix64
from corpus.item_ids import split_ids

_SPACE = r"[\s\p{Z}]+"
_EDGES = r"^[\s\"']+|[\s\"'.,;:!?…。？！]+$"
_QUOTES = {"'": "‘’‚´", '"': "“”„«»"}  # one form of each, and its other forms

# The same for one text, where Python is a hundred times as fast as Arrow, which compiles its patterns for each call.
_SPACE_OF_ONE = re.compile(r"[\t\n\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_FIRST, _LAST = " \t\n\f\r\"'", " \t\n\f\r\"'.,;:!?…。？！"
_QUOTES_OF_ONE = str.maketrans({other: form for form, others in _QUOTES.items() for other in others})
# Characters that Python and Arrow lower and decompose alike: not İ and Σ, nor blocks to which letters are still added.
_EQUIVALENT = re.compile(
    r"[\0-\u012f\u0131-\u03a2\u03a4-\u1c88\u1c8a-\ua71f\uac00-\ud7ff\ue000-\uffff\U0001f000-\U0001faff]*"
)


def normalize_for_comparison(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns texts in the form in which they are compared: case, blanks, kinds of quotes, final punctuation put aside.

    Nothing else is: "C++" is not "C#", 1.5 not 15. A text of nothing but such punctuation stays what it is; null is "".
    """
    texts = pc.replace_substring(pc.utf8_lower(pc.fill_null(one_array(texts), "")), "`", "'")
    if not pc.all(pc.string_is_ascii(texts), min_count=0).as_py():
        texts = pc.utf8_normalize(texts, form="NFD")  # Arrow's NFC doesn't compose (25.0)
        for form, others in _QUOTES.items():
            texts = pc.replace_substring_regex(texts, f"[{others}]", form)
    bare = pc.replace_substring_regex(pc.replace_substring_regex(texts, _SPACE, " "), _EDGES, "")
    return pc.if_else(pc.equal(bare, ""), pc.utf8_trim_whitespace(texts), bare)


@lru_cache(maxsize=1 << 14)
def normalize_text(text: str) -> str:
    """Returns what `normalize_for_comparison` makes of one text: equal for texts that count as the same."""
    if not _EQUIVALENT.fullmatch(text):
        return str(normalize_for_comparison(pa.array([text], pa.string()))[0].as_py())
    text = text.lower().replace("`", "'")
    if not text.isascii():
        text = unicodedata.normalize("NFD", text).translate(_QUOTES_OF_ONE)
    return _SPACE_OF_ONE.sub(" ", text).lstrip(_FIRST).rstrip(_LAST) or text.strip()


def text_keys(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns two hashes of each text's normalized form, uint64[n, 2]: the same for texts that count as the same."""
    plain = normalize_for_comparison(texts)
    return np.stack([hash_strings(plain, seed) for seed in (1, 2)], axis=1)


def list_keys(lists: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns a hash of each list of strings, in their order, uint64[n]; null is the empty list."""
    lists = one_array(lists)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return hash_lists(hash_strings(pc.list_flatten(lists), 3), lengths)


def side_keys(sides: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns two hashes of each side (a struct of `text` and `images`), uint64[n, 2]: the same for equal sides."""
    sides = one_array(sides)
    images = list_keys(pc.struct_field(sides, "images"))
    return mix64(text_keys(pc.struct_field(sides, "text")) ^ mix64(images + GOLDEN)[:, None])


def side_ids(sides: pa.StructArray) -> np.ndarray:
    """Returns the id of each side (a struct of `text` and `items`), uint64[2, n]: the same for equal sides.

    It hashes the side's items, in their order, and its text in the form in which texts are compared.
    """
    items = sides.field("items")
    lengths = items.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    content = np.stack([hash_lists(half, lengths) for half in split_ids(items.flatten())])
    return mix64(text_keys(sides.field("text")).T ^ mix64(content + GOLDEN))
