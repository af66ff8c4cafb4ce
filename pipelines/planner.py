"""Plans a run: which tables are done, which are missing, which are stale and why, and what can't be known yet.

A table is done when a file with its fingerprint exists, so the plan needs one listing for each stage and source and
nothing else: no database, no markers.

Early cutoff: what reads a table whose name has the digest of its content (`Stage.has_early_cutoff`) depends on the
digest alone. So where such a stage has to run, the fingerprints of what reads its tables are known only when it has
run: each of these tables is planned again as soon as the names of all that it reads are known. A stage that says the
same of a shard as before changes nothing after it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from corpus.pool import Pool, PoolRead
from corpus.read_ahead import read_ahead
from corpus.stage import Stage
from corpus.workspace import Root, TableKey, Workspace, identity, identity_of_path, with_content
from pipelines.frozen_pools import FrozenPool, read_frozen_pool
from pipelines.plan import POOL, Node, Plan, PlannedTable, Selection, Step
from pipelines.run_graph.dependencies import Dependencies, Waiting
from pipelines.sources.source_shards import SourceIndex
from pipelines.table_planner import TableInputs, TablePlanner

_MAX_EXPLAINED = 20  # stale shards of a stage whose old settings are read; the others are stale for the same reason


@dataclass(frozen=True)
class Unknown:
    """The name of a table that can't be known before some steps have run."""

    after: tuple[str, ...]


TableName = str | Unknown


def make_plan(
    workspace: Workspace, steps: Sequence[Step], indexes: Mapping[str, SourceIndex], selection: Selection
) -> Plan:
    """Compares the tables that the steps would write with those in the workspace, as far as can be known."""
    return Planner(workspace, steps, indexes, selection).plan


class Planner:
    """Plans all tables at once; then again, each when what it reads is known, those of which that was not known.

    Tables have the numbers of `dependencies`.
    """

    def __init__(
        self, workspace: Workspace, steps: Sequence[Step], indexes: Mapping[str, SourceIndex], selection: Selection
    ) -> None:
        self.plan = Plan(dict(indexes))
        self._url = workspace.store.url
        self._indexes = indexes
        stages = {node.table_key: node.stage for step in steps for node in step.nodes}
        self._frozen = _FrozenPools(workspace, self.plan, stages)
        self.dependencies = graph = Dependencies(steps, indexes, self._frozen.is_frozen)
        self._names = Waiting(graph, names=True)
        self._unknown: dict[int, Unknown] = {}  # tables whose names are not known
        self._pending: deque[int | range] = deque()  # tables whose inputs may be known now
        self._explained = [0] * len(steps)
        self._group_names: dict[int, dict[str, TableName]] = {}  # of each shuffle group, digests of what it reads
        self._pools: dict[tuple[object, ...], tuple[Pool, TableName]] = {}  # with its digest
        self._pooled: dict[int, dict[str, TableName]] = {}  # of each node, digests of its pools
        self._node_pools: list[dict[str, Pool]] = [{} for _ in graph.nodes]  # shared by the tables of a node
        ordinals = _first_ordinals(steps, indexes)
        self._ordinals = [ordinals[node.table_key.root, node.table_key.owner] for node in graph.nodes]
        self._present = list(read_ahead(workspace.tables, [node.table_key for node in graph.nodes]))
        self._planners = [
            TablePlanner(workspace, steps[number].name, node, selection)
            for node, number in zip(graph.nodes, graph.steps, strict=True)
        ]
        self.plan.steps.extend((step, []) for step in steps)
        for node in range(len(graph.nodes)):
            tables = self.plan.steps[graph.steps[node]][1]
            for table in graph.tables_of(node):
                tables.append(self._plan(table, node))
        self._pending.clear()  # what reads a table comes after it, and has been planned above
        self._forget_incomplete()

    def table(self, number: int) -> PlannedTable:
        """Returns a table as it is planned now."""
        step, place = self.dependencies.place_in_step(number)
        return self.plan.steps[step][1][place]

    def is_named(self, number: int) -> bool:
        """Tells whether the name of a table is known, whether it exists or not."""
        return number not in self._unknown

    def written(self, number: int, content: str) -> str:
        """Records that a table exists, with the digest of its content; returns its path.

        What has waited for its name is planned by the next calls of `update`.
        """
        planned = self.table(number)
        path = with_content(planned.task.output, content)
        if content:
            self._put(number, replace(planned, task=replace(planned.task, output=path)))
        if number in self._unknown:
            del self._unknown[number]
            self._resolve(number)
        return path

    def release(self, number: int) -> None:
        """Forgets what a table that exists depends on: it is in its file."""
        planned = self.table(number)
        self._put(number, replace(planned, task=replace(planned.task, fingerprint_parts={})))

    def update(self, limit: int | None = None) -> list[int]:
        """Plans tables again of which all that they read is known since; at most `limit`. Returns their numbers."""
        found: list[int] = []
        while self._pending and (limit is None or len(found) < limit):
            entry = self._pending.popleft()
            if isinstance(entry, range):
                rest = None if limit is None else limit - len(found)
                tables = entry if rest is None else entry[:rest]
                if rest is not None and len(entry) > rest:
                    self._pending.appendleft(entry[rest:])
            else:
                tables = range(entry, entry + 1)
            for table in tables:
                if self._names.is_free(table) and table in self._unknown:
                    node = self.dependencies.node_of(table)
                    self._put(table, self._plan(table, node))
                    found.append(table)
        return found

    @property
    def is_updated(self) -> bool:
        """Whether `update` has nothing to do."""
        return not self._pending

    def pools(self, node: int) -> Mapping[str, Pool]:
        """Returns the pools of a node, whose tables are known by now."""
        if any("" in pool.paths for pool in self._node_pools[node].values()):  # which its fingerprints do not need
            self._forget_incomplete()
        self._pooled_names(node)
        return self._node_pools[node]

    def freeze(self, node: int) -> None:
        """Writes the lists of pools that a node freezes; all tables of its pools must exist."""
        self._frozen.write(self.dependencies.nodes[node], self.pools(node))

    def _put(self, number: int, planned: PlannedTable) -> None:
        step, place = self.dependencies.place_in_step(number)
        self.plan.steps[step][1][place] = planned

    def _plan(self, table: int, node_number: int) -> PlannedTable:
        graph = self.dependencies
        node, step_number = graph.nodes[node_number], graph.steps[node_number]
        step = self.plan.steps[step_number][0]
        place = table - graph.first[node_number]
        shard = self._indexes[node.source].shards[place][0]
        inputs = self._inputs(table, node_number)
        found = self._planners[node_number].plan(
            shard,
            self._ordinals[node_number] + place,
            inputs,
            self._present[node_number].get(shard, ()),
            self._explained[step_number] < _MAX_EXPLAINED,
        )
        self._explained[step_number] += found.state == "stale"
        if inputs.after:
            self._unknown[table] = Unknown(inputs.after)
        elif found.task.content_named and found.state != "done":
            self._unknown[table] = Unknown((step.name,))
        else:
            self._unknown.pop(table, None)
            self._resolve(table)
        return found

    def _resolve(self, table: int) -> None:
        """Records that the name of a table is known."""
        released = self._names.resolve(table)
        self._pending.extend(released.tables)
        self._pending.extend(map(self.dependencies.tables_of, released.nodes))

    def _inputs(self, table: int, node_number: int) -> TableInputs:
        graph = self.dependencies
        node = graph.nodes[node_number]
        place, more = table - graph.first[node_number], graph.shards_read(table, node_number)
        shards = self._indexes[node.source].shards
        read: list[tuple[str, str]] = []
        names: dict[str, TableName] = {}
        for name, table_key in node.reads:
            writer = graph.writer(table_key)
            for after in range(more + 1):
                found: TableName
                if writer is None:
                    shard, found = shards[place + after]
                    path = table_key.path(shard, found)
                else:
                    path, found = self._name(graph.first[writer] + place + after)
                read.append((name, path))
                names[f"{name}+{after}" if after else name] = found
        if node.is_shuffle:
            names = self._all_shards(graph.group_of[node_number])
        names |= self._pooled_names(node_number)
        identities = {name: _identity(each) for name, each in names.items()}
        return TableInputs(tuple(read), identities, self._node_pools[node_number], _awaited(names.values()))

    def _name(self, table: int) -> tuple[str, TableName]:
        """Returns the path and the name of a table; the path is "" where they are not known."""
        unknown = self._unknown.get(table)
        if unknown is not None:
            return "", unknown
        path = self.table(table).task.output
        return path, path.removesuffix(".parquet").rpartition(".")[2]

    def _all_shards(self, group: int) -> dict[str, TableName]:
        """Returns a digest of each table that a shuffle stage reads, over all shards of all its nodes."""
        if group in self._group_names:
            return dict(self._group_names[group])
        graph = self.dependencies
        digests: dict[str, Any] = {}
        awaited: dict[str, dict[str, None]] = {}
        nodes = [graph.nodes[number] for number in graph.groups[group]]
        for node in sorted(nodes, key=lambda node: node.table_key.owner):  # the order of the settings does not matter
            for name, table_key in node.reads:
                digest = digests.setdefault(name, hashlib.sha256())
                after = awaited.setdefault(name, {})
                writer = graph.writer(table_key)
                for place, (shard, rows) in enumerate(self._indexes[node.source].shards):
                    known = rows if writer is None else self._name(graph.first[writer] + place)[1]
                    if isinstance(known, Unknown):
                        after.update(dict.fromkeys(known.after))
                    digest.update(f"{node.table_key.owner}/{shard}:{_identity(known)}\n".encode())
        found: dict[str, TableName] = {
            name: Unknown(tuple(awaited[name])) if awaited[name] else digest.hexdigest()[:16]
            for name, digest in digests.items()
        }
        self._group_names[group] = found
        return dict(found)

    def _pooled_names(self, node_number: int) -> dict[str, TableName]:
        """Returns the digests of the pools of a node that its tables depend on; finds the pools themselves."""
        if node_number in self._pooled:
            return self._pooled[node_number]
        node = self.dependencies.nodes[node_number]
        found: dict[str, TableName] = {}
        for read, keys in node.pools:
            key = (self.dependencies.steps[node_number], node.dataset, read, keys)
            if key not in self._pools:
                pool, after = self._current_pool(keys)
                if read.frozen:
                    pool, after = self._frozen.pool(node, read, pool, after)
                self._pools[key] = pool, Unknown(after) if after else _pool_digest(pool)
            self._node_pools[node_number][read.name], name = self._pools[key]
            if read.fingerprinted:
                found[POOL + read.name] = name
        self._pooled[node_number] = found
        return found

    def _current_pool(self, keys: Sequence[tuple[str, TableKey]]) -> tuple[Pool, tuple[str, ...]]:
        """Returns the tables of a pool, and the steps after which all of them are known."""
        graph = self.dependencies
        writers = [graph.writer(key) for source, key in keys if source in self._indexes]
        found = [self._name(table) for writer in writers if writer is not None for table in graph.tables_of(writer)]
        return Pool(self._url, tuple(sorted(path for path, _ in found))), _awaited(name for _, name in found)

    def _forget_incomplete(self) -> None:
        """Forgets the digests and pools that were not known when they were found."""
        self._group_names = {group: names for group, names in self._group_names.items() if not _awaited(names.values())}
        self._pools = {
            key: (pool, name)
            for key, (pool, name) in self._pools.items()
            if isinstance(name, str) and "" not in pool.paths
        }
        self._pooled = {
            node: names
            for node, names in self._pooled.items()
            if not any("" in pool.paths for pool in self._node_pools[node].values()) and not _awaited(names.values())
        }


def _first_ordinals(steps: Sequence[Step], indexes: Mapping[str, SourceIndex]) -> dict[tuple[Root, str], int]:
    """Numbers the shards of all sources, then of all datasets, in the order of their names; the first of each."""
    owners: list[tuple[Root, str, str]] = [("tables", source, source) for source in sorted(indexes)]
    pairs = {node.table_key.owner: node.source for step in steps for node in step.nodes if node.dataset}
    owners += [("pairs", owner, source) for owner, source in sorted(pairs.items())]
    first: dict[tuple[Root, str], int] = {}
    shards = 0
    for root, owner, source in owners:
        first[root, owner] = shards
        shards += len(indexes[source].shards)
    return first


def _identity(name: TableName) -> str:
    return identity(name) if isinstance(name, str) else ""


def _awaited(names: Iterable[TableName]) -> tuple[str, ...]:
    """Returns the steps after which all of the names are known, each once."""
    return tuple(dict.fromkeys(step for name in names if isinstance(name, Unknown) for step in name.after))


@dataclass
class _FrozenPools:
    """The frozen pools of a plan, each read and checked once; the plan gets a notice about each."""

    workspace: Workspace
    plan: Plan
    stages: Mapping[TableKey, Stage]
    _lists: dict[tuple[str, str], FrozenPool | None] = field(default_factory=dict)
    _noticed: set[tuple[str, str]] = field(default_factory=set)
    _written: set[tuple[str, str]] = field(default_factory=set)

    def is_frozen(self, node: Node, read: PoolRead) -> bool:
        """Tells whether there is a snapshot already."""
        return self._list(node, read) is not None

    def pool(self, node: Node, read: PoolRead, current: Pool, after: tuple[str, ...]) -> tuple[Pool, tuple[str, ...]]:
        """Returns the tables of the snapshot; where there is none yet, the current ones, which become it.

        Besides, as `after`, the steps after which the tables are known.
        """
        key = (node.dataset, read.frozen)
        frozen = self._list(node, read)
        if key not in self._noticed:
            self._noticed.add(key)
            if frozen is not None:
                frozen.check(self.workspace, self._stage(node, read))
                self.plan.notices.append(frozen.notice(current))
            else:
                tables = len(current.paths)
                self.plan.notices.append(f"{node.dataset}: pool {read.frozen} will be frozen with {tables:,} tables")
        return (current, after) if frozen is None else (Pool(current.workspace, frozen.paths), ())

    def write(self, node: Node, pools: Mapping[str, Pool]) -> None:
        """Writes the lists of the pools that a node freezes, now that their tables exist."""
        for read, _ in node.pools:
            key = (node.dataset, read.frozen)
            if read.frozen and key not in self._written and not self.is_frozen(node, read):
                FrozenPool.of(*key, self._stage(node, read), pools[read.name]).write(self.workspace)
                self._written.add(key)

    def _stage(self, node: Node, read: PoolRead) -> Stage:
        return next(self.stages[table] for each, keys in node.pools if each is read for _, table in keys)

    def _list(self, node: Node, read: PoolRead) -> FrozenPool | None:
        key = (node.dataset, read.frozen)
        if key not in self._lists:
            self._lists[key] = read_frozen_pool(self.workspace, *key)
        return self._lists[key]


def _pool_digest(pool: Pool) -> str:
    """Returns the digest of a pool's tables and, so that a plan can say what changed, their number."""
    paths = "\n".join(map(identity_of_path, pool.paths))
    return f"{hashlib.sha256(paths.encode()).hexdigest()[:16]}/{len(pool.paths)}"
