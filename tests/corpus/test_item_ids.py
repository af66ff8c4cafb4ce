"""Columns of ids as pairs of numbers: their order, their inverse, and how they are found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from corpus.item_ids import find_ids, join_id, split_ids, unique_ids
from corpus.schema import ITEM_ID, item_id


def ids(*values: bytes) -> np.ndarray:
    return split_ids(pa.array(values, ITEM_ID))


def test_halves_are_in_the_order_of_the_bytes_and_join_to_them_again() -> None:
    values = [bytes([255, *range(15)]), bytes(16), bytes([0] * 15 + [1]), bytes([0] * 7 + [1] + [0] * 8)]
    halves = ids(*values)
    assert [join_id(halves[:, at]) for at in range(4)] == values
    order = np.lexsort((halves[1], halves[0]))
    assert [values[at] for at in order] == sorted(values)


def test_a_slice_of_a_column_is_split_as_what_it_is() -> None:
    column = pa.array([item_id(bytes([n])) for n in range(6)], ITEM_ID)
    assert np.array_equal(split_ids(column.slice(2, 3)), split_ids(column)[:, 2:5])
    assert split_ids(column.slice(2, 0)).shape == split_ids(pa.array([], ITEM_ID)).shape == (2, 0)


def test_null_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 ids are null"):
        split_ids(pa.array([bytes(16), None], ITEM_ID))


def test_ids_are_found_even_where_first_halves_are_equal() -> None:
    known = unique_ids([ids(*(bytes(8) + n.to_bytes(8, "big") for n in (3, 1, 7, 3)), bytes([9] * 16))])
    assert known.shape == (2, 4)
    wanted = ids(*(bytes(8) + n.to_bytes(8, "big") for n in (7, 2, 1, 8)), bytes([9] * 16), bytes([255] * 16))
    assert find_ids(known, wanted).tolist() == [2, -1, 0, -1, 3, -1]
    assert find_ids(known[:, :0], wanted).tolist() == [-1] * 6
