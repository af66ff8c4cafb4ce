"""Shingles against sets made one by one, and signatures against the similarity that they stand for."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text import minhash
from corpus.text.minhash import Shingles, shingle_hashes, shingles, signatures, split_words, split_words_and_signs

TEXTS = ["The cat, the CAT sat!", "cat", "", None, "?!", "a b", "猫が好き ok", "one two three one two three", "ไป"]
WORDS = [["the", "cat", "the", "cat", "sat"], ["cat"], [], [], [], ["a", "b"], [*"猫が好き", "ok"]]
WORDS += [["one", "two", "three"] * 2, [*"ไป"]]


def set_of(sets: Shingles, text: int) -> frozenset[int]:
    return frozenset(sets.values[sets.offsets[text] : sets.offsets[text + 1]].tolist())


def test_words_are_lower_case_and_characters_where_there_are_no_blanks():
    assert [words or [] for words in split_words(pa.array(TEXTS)).to_pylist()] == WORDS
    assert [words or [] for words in split_words(pa.array(TEXTS).slice(5, 2)).to_pylist()] == WORDS[5:7]


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_equal_runs_of_words_have_equal_hashes_and_others_not(width):
    known: dict[tuple[str, ...], int] = {}
    hashes, counts = shingle_hashes(split_words(pa.array(TEXTS)), width)
    runs = []
    for words in WORDS:
        starts = range(max(len(words) - width + 1, min(1, len(words))))
        runs.append([tuple(words[start : start + width]) for start in starts])
    assert counts.tolist() == [len(each) for each in runs]
    for run, number in zip([run for each in runs for run in each], hashes.tolist(), strict=True):
        assert known.setdefault(run, number) == number
    assert len(set(known.values())) == len(known)


def test_sets_are_sorted_and_distinct_and_texts_without_words_have_one_of_their_own():
    sets = shingles(pa.chunked_array([TEXTS[:3], TEXTS[3:]]), 3)
    assert sets.sizes.tolist() == [3, 1, 1, 1, 1, 1, 3, 3, 1]
    assert set_of(sets, 2) == set_of(sets, 3) != set_of(sets, 4)
    for text in range(len(sets)):
        assert (np.diff(sets.values[sets.offsets[text] : sets.offsets[text + 1]].astype(np.int64)) > 0).all()
    alone = shingles(pa.array([TEXTS[7]]), 3)
    assert set_of(alone, 0) == set_of(sets, 7)
    assert len(shingles(pa.array([], pa.string()), 3)) == 0


def test_the_smallest_of_each_set_and_back_from_lists():
    sets = Shingles(np.array([1, 5, 9, 2, 3, 4, 8], np.uint32), np.array([0, 3, 3, 7]))
    some = sets.smallest(2)
    assert (some.values.tolist(), some.offsets.tolist()) == ([1, 5, 2, 3], [0, 2, 2, 4])
    back = Shingles.of_lists(pa.chunked_array([some.to_lists().slice(0, 1), some.to_lists().slice(1)]))
    assert (back.values.tolist(), back.offsets.tolist()) == (some.values.tolist(), some.offsets.tolist())


@pytest.mark.parametrize("shared", [100, 150, 190])
def test_signatures_agree_as_often_as_the_sets_are_alike(shared):
    rng = np.random.default_rng(shared)
    numbers = np.unique(rng.integers(0, 1 << 32, 200 * 400, dtype=np.uint32))[: 200 * 380]
    pool = rng.permutation(numbers).reshape(200, 380)
    offsets = np.arange(201) * 200
    a, b = pool[:, :200], pool[:, 200 - shared : 400 - shared]
    signed = [signatures(Shingles(np.sort(side, axis=1).ravel(), offsets), 128) for side in (a, b)]
    assert abs((signed[0] == signed[1]).mean() - shared / (400 - shared)) < 0.012


def test_a_signature_does_not_depend_on_the_other_texts_and_unions_are_minima():
    rng = np.random.default_rng(2)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 50, size)) for size in rng.integers(0, 60, 400)]
    sets = shingles(pa.array(texts), 1)
    signed = signatures(sets, 32, seed=5)
    assert np.array_equal(signatures(shingles(pa.array(texts[7:9]), 1), 32, seed=5), signed[7:9])
    assert not np.array_equal(signatures(sets, 32, seed=6), signed)
    joined = [f"{one} {other}" for one, other in zip(texts, reversed(texts), strict=True) if one and other]
    filled = np.array([bool(one and other) for one, other in zip(texts, reversed(texts), strict=True)])
    expected = np.minimum(signed, signed[::-1])[filled]
    assert np.array_equal(signatures(shingles(pa.array(joined), 1), 32, seed=5), expected)
    assert not (signatures(sets, 32, seed=5, tag=1) == signed).mean() > 0.05
    empty = signatures(Shingles(np.empty(0, np.uint32), np.zeros(3, np.int64)), 16)
    assert (empty == 2**32 - 1).all() and empty.shape == (2, 16)


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
        patch.setattr(minhash, "_may_have_signs", lambda some: np.ones(len(some), bool))
        expected = split_words_and_signs(column)
    assert split_words_and_signs(column).to_pylist() == expected.to_pylist()
