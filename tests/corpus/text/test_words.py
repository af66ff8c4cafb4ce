"""Words of all scripts and signs, the same for a column as for one text."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text import words as words_module
from corpus.text.words import counts_between_blanks, split_words, split_words_and_signs, words

TEXTS = ["The cat, the CAT sat!", "cat", "", None, "?!", "a b", "猫が好き ok", "one two three one two three", "ไป"]
WORDS = [["the", "cat", "the", "cat", "sat"], ["cat"], [], [], [], ["a", "b"], [*"猫が好き", "ok"]]
WORDS += [["one", "two", "three"] * 2, [*"ไป"]]
OF_ONE_TEXT = {
    "A dog-sized cat's 3 toys_here.": ["a", "dog", "sized", "cat's", "3", "toys", "here"],
    "The dog’s 'old' bowls, the dogs' 1990's rock-'n'-roll": [
        *["the", "dog's", "old", "bowls", "the", "dogs", "1990's", "rock", "n", "roll"]
    ],
    "''it''s' 'a' 'b": ["it", "s", "a", "b"],
    "L’été d'Anne‑Marie": ["l'été", "d'anne", "marie"],
    "Łódź, São Paulo": ["łódź", "são", "paulo"],
    "犬が走る dog's 犬's": ["犬", "が", "走", "る", "dog's", "犬", "s"],
    "हिन्दी में": ["हिन्दी", "में"],
    "...": [],
    "'": [],
    "a \ud800b": ["a", "b"],
}


def test_words_of_one_text() -> None:
    assert {text: words(text) for text in OF_ONE_TEXT} == OF_ONE_TEXT


@given(st.text() | st.text("aB1 '’-_.中ก\u0301\n"))
def test_a_text_alone_has_the_words_that_it_has_in_a_column(text: str) -> None:
    found = split_words(pa.array([text, "ä", None])).to_pylist()
    assert [words(text), ["ä"], None] == [found[0] or [], *found[1:]]
    assert all(word and not word.isspace() and word.strip("'") == word for word in words(text))


def test_a_file_name_counts_as_one_word_between_blanks() -> None:
    texts = pa.array(["", "two words", " IMG_2034-final.jpg ", "a\u3000b\u00a0c", "一只狗", "the dog's"])
    assert counts_between_blanks(texts).to_pylist() == [0, 2, 1, 3, 3, 2]


def test_words_are_lower_case_and_characters_where_there_are_no_blanks():
    assert [words or [] for words in split_words(pa.array(TEXTS)).to_pylist()] == WORDS
    assert [words or [] for words in split_words(pa.array(TEXTS).slice(5, 2)).to_pylist()] == WORDS[5:7]


SIGNED = {
    "I code in C++ and C#.": ["i", "code", "in", "c", "+", "+", "and", "c", "#"],
    "Is x > 3, or x < -3?": ["is", "x", ">", "3", "or", "x", "<", "−", "3"],
    "7 - 3 and 7 − 3, not 7-3": ["7", "−", "3", "and", "7", "−", "3", "not", "7", "3"],
    "a dog - brown - on a well-known beach": ["a", "dog", "brown", "on", "a", "well", "known", "beach"],
    "5% or $5 at 10:30, 3/4 of 1.5": [
        *["5", "%", "or", "$", "5", "at", "10", "∶", "30", "3", "∕", "4", "of", "1", "⋅", "5"]
    ],
    "★★☆ ❤️ **bold** 2*3": ["★", "★", "☆", "❤", "bold", "2", "∗", "3"],
    "“Quoted”, (bracketed); done!": ["quoted", "bracketed", "done"],
    "5×3 猫 +1": ["5", "×", "3", "猫", "+", "1"],
}


def test_signs_that_tell_texts_apart_are_words():
    found = split_words_and_signs(pa.array(list(SIGNED))).to_pylist()
    assert dict(zip(SIGNED, found, strict=True)) == SIGNED
    both = pa.array(["plain words only", *SIGNED, None, ""]).slice(1)
    assert split_words_and_signs(both).to_pylist()[:-2] == list(SIGNED.values())


@given(st.lists(st.text() | st.text("ab1 -.*/:+−é…★\ufe0f²ß中'"), max_size=5))
def test_texts_without_signs_are_split_as_if_they_might_have_some(texts):
    column = pa.array([text.encode("utf-8", "ignore").decode() for text in texts], pa.string())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_module, "_may_have_signs", lambda some: np.ones(len(some), bool))
        expected = split_words_and_signs(column)
    assert split_words_and_signs(column).to_pylist() == expected.to_pylist()
