"""Several threads that read one sequence together: each gets all of it, in order, and it is read less often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from mining.shared_scan import SharedScan

ITEMS = list(range(20))


class Source:
    """Items that are counted when they are read; the first pass waits until the others have come."""

    def __init__(self, others: int = 0, fails_at: int = -1) -> None:
        self.reads = 0
        self.scan = SharedScan(self.read)
        self._others, self._fails_at = others, fails_at
        self.began = threading.Event()

    def read(self) -> Iterator[int]:
        is_first = self.scan.passes == 1
        self.began.set()
        for item in ITEMS:
            if is_first and item == 0:
                assert self.scan.await_waiting(self._others, 60)
            if item == self._fails_at and is_first:
                raise OSError("a broken disk")
            self.reads += 1
            yield item


def together(source: Source, threads: int, work: Callable[[int], list[int]]) -> list[list[int]]:
    """Runs the first thread, and the others when it is in its pass."""
    with ThreadPoolExecutor(threads) as pool:
        calls = [pool.submit(work, 0)]
        assert source.began.wait(60)
        calls += [pool.submit(work, number) for number in range(1, threads)]
        return [call.result(60) for call in calls]


def test_all_that_wait_read_the_next_pass_together() -> None:
    source = Source(others=4)
    found = together(source, 5, lambda _: [*source.scan.scan(), *source.scan.scan()])
    assert found == [ITEMS * 2] * 5
    # The first alone; its second time with the first time of the others; and their second time.
    assert source.scan.passes <= 4 and source.reads == source.scan.passes * len(ITEMS)


def test_one_that_ends_early_does_not_keep_the_others_waiting() -> None:
    source = Source(others=3)

    def work(number: int) -> list[int]:
        found: list[int] = []
        with closing(source.scan.scan()) as items:
            for item in items:
                found.append(item)
                if number % 2 and item == 3:
                    break
        return found

    assert together(source, 4, work) == [ITEMS, ITEMS[:4], ITEMS, ITEMS[:4]]
    assert source.scan.passes == 2


def test_an_error_of_reading_reaches_all_of_its_pass_and_no_other() -> None:
    source = Source(others=2, fails_at=5)

    def work(number: int) -> list[int]:
        if number:
            return list(source.scan.scan())
        found: list[int] = []
        with pytest.raises(OSError, match="a broken disk"):
            found.extend(iter(source.scan.scan()))
        return found

    first, *others = together(source, 3, work)
    assert first == ITEMS[:5] and others == [ITEMS, ITEMS]


def test_a_single_thread_reads_as_often_as_it_asks() -> None:
    source = Source()
    assert [list(source.scan.scan()) for _ in range(3)] == [ITEMS] * 3
    assert source.scan.passes == 3
