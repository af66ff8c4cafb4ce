"""Sides of pairs: when two of them are the same."""

from __future__ import annotations

import pyarrow as pa

from corpus.sides import side_ids


def item(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_ids_are_of_the_whole_side() -> None:
    """Equal where items, in their order, and comparable texts are equal; the instruction is no part of a side."""
    sides = [
        ("A  cat.", [1, 2]),
        ("a cat", [1, 2]),
        ("a cat", [2, 1]),
        ("a cat", [1]),
        ("a cat", []),
        ("a dog", [1, 2]),
    ]
    array = pa.array([{"text": text, "items": [item(n) for n in numbers]} for text, numbers in sides])
    array = array.cast(pa.struct([("text", pa.string()), ("items", pa.list_(pa.binary(16)))]))
    ids = [tuple(words) for words in side_ids(array).T.tolist()]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5
