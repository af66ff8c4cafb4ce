"""Plans a run: which tables are done, which are missing, which are stale and why, and what can't be known yet.

A table is done when a file with its fingerprint exists, so the plan needs one listing for each stage and source and
nothing else: no database, no markers.

Early cutoff: what reads a table whose name has the digest of its content (`Stage.has_early_cutoff`) depends on the
digest alone. So where such a stage has to run, the fingerprints of what reads its tables are known only when it has
run: the run plans these steps again, one by one, as it comes to them. A stage that says the same of a shard as before
changes nothing after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from corpus.pool import Pool, PoolRead
from corpus.read_ahead import read_ahead
from corpus.stage import ROWS, Stage
from corpus.workspace import Root, TableKey, Workspace, identity, identity_of_path, with_content
from pipelines.frozen_pools import FrozenPool, read_frozen_pool
from pipelines.plan import POOL, Node, Plan, PlannedTable, Selection, Step
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
    """Plans all steps at once; then again, as the run comes to them, those whose inputs were not known before."""

    def __init__(
        self, workspace: Workspace, steps: Sequence[Step], indexes: Mapping[str, SourceIndex], selection: Selection
    ) -> None:
        self.plan = Plan(dict(indexes))
        self._workspace = workspace
        self._indexes = indexes
        self._selection = selection
        self._ordinals = _ordinals(steps, indexes)
        self._frozen = _FrozenPools(
            workspace, self.plan, {node.table_key: node.stage for s in steps for node in s.nodes}
        )
        self._known: dict[tuple[TableKey, str], TableName] = {}  # of each table and shard, whether it exists or will
        self._incomplete: set[int] = set()  # steps with inputs or pools that are not known
        for source, index in indexes.items():
            self._known.update({(TableKey("tables", source, ROWS), shard): name for shard, name in index.shards})
        keys = dict.fromkeys(node.table_key for step in steps for node in step.nodes)
        self._present = dict(zip(keys, read_ahead(workspace.tables, keys), strict=True))
        for number, step in enumerate(steps):
            self.plan.steps.append((step, self._planned(number, step)))

    def update(self, number: int) -> list[PlannedTable]:
        """Plans a step again where its inputs were not known, with what has been written since. Returns its tables."""
        step, planned = self.plan.steps[number]
        if number in self._incomplete:
            self._incomplete.remove(number)
            planned[:] = self._planned(number, step)
        return planned

    def written(self, number: int, place: int, content: str) -> str:
        """Records that the table at a place of a step exists, with the digest of its content; returns its path."""
        planned = self.plan.steps[number][1]
        table = planned[place]
        path = with_content(table.task.output, content)
        if content:
            planned[place] = replace(table, task=replace(table.task, output=path))
            self._known[table.node.table_key, table.task.shard] = path.removesuffix(".parquet").rpartition(".")[2]
        return path

    def _planned(self, number: int, step: Step) -> list[PlannedTable]:
        planned: list[PlannedTable] = []
        stale = 0
        shuffled = {group[0].dataset: self._all_shards(group) for group in (step.groups if step.is_shuffle else ())}
        for node in step.nodes:
            present = self._present[node.table_key]
            pools, pooled = self._pools(step, node)
            if any("" in pool.paths for pool in pools.values()):
                self._incomplete.add(number)
            for shard, _ in self._indexes[node.source].shards:
                read = list(_shard_inputs(node, self._indexes[node.source], shard))
                names = shuffled.get(node.dataset) or {_input(name, after): self._known[at] for name, after, at in read}
                inputs = TableInputs(
                    tuple((name, self._path(at)) for name, _, at in read),
                    {name: _identity(each) for name, each in (names | pooled).items()},
                    pools,
                    _awaited((names | pooled).values()),
                )
                ordinal = self._ordinals[node.table_key.root, node.table_key.owner, shard]
                planner = TablePlanner(self._workspace, node, shard, ordinal, inputs)
                found = planner.plan(step.name, present.get(shard, set()), self._selection, stale < _MAX_EXPLAINED)
                planned.append(found)
                stale += found.state == "stale"
                self._known[node.table_key, shard] = _name(step, found, inputs.after)
                if inputs.after:
                    self._incomplete.add(number)
        return planned

    def _path(self, at: tuple[TableKey, str]) -> str:
        """Returns the path of a table; "" where it is not known."""
        name = self._known[at]
        return at[0].path(at[1], name) if isinstance(name, str) else ""

    def _all_shards(self, nodes: Sequence[Node]) -> dict[str, TableName]:
        """Returns a digest of each table that a shuffle stage reads, over all shards of all its nodes."""
        digests: dict[str, Any] = {}
        awaited: dict[str, list[TableName]] = {}
        for node in sorted(nodes, key=lambda node: node.table_key.owner):  # the order of the settings does not matter
            for name, table_key in node.reads:
                digest = digests.setdefault(name, hashlib.sha256())
                for shard, _ in self._indexes[node.source].shards:
                    known = self._known[table_key, shard]
                    awaited.setdefault(name, []).append(known)
                    digest.update(f"{node.table_key.owner}/{shard}:{_identity(known)}\n".encode())
        after = {name: _awaited(names) for name, names in awaited.items()}
        return {
            name: Unknown(after[name]) if after.get(name) else digest.hexdigest()[:16]
            for name, digest in digests.items()
        }

    def _pools(self, step: Step, node: Node) -> tuple[dict[str, Pool], dict[str, TableName]]:
        """Returns the pools of a node by their names, and the digests of those that its tables depend on."""
        pools: dict[str, Pool] = {}
        pooled: dict[str, TableName] = {}
        for read, keys in node.pools:
            tables = [
                (key, shard)
                for source, key in keys
                if source in self._indexes
                for shard, _ in self._indexes[source].shards
            ]
            after = _awaited(self._known[table] for table in tables)
            pool = Pool(self._workspace.store.url, tuple(sorted(self._path(table) for table in tables)))
            if read.frozen:
                pool, after = self._frozen.pool(step, node, read, pool, after)
            pools[read.name] = pool
            if read.fingerprinted:
                pooled[POOL + read.name] = Unknown(after) if after else _pool_digest(pool)
        return pools, pooled


def _ordinals(steps: Sequence[Step], indexes: Mapping[str, SourceIndex]) -> dict[tuple[Root, str, str], int]:
    """Numbers the shards of all sources, then of all datasets, in the order of their names."""
    owners: list[tuple[Root, str, str]] = [("tables", source, source) for source in sorted(indexes)]
    pairs = {node.table_key.owner: node.source for step in steps for node in step.nodes if node.dataset}
    owners += [("pairs", owner, source) for owner, source in sorted(pairs.items())]
    keys = ((root, owner, shard) for root, owner, source in owners for shard, _ in indexes[source].shards)
    return {key: number for number, key in enumerate(keys)}


def _shard_inputs(node: Node, index: SourceIndex, shard: str) -> Iterator[tuple[str, int, tuple[TableKey, str]]]:
    """Yields what a node reads for a shard: name, number of shards after its own, and (table, shard)."""
    continues_in = index.continues_in.get(shard, 0) if node.stage.lookahead_shards else 0
    for name, table_key in node.reads:
        for after in range(continues_in + 1):
            yield name, after, (table_key, f"{int(shard) + after:06d}" if after else shard)


def _input(name: str, after: int) -> str:
    return f"{name}+{after}" if after else name


def _identity(name: TableName) -> str:
    return identity(name) if isinstance(name, str) else ""


def _awaited(names: Iterable[TableName]) -> tuple[str, ...]:
    """Returns the steps after which all of the names are known, each once."""
    return tuple(dict.fromkeys(step for name in names if isinstance(name, Unknown) for step in name.after))


def _name(step: Step, planned: PlannedTable, after: tuple[str, ...]) -> TableName:
    """Returns the name of a planned table for what reads it."""
    if after:
        return Unknown(after)
    if planned.task.content_named and planned.state != "done":
        return Unknown((step.name,))
    return planned.task.output.removesuffix(".parquet").rpartition(".")[2]


@dataclass
class _FrozenPools:
    """The frozen pools of a plan, each read and checked once; the plan gets a notice about each."""

    workspace: Workspace
    plan: Plan
    stages: Mapping[TableKey, Stage]
    existing: dict[tuple[str, str], Pool] = field(default_factory=dict)
    new: set[tuple[str, str]] = field(default_factory=set)

    def pool(
        self, step: Step, node: Node, read: PoolRead, current: Pool, after: tuple[str, ...]
    ) -> tuple[Pool, tuple[str, ...]]:
        """Returns the tables of the snapshot; where there is none yet, the current ones, which become it.

        Besides, as `after`, the steps after which the tables are known.
        """
        key = (node.dataset, read.frozen)
        if key not in self.existing:
            stage = next(self.stages[table] for each, keys in node.pools if each is read for _, table in keys)
            new = FrozenPool.of(*key, stage, current)
            frozen = read_frozen_pool(self.workspace, *key) if key not in self.new else None
            if frozen is None:
                self._freeze(step, new, key, complete=not after)
                return current, after
            frozen.check(self.workspace, stage)
            self.plan.frozen_tables.update(frozen.paths)
            self.plan.notices.append(frozen.notice(current))
            self.existing[key] = Pool(current.workspace, frozen.paths)
        return self.existing[key], ()

    def _freeze(self, step: Step, new: FrozenPool, key: tuple[str, str], complete: bool) -> None:
        if key not in self.new:
            self.plan.notices.append(f"{new.dataset}: pool {new.name} will be frozen with {len(new.paths):,} tables")
        self.new.add(key)
        if complete and (step.name, new) not in self.plan.new_pools:
            self.plan.new_pools.append((step.name, new))


def _pool_digest(pool: Pool) -> str:
    """Returns the digest of a pool's tables and, so that a plan can say what changed, their number."""
    paths = "\n".join(map(identity_of_path, pool.paths))
    return f"{hashlib.sha256(paths.encode()).hexdigest()[:16]}/{len(pool.paths)}"
