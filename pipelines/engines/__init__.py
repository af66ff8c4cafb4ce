"""Engines: where stages run. Two verbs, `map` and `map_reduce`, and nothing else.

An engine schedules, retries over machines and shuffles. It knows nothing of stages, shards or tables: it opens a
`Work` in each worker and calls it with items. What comes out must not depend on the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol, TypeVar

import pyarrow as pa

from corpus.execution import Outcome, Work
from corpus.settings import Settings, tuning

I = TypeVar("I")  # noqa: E741

Reduce = Callable[[pa.Table], pa.Table]


class Engine(Protocol):
    """The interface of every engine."""

    def map(self, work: Work[I, Outcome], items: Sequence[I]) -> Iterator[Outcome]:
        """Run every item and yield its outcome, in any order, as they come. `work` and the items are picklable.

        The items of a worker that crashes run again elsewhere; an item that kills its worker three times, alone with
        it, has the outcome that `work.lost` gives. Raises what `work` raised (beam: RuntimeError with its text, where
        the runner has other processes). Closing the iterator early starts nothing more, and stops what can be stopped:
        all publishing is atomic.
        """
        ...

    def map_reduce(
        self, work: Work[I, pa.Table], items: Sequence[I], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        """Shuffle the rows that `work` returns for the items by their uint64 column `key`, then reduce them.

        `reduce` is called once for each non-empty partition (key mod `partitions`), with all rows of its keys in
        no particular order. Its tables come in any order. Raises what `work` or `reduce` raised, as `map` does.
        """
        ...

    def close(self) -> None:
        """Stop the workers."""
        ...


class EngineSettings(Settings):
    """Where stages run. Nothing here changes what comes out."""

    kind: Literal["local", "ray", "beam"] = tuning("local")
    # Processes (local, beam's own runner), tasks in flight or actors (ray). 0: as many as there are cores (local), as
    # the cluster has room for (ray), one (beam). One is this process itself (local, beam).
    workers: int = tuning(0, ge=0)
    partitions: int = tuning(16, ge=1)  # of a shuffle: more of them, less memory for each
    address: str | None = tuning(None)  # ray: of an existing cluster ("auto", "ray://host:10001"); None: start one
    runner: str = tuning("FnApiRunner")  # beam: its own runner, or another by name ("DataflowRunner" ...)
    options: tuple[str, ...] = tuning(())  # beam: pipeline options, passed through as they are


def open_engine(settings: EngineSettings, **context: Any) -> Engine:
    """Open the engine that the settings name. ImportError says which extra is missing."""
    if settings.kind == "ray":
        from pipelines.engines.ray import RayEngine

        return RayEngine(settings)
    if settings.kind == "beam":
        from pipelines.engines.beam import BeamEngine

        return BeamEngine(settings, **context)
    from pipelines.engines.local import LocalEngine

    return LocalEngine(settings)
