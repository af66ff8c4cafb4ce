"""The stage `texts` cleans the texts of pairs, filters unusable pairs, and removes unusable negatives.

Texts are cleaned by `corpus.text.clean`; a pair is filtered by the first rule that its query or its positive fails. The
table has the cleaned sides; the source's table keeps the original ones. A side is a struct of `text` and `images`
(names). Tables have the sides `query` and `positive`, and `negatives`, lists of sides.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpus.arrays import one_array
from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import ROWS, Gives, MapStage, Shard
from corpus.text.clean import TextCleanSettings, clean_texts
from corpus.text.keys import side_keys
from corpus.text.language import LANGUAGES, in_another_language
from corpus.text.minhash import shingle_hashes
from corpus.text.words import split_words

# The reasons why negatives are removed from their lists, in the order of the checks; each is a column of counts.
NEGATIVE_REASONS = ("negative_unusable", "negative_equals_positive", "duplicate_negative")
_SIDE = pa.struct([pa.field("text", pa.string()), pa.field("images", pa.list_(pa.string()))])
_NEGATIVE = pa.struct([*_SIDE, pa.field("score", pa.float32())])
_NGRAM_WORDS = 3
_MIN_NGRAMS = 20  # in shorter texts repetition is not measured
_MIN_CHARS = 2 * _MIN_NGRAMS  # of a text with so many n-grams


class TextFilterSettings(Settings):
    """Settings of the filter of texts. Characters are Unicode's."""

    min_chars: int = Field(
        1,
        ge=1,
        description="The shortest text in characters; answers and labels may well have one; below it the pair is "
        "filtered (too_short).",
    )
    max_chars: int = Field(
        20_000, ge=1, description="The longest text in characters; above it the pair is filtered (too_long)."
    )
    min_alnum_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="The share of letters and digits among a text's characters, blanks aside; below it the pair "
        "is filtered (mostly_symbols).",
    )
    min_unique_ngram_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="The share of different ones among a text's word 3-grams, if it has 20 or more; below it the "
        "pair is filtered (repetitive).",
    )
    languages: tuple[str, ...] = Field(
        (),
        description="The languages of texts, ISO 639-1 codes; a text that is clearly in none of them, or has a "
        "sentence that is, is filtered (wrong_language); an empty list allows any.",
    )

    @field_validator("languages")
    @classmethod
    def _are_known(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(languages) - set(LANGUAGES)):
            raise ValueError(f"no such languages: {', '.join(unknown)}; known: {', '.join(LANGUAGES)}")
        return languages


class TextsSettings(Settings):
    """Settings of the stage `texts`: how texts are cleaned, and which are filtered."""

    clean: TextCleanSettings = Field(TextCleanSettings(), description="How texts are cleaned.")
    filter: TextFilterSettings = Field(TextFilterSettings(), description="Which texts are good enough.")


class Texts(MapStage):
    """The stage that cleans and filters pairs (see `filter_pairs`); its metrics count changed pairs and negatives."""

    name = "texts"
    reads = (ROWS,)
    settings_key = "texts"
    settings_type = TextsSettings
    over = frozenset({Gives.PAIRS})
    summary = (
        "the cleaned texts (Unicode, mojibake, HTML, control characters); which pairs are unusable "
        "(`filter.languages: [en]` refuses other languages, 30 are known) and which negatives equal the positive"
    )
    schema = pa.schema(
        [
            pa.field("query", _SIDE),
            pa.field("positive", _SIDE),
            pa.field("negatives", pa.list_(_NEGATIVE)),
            *(pa.field(name, pa.int32()) for name in NEGATIVE_REASONS),  # how many were removed
        ]
    )

    def __init__(self, settings: TextsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._texts

    def _texts(self, shard: Shard) -> pa.Table:
        sides = shard[ROWS].select(["query", "positive", "negatives"])
        cleaned, changed = clean_pairs(sides, self._settings.clean)
        columns = filter_pairs(cleaned, self._settings.filter)
        counts = {name: pc.sum(columns.column(name), min_count=0).as_py() for name in NEGATIVE_REASONS}
        shard.metrics["texts"] = {"changed": int(np.count_nonzero(changed)), **counts}
        for side in ("query", "positive"):
            columns = columns.append_column(side, cleaned.column(side))
        return columns


def clean_pairs(rows: pa.Table, settings: TextCleanSettings) -> tuple[pa.Table, np.ndarray]:
    """Returns the table with all its texts cleaned, and which rows were changed, bool[n]."""
    changed = np.zeros(len(rows), dtype=bool)
    for name in ("query", "positive"):
        sides, was_changed = _clean_sides(one_array(rows.column(name)), settings)
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), sides)
        changed |= was_changed
    negatives = one_array(rows.column("negatives"))
    sides, was_changed = _clean_sides(pc.list_flatten(negatives), settings)
    changed[_list_rows(negatives)[was_changed]] = True
    lists = _rebuild_lists(sides, np.bincount(_list_rows(negatives), minlength=len(rows)), negatives.type)
    return rows.set_column(rows.column_names.index("negatives"), rows.schema.field("negatives"), lists), changed


def filter_pairs(rows: pa.Table, settings: TextFilterSettings) -> pa.Table:
    """Returns the `status` and `reason` of each pair, its usable `negatives`, and counts of the others by reason.

    The reasons of a pair are those of `text_reasons`, of the query or else of the positive, and query_equals_positive.
    A side with images may have an empty text. A negative that equals the query stays: some datasets with images have it
    on purpose.
    """
    query, positive = (one_array(rows.column(name)) for name in ("query", "positive"))
    positive_keys = side_keys(positive)
    is_query = (side_keys(query) == positive_keys).all(axis=1)
    reason = _first_reason(
        _side_reasons(query, settings),
        _side_reasons(positive, settings),
        pc.if_else(pa.array(is_query), "query_equals_positive", ""),
    )
    columns = {
        "status": pc.if_else(pc.equal(reason, ""), str(Status.KEPT), str(Status.FILTERED)),
        "reason": reason,
    }
    return pa.table(columns | _filter_negatives(one_array(rows.column("negatives")), positive_keys, settings))


def _filter_negatives(lists: pa.Array, positive: np.ndarray, settings: TextFilterSettings) -> dict[str, pa.Array]:
    """Returns the usable `negatives`, and a column of counts for each of NEGATIVE_REASONS."""
    sides, list_row = pc.list_flatten(lists), _list_rows(lists)
    keys = side_keys(sides)
    unusable = np.asarray(pc.not_equal(_side_reasons(sides, settings), ""))
    is_positive = (keys == positive[list_row]).all(axis=1) & ~unusable
    remaining = np.flatnonzero(~unusable & ~is_positive)
    order = remaining[np.lexsort((remaining, keys[remaining, 1], keys[remaining, 0], list_row[remaining]))]
    is_repeated = (list_row[order][1:] == list_row[order][:-1]) & (keys[order][1:] == keys[order][:-1]).all(axis=1)
    repeated = np.zeros(len(sides), dtype=bool)
    repeated[order[1:][is_repeated]] = True
    kept = ~(unusable | is_positive | repeated)
    removed = dict(zip(NEGATIVE_REASONS, (unusable, is_positive, repeated), strict=True))
    counts = {
        name: pa.array(np.bincount(list_row[some], minlength=len(lists)), pa.int32()) for name, some in removed.items()
    }
    remaining = np.bincount(list_row[kept], minlength=len(lists))
    return {"negatives": _rebuild_lists(sides.filter(pa.array(kept)), remaining, lists.type), **counts}


def _side_reasons(sides: pa.Array, settings: TextFilterSettings) -> pa.Array:
    reasons = text_reasons(pc.struct_field(sides, "text"), settings)
    has_images = pc.greater(pc.fill_null(pc.list_value_length(pc.struct_field(sides, "images")), 0), 0)
    return pc.if_else(pc.and_(has_images, pc.equal(reasons, "empty_text")), "", reasons)


def _clean_sides(sides: pa.Array, settings: TextCleanSettings) -> tuple[pa.Array, np.ndarray]:
    texts, changed = clean_texts(pc.struct_field(sides, "text"), settings)
    columns = [texts if field.name == "text" else pc.struct_field(sides, field.name) for field in sides.type]
    return pa.StructArray.from_arrays(columns, fields=list(sides.type)), changed


def _first_reason(*reasons: pa.Array) -> pa.Array:
    first = reasons[0]
    for other in reasons[1:]:
        first = pc.if_else(pc.equal(first, ""), other, first)
    return first


def _list_rows(lists: pa.Array) -> np.ndarray:
    """Returns the row of each side of the flattened lists, int64."""
    return pc.list_parent_indices(lists).to_numpy().astype(np.int64)


def _rebuild_lists(sides: pa.Array, counts: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(counts)), pa.int32()), sides, type=kind)


def text_reasons(texts: pa.Array | pa.ChunkedArray, settings: TextFilterSettings) -> pa.Array:
    """Returns the first rule that each text fails, "" for none: string[n]. Null is an empty text.

    The reasons: empty_text, too_short, too_long, mostly_symbols, repetitive, wrong_language.
    """
    texts = pc.fill_null(one_array(texts), "")
    chars = pc.utf8_length(texts)
    reasons = np.full(len(texts), "", dtype=object)
    rules = {
        "empty_text": np.asarray(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)),
        "too_short": np.asarray(pc.less(chars, settings.min_chars)),
        "too_long": np.asarray(pc.greater(chars, settings.max_chars)),
    }
    for name, broken in rules.items():
        reasons[(reasons == "") & broken] = name
    for name, breaks_rule in (
        ("mostly_symbols", _mostly_symbols),
        ("repetitive", _repeats_itself),
        ("wrong_language", _is_in_another_language),
    ):
        remaining = np.flatnonzero(reasons == "")
        reasons[remaining[breaks_rule(texts.take(pa.array(remaining)), settings)]] = name
    return pa.array(reasons, pa.string())


def _mostly_symbols(texts: pa.Array, settings: TextFilterSettings) -> np.ndarray:
    symbols = pc.replace_substring_regex(texts, r"[\p{L}\p{N}\p{M}]+", "")
    blanks = pc.replace_substring_regex(symbols, r"[^\s\p{Z}]+", "")
    remaining, blank, chars = (np.asarray(pc.utf8_length(some)) for some in (symbols, blanks, texts))
    return chars - remaining < settings.min_alnum_share * (chars - blank)


def _repeats_itself(texts: pa.Array, settings: TextFilterSettings) -> np.ndarray:
    repeats = np.zeros(len(texts), dtype=bool)
    long = np.flatnonzero(np.asarray(pc.greater_equal(pc.binary_length(texts), _MIN_CHARS)))
    hashes, counts = shingle_hashes(split_words(texts.take(pa.array(long))), _NGRAM_WORDS)
    rows = np.repeat(np.arange(len(long), dtype=np.uint64), counts)
    ngrams = np.sort((rows << np.uint64(32)) | (hashes >> np.uint64(32)))
    new = np.append(True, ngrams[1:] != ngrams[:-1])[: len(ngrams)]
    distinct = np.bincount((ngrams[new] >> np.uint64(32)).astype(np.int64), minlength=len(long))
    repeats[long] = (counts >= _MIN_NGRAMS) & (distinct < settings.min_unique_ngram_share * counts)
    return repeats


def _is_in_another_language(texts: pa.Array, settings: TextFilterSettings) -> np.ndarray:
    if not settings.languages:
        return np.zeros(len(texts), dtype=bool)
    return in_another_language(texts, settings.languages)
