"""Many are read at a time, and come in their order; the first error is raised in its place."""

from __future__ import annotations

import threading

import pytest

from corpus.read_ahead import read_ahead


def test_items_come_in_order_and_several_are_read_at_once() -> None:
    together = threading.Barrier(4, timeout=30)

    def read(number: int) -> int:
        together.wait()  # passes only when four are read at a time
        return number * number

    assert list(read_ahead(read, range(8), at_once=4)) == [number * number for number in range(8)]
    assert list(read_ahead(read, [])) == []


def test_no_more_is_read_than_is_ahead_of_what_is_used() -> None:
    begun: list[int] = []
    found = read_ahead(lambda number: begun.append(number) or number, range(100), at_once=3)
    assert next(found) == 0
    assert len(begun) <= 5
    found.close()
    assert len(begun) <= 5


def test_an_error_comes_in_the_place_of_its_item() -> None:
    found = read_ahead(lambda number: 6 // number, [3, 2, 0, 1], at_once=2)
    assert [next(found), next(found)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(found)
