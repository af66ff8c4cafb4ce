from __future__ import annotations

import random

import pytest

from recaption.engine_jobs import HANDFUL, Job, Jobs
from recaption.requests import Request


def jobs_of(count: int) -> Jobs:
    jobs = Jobs()
    for number in range(count):
        jobs.add(Job(number, Request("", ())))
    return jobs


def send_all(jobs: Jobs) -> list[int]:
    """Send what may be sent now: the numbers of all that are then with the engine."""
    while jobs.can_send:
        assert jobs.send_next() is not None
    assert jobs.send_next() is None
    return list(jobs.sent)


def test_a_sound_engine_gets_everything_in_order() -> None:
    jobs = jobs_of(20)
    assert send_all(jobs) == list(range(20))
    assert (len(jobs), jobs.waiting) == (20, 0)


def test_after_one_death_all_run_again_before_what_is_new() -> None:
    jobs = jobs_of(20)
    send_all(jobs)
    jobs.add(Job(20, Request("", ())))
    assert jobs.died() is None
    assert send_all(jobs) == list(range(21))


def test_who_was_in_hand_twice_runs_in_handfuls_apart_from_all_others() -> None:
    jobs = jobs_of(20)
    for _ in range(2):
        send_all(jobs)
        assert jobs.died() is None
    jobs.add(Job(20, Request("", ())))
    assert send_all(jobs) == list(range(HANDFUL))
    del jobs.sent[3]
    assert send_all(jobs) == [0, 1, 2, 4, 5, 6, 7, 8]
    for number in range(8):
        jobs.sent.pop(number, None)
    while jobs.sent and 20 not in send_all(jobs):
        del jobs.sent[min(jobs.sent)]
    assert send_all(jobs) == [20]  # alone, for all of the others are done


def test_of_a_handful_that_died_each_runs_alone_after_all_that_are_less_suspicious() -> None:
    jobs = jobs_of(12)
    for _ in range(2):
        send_all(jobs)
        jobs.died()
    assert len(send_all(jobs)) == HANDFUL
    assert jobs.died() is None
    assert send_all(jobs) == [8, 9, 10, 11]
    jobs.sent.clear()
    assert send_all(jobs) == [0]


def test_the_first_death_of_a_lone_job_may_be_bad_luck_the_second_is_not() -> None:
    jobs = jobs_of(1)
    send_all(jobs)
    assert jobs.died() is None
    send_all(jobs)
    culprit = jobs.died()
    assert culprit is not None and culprit.number == 0
    assert len(jobs) == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_culprits_are_found_and_nobody_else(seed: int) -> None:
    """An engine that answers at random, and dies at once or late of some of its requests."""
    chance = random.Random(seed)
    jobs = jobs_of(200)
    poison = set(chance.sample(range(200), 3))
    answered, blamed, deaths = set(), set(), 0
    while len(jobs):
        sent = send_all(jobs)
        assert sent
        if poison & set(sent) and chance.random() < 0.5:
            deaths += 1
            culprit = jobs.died()
            blamed |= {culprit.number} if culprit else set()
        elif good := sorted(set(sent) - poison):
            number = chance.choice(good)
            del jobs.sent[number]
            answered.add(number)
    assert blamed == poison
    assert answered == set(range(200)) - poison
    assert deaths <= 5 * len(poison)


def test_clear_gives_all_jobs_in_their_order() -> None:
    jobs = jobs_of(30)
    for _ in range(2):
        send_all(jobs)
        jobs.died()
    send_all(jobs)
    jobs.add(Job(30, Request("", ())))
    assert [job.number for job in jobs.clear()] == list(range(31))
    assert len(jobs) == 0
