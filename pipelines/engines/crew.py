"""Items handed to workers until all are answered, whatever dies meanwhile.

The local and the ray engine share this; what a worker is, and how it is waited for, is theirs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from corpus.work import Work

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

Answers = dict[int, Any]  # position of an item -> what the work answered
Call = Any  # a future or an object reference; hashable

DEATHS = 3  # an item that was alone with its worker each time when it died


class Attempts:
    """Hands out the positions of items, and again those whose worker died.

    Where several items were with a worker that died, each is a suspect and runs alone from then on, so that only the
    one at fault is given up and its neighbours are not.
    """

    def __init__(self, items: int) -> None:
        self._waiting = deque(range(items))
        self._suspects: deque[int] = deque()
        self._alone: set[int] = set()
        self._deaths: Counter[int] = Counter()

    def take(self, held: Collection[int]) -> int | None:
        """The next item for a worker that has `held`; None if there is none for it now."""
        if not held and self._suspects:
            return self._suspects.popleft()
        if self._waiting and self._alone.isdisjoint(held):
            return self._waiting.popleft()
        return None

    def died(self, held: Collection[int]) -> list[int]:
        """Take note that a worker died with these items; returns those that are not tried again."""
        if len(held) == 1:
            self._deaths.update(held)
        lost = [item for item in held if self._deaths[item] >= DEATHS]
        again = [item for item in held if item not in lost]
        self._alone.update(again)
        self._suspects.extend(again)
        return lost


class WorkerDied(Exception):
    """A worker is gone, and with it what it held."""


class Worker(Protocol):
    """The parent's end of a worker. It is asked one thing at a time; each call ends in `Answers`."""

    held: set[int]  # positions of the items that it works on

    def open(self, work: Work[Any, Any]) -> Call:
        """Have the work opened; nothing is answered."""
        ...

    def start(self, position: int, item: Any) -> Call:
        """Have an item begun; answers when there is room for another."""
        ...

    def finish(self) -> Call:
        """Wait for at least one of the items that it holds."""
        ...

    def result(self, call: Call) -> Answers:
        """What a call ended with. Raises WorkerDied, or what the work raised."""
        ...

    def replace(self) -> None:
        """A new worker in place of a dead one."""
        ...


def run_items(
    crew: Sequence[Worker], wait: Callable[[Collection[Call]], Call], work: Work[I, O], items: Sequence[I]
) -> Iterator[O]:
    """The answer to each item, as they come; `wait` gives one of the calls that has ended.

    Returns as soon as every item is answered, even if a worker has not opened yet. Raises what the work raised, or
    RuntimeError when workers die before they are given anything.
    """
    attempts = Attempts(len(items))
    calls = {worker.open(work): worker for worker in crew}
    left, failed_opens = len(items), 0
    while left:
        call = wait(calls)
        worker = calls.pop(call)
        try:
            finished = worker.result(call)
        except WorkerDied as error:
            failed_opens += not worker.held
            if failed_opens == DEATHS:
                raise RuntimeError(f"workers died {DEATHS} times before they were given anything: {error}") from error
            lost = attempts.died(worker.held)
            finished = {position: work.lost(items[position], f"its worker died {DEATHS} times") for position in lost}
            worker.replace()
            worker.held.clear()
            calls[worker.open(work)] = worker
        else:
            worker.held -= finished.keys()
            position = attempts.take(worker.held)
            if position is not None:
                worker.held.add(position)
                calls[worker.start(position, items[position])] = worker
            elif worker.held:
                calls[worker.finish()] = worker
        left -= len(finished)
        yield from finished.values()
