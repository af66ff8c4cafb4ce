"""What a captioner's time goes to."""

from __future__ import annotations

import threading

from serving.throughput import ThroughputMeter


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_moment_belongs_to_one_state() -> None:
    clock = Clock()
    meter = ThroughputMeter(clock)
    clock.now += 50  # before anything was asked for: nobody waits
    meter.shard_started()
    clock.now += 2  # its first image is decoded
    meter.submitted()
    clock.now += 3
    meter.submitted()
    clock.now += 1
    meter.completed(10, 5)
    meter.shard_finished()
    clock.now += 4  # one is still in hand
    meter.completed(20, 7)
    clock.now += 6  # its table is written
    spent = meter.snapshot()
    assert spent == {
        "responses": 2,
        "busy_s": 4,
        "completion_tokens": 12,
        "prompt_tokens": 30,
        "starting_s": 4,  # until the first answer
        "waiting_for_images_s": 2,
        "waiting_for_writes_s": 6,
    }


def test_what_was_taken_is_not_counted_twice() -> None:
    clock = Clock()
    meter = ThroughputMeter(clock)
    meter.shard_started()
    meter.submitted()
    meter.completed(1, 1)
    meter.submitted()
    clock.now += 1
    assert meter.snapshot()["busy_s"] == 1
    clock.now += 2
    meter.completed(1, 1)
    assert meter.snapshot() == {"busy_s": 2, "responses": 1, "prompt_tokens": 1, "completion_tokens": 1}


def test_a_shard_that_is_fed_while_another_is_written_is_no_waiting_for_writes() -> None:
    clock = Clock()
    meter = ThroughputMeter(clock)
    meter.shard_started()
    meter.shard_started()
    meter.shard_finished()
    clock.now += 1
    assert meter.snapshot() == {"waiting_for_images_s": 1}


def test_many_threads_count_right() -> None:
    meter = ThroughputMeter()
    meter.shard_started()

    def ask() -> None:
        for _ in range(500):
            meter.submitted()
            meter.completed(1, 2)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = meter.snapshot()
    assert (spent["responses"], spent["prompt_tokens"], spent["completion_tokens"]) == (2000, 2000, 4000)
