"""The jobs of a run: nodes of a stage that differ in their rows alone share one.

A worker opens a job once. So a model that captions ten sources is loaded once, and not ten times, and its workers go on
with the next source instead of making room for workers that load the same model again.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence

from pipelines.plan import Node
from pipelines.run_graph.dependencies import Dependencies


class GraphJobs:
    """The jobs of all nodes of a run graph, numbered in the order of their first nodes."""

    def __init__(self, dependencies: Dependencies) -> None:
        numbers: dict[object, int] = {}
        self._of = [
            numbers.setdefault((step, _identity(node)), len(numbers))
            for node, step in zip(dependencies.nodes, dependencies.steps, strict=True)
        ]
        self._nodes: list[list[int]] = [[] for _ in numbers]
        for node, job in enumerate(self._of):
            self._nodes[job].append(node)

    def __len__(self) -> int:
        return len(self._nodes)

    def of(self, node: int) -> int:
        """Returns the job of a node."""
        return self._of[node]

    def nodes(self, job: int) -> Sequence[int]:
        """Returns the nodes whose tasks are items of a job: all of one step."""
        return self._nodes[job]

    def total(self, job: int, counts: Sequence[int]) -> int:
        """Returns the sum of the counts of a job's nodes."""
        return sum(counts[node] for node in self._nodes[job])

    def of_all(self, nodes: Iterable[int]) -> set[int]:
        """Returns the jobs of some nodes."""
        return {self._of[node] for node in nodes}


def _identity(node: Node) -> object:
    """Returns what two nodes of one step have in common where a worker can't tell their stages from each other."""
    if node.is_shuffle or any(read.frozen for read, _ in node.pools):  # the list of a frozen pool is a node's own
        return object()
    stage = node.stage
    try:  # one by one: which objects its fields have in common, such as a part of the settings, makes no other stage
        fields = {name: pickle.dumps(value) for name, value in vars(stage).items()}
        found = (pickle.dumps(type(stage)), *sorted(fields.items()))
    except Exception:  # noqa: BLE001 - of a stage that is defined in a function, which no other process runs either
        return object()
    return (found, node.pools, node.dataset if node.pools else "")
