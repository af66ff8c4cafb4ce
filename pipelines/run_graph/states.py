"""States of the tables of a run: which wait, which may run, which exist, and which can't be made any more.

A table is *settled* when its path is known and its file exists. It may run when all that it reads is settled. What
fails blocks all that depends on it, and nothing else.
"""

from __future__ import annotations

from collections import Counter, deque
from enum import IntEnum

from pipelines.plan import PlannedTable, Selection
from pipelines.planner import Planner
from pipelines.run_graph.dependencies import Waiting


class TableStatus(IntEnum):
    """The state of one table."""

    OPEN = 0  # waits
    READY = 1  # may run, or runs
    SETTLED = 2
    FAILED = 3
    BLOCKED = 4  # will not be made in this run


class TableStates:
    """The states of all tables of a run, which change as tables are planned, written, and fail.

    Each change costs as much as there are tables that wait for just this one.
    """

    def __init__(self, planner: Planner, selection: Selection) -> None:
        self._planner = planner
        self._selection = selection
        self.dependencies = graph = planner.dependencies
        names = [step.name for step, _ in planner.plan.steps]
        self.is_forced = selection.force or bool(selection.retry)
        is_partial = selection.stage is not None and not self.is_forced
        self.last_step = names.index(str(selection.stage)) if is_partial else len(names) - 1
        self.is_complete = not is_partial  # all steps run, so that mixtures may be published
        self._states = bytearray(graph.tables)
        self._files = Waiting(graph)
        self._lacking: set[int] = set()  # open tables that read what will not be made; they may exist already
        self._shut: dict[int, bool] = {}  # gates that will not open, and whether what waits for them may exist
        self.ready: deque[int] = deque()  # tables of map stages that may run
        self.ready_groups: dict[int, list[int]] = {}  # of shuffle groups that may run, the tables to write
        self._unsettled = [len(graph.tables_of(node)) for node in range(len(graph.nodes))]  # tables of each node
        self.settled_nodes = deque(node for node, tables in enumerate(self._unsettled) if not tables)  # all tables are
        self.ended_nodes: deque[int] = deque()  # no requested table is open any more, as in:
        self.ended_steps: deque[int] = deque()
        self.open_in_node = [0] * len(graph.nodes)  # requested tables that have not ended
        self.open_in_step = [0] * len(names)
        self.todo_in_step = [0] * len(names)  # requested tables that did not exist when they were planned
        self.ended_in_step: list[Counter[TableStatus]] = [Counter() for _ in names]  # requested tables, by their states

    def status(self, table: int) -> TableStatus:
        """Returns the state of a table."""
        return TableStatus(self._states[table])

    def start(self) -> None:
        """Takes over what exists, and finds what may run."""
        graph = self.dependencies
        for node, step in enumerate(graph.steps):
            requested = sum(self._is_requested(table, node) for table in graph.tables_of(node))
            self.open_in_node[node] = requested
            self.open_in_step[step] += requested
        self.ended_steps.extend(step for step in range(self.last_step + 1) if not self.open_in_step[step])
        for node in range(len(graph.nodes)):
            self.consider_all(node)

    def consider_all(self, node: int) -> None:
        """Finds out what becomes of the tables of a node."""
        for table in self.dependencies.tables_of(node):
            self.consider(table)

    def consider(self, table: int) -> None:
        """Finds out what becomes of a table that was planned, or whose last input was settled."""
        if self._states[table] != TableStatus.OPEN:
            return
        planned = self._planner.table(table)
        if not planned.task.output:
            return
        node = self.dependencies.node_of(table)
        if planned.state == "done":
            self.settle(table)
        elif table in self._lacking or not self._is_requested(table, node):
            self._block(table)
        elif self._files.is_free(table):
            self._states[table] = TableStatus.READY
            group = self.dependencies.group_of.get(node)
            if group is None:
                self.ready.append(table)
            else:
                self.ready_groups.setdefault(group, []).append(table)

    def settle(self, table: int) -> None:
        """Records that a table exists."""
        graph = self.dependencies
        node = graph.node_of(table)
        self._end(table, node, TableStatus.SETTLED)
        self._unsettled[node] -= 1
        if not self._unsettled[node]:
            self.settled_nodes.append(node)
        released = self._files.resolve(table)
        for each in released.tables:
            self.consider(each)
        for each in released.nodes:
            if graph.steps[each] <= self.last_step:
                self._planner.freeze(each)
            self.consider_all(each)

    def fail(self, table: int) -> None:
        """Records that a table could not be made: what depends on it is blocked."""
        self._end(table, self.dependencies.node_of(table), TableStatus.FAILED)
        self._block_dependents(table)

    def block_rest(self) -> None:
        """Declares that nothing more will be made: what still waits is blocked."""
        for table, state in enumerate(self._states):
            if state in (TableStatus.OPEN, TableStatus.READY):
                self._end(table, self.dependencies.node_of(table), TableStatus.BLOCKED)

    def may_follow(self, table: int) -> bool:
        """Tells whether a table of a map stage will be ready when those are settled that it reads directly."""
        planned = self._planner.table(table)
        node = self.dependencies.node_of(table)
        return (
            self._states[table] == TableStatus.OPEN
            and bool(planned.task.output)
            and node not in self.dependencies.group_of
            and table not in self._lacking
            and self._files.is_open(node)
            and self._is_requested(table, node)
        )

    def planned_group(self, group: int) -> list[PlannedTable]:
        """Returns all tables of a shuffle group."""
        graph = self.dependencies
        return [self._planner.table(table) for node in graph.groups[group] for table in graph.tables_of(node)]

    def is_blocked(self, node: int) -> bool:
        """Tells whether a requested table of a node was blocked."""
        tables = self.dependencies.tables_of(node)
        return any(self._states[each] == TableStatus.BLOCKED and self._is_requested(each, node) for each in tables)

    def missing_inputs(self, group: int) -> int:
        """Counts the shards of a shuffle group of which something that it reads does not exist."""
        graph = self.dependencies
        tables = [table for node in graph.groups[group] for table in graph.tables_of(node)]
        return sum(any(self._states[read] != TableStatus.SETTLED for read in graph.inputs(table)) for table in tables)

    def missing_of_pools(self, node: int) -> dict[str, int]:
        """Returns how many tables of the pools of a node do not exist, by their names; of complete ones nothing."""
        graph = self.dependencies
        pools = [(graph.gates[at].pool, self._files.missing(at)) for at in graph.gates_of[node]]
        return {pool: missing for pool, missing in pools if pool and missing}

    def _is_requested(self, table: int, node: int) -> bool:
        graph = self.dependencies
        if graph.steps[node] > self.last_step:
            return False
        if self.is_forced or self._selection.stage is None:
            return True
        return self._selection.selects(graph.nodes[node].source, graph.shard(table, node))

    def _end(self, table: int, node: int, state: TableStatus) -> None:
        self._states[table] = state
        self._lacking.discard(table)
        if self._is_requested(table, node):
            step = self.dependencies.steps[node]
            self.open_in_node[node] -= 1
            self.open_in_step[step] -= 1
            self.ended_in_step[step][state] += 1
            self.todo_in_step[step] += self._planner.table(table).state != "done"
            if not self.open_in_node[node]:
                self.ended_nodes.append(node)
            if not self.open_in_step[step]:
                self.ended_steps.append(step)

    def _block(self, table: int) -> None:
        self._end(table, self.dependencies.node_of(table), TableStatus.BLOCKED)
        self._block_dependents(table)

    def _block_dependents(self, table: int) -> None:
        """Blocks what reads a table that will not be made. One that may turn out to exist waits until that is known."""
        graph = self.dependencies
        is_named = self._planner.is_named(table)
        node = graph.node_of(table)
        for reader, _ in graph.dependents(table, node):
            self._miss(reader, may_exist=is_named)
        for at in graph.gates_after[node]:
            gate = graph.gates[at]
            may_exist = is_named or not gate.in_names
            if self._shut.get(at, True) and (at not in self._shut or not may_exist):
                self._shut[at] = may_exist
                for waiting in gate.nodes:
                    for reader in graph.tables_of(waiting):
                        self._miss(reader, may_exist)

    def _miss(self, table: int, may_exist: bool) -> None:
        if self._states[table] == TableStatus.OPEN:
            if may_exist or self._planner.table(table).task.output:
                self._lacking.add(table)
                self.consider(table)
            else:
                self._block(table)
