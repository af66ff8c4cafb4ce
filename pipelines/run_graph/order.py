"""The order of the tasks of a run: what is nearest to the end goes first, and what a scarce worker waits for before.

Workers that hold a model or a GPU are scarce. While one of them has nothing to do, the stages before it go first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.engines.queues import JobQueue
from pipelines.run_graph.dependencies import Dependencies

BOOST = 1_000  # added to the priority of what a starving stage waits for: more than there are steps


class TaskOrder:
    """The priorities of the nodes of a run."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._steps = dependencies.steps
        self._scarce: dict[int, list[int]] = {}  # nodes of each step whose workers are scarce
        for number, node in enumerate(dependencies.nodes):
            if node.stage.resources.holds_model or node.stage.resources.gpus:
                self._scarce.setdefault(dependencies.steps[number], []).append(number)
        self._before = {node: dependencies.ancestors([node]) for nodes in self._scarce.values() for node in nodes}
        self._first = set(self._before)  # nodes that go before all others
        self.starving: list[int] = []  # steps

    def is_scarce(self, node: int) -> bool:
        """Tells whether the workers of a node are scarce."""
        return node in self._before

    def priority(self, node: int) -> int:
        """Returns the priority of the tasks of a node."""
        return self._steps[node] + (BOOST if node in self._first else 0)

    def update(self, queues: Mapping[int, JobQueue], open_tables: Sequence[int]) -> None:
        """Finds which steps starve, and sets the priorities of all queues; `open_tables` of each node have not ended.

        A node without a queue has had no task yet.
        """
        first, starving = set(self._before), []
        for step, nodes in self._scarce.items():
            opened = [queues[node] for node in nodes if node in queues]
            has_room = not opened or any(queue.has_room for queue in opened)
            if has_room and not any(queue.waiting for queue in opened):
                awaited = [
                    node for node in nodes if open_tables[node] > (queues[node].running if node in queues else 0)
                ]
                first.update(*(self._before[node] for node in awaited))
                starving += [step] if awaited else []
        self.starving = starving
        if first != self._first:
            self._first = first
            for node, queue in queues.items():
                priority = self.priority(node)
                if queue.priority != priority:
                    queue.priority = priority
