"""What a threshold of texts says is removed is what the rule removes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.text.statistics import text_statistics
from corpus.thresholds import Threshold
from filters.text.pair_rules import PairTextSettings
from filters.text.rules import TextFilterSettings, broken_rules
from filters.text.thresholds import PAIR_TEXT_THRESHOLDS, SOURCE_TEXT_THRESHOLDS

TEXTS = [
    "A red bicycle leans on a wall in the morning sun.",
    "ok",
    "!!! ??? *** a",
    "see https://example.com/a/very/long/path and www.example.org/another",
    "kettle kettle kettle kettle red kettle",
    "the same words again " * 20,
    "the same words again " * 4,
    "word " * 300,
    "",
    "two words",
]
SETTINGS = {
    "max_url_share": 0.4,
    "min_chars": 4,
    "max_chars": 400,
    "min_alnum_share": 0.5,
    "min_words": 3,
    "max_words": 60,
    "min_unique_ngram_share": 0.4,
    "min_unique_short_ngram_share": 0.5,
    "max_top_word_share": 0.45,
}


def kept(threshold: Threshold, rows: pa.Table) -> np.ndarray:
    name = threshold.setting.rpartition(".")[2]
    numbers = threshold.numbers(rows).to_numpy(zero_copy_only=False).astype(float)
    return threshold.bound.passes(numbers, SETTINGS[name])


def sides(query: list[str], positive: list[str]) -> pa.Table:
    texts = {"query": query, "positive": positive}
    return pa.table({name: [{"text": text} for text in each] for name, each in texts.items()})


def stored(rows: pa.Table, side: str) -> list[dict[str, object] | None]:
    """The statistics of a side's texts as the stage `text_stats` stores them: null for a side without one."""
    found = text_statistics(pa.array([row["text"] for row in rows.column(side).to_pylist()]))
    return [row if row["chars"] else None for row in found.to_pylist()]


def test_each_agrees_with_its_rule() -> None:
    statistics = text_statistics(pa.array(TEXTS))
    rows = sides(TEXTS, ["A sentence that breaks no rule at all."] * len(TEXTS))
    tables = {"texts": rows, "text_stats": pa.table({f"{side}_text": stored(rows, side) for side in rows.column_names})}
    found = 0
    for threshold in (*SOURCE_TEXT_THRESHOLDS, *PAIR_TEXT_THRESHOLDS):
        if threshold.table == "text_counts":
            continue
        name = threshold.setting.rpartition(".")[2]
        off = {"max_words": None, "min_chars": 1, "min_words": 0, "min_alnum_share": 0, "min_unique_ngram_share": 0}
        alone = TextFilterSettings(**{**off, "max_top_word_share": 1, name: SETTINGS[name]})
        broken = broken_rules(statistics, alone)[threshold.reason] & np.array([bool(text) for text in TEXTS])
        assert np.array_equal(kept(threshold, tables[threshold.table]), ~broken), threshold.setting
        found += broken.sum()
    assert found >= 2 * len(SETTINGS), "each rule breaks something"


def test_the_worse_of_both_sides_decides() -> None:
    thresholds = {each.setting: each for each in SOURCE_TEXT_THRESHOLDS}
    rows = sides(["abc", "abcdef", ""], ["abcdefgh", "ab", "abcde"])
    assert thresholds["filter.min_chars"].numbers(rows).to_pylist() == [3, 2, 5]
    assert thresholds["filter.max_chars"].numbers(rows).to_pylist() == [8, 6, 5]


def test_counts_of_texts_that_come_once() -> None:
    thresholds = {each.setting: each for each in PAIR_TEXT_THRESHOLDS}
    counts = pa.table(
        {
            "query_template_count": [None, 5],
            "positive_template_count": [3, None],
            "query_text_rank": pa.array([None, 2], pa.int64()),
            "positive_text_rank": pa.array([None, None], pa.int64()),
        }
    )
    assert thresholds["max_rows_per_template"].numbers(counts).to_pylist() == [3, 5]
    assert thresholds["max_rows_per_text"].numbers(counts).to_pylist() == [0, 2]


def test_names_are_settings() -> None:
    for threshold in SOURCE_TEXT_THRESHOLDS:
        assert threshold.setting.removeprefix("filter.") in TextFilterSettings.model_fields
    assert {each.setting for each in PAIR_TEXT_THRESHOLDS} <= set(PairTextSettings.model_fields)
