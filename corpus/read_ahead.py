"""Reads many small things at a time, in their order: a request takes long, and a driver has many to make."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 32  # at 40 ms a request as many as a processor can decode

_I = TypeVar("_I")
_O = TypeVar("_O")


def read_ahead(read: Callable[[_I], _O], items: Iterable[_I], at_once: int = AT_ONCE) -> Iterator[_O]:
    """Yields `read` of each item in order; it is called from threads, for at most `at_once` items ahead.

    Raises what `read` raised, in the place of its item.
    """
    waiting: deque[Future[_O]] = deque()
    with ThreadPoolExecutor(at_once) as reader:
        try:
            for item in items:
                waiting.append(reader.submit(read, item))
                if len(waiting) > at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for call in waiting:
                call.cancel()
