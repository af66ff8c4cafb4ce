"""The interface through which a run is observed. What other packages implement: see docs/metrics.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpus.execution import Outcome


@dataclass(frozen=True)
class StartedRun:
    """A run that begins."""

    run_id: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # with defaults, without credentials
    versions: Mapping[str, str] = field(default_factory=dict)  # of this program and of libraries


@dataclass(frozen=True)
class TaskCounts:
    """The tasks of one stage by state: a task is the stage over one shard."""

    waiting: int = 0  # for tables that they read
    ready: int = 0
    running: int = 0
    done: int = 0  # in this run or before
    failed: int = 0
    blocked: int = 0  # by others that failed


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended."""

    error: str = ""  # what ended it early
    failed: Sequence[str] = ()  # failures, one line each
    funnels: Mapping[str, Any] = field(default_factory=dict)  # by source; empty where the run ended early


class RunObserver:
    """Observer of a run: a subclass overrides the methods that it needs.

    All of them are called in the thread that directs the run, which waits for them. What one raises is printed once,
    and the run goes on.
    """

    def started(self, run: StartedRun) -> None:
        """Receives the run before its first task."""

    def outcome(self, outcome: Outcome) -> None:
        """Receives the outcome of one stage over one shard: rows by status and reason, seconds, bytes, or its error."""

    def progress(self, tasks: Mapping[str, TaskCounts]) -> None:
        """Receives the tasks of each stage: at the beginning, about every ten seconds, and at the end."""

    def published(self, mixture: str, samples: Mapping[str, int]) -> None:
        """Receives a mixture that was published, or was there already, with the samples of each dataset."""

    def ended(self, run: EndedRun) -> None:
        """Receives the end of a run, whatever ended it."""

    def close(self) -> None:
        """Frees what the observer holds. It is called last, also where the run did not begin."""
