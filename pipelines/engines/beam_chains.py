"""Chains of tasks as elements of a pipeline: one goes through the jobs in turn, each of which does its tasks of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from corpus.execution import MapJob, Outcome, ShardTask, close_function
from corpus.stage import Resources
from pipelines.run_graph.chains import Chain


@dataclass(frozen=True)
class Flow:
    """A chain on its way through a pipeline, and the outcomes of its tasks so far, by their places in it."""

    chain: Chain
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)

    def ready(self, job: int) -> list[int]:
        """Returns the places of the tasks of a job that all they need was written for."""
        return [
            place
            for place, each in enumerate(self.chain.tasks)
            if each.job == job and all(at in self.outcomes and not self.outcomes[at].error for at in each.needs)
        ]

    def has_tasks(self, jobs: Sequence[int]) -> bool:
        """Tells whether some of the jobs have a task to do, or will have when others of them have done theirs."""
        will_be: set[int] = set()
        for place, each in enumerate(self.chain.tasks):
            written = (at in will_be or (at in self.outcomes and not self.outcomes[at].error) for at in each.needs)
            if each.job in jobs and all(written):
                will_be.add(place)
        return bool(will_be)

    def having(self, place: int, outcome: Outcome) -> Flow:
        """Returns the flow with one outcome more."""
        return replace(self, outcomes={**self.outcomes, place: outcome})

    def to_lines(self, number: int) -> bytes:
        """Returns the outcomes as lines of JSON, with the number of the chain and the place in it."""
        return b"\n".join(json.dumps([number, *each]).encode() for each in self._records())

    def _records(self) -> Iterator[tuple[int, dict[str, object]]]:
        for place, outcome in self.outcomes.items():
            yield place, asdict(outcome)


def parse_outcome(line: bytes) -> tuple[int, int, Outcome]:
    """Reads a line of `Flow.to_lines`: (number of the chain, place in it, outcome)."""
    number, place, fields = json.loads(line)
    return number, place, Outcome(**fields)


@dataclass(frozen=True)
class ChainJob:
    """A job over flows: does the tasks of one job of each, unless one failed that they need.

    A job that can't be opened fails its own tasks, and the chains go on with what does not need these.
    """

    job: MapJob
    number: int

    @property
    def resources(self) -> Resources:
        return self.job.resources

    def open(self) -> Callable[[Flow], Flow]:
        try:
            return _OpenChainJob(self.job.open(), self.number)
        except Exception as error:  # noqa: BLE001 - it is reported as the outcome of each of its tasks
            why = f"{type(error).__name__}: {error}"
            return _OpenChainJob(lambda task: self._failed(task, why), self.number)

    def _failed(self, task: ShardTask, why: str) -> Outcome:
        return Outcome(task.source, self.job.stage.name, task.shard, error=why)

    def on_worker_lost(self, item: Flow, reason: str) -> Flow:
        for place in item.ready(self.number):
            item = item.having(place, self.job.on_worker_lost(item.chain.tasks[place].task, reason))
        return item


@dataclass(frozen=True)
class _OpenChainJob:
    function: Callable[[ShardTask], Outcome]
    number: int

    def __call__(self, flow: Flow) -> Flow:
        for place in flow.ready(self.number):
            flow = flow.having(place, self.function(flow.chain.tasks[place].task))
        return flow

    def close(self) -> None:
        close_function(self.function)


def split_at_gpus(jobs: Sequence[MapJob]) -> list[list[int]]:
    """Divides the numbers of jobs, in order, so that each part has one job that takes a GPU at most.

    The workers of a pipeline keep what they have opened to its end, and two models may not fit into one GPU's memory.
    """
    parts: list[list[int]] = []
    has_gpu = True
    for number, job in enumerate(jobs):
        if not parts or (has_gpu and job.resources.gpus):
            parts.append([])
            has_gpu = False
        parts[-1].append(number)
        has_gpu = has_gpu or bool(job.resources.gpus)
    return parts
