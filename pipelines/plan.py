"""Plans a run: which tables are done, which are missing, which are stale and why.

A table is done when a file with its fingerprint exists, so the plan needs one listing for each stage and source and
nothing else: no database, no markers. All fingerprints are known before anything runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow.compute as pc

from corpus.execution import ShardTask, worth_retrying
from corpus.pool import Pool, PoolRead
from corpus.schema import Status
from corpus.stage import ROWS, ShuffleStage, Stage, fingerprint, fingerprint_parts, split_generation
from corpus.workspace import Root, TableKey, Workspace
from pipelines.frozen_pools import FrozenPool, read_frozen_pool
from pipelines.sources.source_shards import SourceIndex

_POOL = "pool "  # before the name of a pool, among the inputs of a fingerprint
_MAX_EXPLAINED = 20  # stale shards of a stage whose old settings are read; the others are stale for the same reason

# forced: done, and made again because the user selects it.
TableState = Literal["done", "missing", "stale", "forced"]


@dataclass(frozen=True)
class Node:
    """A stage over the shards of one source, and the tables that it reads and writes.

    A stage that makes pairs, or runs over pairs, has a node for each source of each dataset.
    """

    stage: Stage
    source: str
    table_key: TableKey
    reads: tuple[tuple[str, TableKey], ...]  # (name or role by which the stage reads it, table)
    dataset: str = ""
    pools: tuple[tuple[PoolRead, tuple[tuple[str, TableKey], ...]], ...] = ()  # of each its (source, table)
    filters_rows: bool = True  # its table has the status of the source's rows, or of the clips or pairs made of them


@dataclass(frozen=True)
class Step:
    """The nodes of one stage: a map stage over several sources, or a shuffle stage over all of them."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def is_shuffle(self) -> bool:
        """Tells whether the rows of all shards meet in this step."""
        return isinstance(self.nodes[0].stage, ShuffleStage)

    @property
    def groups(self) -> list[tuple[Node, ...]]:
        """The nodes of a shuffle stage whose rows meet: those of all sources, or of one dataset."""
        datasets = dict.fromkeys(node.dataset for node in self.nodes)
        return [tuple(node for node in self.nodes if node.dataset == dataset) for dataset in datasets]


@dataclass(frozen=True)
class Selection:
    """The stage, shards and rows that a user wants to run, or to run again."""

    stage: str | None = None
    shards: frozenset[int] | None = None  # numbers; None: all
    force: bool = False
    retry: frozenset[str] = frozenset()  # "failed", or reasons

    def forces(self, step: str, shard: str) -> bool:
        """Tells whether a shard of a step runs although it is done."""
        if not (self.force or self.retry) or step != self.stage:
            return False
        return self.shards is None or int(shard) in self.shards


@dataclass(frozen=True)
class PlannedTable:
    """One table of a plan: the task that writes it, and its state."""

    node: Node
    task: ShardTask
    fingerprint: str
    state: TableState
    why: str = ""
    pools: Mapping[str, Pool] = field(default_factory=dict)  # the same object for all tables of a node


@dataclass
class Plan:
    """All tables of a configuration, step by step, and the shards of each source that has been read."""

    indexes: dict[str, SourceIndex]
    steps: list[tuple[Step, list[PlannedTable]]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # sources that have not been read: their shards are not known
    notices: list[str] = field(default_factory=list)  # about sources and pools, a line each
    frozen_tables: set[str] = field(default_factory=set)  # paths of the tables of frozen pools, which all exist
    new_pools: list[tuple[str, FrozenPool]] = field(default_factory=list)  # (step, pool) that is to be frozen

    def table(self, step: str, source: str) -> list[PlannedTable]:
        """Returns the planned tables of a step over one source, in shard order."""
        return [p for each, planned in self.steps if each.name == step for p in planned if p.node.source == source]

    def dataset_tables(self, dataset: str) -> list[list[PlannedTable]]:
        """Returns for each shard of a dataset's sources the table of its pairs, then those of the stages over pairs."""
        tables: dict[tuple[str, str], list[PlannedTable]] = {}
        for _, planned in self.steps:
            for table in planned:
                if table.node.dataset == dataset:
                    tables.setdefault((table.node.source, table.task.shard), []).append(table)
        return list(tables.values())


def make_plan(
    workspace: Workspace, steps: Sequence[Step], indexes: Mapping[str, SourceIndex], selection: Selection
) -> Plan:
    """Compares the tables that the steps would write with those in the workspace."""
    plan = Plan(dict(indexes))
    known: dict[tuple[TableKey, str], str] = {}  # (table, shard) -> its fingerprint, whether it exists or will
    ordinals = _ordinals(steps, indexes)
    frozen = _FrozenPools(workspace, plan, {node.table_key: node.stage for step in steps for node in step.nodes})
    for source, index in indexes.items():
        known.update({(TableKey("tables", source, ROWS), shard): name for shard, name in index.shards})
    for step in steps:
        planned: list[PlannedTable] = []
        stale = 0
        all_shards: dict[str, dict[str, str]] = {}  # by dataset
        for group in step.groups if step.is_shuffle else ():
            all_shards[group[0].dataset] = _all_shard_inputs(group, indexes, known)
        for node in step.nodes:
            present = workspace.tables(node.table_key)
            pools = {
                read.name: frozen.pool(step, node, read, pool) if read.frozen else pool
                for read, pool in _pools(workspace, node, indexes, known)
            }
            pooled = {_POOL + name: _pool_digest(pool) for name, pool in pools.items() if name in _fingerprinted(node)}
            for shard, _ in indexes[node.source].shards:
                read = list(_shard_inputs(node, indexes[node.source], shard))
                inputs = {f"{name}+{after}" if after else name: known[at] for name, after, at in read}
                parts = fingerprint_parts(node.stage, all_shards.get(node.dataset, inputs) | pooled)
                tables = tuple((name, at[0].path(at[1], known[at])) for name, _, at in read)
                ordinal = ordinals[node.table_key.root, node.table_key.owner, shard]
                planner = _TablePlanner(workspace, node, shard, ordinal, tables, parts, pools)
                found = planner.plan(step.name, present.get(shard, set()), selection, stale < _MAX_EXPLAINED)
                planned.append(found)
                stale += found.state == "stale"
                known[node.table_key, shard] = found.fingerprint
        plan.steps.append((step, planned))
    return plan


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


def _all_shard_inputs(
    nodes: Sequence[Node], indexes: Mapping[str, SourceIndex], known: Mapping[tuple[TableKey, str], str]
) -> dict[str, str]:
    """Returns a digest of each table that a shuffle stage reads, over all shards of all its nodes."""
    digests: dict[str, Any] = {}
    for node in sorted(nodes, key=lambda node: node.table_key.owner):  # the order of the settings does not matter
        for name, table_key in node.reads:
            digest = digests.setdefault(name, hashlib.sha256())
            for shard, _ in indexes[node.source].shards:
                digest.update(f"{node.table_key.owner}/{shard}:{known[table_key, shard]}\n".encode())
    return {name: digest.hexdigest()[:16] for name, digest in digests.items()}


def _pools(
    workspace: Workspace,
    node: Node,
    indexes: Mapping[str, SourceIndex],
    known: Mapping[tuple[TableKey, str], str],
) -> Iterator[tuple[PoolRead, Pool]]:
    """Yields the pools of a node, each with the paths of all its tables in the order of their names."""
    for read, keys in node.pools:
        paths = {
            key.path(shard, known[key, shard])
            for source, key in keys
            if source in indexes
            for shard, _ in indexes[source].shards
        }
        yield read, Pool(workspace.store.url, tuple(sorted(paths)))


@dataclass
class _FrozenPools:
    """The frozen pools of a plan, each read and checked once; the plan gets a notice about each."""

    workspace: Workspace
    plan: Plan
    stages: Mapping[TableKey, Stage]
    known: dict[tuple[str, str], Pool] = field(default_factory=dict)

    def pool(self, step: Step, node: Node, read: PoolRead, current: Pool) -> Pool:
        """Returns the tables of the snapshot; where there is none yet, the current ones, which become it."""
        key = (node.dataset, read.frozen)
        if key not in self.known:
            stage = next(self.stages[table] for each, keys in node.pools if each is read for _, table in keys)
            self.known[key] = self._read(step, stage, FrozenPool.of(*key, stage, current), current)
        return self.known[key]

    def _read(self, step: Step, stage: Stage, new: FrozenPool, current: Pool) -> Pool:
        frozen = read_frozen_pool(self.workspace, new.dataset, new.name)
        if frozen is None:
            self.plan.new_pools.append((step.name, new))
            self.plan.notices.append(f"{new.dataset}: pool {new.name} will be frozen with {len(new.paths):,} tables")
            return current
        frozen.check(self.workspace, stage)
        self.plan.frozen_tables.update(frozen.paths)
        self.plan.notices.append(frozen.notice(current))
        return Pool(current.workspace, frozen.paths)


def _pool_digest(pool: Pool) -> str:
    """Returns the digest of a pool's tables and, so that a plan can say what changed, their number."""
    return f"{hashlib.sha256(chr(10).join(pool.paths).encode()).hexdigest()[:16]}/{len(pool.paths)}"


def _fingerprinted(node: Node) -> set[str]:
    """Returns the names of the pools that the tables of a node depend on."""
    return {read.name for read, _ in node.pools if read.fingerprinted}


@dataclass(frozen=True)
class _TablePlanner:
    """Plans one table: compares its fingerprint with those of the tables that exist for its shard."""

    workspace: Workspace
    node: Node
    shard: str
    ordinal: int
    inputs: tuple[tuple[str, str], ...]
    parts: dict[str, Any]
    pools: Mapping[str, Pool]

    def plan(self, step: str, present: Iterable[str], selection: Selection, explain: bool) -> PlannedTable:
        base = fingerprint(self.parts)
        generations = sorted(number for hashed, number in map(split_generation, present) if hashed == base)
        latest = generations[-1] if generations else None
        if latest is not None:
            if not selection.forces(step, self.shard):
                return self._at(latest, "done")
            if selection.retry:
                return self._retried(latest, selection.retry)
            if self.node.stage.nondeterministic:
                return self._at(latest + 1, "forced", "forced: a new generation")
            return self._at(latest, "forced", "forced")
        if present and explain:
            return self._at(0, "stale", self._why(sorted(present)))
        return self._at(0, "stale" if present else "missing")

    def _at(
        self, generation: int, state: TableState, why: str = "", previous: str = "", retry: frozenset[str] = frozenset()
    ) -> PlannedTable:
        parts = {**self.parts, "generation": generation}
        name = fingerprint(parts)
        node = self.node
        task = ShardTask(
            node.table_key.owner,
            self.shard,
            self.ordinal,
            self.inputs,
            node.table_key.path(self.shard, name),
            Workspace.media_stem(node.source, self.shard, name),
            parts,
            previous,
            retry,
        )
        return PlannedTable(node, task, name, state, why, self.pools)

    def _retried(self, latest: int, retry: frozenset[str]) -> PlannedTable:
        done, stage = self._at(latest, "done"), self.node.stage
        retryable = stage.retryable_reasons(self.workspace.read_table(done.task.output))
        # A row that failed in an earlier stage is retried by that stage. A stage that fans out has no such rows.
        for path in () if stage.fan_out else [path for _, path in self.inputs]:
            earlier = self.workspace.read_table(path, ["status"]).column("status")
            retryable = pc.if_else(pc.equal(earlier, str(Status.KEPT)), retryable, "")
        again = pc.sum(worth_retrying(retryable, retry)).as_py() or 0
        if not again:
            return done
        return self._at(latest + 1, "forced", f"{again} failed rows are tried again", done.task.output, retry)

    def _why(self, present: Sequence[str]) -> str:
        """Returns the differences from the existing table of the shard that has the fewest."""
        paths = [self.node.table_key.path(self.shard, name) for name in present]
        found = [differences(self.workspace.read_fingerprint_parts(path), self.parts) for path in paths]
        nearest = min(found, key=len)
        return "; ".join(nearest) or "made by other settings"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Describes what changed between the parts of two fingerprints, a line for each."""
    found = []
    if old.get("version") != new["version"]:
        found.append(f"stage version {old.get('version')} -> {new['version']}")
    found += _changed("", old.get("settings", {}), new["settings"])
    inputs = old.get("inputs", {})
    for name, value in new["inputs"].items():
        if inputs.get(name) != value:
            found.append(_pool_change(name, inputs.get(name), value) or f"`{name}` changed")
    return found


def _pool_change(name: str, old: str | None, new: str) -> str:
    """Describes how a pool changed; "" for an input that is no pool."""
    if not name.startswith(_POOL):
        return ""
    name = name.removeprefix(_POOL)
    before, after = (int(each.partition("/")[2] or 0) for each in (old or "", new))
    if after > before:
        return f"the pool `{name}` grew by {after - before} tables, to {after}"
    if after < before:
        return f"the pool `{name}` lost {before - after} tables, of {before}"
    return f"the pool `{name}` changed"


def _changed(path: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted({*old, *new})
            for line in _changed(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))
        ]
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
