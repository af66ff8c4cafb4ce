"""Dependencies between the tables of a run: what each waits for, and which wait for it.

Tables are numbered: step by step, in a step node by node, in a node shard by shard. A table of a map stage reads tables
of its own shard, so the edges follow from those between the nodes. Where a stage reads all shards (a shuffle) or all
tables of a pool, they meet in a *gate*, so that there are as many edges as tables.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from corpus.pool import PoolRead
from corpus.workspace import TableKey
from pipelines.plan import Node, Step
from pipelines.sources.source_shards import SourceIndex


@dataclass(frozen=True)
class Gate:
    """All tables of some nodes, for which other nodes wait together: the shards of a shuffle, or a pool."""

    reads: tuple[int, ...]  # nodes all of whose tables it waits for
    nodes: tuple[int, ...]  # nodes all of whose tables wait for it
    pool: str = ""  # its name; "": of a shuffle
    in_names: bool = True  # the fingerprints of these depend on its tables


class Released(NamedTuple):
    """The tables that wait for nothing since another was resolved, and nodes whose last gate opened."""

    tables: list[int]
    nodes: list[int]


@dataclass
class _Source:
    """The shards of a source: how many, and which look into others."""

    shards: int
    after: Mapping[int, int] = field(default_factory=dict)  # place -> number of shards after it that it looks into
    before: dict[int, list[int]] = field(default_factory=dict)  # place -> places of those that look into it

    @staticmethod
    def of(index: SourceIndex) -> _Source:
        places = {shard: place for place, (shard, _) in enumerate(index.shards)}
        after = {places[shard]: number for shard, number in index.continues_in.items()}
        found = _Source(len(places), after)
        for place, number in after.items():
            for other in range(place + 1, place + number + 1):
                found.before.setdefault(other, []).append(place)
        return found


class Dependencies:
    """The nodes, tables and gates of a run, and who waits for whom."""

    def __init__(
        self,
        steps: Sequence[Step],
        indexes: Mapping[str, SourceIndex],
        is_frozen: Callable[[Node, PoolRead], bool] = lambda node, read: False,
    ) -> None:
        """`is_frozen` tells which pools are snapshots whose tables all exist: nothing waits for those."""
        self.nodes: list[Node] = []
        self.steps: list[int] = []  # of each node, the number of its step
        self.first = [0]  # of each node, its first table; then the number of all tables
        self.groups: list[tuple[int, ...]] = []  # nodes of shuffle stages whose rows meet
        self.group_of: dict[int, int] = {}
        self._indexes = indexes
        self._sources = {name: _Source.of(index) for name, index in indexes.items()}
        self._step_first: list[int] = []
        for number, step in enumerate(steps):
            self._step_first.append(self.first[-1])
            for node in step.nodes:
                self.nodes.append(node)
                self.steps.append(number)
                self.first.append(self.first[-1] + self._sources[node.source].shards)
        self._writers = {node.table_key: number for number, node in enumerate(self.nodes)}
        self.reads = [self._nodes_read(node) for node in self.nodes]  # nodes whose tables of the same shard are read
        self.readers: list[list[int]] = [[] for _ in self.nodes]
        self.gates: list[Gate] = []
        self._add_groups()
        for number, reads in enumerate(self.reads):
            for read in reads if number not in self.group_of else ():
                self.readers[read].append(number)
        self._add_pools(is_frozen)
        self.gates_of: list[list[int]] = [[] for _ in self.nodes]  # gates that a node's tables wait for
        self.gates_after: list[list[int]] = [[] for _ in self.nodes]  # gates that wait for a node's tables
        for at, gate in enumerate(self.gates):
            for waiting in gate.nodes:
                self.gates_of[waiting].append(at)
            for read in gate.reads:
                self.gates_after[read].append(at)

    @property
    def tables(self) -> int:
        """The number of all tables."""
        return self.first[-1]

    def node_of(self, table: int) -> int:
        """Returns the node of a table."""
        return bisect_right(self.first, table) - 1

    def tables_of(self, node: int) -> range:
        """Returns the tables of a node."""
        return range(self.first[node], self.first[node + 1])

    def shard(self, table: int, node: int) -> str:
        """Returns the shard of a table of a node."""
        return self._indexes[self.nodes[node].source].shards[table - self.first[node]][0]

    def place_in_step(self, table: int) -> tuple[int, int]:
        """Returns the step of a table, and its place among the tables of that step."""
        step = self.steps[self.node_of(table)]
        return step, table - self._step_first[step]

    def writer(self, table_key: TableKey) -> int | None:
        """Returns the node that writes tables; None for the rows of sources, which exist."""
        return self._writers.get(table_key)

    def shards_read(self, table: int, node: int) -> int:
        """Returns how many shards after its own a table of a node reads."""
        if not self.nodes[node].stage.lookahead_shards:
            return 0
        return self._sources[self.nodes[node].source].after.get(table - self.first[node], 0)

    def inputs(self, table: int) -> Iterator[int]:
        """Yields the tables that one reads of its own shard and, where it looks ahead, of the next ones."""
        node = self.node_of(table)
        more = self.shards_read(table, node)
        for read in self.reads[node]:
            same = table - self.first[node] + self.first[read]
            yield from range(same, same + more + 1)

    def dependents(self, table: int, node: int) -> Iterator[tuple[int, int]]:
        """Yields (table, its node) of the tables that read one directly, not through a gate."""
        place = table - self.first[node]
        for reader in self.readers[node]:
            yield self.first[reader] + place, reader
            if self.nodes[reader].stage.lookahead_shards:
                for before in self._sources[self.nodes[reader].source].before.get(place, ()):
                    yield self.first[reader] + before, reader

    def ancestors(self, nodes: Sequence[int]) -> set[int]:
        """Returns the nodes that some nodes wait for, at once or in the end, and these themselves."""
        found: set[int] = set()
        rest = list(nodes)
        while rest:
            node = rest.pop()
            if node not in found:
                found.add(node)
                rest.extend(self.reads[node])
                for at in self.gates_of[node]:
                    rest.extend(self.gates[at].reads)
        return found

    def _nodes_read(self, node: Node) -> tuple[int, ...]:
        writers = (self._writers.get(key) for _, key in node.reads)
        return tuple(dict.fromkeys(writer for writer in writers if writer is not None))

    def _add_groups(self) -> None:
        groups: dict[tuple[int, str], list[int]] = {}
        for number, node in enumerate(self.nodes):
            if node.is_shuffle:
                groups.setdefault((self.steps[number], node.dataset), []).append(number)
        for group in groups.values():
            self.group_of.update(dict.fromkeys(group, len(self.groups)))
            self.groups.append(tuple(group))
            reads = dict.fromkeys(read for number in group for read in self.reads[number])
            self._add_gate(Gate(tuple(reads), tuple(group)))

    def _add_pools(self, is_frozen: Callable[[Node, PoolRead], bool]) -> None:
        pools: dict[tuple[object, ...], tuple[Gate, list[int]]] = {}
        for number, node in enumerate(self.nodes):
            for read, keys in node.pools:
                if read.frozen and is_frozen(node, read):
                    continue
                at = (self.steps[number], read.name, read.fingerprinted, keys)
                if at not in pools:
                    known = [self._writers.get(key) for source, key in keys if source in self._sources]
                    reads = tuple(dict.fromkeys(writer for writer in known if writer is not None))
                    pools[at] = Gate(reads, (), read.name, read.fingerprinted), []
                pools[at][1].append(number)
        for gate, nodes in pools.values():
            self._add_gate(replace(gate, nodes=tuple(dict.fromkeys(nodes))))

    def _add_gate(self, gate: Gate) -> None:
        if any(self.tables_of(read) for read in gate.reads):
            self.gates.append(gate)


class Waiting:
    """Counts for how many tables each one still waits, while they are resolved: named, or written."""

    def __init__(self, dependencies: Dependencies, names: bool = False) -> None:
        """`names`: what is resolved are names, which do not depend on all pools."""
        self._dependencies = dependencies
        self._inputs = array("i", [0]) * dependencies.tables
        self._closed = [0] * len(dependencies.nodes)  # gates of each node that are not open
        self._gates = [0] * len(dependencies.gates)  # tables that each gate waits for
        for node, reads in enumerate(dependencies.reads):
            if node not in dependencies.group_of:
                for table in dependencies.tables_of(node):
                    self._inputs[table] = len(reads) * (1 + dependencies.shards_read(table, node))
        for at, gate in enumerate(dependencies.gates):
            if gate.in_names or not names:
                self._gates[at] = sum(len(dependencies.tables_of(read)) for read in gate.reads)
                for node in gate.nodes:
                    self._closed[node] += 1

    def is_free(self, table: int) -> bool:
        """Tells whether a table waits for nothing."""
        return not self._inputs[table] and not self._closed[self._dependencies.node_of(table)]

    def is_open(self, node: int) -> bool:
        """Tells whether the tables of a node wait for no gate."""
        return not self._closed[node]

    def resolve(self, table: int) -> Released:
        """Records that a table is resolved; returns what is free since then, each table and node once."""
        released = Released([], [])
        dependencies = self._dependencies
        node = dependencies.node_of(table)
        for reader, reader_node in dependencies.dependents(table, node):
            self._inputs[reader] -= 1
            if not self._inputs[reader] and not self._closed[reader_node]:
                released.tables.append(reader)
        for at in dependencies.gates_after[node]:
            self._gates[at] -= 1
            if self._gates[at] == 0:
                for waiting in dependencies.gates[at].nodes:
                    self._closed[waiting] -= 1
                    if not self._closed[waiting]:
                        released.nodes.append(waiting)
        return released

    def missing(self, gate: int) -> int:
        """Returns how many tables a gate still waits for."""
        return self._gates[gate]
