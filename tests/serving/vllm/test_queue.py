from __future__ import annotations

import random

from serving.request import GenerateRequest
from serving.vllm.queue import SUSPECT_BATCH, QueuedRequest, RequestQueue
from tests.helpers.cases import cases


def queue_of(count: int) -> RequestQueue:
    queue = RequestQueue()
    for number in range(count):
        queue.add(QueuedRequest(number, GenerateRequest("", ())))
    return queue


def send_all(queue: RequestQueue) -> list[int]:
    """Send what may be sent now: the numbers of all that are then with the engine."""
    while queue.can_send:
        assert queue.send_next() is not None
    assert queue.send_next() is None
    return list(queue.in_flight)


def test_a_sound_engine_gets_everything_in_order() -> None:
    queue = queue_of(20)
    assert send_all(queue) == list(range(20))
    assert (len(queue), queue.waiting) == (20, 0)


def test_after_one_death_all_run_again_before_what_is_new() -> None:
    queue = queue_of(20)
    send_all(queue)
    queue.add(QueuedRequest(20, GenerateRequest("", ())))
    assert queue.engine_died() is None
    assert send_all(queue) == list(range(21))


def test_who_was_in_hand_twice_runs_in_handfuls_apart_from_all_others() -> None:
    queue = queue_of(20)
    for _ in range(2):
        send_all(queue)
        assert queue.engine_died() is None
    queue.add(QueuedRequest(20, GenerateRequest("", ())))
    assert send_all(queue) == list(range(SUSPECT_BATCH))
    del queue.in_flight[3]
    assert send_all(queue) == [0, 1, 2, 4, 5, 6, 7, 8]
    for number in range(8):
        queue.in_flight.pop(number, None)
    while queue.in_flight and 20 not in send_all(queue):
        del queue.in_flight[min(queue.in_flight)]
    assert send_all(queue) == [20]  # alone, for all of the others are done


def test_of_a_handful_that_died_each_runs_alone_after_all_that_are_less_suspicious() -> None:
    queue = queue_of(12)
    for _ in range(2):
        send_all(queue)
        queue.engine_died()
    assert len(send_all(queue)) == SUSPECT_BATCH
    assert queue.engine_died() is None
    assert send_all(queue) == [8, 9, 10, 11]
    queue.in_flight.clear()
    assert send_all(queue) == [0]


def test_the_first_death_of_a_lone_job_may_be_bad_luck_the_second_is_not() -> None:
    queue = queue_of(1)
    send_all(queue)
    assert queue.engine_died() is None
    send_all(queue)
    poison_found = queue.engine_died()
    assert poison_found is not None and poison_found.number == 0
    assert len(queue) == 0


@cases("seed", range(20))
def test_the_culprits_are_found_and_nobody_else(seed: int) -> None:
    """An engine that answers at random, and dies at once or late of some of its requests."""
    chance = random.Random(seed)
    queue = queue_of(200)
    poison = set(chance.sample(range(200), 3))
    answered, blamed, deaths = set(), set(), 0
    while len(queue):
        sent = send_all(queue)
        assert sent
        if poison & set(sent) and chance.random() < 0.5:
            deaths += 1
            poison_found = queue.engine_died()
            blamed |= {poison_found.number} if poison_found else set()
        elif good := sorted(set(sent) - poison):
            number = chance.choice(good)
            del queue.in_flight[number]
            answered.add(number)
    assert blamed == poison
    assert answered == set(range(200)) - poison
    assert deaths <= 5 * len(poison)


def test_clear_gives_all_jobs_in_their_order() -> None:
    queue = queue_of(30)
    for _ in range(2):
        send_all(queue)
        queue.engine_died()
    send_all(queue)
    queue.add(QueuedRequest(30, GenerateRequest("", ())))
    assert [job.number for job in queue.clear()] == list(range(31))
    assert len(queue) == 0
