"""Chains of tasks: the connected parts of what can run without waiting for a shuffle or a pool.

An engine that only runs whole pipelines (`Engine.streams` is False) is given these: a chain goes through the jobs in
the order of their steps, in general one shard of one source through all stages up to the next shuffle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.union_find import components
from pipelines.engines import Engine


@dataclass(frozen=True)
class ChainTask:
    """A task of a chain: the number of its job, and which tasks of the chain write what it reads."""

    job: int
    task: ShardTask
    needs: tuple[int, ...] = ()  # places in the chain, all before its own


@dataclass(frozen=True)
class Chain:
    """Connected tasks, in the order of their steps."""

    tasks: tuple[ChainTask, ...]


class ChainEngine(Engine, Protocol):
    """The interface of an engine that does not stream: it runs whole pipelines."""

    def run_chains(self, jobs: Sequence[MapJob], chains: Sequence[Chain]) -> Iterator[tuple[int, int, Outcome]]:
        """Runs chains of tasks as one pipeline; yields (number of the chain, place in it, outcome), in any order.

        A task that needs one that failed is left out, and has no outcome. Where several jobs take GPUs, a pipeline ends
        before each but the first.
        """
        ...


def build_chains(tasks: Sequence[tuple[int, ShardTask]]) -> list[Chain]:
    """Connects tasks that read what others of them write. They come as (number of the job, task), in step order.

    A task that looks ahead (`Stage.lookahead_shards`) into a shard that another task writes is in no chain, and neither
    is what reads its table: it would connect all shards of a source. These run when the chains are done. So must all
    that reads a table whose name has the digest of its content: that name is not known before.
    """
    places: dict[str, int] = {}  # of the tasks that are in a chain, by what they write
    put_off: set[str] = set()  # what the others write
    needs: dict[int, tuple[int, ...]] = {}
    written = {task.output for _, task in tasks}
    for place, (_, task) in enumerate(tasks):
        read = dict.fromkeys(path for _, path in task.inputs if path in written)
        if not put_off.isdisjoint(read) or (read and _reads_other_shards(task)):
            put_off.add(task.output)
            continue
        places[task.output] = place
        needs[place] = tuple(sorted(places[path] for path in read))
    edges = np.array([(to, at) for at, found in needs.items() for to in found], np.int64).reshape(-1, 2)
    labels = components(len(tasks), edges[:, 0], edges[:, 1]).tolist()
    members: dict[int, list[int]] = {}
    for place in needs:
        members.setdefault(labels[place], []).append(place)
    return [_chain(tasks, chain, needs) for chain in members.values()]


def _reads_other_shards(task: ShardTask) -> bool:
    """Tells whether a task reads tables of other shards than its own: one name several times."""
    return len({name for name, _ in task.inputs}) < len(task.inputs)


def _chain(tasks: Sequence[tuple[int, ShardTask]], members: Sequence[int], needs: dict[int, tuple[int, ...]]) -> Chain:
    at = {place: number for number, place in enumerate(members)}
    return Chain(tuple(ChainTask(*tasks[place], tuple(at[needed] for needed in needs[place])) for place in members))
