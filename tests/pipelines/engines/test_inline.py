"""Queues that run in the calling thread: the order, what is opened and closed when, and errors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from corpus.execution import Outcome
from corpus.stage import Resources
from pipelines.engines import EngineSettings
from pipelines.engines.dispatcher import SWAP_ITEMS
from pipelines.engines.local import LocalEngine
from pipelines.engines.queues import Results
from pipelines.engines.workers import MAX_HELD
from tests.helpers.engine_works import Meeting, Square

GPU = Resources(gpus=1, holds_model=True)


@dataclass(frozen=True)
class Noted(Square):
    """Takes note of what happens to it, in a list."""

    name: str = ""
    events: Any = None

    def open(self) -> Callable[[int], Outcome]:
        self.events.append(f"open {self.name}")
        return _Function(self)


class _Function:
    def __init__(self, job: Noted) -> None:
        self.job = job

    def __call__(self, item: int) -> Outcome:
        self.job.events.append(f"{self.job.name}{item}")
        return self.job.square(item)

    def close(self) -> None:
        self.job.events.append(f"close {self.job.name}")


class Inline:
    """An engine of one worker, and queues that take note of what happens."""

    def __init__(self) -> None:
        self.engine = LocalEngine(EngineSettings(workers=1))
        self.results = Results()
        self.events: list[str] = []

    def queue(self, name: str, items: int, priority: int = 0, close: bool = True, **job: Any) -> Any:
        queue = self.engine.open_queue(Noted(name=name, events=self.events, **job), self.results, priority)
        for item in range(items):
            queue.submit(item)
        if close:
            queue.close()
        return queue

    def run(self, items: int) -> list[str]:
        """Runs so many items; what has happened since the last call."""
        for _ in range(items):
            assert self.engine.wait(self.results, 0) is not None
        events, self.events[:] = list(self.events), []
        return events


def test_the_foremost_queue_runs_first_in_this_process() -> None:
    inline = Inline()
    inline.queue("a", 2)
    high = inline.queue("b", 2, priority=1)
    assert inline.run(1) == ["open b", "b0"]
    high.priority = -1
    assert inline.run(3) == ["open a", "a0", "a1", "close a", "b1"]
    assert inline.engine.wait(inline.results, 0) is None and inline.run(0) == ["close b"]
    assert inline.engine.inline and inline.engine.streams


def test_only_the_last_few_jobs_stay_open_and_models_until_their_queue_is_done() -> None:
    inline = Inline()
    model = inline.queue("model", 1, close=False, resources=Resources(holds_model=True), priority=9)
    queues = [inline.queue(f"q{at}-", 1, close=False, priority=-at) for at in range(MAX_HELD + 1)]
    events = inline.run(len(queues) + 1)
    assert events[-3:] == ["close q0-", f"open q{MAX_HELD}-", f"q{MAX_HELD}-0"]
    queues[0].submit(7)
    assert inline.run(1) == ["close q1-", "open q0-", "q0-7"]
    model.close()
    assert inline.run(0) == ["close model"]
    inline.engine.close()
    assert len(inline.run(0)) == MAX_HELD


def test_two_models_on_a_gpu_do_not_take_turns_for_single_items() -> None:
    inline = Inline()
    first = inline.queue("a", 1, close=False, resources=GPU)
    second = inline.queue("b", 2, close=False, resources=GPU, priority=-1)
    plain = inline.queue("c", 3, priority=-2, close=False)
    assert inline.run(3) == ["open a", "a0", "open c", "c0", "c1"]
    first.submit(1)
    for item in range(2, SWAP_ITEMS):
        second.submit(item)
    second.priority = 5
    assert inline.run(1) == ["a1"]
    assert inline.run(2) == ["close a", "open b", "b0", "b1"]
    first.submit(2)
    assert inline.run(SWAP_ITEMS - 2) == [f"b{item}" for item in range(2, SWAP_ITEMS)]
    assert inline.run(2) == ["c2", "close b", "open a", "a2"]  # nothing else is there
    assert (plain.waiting, plain.running, plain.has_room) == (0, 0, True)


def test_several_items_in_flight_are_threads_of_one_job_at_a_time() -> None:
    inline = Inline()
    engine = inline.engine
    meeting = engine.open_queue(Meeting(resources=Resources(in_flight=3)), inline.results, 1)
    for item in range(6):
        meeting.submit(item)
    inline.queue("a", 1)
    found = [engine.wait(inline.results, 60) for _ in range(7)]
    assert sorted(each.result.rows for each in found if each and each.queue is meeting) == [0, 1, 4, 9, 16, 25]
    assert found[-1] is not None and found[-1].queue is not meeting


def test_an_interrupt_reaches_the_caller_and_nothing_hangs_after_it() -> None:
    class Interrupted(Square):
        def square(self, item: int) -> Outcome:
            if item == 0:
                raise KeyboardInterrupt
            return super().square(item)

    engine, results = LocalEngine(EngineSettings(workers=1)), Results()
    queue = engine.open_queue(Interrupted(), results)
    queue.submit(0)
    queue.submit(1)
    with pytest.raises(KeyboardInterrupt):
        engine.wait(results)
    first, second = engine.wait(results), engine.wait(results)
    assert first and isinstance(first.error, KeyboardInterrupt) and second and second.result.rows == 1
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.wait(results)


def test_an_iterator_that_is_left_starts_no_further_item() -> None:
    inline = Inline()
    outcomes = inline.engine.map(Noted(name="m", events=inline.events), range(5))
    assert [next(outcomes).rows, next(outcomes).rows] == [0, 1]
    outcomes.close()  # type: ignore[attr-defined]
    assert inline.events == ["open m", "m0", "m1", "close m"]


def test_threads_take_turns() -> None:
    engine = LocalEngine(EngineSettings(workers=1))
    running: list[int] = []
    most: list[int] = []

    @dataclass(frozen=True)
    class Counted(Square):
        def square(self, item: int) -> Outcome:
            running.append(item)
            most.append(len(running))
            running.remove(item)
            return Outcome("test", "counted", str(os.getpid()), rows=item)

    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.extend(o.rows for o in engine.map(Counted(), range(50))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == sorted(4 * list(range(50))) and max(most) == 1
