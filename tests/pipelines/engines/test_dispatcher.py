"""The dispatcher's rules, with workers that do what the test lets them do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from corpus.stage import Resources
from pipelines.engines.dispatcher import SWAP_ITEMS
from pipelines.engines.queues import Results
from tests.helpers.engine_works import PlantedError, Square
from tests.helpers.fake_workers import Bench

PLAIN = Square()
MODEL = Square(resources=Resources(holds_model=True))
GPU = Square(resources=Resources(gpus=1, holds_model=True, in_flight=2))
NETWORK = Square(resources=Resources(waits_on_network=True, in_flight=2))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.dispatcher.close()


def test_the_highest_priority_goes_first_and_in_a_queue_the_oldest(bench: Bench) -> None:
    with bench.dispatcher.lock:
        bench.queue(PLAIN, ["low 0", "low 1"])
        bench.queue(PLAIN, ["high 0", "high 1", "high 2"], priority=1)
        bench.queue(PLAIN, ["later"], priority=1)
    assert bench.settle().started == ["high 0", "high 1"]
    bench.finish("high 1", "high 0", "high 2", "later", "low 0", "low 1")
    assert bench.host.started[2:] == ["high 2", "later", "low 0", "low 1"]
    assert [f.result for f in bench.delivered()][:2] == ["done high 1", "done high 0"]
    assert len(bench.host.workers) == 2


def test_a_boost_counts_from_the_next_free_worker_on(bench: Bench) -> None:
    with bench.dispatcher.lock:
        bench.queue(PLAIN, ["a0", "a1", "a2", "a3"], priority=5)
        boosted = bench.queue(PLAIN, ["b0", "b1"])
    bench.settle()
    boosted.priority += 1000
    assert bench.finish("a0").started == ["a0", "a1", "b0"]
    boosted.priority -= 1000
    assert bench.finish("b0").started == ["a0", "a1", "b0", "a2"]
    assert (boosted.waiting, boosted.running) == (1, 0)


def test_a_paused_queue_starts_nothing_and_what_runs_goes_on(bench: Bench) -> None:
    with bench.dispatcher.lock:
        paused = bench.queue(PLAIN, ["a0", "a1", "a2"], priority=5)
        bench.queue(PLAIN, ["b0", "b1"])
    bench.settle()
    paused.paused = True
    assert bench.finish("a0", "a1").started == ["a0", "a1", "b0", "b1"]
    assert (paused.waiting, paused.running, paused.paused) == (0, 0, True)
    paused.paused = False
    assert bench.finish("b0", "b1").started == ["a0", "a1", "b0", "b1", "a2"]


def test_a_worker_goes_to_a_job_that_it_holds(bench: Bench) -> None:
    with bench.dispatcher.lock:
        first = bench.queue(PLAIN, ["a0"], close=False)
        bench.queue(PLAIN, ["b0"], close=False)
    holder = bench.settle().worker_of("a0")
    bench.finish("a0", "b0")
    first.submit("a1")
    assert bench.settle().worker_of("a1") is holder and len(bench.host.workers) == 2
    first.close()
    bench.finish("a1")
    assert [job.job for job in holder.held] == []


def test_what_waits_on_a_network_takes_no_core(bench: Bench) -> None:
    with bench.dispatcher.lock:
        queue = bench.queue(NETWORK, [f"n{at}" for at in range(9)], priority=1)
        bench.queue(PLAIN, ["c0", "c1", "c2"])
    assert bench.settle().started == ["n0", "n1", "n2", "n3", "c0", "c1"]
    assert len(bench.host.workers) == 4 and (queue.waiting, queue.running) == (5, 4)


def test_a_job_that_needs_all_cores_is_not_passed_by_for_ever(bench: Bench) -> None:
    with bench.dispatcher.lock:
        bench.queue(PLAIN, ["a0", "a1", "a2"])
        bench.queue(Square(resources=Resources(cpus=8)), ["wide"])  # more than there are: all of them
    bench.settle()
    with bench.dispatcher.lock:
        bench.queue(Square(resources=Resources(cpus=8)), ["foremost"], priority=9)
    assert bench.finish("a0").started == ["a0", "a1"]  # one core is kept
    assert bench.finish("a1").started == ["a0", "a1", "foremost"]
    assert bench.finish("foremost").started[3:] == ["a2"]
    assert bench.finish("a2").started[4:] == ["wide"]


def test_suspects_run_alone_and_the_one_at_fault_is_abandoned(bench: Bench) -> None:
    bench.queue(Square(resources=Resources(cpus=2, in_flight=3)), ["a", "b", "c", "d"])
    assert bench.settle().started == ["a", "b", "c"]
    assert bench.crash("b").started[3:] == ["a"]
    assert bench.finish("a").started[4:] == ["b"]
    assert bench.crash("b").started[5:] == ["c"]
    bench.finish("c")
    bench.crash("b")
    assert bench.crash("b").started[6:] == ["b", "b", "d"]
    bench.finish("d")
    ended = {f.item: f.result for f in bench.delivered()}
    assert ended.pop("b").error == "its worker died 3 times"
    assert ended == {"a": "done a", "c": "done c", "d": "done d"}


def test_what_on_worker_lost_raises_is_the_error_of_its_item(bench: Bench) -> None:
    class Raises(Square):
        def on_worker_lost(self, item: int, why: str) -> None:
            raise PlantedError(why)

    bench.queue(Raises(), ["a", "b"])
    for _ in range(3):
        bench.crash("a")
    bench.finish("b")
    assert {f.item: str(f.error) for f in bench.delivered()} == {"a": "its worker died 3 times", "b": "None"}


def test_an_idle_worker_that_dies_is_replaced(bench: Bench) -> None:
    queue = bench.queue(PLAIN, ["a"], close=False)
    [worker] = bench.finish("a").workers
    worker.crash()
    queue.submit("b")
    bench.finish("b")
    assert [f.item for f in bench.delivered()] == ["a", "b"] and len(bench.host.workers) == 2


def test_a_job_that_raises_at_opening_ends_its_items_and_no_others(bench: Bench) -> None:
    bench.host.opens = False
    with bench.dispatcher.lock:
        queue = bench.queue(MODEL, ["a", "b", "c"], close=False)
        bench.queue(PLAIN, ["other"])
    worker, second = (bench.settle().worker_of(item) for item in "ab")
    fault = ImportError("no such weights")
    worker.reports.not_opened(worker.held[0], fault)
    assert bench.settle().worker_of("other") not in (worker, second)
    second.reports.not_opened(second.held[0], fault)
    queue.submit("d")
    bench.finish("other")
    ended = {f.item: f.error for f in bench.delivered()}
    assert ended == {"a": fault, "b": fault, "c": fault, "d": fault, "other": None}
    assert worker.events == ["leave"] and not queue.has_room


def test_three_deaths_at_opening_are_an_error_without_any_worker_that_opened_it(bench: Bench) -> None:
    bench.host.opens = False
    bench.queue(PLAIN, ["a", "b"])
    for _ in range(3):
        bench.crash("a")
    assert [str(f.error) for f in bench.delivered()] == ["workers died 3 times before any item was assigned: crash"]
    bench.crash("b")  # that which opened it last
    assert [f.item for f in bench.delivered()] == ["b"]


def test_a_model_that_fits_once_is_not_opened_twice(bench: Bench) -> None:
    queue = bench.queue(MODEL, ["a"], close=False)
    bench.settle()
    bench.host.opens = False
    queue.submit("b")
    for _ in range(3):
        bench.crash("b")
    assert bench.finish("a").worker_of("b") is bench.host.workers[0]


def test_models_come_as_items_wait_and_leave_when_no_more_can_come(bench: Bench) -> None:
    queue = bench.queue(MODEL, [], close=False)
    assert not bench.settle().workers and queue.has_room
    queue.submit("a")
    queue.submit("b")
    queue.submit("c")
    assert len(bench.settle().workers) == 2 and not queue.has_room
    bench.finish("a", "b", "c")
    assert [worker.events for worker in bench.host.workers] == [[], []] and queue.has_room
    queue.close()
    assert [worker.events for worker in bench.settle().workers] == [["leave"], ["leave"]]


def test_a_model_is_filled_before_another_is_opened_and_its_gpu_is_not_shared(bench: Bench) -> None:
    with bench.dispatcher.lock:
        bench.queue(PLAIN, ["c0", "c1"], priority=9)
        bench.queue(GPU, ["a", "b", "c"], close=False)
    assert bench.settle().started == ["c0", "c1", "a", "b"]  # it waits for no core
    assert len(bench.host.workers) == 3
    bench.finish("a", "c0")
    assert bench.host.started[4:] == ["c"]


def test_a_gpu_changes_hands_when_enough_waits_for_it(bench: Bench) -> None:
    with bench.dispatcher.lock:
        holder = bench.queue(GPU, ["a"], close=False)
        busy = bench.queue(PLAIN, ["long"], close=False)
    bench.settle()
    other = bench.queue(GPU, [f"b{at}" for at in range(SWAP_ITEMS)], priority=9, close=False)
    assert bench.settle().started == ["a", "long"] and not other.has_room  # the holder has an item
    bench.host.ends = False
    bench.finish("a")
    model = bench.host.workers[0]
    assert model.events == ["leave"] and bench.host.started == ["a", "long"]  # not before it is gone
    model.reports.ended("it left")
    assert bench.settle().started[2:] == ["b0", "b1"]
    assert (holder.waiting, holder.running, busy.running) == (0, 0, 1)


def test_a_gpu_does_not_change_hands_for_a_few_items_unless_no_more_can_come(bench: Bench) -> None:
    with bench.dispatcher.lock:
        bench.queue(GPU, ["a"], close=False)
        bench.queue(PLAIN, ["long"], close=False)
    bench.finish("a")
    few = bench.queue(GPU, ["b"], close=False)
    assert bench.settle().started == ["a", "long"]
    few.close()
    assert bench.settle().started == ["a", "long", "b"]


def test_a_gpu_changes_hands_for_one_item_when_nothing_else_runs(bench: Bench) -> None:
    with bench.dispatcher.lock:
        first = bench.queue(GPU, ["a"], close=False)
        bench.queue(GPU, ["b"], close=False)
    bench.finish("a")
    assert bench.settle().started == ["a", "b"]
    first.submit("a2")
    assert bench.finish("b").started == ["a", "b", "a2"]
    assert [worker.events for worker in bench.host.workers] == [["leave"], ["leave"], []]


def test_cancelling_stops_what_runs_and_nothing_late_is_delivered(bench: Bench) -> None:
    with bench.dispatcher.lock:
        queue = bench.queue(PLAIN, ["a", "b", "c"], close=False)
        bench.queue(PLAIN, ["other"])
    worker = bench.settle().worker_of("a")
    number = worker.items["a"]
    bench.finish("b")
    bench.host.ends = False
    queue.cancel()
    bench.settle()
    worker.reports.finished(number, "late")
    worker.reports.ended("stopped")
    assert worker.events == ["stop"]
    bench.finish("other")
    assert [f.item for f in bench.delivered()] == ["other"]
    with pytest.raises(RuntimeError, match="closed"):
        queue.submit("d")
    queue.cancel()
    assert (queue.waiting, queue.running, queue.cancelled) == (0, 0, True)


def test_items_are_refused_with_what_the_host_says(bench: Bench) -> None:
    bench.host.refusal = OSError("no processes any more")
    bench.queue(PLAIN, ["a", "b"])
    assert [str(f.error) for f in bench.delivered()] == ["no processes any more"] * 2


def test_a_fault_of_the_dispatcher_reaches_everybody(bench: Bench) -> None:
    bench.queue(PLAIN, ["a"], close=False)
    waiters = [Results() for _ in range(3)]
    queues = [bench.dispatcher.open_queue(PLAIN, results) for results in waiters]
    raised: list[BaseException] = []

    def take(results: Results) -> None:
        try:
            bench.dispatcher.wait(results)
        except PlantedError as error:
            raised.append(error)

    threads = [threading.Thread(target=take, args=(results,)) for results in waiters]
    for thread in threads:
        thread.start()

    def fault() -> None:
        raise PlantedError("planted")

    bench.settle()
    bench.in_turn(fault)
    for thread in threads:
        thread.join(60)
    assert len(raised) == 3 and bench.host.workers[0].events == ["stop"]
    with pytest.raises(RuntimeError, match="the engine has ended: planted"):
        queues[0].submit("late")
    with pytest.raises(RuntimeError, match="the engine has ended"):
        bench.dispatcher.open_queue(PLAIN, Results())
    queues[0].cancel()


def test_closing_in_the_middle_ends_all_workers_and_all_waiting(bench: Bench) -> None:
    queue = bench.queue(PLAIN, ["a", "b", "c"])
    bench.settle()
    thread = threading.Thread(target=bench.dispatcher.close)
    thread.start()
    with pytest.raises(RuntimeError, match="closed"):
        bench.dispatcher.wait(bench.results)
    thread.join(60)
    assert [worker.events for worker in bench.host.workers] == [["stop"], ["stop"]]
    queue.cancel()
    bench.dispatcher.close()


def test_a_worker_without_a_sign_of_life_is_stopped_and_its_item_runs_elsewhere() -> None:
    bench = Bench(stall_timeout_s=100)
    bench.queue(PLAIN, ["a", "b"])
    frozen, slow = (bench.settle().worker_of(item) for item in "ab")
    for _ in range(5):
        bench.now_s += 25
        slow.reports.alive()
        bench.settle()
    assert frozen.events == ["stop"] and slow.events == []
    assert bench.lines == ["worker 0 showed no sign of life for 125 s and is stopped: a runs elsewhere"]
    assert bench.host.started == ["a", "b", "a"]
    bench.now_s += 60  # the machine slept: all signs of life are old
    bench.settle()
    assert len(bench.lines) == 1
    bench.dispatcher.close()


def test_a_copy_of_the_process_can_not_use_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.queue(PLAIN, ["a"])
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: -1)
        with pytest.raises(RuntimeError, match="forked"):
            bench.dispatcher.wait(bench.results)
        with pytest.raises(RuntimeError, match="forked"):
            bench.dispatcher.open_queue(PLAIN, bench.results)
        bench.dispatcher.close()
    assert bench.settle().workers[0].events == []
