"""Finds the concepts that texts name: the entries of a list, or all words that are no stop words.

MetaCLIP balances image-text pairs by the entries of a list (half a million words and titles) that their texts contain
(H. Xu et al., Demystifying CLIP Data, 2023). An entry is contained where its words stand in the text one after the
other; case and punctuation are put aside. Runs of words are looked up by their hashes, so it takes as long with a long
list as with a short one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import hash_strings
from corpus.settings import SettingsError
from corpus.text.minhash import shingle_hashes
from corpus.text.stop_words import is_stop_word
from corpus.text.words import split_words

_WORD = r"^\p{L}[\p{L}\p{M}']+$"  # of two letters or more, without digits


def content_words(texts: pa.Array | pa.ChunkedArray) -> pa.ListArray:
    """Returns the different words of each text that are no stop words, in the order in which they first come.

    Numbers are none, nor is a single letter or a character of a script without blanks: there a list is needed.
    """
    words = split_words(texts)
    flat = pc.list_flatten(words)
    is_content = pc.and_(pc.match_substring_regex(flat, _WORD), pc.invert(is_stop_word(flat)))
    places = np.flatnonzero(np.asarray(is_content))
    chosen = flat.take(pa.array(places))
    return _distinct_lists(_rows(words)[places], hash_strings(chosen), chosen, len(words))


@dataclass(frozen=True, eq=False)
class ConceptList:
    """The entries of a list, each as its words with single blanks between them."""

    names: tuple[str, ...]

    @cached_property
    def _by_length(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """By the number of words: the hashes of the entries, uint64 ascending, and the place of each in `names`."""
        words = split_words(pa.array(self.names, pa.string()))
        lengths = pc.list_value_length(words).to_numpy(zero_copy_only=False)
        found = {}
        for length in np.unique(lengths).tolist():
            places = np.flatnonzero(lengths == length)
            hashes, _ = shingle_hashes(words.take(pa.array(places)), length)
            order = np.argsort(hashes)
            found[length] = hashes[order], places[order]
        return found

    def match(self, texts: pa.Array | pa.ChunkedArray) -> pa.ListArray:
        """Returns the entries that each text contains, each once: the shorter ones first, then as they come."""
        words = split_words(texts)
        names = pa.array(self.names, pa.string())
        rows, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for length, (known, entries) in self._by_length.items():
            hashes, runs = shingle_hashes(words, length)
            at = np.searchsorted(known, hashes).clip(max=len(known) - 1)
            hits = np.flatnonzero(known[at] == hashes)
            rows.append(np.repeat(np.arange(len(words)), runs)[hits])
            places.append(entries[at[hits]])
        row, place = np.concatenate(rows), np.concatenate(places)
        order = np.argsort(row, kind="stable")
        return _distinct_lists(row[order], place[order].astype(np.uint64), names.take(place[order]), len(words))


def read_concepts(file: str) -> ConceptList:
    """Reads a list: a text file with an entry a line, or a JSON file with a list of strings, as MetaCLIP's.

    Raises SettingsError for a file that is none, and for one without an entry.
    """
    return _read(file, concepts_digest(file))


def concepts_digest(file: str) -> str:
    """Returns the digest of a list's file, for fingerprints. Raises SettingsError for one that can't be read."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise SettingsError(f"concepts: {file}: cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=2)
def _read(file: str, digest: str) -> ConceptList:
    try:
        text = Path(file).read_text(encoding="utf-8")
        entries = json.loads(text) if file.endswith(".json") else text.splitlines()
    except ValueError as error:  # neither UTF-8 nor JSON
        raise SettingsError(f"concepts: {file}: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise SettingsError(f"concepts: {file}: expected a list of strings")
    words = split_words(pa.array(entries, pa.string()))
    names = tuple(dict.fromkeys(" ".join(found) for found in words.to_pylist() if found))
    if not names:
        raise SettingsError(f"concepts: {file}: it has no entry")
    return ConceptList(names)


def _rows(lists: pa.ListArray) -> np.ndarray:
    """Returns the list that each of the flattened values is in, int64."""
    lengths = pc.fill_null(pc.list_value_length(one_array(lists)), 0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(lists)), lengths)


def _distinct_lists(rows: np.ndarray, keys: np.ndarray, values: pa.Array, n: int) -> pa.ListArray:
    """Returns n lists of values, of those with equal keys in a row the first; `rows` int64 ascending."""
    order = np.lexsort((np.arange(len(rows)), keys, rows))
    is_first = np.append(True, (rows[order][1:] != rows[order][:-1]) | (keys[order][1:] != keys[order][:-1]))
    kept = np.sort(order[is_first[: len(order)]])
    offsets = np.append(0, np.cumsum(np.bincount(rows[kept], minlength=n))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.take(pa.array(kept)))
