"""The mailbox of a consumer: what is delivered, in which order, and that nobody waits in vain."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.engines.queues import Finished, Results


def test_what_ended_comes_in_order_and_own_deliveries_beside_it() -> None:
    results, queue = Results(), _queue()
    results.put(Finished(queue, 1, "one"))
    results.put(Finished(None, 2, "two"))
    first, second = results.get(), results.get(0)
    assert (
        first
        and second
        and [(first.queue, first.result), (second.queue, second.result)]
        == [
            (queue, "one"),
            (None, "two"),
        ]
    )
    assert results.get(0) is None


def test_items_of_a_cancelled_queue_are_left_out() -> None:
    results, cancelled, other = Results(), _queue(), _queue()
    results.put(Finished(cancelled, 1))
    results.put(Finished(other, 2))
    cancelled.cancelled = True
    found = results.get()
    assert found is not None and found.item == 2
    assert results.get(0) is None


def test_a_failure_reaches_all_who_wait_and_those_who_come_later() -> None:
    results, raised = Results(), []

    def take() -> None:
        try:
            results.get()
        except OSError as error:
            raised.append(error)

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    results.put(Finished(_cancelled(), 0))
    fault = OSError("planted")
    results.fail(fault)
    for thread in threads:
        thread.join(60)
    assert raised == [fault] * 3
    with pytest.raises(OSError, match="planted"):
        results.get(0)


def test_what_was_delivered_before_a_failure_is_taken_first() -> None:
    results = Results()
    results.put(Finished(None, 1))
    results.fail(RuntimeError("closed"))
    found = results.get()
    assert found is not None and found.item == 1
    with pytest.raises(RuntimeError, match="closed"):
        results.get()


def _queue() -> Any:
    return SimpleNamespace(cancelled=False)


def _cancelled() -> Any:
    return SimpleNamespace(cancelled=True)
