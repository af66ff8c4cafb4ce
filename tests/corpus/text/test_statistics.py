"""Statistics of texts, each by texts of which it is known."""

from __future__ import annotations

import pyarrow as pa
import pytest

from corpus.text.statistics import TEXT_STATISTICS, text_statistics

TEXTS = [
    "A red car stands in front of a house.",
    "shoes nike shoes running shoes sale shoes",
    "shoes, nike, running shoes, cheap, sale, men, sneakers, discount",
    "https://example.com/a/b.html",
    "See www.example.com for more",
    "好的照片",
    "*** !!! a",
    "buy it now! " * 30,
    " padded ",
    "",
    None,
]


def column(name: str) -> list[object]:
    return text_statistics(pa.array(TEXTS), [name]).column(name).to_pylist()


def test_numbers_of_characters_and_words() -> None:
    assert column("chars") == [37, 41, 64, 28, 28, 4, 9, 359, 6, 0, 0]
    assert column("words") == [9, 7, 9, 6, 6, 4, 1, 90, 1, 0, 0]


def test_shares() -> None:
    assert column("alnum_share")[6] == pytest.approx(1 / 7)
    assert column("alnum_share")[8:] == [1.0, 1.0, 1.0]
    assert column("top_word_share")[:3] == [0.0, pytest.approx(4 / 7), 0.0], "of nothing that comes fewer than 3 times"
    assert column("stop_word_share")[0] == pytest.approx(5 / 9), "a in front of a"
    assert column("stop_word_share")[2] == 0
    assert column("ngram_share")[7] == pytest.approx(3 / 88) and set(column("ngram_share")[:7]) == {1.0}
    assert column("url_share")[3:5] == [1.0, pytest.approx(15 / 28)] and column("url_share")[0] == 0


def test_lists_of_keywords_have_many_short_items() -> None:
    assert column("list_items")[:3] == [1, 1, 8]
    assert column("list_item_words")[2] == pytest.approx(9 / 8)


def test_all_columns_have_their_types_and_slices_are_as_the_whole() -> None:
    whole = text_statistics(pa.array(TEXTS))
    assert whole.schema == TEXT_STATISTICS
    assert text_statistics(pa.chunked_array([TEXTS[:4], TEXTS[4:]])).equals(whole)
    assert text_statistics(pa.array(TEXTS).slice(2, 5)).equals(whole.slice(2, 5).combine_chunks())
    assert text_statistics(pa.array([], pa.string())).num_rows == 0
