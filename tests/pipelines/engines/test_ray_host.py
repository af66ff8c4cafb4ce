"""How much of the queues' items a cluster is given at a time."""

from __future__ import annotations

from typing import Any

from corpus.stage import Resources
from pipelines.engines.workers import Amounts, Usage
from tests.helpers.extras import engine_or_skip

engine_or_skip("ray")
from pipelines.engines.ray_host import RayHost  # noqa: E402

TASK = Resources()
MODEL = Resources(holds_model=True)
NETWORK = Resources(waits_on_network=True)


class TwoCpus:
    """A cluster of one machine, whose queue takes no more than it has room for."""

    queued_cpus = 0.0

    def total(self, resource: str) -> float:
        return 2.0 if resource == "CPU" else 0.0

    def room(self, resources: Resources) -> int:
        return int(2 / resources.cpus)


def host(max_workers: int = 0) -> RayHost:
    cluster: Any = TwoCpus()
    calls: Any = None
    return RayHost(cluster, calls, max_workers)


def test_tasks_of_a_shuffle_are_counted_among_the_workers() -> None:
    """Those that wait on a network take no core from them."""
    for max_workers in (0, 2):
        found = host(max_workers)
        one = Usage(busy=Amounts(workers=1, cpus=1.0))
        works = []
        for tasks in (0, 1, -1):
            found.count_shuffle(TASK, tasks)
            works.append([found.can_work(each, one) for each in (TASK, NETWORK)])
        assert works == [[True, True], [False, True], [True, True]], max_workers
    limited = host(max_workers=2)
    limited.count_shuffle(TASK, 2)
    assert not limited.can_work(MODEL, Usage())
