"""The rules of texts as thresholds: of the texts that a source's pairs have, and of those of a dataset's pairs.

A pair is removed by one of its texts, so its number is the lower of the two where low ones are removed, and else the
higher one. A side without a text has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.text.statistics import text_statistics
from corpus.thresholds import Bound, Shows, Threshold

_SIDES = ("query", "positive")


class _Rule(NamedTuple):
    """A setting, which side of it is kept, the number that it cuts, what that is, and the reason of what it removes."""

    setting: str
    bound: Bound
    number: str
    measures: str
    reason: str


_RULES = (
    _Rule("max_url_share", Bound.UPPER, "url_share", "share of URLs among the characters", "mostly_url"),
    _Rule("min_chars", Bound.LOWER, "chars", "characters of a text", "too_short"),
    _Rule("max_chars", Bound.UPPER, "chars", "characters of a text", "too_long"),
    _Rule("min_alnum_share", Bound.LOWER, "alnum_share", "share of letters and digits", "mostly_symbols"),
    _Rule("min_words", Bound.LOWER, "words", "words of a text", "too_few_words"),
    _Rule("max_words", Bound.UPPER, "words", "words of a text", "too_many_words"),
    _Rule("min_unique_ngram_share", Bound.LOWER, "ngram_share", "share of different word 3-grams", "repetitive"),
    _Rule(
        "min_unique_short_ngram_share",
        Bound.LOWER,
        "short_ngram_share",
        "the same of texts with 8 to 19 of them",
        "repetitive",
    ),
    _Rule("max_top_word_share", Bound.UPPER, "top_word_share", "share of the most frequent word", "keyword_stuffing"),
)
_TEMPLATES = _Rule(
    "max_rows_per_template", Bound.UPPER, "template_count", "pairs with the text, numbers put aside", "boilerplate"
)
_REPEATS = _Rule(
    "max_rows_per_text", Bound.BELOW, "text_rank", "place among the pairs with the same text, from 0", "repeated_text"
)
_LOGARITHMIC = ("chars", "words", "template_count", "text_rank")

SideNumbers = Callable[[pa.Table, str], pa.Array]  # the numbers of the texts of one side, null: it has no text


def _threshold(rule: _Rule, table: str, columns: Sequence[str], of: SideNumbers) -> Threshold:
    return Threshold(
        setting=rule.setting,
        bound=rule.bound,
        table=table,
        columns=tuple(columns),
        value=lambda rows: worse(rows, rule.bound, of),
        measures=rule.measures,
        reason=rule.reason,
        shows=Shows.TEXT,
        logarithmic=rule.number in _LOGARITHMIC,
    )


def worse(rows: pa.Table, bound: Bound, of: SideNumbers, sides: Sequence[str] = _SIDES) -> pa.Array:
    """Returns the number of the side that is removed first: double[n]."""
    numbers = [of(rows, side).cast(pa.float64()) for side in sides]
    return pc.min_element_wise(*numbers) if bound.keeps_high else pc.max_element_wise(*numbers)


def _measured(statistic: str) -> SideNumbers:
    """Measures the texts of a table's sides: of the stage `texts`, which stores no statistics."""

    def of(rows: pa.Table, side: str) -> pa.Array:
        texts = pc.fill_null(pc.struct_field(one_array(rows.column(side)), "text"), "").dictionary_encode()
        found = one_array(text_statistics(texts.dictionary, [statistic]).column(0))
        return pc.if_else(pc.equal(texts.dictionary, ""), None, found).take(texts.indices)

    return of


def _stored(statistic: str) -> SideNumbers:
    """Reads the statistics of the stage `text_stats`."""
    return lambda rows, side: pc.struct_field(one_array(rows.column(f"{side}_text")), statistic)


def _counted(count: str, alone: int) -> SideNumbers:
    """Reads the counts of the stage `text_counts`; null is a text of no other pair."""
    return lambda rows, side: pc.fill_null(one_array(rows.column(f"{side}_{count}")), alone)


def _of_counts(rule: _Rule, alone: int) -> Threshold:
    columns = [f"{side}_{rule.number}" for side in _SIDES]
    return _threshold(rule, "text_counts", columns, _counted(rule.number, alone))


SOURCE_TEXT_THRESHOLDS = tuple(
    replace(_threshold(rule, "texts", _SIDES, _measured(rule.number)), setting=f"filter.{rule.setting}", cost=5)
    for rule in _RULES
)
PAIR_TEXT_THRESHOLDS = (
    *(_threshold(rule, "text_stats", [f"{side}_text" for side in _SIDES], _stored(rule.number)) for rule in _RULES),
    _of_counts(_TEMPLATES, alone=1),
    _of_counts(_REPEATS, alone=0),
)
