"""What a captioner's time goes to."""

from __future__ import annotations

import threading

from recaption.meter import Meter


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_moment_belongs_to_one_state() -> None:
    clock = Clock()
    meter = Meter(clock)
    clock.now += 50  # before anything was asked for: nobody waits
    meter.feeding()
    clock.now += 2  # its first image is decoded
    meter.asked()
    clock.now += 3
    meter.asked()
    clock.now += 1
    meter.answered(10, 5)
    meter.fed()
    clock.now += 4  # one is still in hand
    meter.answered(20, 7)
    clock.now += 6  # its table is written
    spent = meter.take()
    assert spent == {
        "answers": 2,
        "busy_s": 4,
        "completion_tokens": 12,
        "prompt_tokens": 30,
        "starting_s": 4,  # until the first answer
        "waiting_for_images_s": 2,
        "waiting_for_writes_s": 6,
    }


def test_what_was_taken_is_not_counted_twice() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.feeding()
    meter.asked()
    meter.answered(1, 1)
    meter.asked()
    clock.now += 1
    assert meter.take()["busy_s"] == 1
    clock.now += 2
    meter.answered(1, 1)
    assert meter.take() == {"busy_s": 2, "answers": 1, "prompt_tokens": 1, "completion_tokens": 1}


def test_a_shard_that_is_fed_while_another_is_written_is_no_waiting_for_writes() -> None:
    clock = Clock()
    meter = Meter(clock)
    meter.feeding()
    meter.feeding()
    meter.fed()
    clock.now += 1
    assert meter.take() == {"waiting_for_images_s": 1}


def test_many_threads_count_right() -> None:
    meter = Meter()
    meter.feeding()

    def ask() -> None:
        for _ in range(500):
            meter.asked()
            meter.answered(1, 2)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = meter.take()
    assert (spent["answers"], spent["prompt_tokens"], spent["completion_tokens"]) == (2000, 2000, 4000)
