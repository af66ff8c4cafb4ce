"""The dispatcher in drawn worlds: whatever happens in whatever order, every item ends once, and nothing is left."""

from __future__ import annotations

import random
from collections import Counter

from corpus.stage import Resources
from pipelines.engines.queues import JobQueue
from tests.helpers.engine_works import Square
from tests.helpers.fake_workers import Bench, FakeWorker

KINDS = (
    Resources(),
    Resources(cpus=2, in_flight=2),
    Resources(in_flight=3),
    Resources(waits_on_network=True, in_flight=2),
    Resources(holds_model=True),
    Resources(holds_model=True, gpus=1, in_flight=2),
    Resources(holds_model=True, gpus=1),
    Resources(gpus=1),
)


class World:
    """Queues of drawn kinds, whose workers finish items, die, freeze and are cancelled in a drawn order."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.bench = Bench(cores=self.random.randint(2, 4), stall_timeout_s=1_000_000)
        self.queues: list[JobQueue] = []
        self.submitted: Counter[object] = Counter()
        self.cancelled: set[object] = set()
        self.open: list[JobQueue] = []

    def busy(self) -> list[FakeWorker]:
        workers = self.bench.settle().workers if self.queues else []
        return [worker for worker in workers if worker.items and not worker.events]

    def step(self) -> None:
        """Lets one thing happen."""
        draw = self.random.random()
        busy = self.busy()
        if draw < 0.05 and len(self.queues) < 8:
            job = Square(resources=self.random.choice(KINDS))
            queue = self.bench.dispatcher.open_queue(job, self.bench.results, self.random.randint(0, 3))
            self.queues.append(queue)
            self.open.append(queue)
        elif draw < 0.35 and self.open and sum(self.submitted.values()) < 150:
            queue = self.random.choice(self.open)
            item = (self.queues.index(queue), sum(self.submitted.values()))
            self.submitted[item] += 1
            queue.submit(item)
        elif draw < 0.37 and self.open:
            self.open.pop(self.random.randrange(len(self.open))).close()
        elif draw < 0.38 and self.open:
            queue = self.open.pop(self.random.randrange(len(self.open)))
            self.cancelled.add(self.queues.index(queue))
            queue.cancel()
        elif draw < 0.45 and busy:
            worker = self.random.choice(busy)
            worker.reports.stalled(7) if self.random.random() < 0.5 else worker.crash()
        elif draw < 0.5 and self.queues:
            self.random.choice(self.queues).priority = self.random.randint(0, 2000)
        elif busy:
            worker = self.random.choice(busy)
            worker.finish(self.random.choice(list(worker.items)))

    def drain(self) -> None:
        """Lets all that is left end; AssertionError where something waits and nothing runs."""
        for queue in self.open:
            queue.close()
        while busy := self.busy():
            busy[0].finish(next(iter(busy[0].items)))
        waiting = [queue for queue in self.queues if queue.waiting or queue.running]
        assert not waiting, "items wait, and nothing runs"


def test_every_item_ends_once_and_no_model_stays() -> None:
    ended_any = 0
    for seed in range(25):
        world = World(seed)
        for _ in range(250):
            world.step()
        world.drain()
        ended = Counter(finished.item for finished in world.bench.delivered())
        expected = Counter(item for item in world.submitted.elements() if item[0] not in world.cancelled)  # type: ignore[index]
        missing = expected - ended
        assert not missing and max(ended.values(), default=1) == 1, f"seed {seed}: {missing}"
        models = [worker for worker in world.bench.host.workers if not worker.events]
        assert all(not worker.held for worker in models), f"seed {seed}: a job stays open"
        world.bench.dispatcher.close()
        ended_any += len(ended)
    assert ended_any > 1000
