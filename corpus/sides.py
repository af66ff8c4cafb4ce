"""The sides of pairs: when two of them are the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.hashing import mix64
from corpus.item_ids import split_ids
from corpus.text.keys import text_keys

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def side_ids(sides: pa.StructArray) -> np.ndarray:
    """The id of each side (a struct of `text` and `items`), uint64[2, n]: a hash of its items, in their order, and of
    its text in the form in which texts are compared. Sides with equal ids are the same side.
    """
    items = sides.field("items")
    lengths = items.value_lengths().to_numpy(zero_copy_only=False)
    place = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    words = mix64(split_ids(items.flatten()) ^ mix64(_GOLDEN * (place.astype(np.uint64) + np.uint64(1))))
    content = np.zeros((2, len(lengths)), np.uint64)
    for word, of_items in zip(content, words, strict=True):
        np.add.at(word, np.repeat(np.arange(len(lengths)), lengths), of_items)
    return mix64(text_keys(sides.field("text")).T ^ mix64(content + lengths.astype(np.uint64) + _GOLDEN))
