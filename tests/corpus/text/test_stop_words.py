"""Stop words of several languages."""

import pyarrow as pa

from corpus.text.stop_words import STOP_WORDS, is_stop_word


def test_words_of_several_languages_and_nothing_with_a_meaning() -> None:
    words = ["the", "und", "avec", "della", "een", "dog", "haus", "rouge", "red", ""]
    assert is_stop_word(pa.array(words)).to_pylist() == [True] * 5 + [False] * 5
    assert all(word == word.lower() and " " not in word for word in STOP_WORDS)
