"""What counts as the same text and the same side."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text import keys
from corpus.text.keys import list_keys, normalize_for_comparison, normalize_text, side_ids, side_keys, text_keys

SIDE = pa.struct([("text", pa.string()), ("images", pa.list_(pa.string()))])


@pytest.mark.parametrize(
    "texts",
    [
        ["What is  X?", "what is x", ' "What is X" ', "WHAT\nIS\xa0X…"],
        ["It's „so“", "it’s “so”."],
        ["Caf\u00e9", "cafe\u0301!"],
        ["???", " ??? "],
        ["", None, "  "],
    ],
)
def test_texts_that_count_as_the_same(texts):
    assert len(set(normalize_for_comparison(pa.array(texts)).to_pylist())) == 1
    assert len(np.unique(text_keys(pa.array(texts)), axis=0)) == 1


def test_texts_that_do_not():
    texts = ["C++", "C#", "C", "1.5", "15", "-5", "5", "a < b", "a > b", "?", "!", "", "x²", "x2"]
    assert len(np.unique(text_keys(pa.chunked_array([texts[:4], texts[4:]])), axis=0)) == len(texts)


def test_lists_are_told_apart_by_their_strings_and_their_order():
    lists = [[], ["a"], ["a", "b"], ["b", "a"], ["ab"], ["a", "a"], ["", "a"], [""], None]
    keys = list_keys(pa.array(lists, pa.list_(pa.string())))
    assert len(np.unique(keys)) == len(lists) - 1
    assert keys[0] == keys[-1]
    assert np.array_equal(list_keys(pa.array(lists, pa.list_(pa.string())).slice(2, 4)), keys[2:6])


def test_sides_are_the_same_if_texts_and_images_are():
    sides = [("A cat.", ["1"]), ("a cat", ["1"]), ("a cat", ["2"]), ("a cat", []), ("", ["1"]), ("dog", ["1"])]
    column = pa.array([{"text": text, "images": images} for text, images in sides], SIDE)
    keys = side_keys(column)
    assert (keys[0] == keys[1]).all()
    assert len(np.unique(keys, axis=0)) == len(sides) - 1
    assert np.array_equal(side_keys(column.slice(3, 2)), keys[3:5])
    assert side_keys(column.slice(0, 0)).shape == (0, 2)


@given(st.text() | st.text("aBÀe\u0301\u0323İΣσ猫Ａ '\"’`´«.,!…。\t\n\v\x1c\x85\xa0\u3000"))
def test_any_text_is_compared_alone_as_in_a_column(text):
    assert [normalize_text(text)] == normalize_for_comparison(pa.array([text])).to_pylist()


def test_any_character_is_compared_alone_as_in_a_column():
    texts = [f"{chr(code)}a{chr(code)}" for code in range(0x20000)]
    texts = [text for text in texts if keys._EQUIVALENT.fullmatch(text)]  # the others go through a column
    assert len(texts) > 60_000
    expected = normalize_for_comparison(pa.array(texts)).to_pylist()
    found = map(normalize_text.__wrapped__, texts)
    assert [pair for pair in zip(texts, found, expected, strict=True) if pair[1] != pair[2]] == []


def test_a_text_is_compared_alike_whatever_else_is_in_its_column():
    texts = ["`a`", "A\tb.", '"a"', "é", "’a’ b"]
    found = normalize_for_comparison(pa.array(texts)).to_pylist()
    assert [normalize_for_comparison(pa.array([text]))[0].as_py() for text in texts] == found
    assert found[0] == found[2] == "a"


def test_one_text_is_compared_as_a_column_of_texts_is():
    texts = ["A  Dog.", "“it’s” a dog", "cafe\u0301", "C++", "...", " ", ""]
    assert [normalize_text(text) for text in texts] == normalize_for_comparison(pa.array(texts)).to_pylist()
    assert normalize_text("A dog runs.") == normalize_text("a dog\u00a0runs") != normalize_text("a dog, runs")


def test_ids_of_sides_are_of_the_whole_side():
    """Equal where items, in their order, and comparable texts are equal; the instruction is no part of a side."""
    sides = [
        ("A  cat.", [1, 2]),
        ("a cat", [1, 2]),
        ("a cat", [2, 1]),
        ("a cat", [1]),
        ("a cat", []),
        ("a dog", [1, 2]),
    ]
    array = pa.array(
        [{"text": text, "items": [number.to_bytes(16, "big") for number in numbers]} for text, numbers in sides]
    )
    array = array.cast(pa.struct([("text", pa.string()), ("items", pa.list_(pa.binary(16)))]))
    ids = [tuple(words) for words in side_ids(array).T.tolist()]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5
