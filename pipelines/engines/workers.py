"""Workers as the dispatcher knows them, and the host that starts them: what each engine has a kind of its own of.

No method here waits, and none raises for a fault of the worker: what comes of a call is reported later, from any
thread. So a worker that hangs never holds up the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from corpus.execution import Job
from corpus.stage import Resources

MAX_HELD = 4  # jobs that a process keeps open, to take items of them in turns

Notify = Callable[[str], None]  # prints a line about the workers, from any thread


def print_to_stderr(line: str) -> None:
    """Prints a line about the workers where nobody else does."""
    from pipelines.report.terminal import Terminal, print_line

    print_line(Terminal(stderr=True), line)


@dataclass(frozen=True, eq=False)
class NumberedJob:
    """A job with a number that no other job of the engine has. Compared by identity."""

    number: int
    job: Job[Any, Any]
    resources: Resources

    @property
    def dedicated(self) -> bool:
        """Whether its workers work on nothing else: they hold a model, or a GPU."""
        return self.resources.holds_model or self.resources.gpus > 0


@dataclass
class Amounts:
    """The sum of what some workers take."""

    workers: int = 0
    cpus: float = 0.0  # of those that do not wait on a network
    gpus: float = 0.0
    network: int = 0  # workers that wait on a network

    def add(self, resources: Resources, sign: int = 1) -> None:
        """Adds one worker's resources, or with `sign` -1 takes them off."""
        self.workers += sign
        self.gpus += sign * resources.gpus
        if resources.waits_on_network:
            self.network += sign
        else:
            self.cpus += sign * resources.cpus


@dataclass
class Usage:
    """The sums of what all workers take: each worker is in at most one of them."""

    busy: Amounts = field(default_factory=Amounts)  # they have items, or are being stopped
    idle: Amounts = field(default_factory=Amounts)  # they have none, and hold a model or a GPU


class Reports(Protocol):
    """The receiver of what one worker reports. Its methods may be called from any thread, and never wait."""

    def alive(self) -> None:
        """Takes note of a sign of life."""
        ...

    def opened(self, job: NumberedJob) -> None:
        """Takes note that the worker has opened a job: if it dies from now on, an item is to blame."""
        ...

    def not_opened(self, job: NumberedJob, error: BaseException) -> None:
        """Takes an error that the job raised when it was opened."""
        ...

    def finished(self, number: int, result: Any) -> None:
        """Takes an item's result."""
        ...

    def failed(self, number: int, error: BaseException) -> None:
        """Takes the error that the job raised for an item."""
        ...

    def stalled(self, seconds: float) -> None:
        """Takes note that there was no sign of life for so long: the worker is stopped, and its items run elsewhere.

        For workers without heartbeats, whose host finds it out in another way.
        """
        ...

    def ended(self, reason: str) -> None:
        """Takes the worker's end: its last report. Where it was not to end, it has crashed."""
        ...


class Worker(Protocol):
    """A worker. The items that it has at one time are all of one job."""

    name: str  # in messages, such as "process 4711"
    has_heartbeats: bool  # it calls `Reports.alive` at least four times in `stall_timeout_s`

    def holds(self, job: NumberedJob) -> bool:
        """Returns whether it has the job open, so that an item starts at once."""
        ...

    def start(self, job: NumberedJob, number: int, item: Any) -> None:
        """Starts an item, beside those that it has. Opens the job first where it does not hold it, and reports that."""
        ...

    def release(self, job: NumberedJob) -> None:
        """Closes a job that it may hold, of which no more items come."""
        ...

    def leave(self) -> None:
        """Ends the worker, which has no items, in an orderly way: it closes what it holds, then reports its end."""
        ...

    def stop(self) -> None:
        """Ends the worker at once, in the midst of items too, then reports its end; safe to call twice.

        A worker that can't be stopped, such as a task of a cluster, reports its end when it has ended by itself.
        """
        ...


class WorkerHost(Protocol):
    """The place that workers run in: this machine, or a cluster. Its methods are called by one thread at a time."""

    reserves_cores: bool  # a job that needs more cores than are free keeps jobs behind it from taking these

    def can_start(self, resources: Resources, usage: Usage) -> bool:
        """Returns whether there is room for one more worker. Raises where there never will be, which fails the job."""
        ...

    def can_work(self, resources: Resources, usage: Usage) -> bool:
        """Returns whether a worker that has no items, and is there or can be started, may take one."""
        ...

    def create(self, job: NumberedJob, reports: Reports) -> Worker:
        """Starts a worker: for this job alone if that is `dedicated`, else for any that is not."""
        ...

    def release(self, job: NumberedJob) -> None:
        """Drops what it keeps of a job, of which no more items come."""
        ...

    def close(self) -> None:
        """Waits until all workers have ended, which were stopped; not for ever."""
        ...
