"""Texts held against those of evaluation sets: equal ones, and ones that share long runs of words.

Equal is what is the same in the form in which texts are compared (`corpus.text.keys`). Longer texts share n-grams of
words, as in the reports of GPT-3 (T. Brown and others, Language Models are Few-Shot Learners, 2020, appendix C): the
share of the evaluation text's n-grams finds it inside a longer text, the share of the text's own finds an excerpt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array, ranges
from corpus.pool import Pool
from corpus.text.keys import text_keys
from corpus.text.minhash import Shingles, shingles
from corpus.text.words import split_words_and_signs
from filters.decontamination.evaluation import BESIDE, CONTAINED, COVERAGE, EQUAL, EVALUATION_SCHEMA, entries_of

MIN_SHARE = 0.2  # of n-grams; what shares fewer is not listed
_MATCHES_AT_ONCE = 1 << 21  # n-grams in common that are counted in one go
_COLUMNS = ["set", "name", "text", "alone"]

_Ints = npt.NDArray[np.int64]
Found = tuple[_Ints, pa.Table]  # rows, and an entry of NEAR_FIELD for each


@dataclass(frozen=True, eq=False)
class EvaluationTexts:
    """The e different texts of all evaluation sets, each once in its set, and their n-grams."""

    sets: tuple[str, ...]
    set_of: _Ints  # int64[e], into `sets`
    names: tuple[str, ...]  # of the evaluation item of each
    alone: npt.NDArray[np.bool_]
    keys: npt.NDArray[np.uint64]  # uint64[e, 2]; the texts are in their order
    grams: npt.NDArray[np.uint32]  # ascending
    owners: _Ints  # int64, of each n-gram the text
    sizes: _Ints  # int64[e], n-grams of each text; 0 of a shorter one


def read_texts(pool: Pool, ngram_words: int, min_words: int) -> EvaluationTexts:
    """Reads the texts of the evaluation sets of a pool; of equal ones of a set the first, one that stands alone before
    others.
    """
    empty = EVALUATION_SCHEMA.empty_table().select(_COLUMNS)
    tables = (each.filter(each.column("text").is_valid()) for each in pool.tables(_COLUMNS))
    table = pa.concat_tables([empty, *tables]).combine_chunks()
    coded = one_array(table.column("set")).dictionary_encode()
    sets = tuple(sorted(coded.dictionary.to_pylist()))
    place = {name: number for number, name in enumerate(sets)}
    set_of = np.array([place[name] for name in coded.dictionary.to_pylist()], np.int64)[coded.indices.to_numpy()]
    keys = text_keys(table.column("text"))
    alone = one_array(table.column("alone")).to_numpy(zero_copy_only=False).astype(bool)
    order = np.lexsort((np.arange(len(keys)), ~alone, set_of, keys[:, 1], keys[:, 0]))
    identity = np.column_stack([keys, set_of.astype(np.uint64)])[order]
    order = order[np.append(True, (identity[1:] != identity[:-1]).any(axis=1))[: len(order)]]
    table = table.take(pa.array(order))
    sets_of_grams = long_ngrams(table.column("text"), ngram_words, min_words)
    owners = np.repeat(np.arange(len(order)), sets_of_grams.sizes)
    by_value = np.argsort(sets_of_grams.values, kind="stable")
    return EvaluationTexts(
        sets,
        set_of[order],
        tuple(table.column("name").to_pylist()),
        alone[order],
        keys[order],
        sets_of_grams.values[by_value],
        owners[by_value],
        sets_of_grams.sizes,
    )


def long_ngrams(texts: pa.Array | pa.ChunkedArray, ngram_words: int, min_words: int) -> Shingles:
    """Returns the set of each text's n-grams; the empty set for a text of fewer than `min_words` words."""
    texts = one_array(texts)
    long = np.flatnonzero(word_counts(texts) >= min_words)
    found = shingles(texts.take(pa.array(long)), ngram_words)
    sizes = np.zeros(len(texts), np.int64)
    sizes[long] = found.sizes
    return Shingles(found.values, np.append(0, np.cumsum(sizes)))


def word_counts(texts: pa.Array | pa.ChunkedArray) -> _Ints:
    """Returns the number of words and signs of each text, int64[n]."""
    counts = pc.list_value_length(split_words_and_signs(texts))
    return np.asarray(pc.fill_null(counts, 0).to_numpy(zero_copy_only=False), np.int64)


def equal_texts(texts: pa.Array, alone: npt.NDArray[np.bool_], known: EvaluationTexts) -> Iterator[Found]:
    """Yields the texts (by place) that evaluation sets have: those where both stand alone, then the others.

    The value is the text's number of words.
    """
    keys = text_keys(texts)
    starts, stops = (np.searchsorted(known.keys[:, 0], keys[:, 0], side) for side in ("left", "right"))
    row = np.repeat(np.arange(len(keys)), stops - starts)
    at = ranges(starts.astype(np.int64), (stops - starts).astype(np.int64))
    same = known.keys[at, 1] == keys[row, 1]
    row, at = row[same], at[same]
    words = word_counts(texts.take(pa.array(row)))
    both = alone[row] & known.alone[at]
    for way, chosen in ((EQUAL, both), (BESIDE, ~both)):
        yield row[chosen], _entries(known, at[chosen], way, words[chosen])


def overlapping_texts(sets: Shingles, known: EvaluationTexts) -> Iterator[Found]:
    """Yields the texts (by place) that share n-grams with evaluation texts: by each way the nearest text of each set.

    Values are shares: of the evaluation text's n-grams, and of the text's own.
    """
    starts, stops = (np.searchsorted(known.grams, sets.values, side) for side in ("left", "right"))
    matches = (stops - starts).astype(np.int64)
    match_stops = np.cumsum(matches)
    text = np.repeat(np.arange(len(sets)), sets.sizes)
    last = np.append(0, match_stops)[sets.offsets[1:]]  # matches up to the end of each text
    for block in np.split(np.arange(len(sets)), np.flatnonzero(np.diff(last // _MATCHES_AT_ONCE)) + 1):
        grams = slice(sets.offsets[block[0]], sets.offsets[block[-1] + 1]) if len(block) else slice(0, 0)
        owner = known.owners[ranges(starts[grams].astype(np.int64), matches[grams])]
        pair = np.repeat(text[grams], matches[grams]) * max(1, len(known.sizes)) + owner
        pairs, shared = np.unique(pair, return_counts=True)
        row, at = np.divmod(pairs, max(1, len(known.sizes)))
        for way, size in ((COVERAGE, known.sizes[at]), (CONTAINED, sets.sizes[row])):
            share = shared / size
            best = _best(row, known.set_of[at], share)
            best = best[share[best] >= MIN_SHARE]
            yield row[best], _entries(known, at[best], way, share[best])


def _best(row: _Ints, number: _Ints, value: npt.NDArray[np.float64]) -> _Ints:
    """Returns the places of the largest value of each row and set; of equal ones the first."""
    order = np.lexsort((np.arange(len(row)), -value, number, row))
    first = np.append(True, (row[order][1:] != row[order][:-1]) | (number[order][1:] != number[order][:-1]))
    return order[first[: len(order)]]


def _entries(known: EvaluationTexts, at: _Ints, way: str, values: npt.NDArray[np.number]) -> pa.Table:  # type: ignore[type-arg]
    sets = [known.sets[number] for number in known.set_of[at].tolist()]
    return entries_of(sets, [known.names[each] for each in at.tolist()], way, values.astype(np.float64))
