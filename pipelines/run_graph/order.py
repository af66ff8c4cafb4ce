"""The order of the tasks of a run: what is nearest to the end goes first, and what a scarce worker waits for before.

Workers that hold a model or a GPU are scarce. While one of them has nothing to do, the stages before it go first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.engines.queues import JobQueue
from pipelines.run_graph.dependencies import Dependencies
from pipelines.run_graph.jobs import GraphJobs

BOOST = 1_000  # added to the priority of what a starving stage waits for: more than there are steps


class TaskOrder:
    """The priorities of the jobs of a run."""

    def __init__(self, dependencies: Dependencies, jobs: GraphJobs) -> None:
        self._jobs = jobs
        self._steps = [dependencies.steps[jobs.nodes(job)[0]] for job in range(len(jobs))]
        self._before: dict[int, set[int]] = {}  # of each job whose workers are scarce, what it waits for, and itself
        self._scarce: dict[int, list[int]] = {}  # these jobs, by step
        for job, step in enumerate(self._steps):
            nodes = jobs.nodes(job)
            resources = dependencies.nodes[nodes[0]].stage.resources
            if resources.holds_model or resources.gpus:
                self._before[job] = jobs.of_all(dependencies.ancestors(nodes))
                self._scarce.setdefault(step, []).append(job)
        self._first = set(self._before)  # jobs that go before all others
        self.starving: list[int] = []  # steps

    def is_scarce(self, job: int) -> bool:
        """Tells whether the workers of a job are scarce."""
        return job in self._before

    def priority(self, job: int) -> int:
        """Returns the priority of the items of a job."""
        return self._steps[job] + (BOOST if job in self._first else 0)

    def update(self, queues: Mapping[int, JobQueue], open_tables: Sequence[int]) -> None:
        """Finds which steps starve, and sets the priorities of all queues; `open_tables` of each node have not ended.

        A job without a queue has had no item yet.
        """
        first, starving = set(self._before), []
        for step, jobs in self._scarce.items():
            opened = [queues[job] for job in jobs if job in queues]
            has_room = not opened or any(queue.has_room for queue in opened)
            if has_room and not any(queue.waiting for queue in opened):
                awaited = [job for job in jobs if self._jobs.total(job, open_tables) > _running(queues.get(job))]
                first.update(*(self._before[job] for job in awaited))
                starving += [step] if awaited else []
        self.starving = starving
        if first != self._first:
            self._first = first
            for job, queue in queues.items():
                priority = self.priority(job)
                if queue.priority != priority:
                    queue.priority = priority


def _running(queue: JobQueue | None) -> int:
    return queue.running if queue is not None else 0
