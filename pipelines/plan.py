"""The plan: which tables are done, which are missing, which are stale and why.

A table is done when a file with its fingerprint lies there, so the plan needs one listing for each stage and source
and nothing else: no database, no markers. All fingerprints are known before anything runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from corpus.execution import ShardTask, worth_retrying
from corpus.pool import Pool, PoolRead
from corpus.schema import Status
from corpus.stage import ROWS, ShuffleStage, Stage, fingerprint, fingerprint_parts, split_generation
from corpus.workspace import Root, TableKey, Workspace
from pipelines.sources.source_shards import SourceIndex

_POOL = "pool "  # before the name of a pool, among the inputs of a fingerprint
_EXPLAINED = 20  # stale shards of a stage whose old settings are looked up; the others are stale for the same reason


@dataclass(frozen=True)
class Node:
    """A stage over the shards of one source, with where it reads and where it writes.

    Of a stage that makes pairs, or that is over pairs: over those that one source has in one dataset.
    """

    stage: Stage
    source: str
    table_key: TableKey
    reads: tuple[tuple[str, TableKey], ...]  # (name that the stage knows it by, where it lies)
    dataset: str = ""
    pools: tuple[tuple[PoolRead, tuple[tuple[str, TableKey], ...]], ...] = ()  # of each: (source, where its tables lie)
    filters_rows: bool = True  # its table says what has become of the source's rows, or of what they became


@dataclass(frozen=True)
class Step:
    """Nodes that run together: a map stage over several sources, or a keyed stage over all of them."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def keyed(self) -> bool:
        """Whether the rows of all shards meet in this step."""
        return isinstance(self.nodes[0].stage, ShuffleStage)

    @property
    def groups(self) -> list[tuple[Node, ...]]:
        """The nodes whose rows meet, of a keyed step: those of all sources, or of one dataset."""
        datasets = dict.fromkeys(node.dataset for node in self.nodes)
        return [tuple(node for node in self.nodes if node.dataset == dataset) for dataset in datasets]


@dataclass(frozen=True)
class Selection:
    """What the user asked for, over and above what is not done."""

    stage: str | None = None
    shards: frozenset[int] | None = None  # numbers; None: all
    force: bool = False
    retry: frozenset[str] = frozenset()  # "failed", or reasons

    def names(self, step: str, shard: str) -> bool:
        """Whether this shard of this step is to be made again."""
        if not (self.force or self.retry) or step != self.stage:
            return False
        return self.shards is None or int(shard) in self.shards


@dataclass(frozen=True)
class Planned:
    """One table of the plan."""

    node: Node
    task: ShardTask
    fingerprint: str
    state: str  # done, missing, stale, again
    why: str = ""
    pools: Mapping[str, Pool] = field(default_factory=dict)  # the same object for all tables of a node


@dataclass
class Plan:
    """Every table of a configuration, step by step, and where the rows of each source come from."""

    indexes: dict[str, SourceIndex]
    steps: list[tuple[Step, list[Planned]]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # of the sources, a line each, for people

    def table(self, step: str, source: str) -> list[Planned]:
        """The planned tables of a step over one source, in shard order."""
        return [p for each, found in self.steps if each.name == step for p in found if p.node.source == source]


def make_plan(
    workspace: Workspace, steps: Sequence[Step], indexes: Mapping[str, SourceIndex], selection: Selection
) -> Plan:
    """Compare what the steps would write with what lies in the workspace."""
    plan = Plan(dict(indexes))
    known: dict[tuple[TableKey, str], str] = {}  # fingerprint of each table that will be there
    ordinals = _ordinals(steps, indexes)
    for source, index in indexes.items():
        known.update({(TableKey("tables", source, ROWS), shard): name for shard, name in index.shards})
    for step in steps:
        planned: list[Planned] = []
        stale = 0
        whole: dict[str, dict[str, str]] = {}  # by dataset
        for group in step.groups if step.keyed else ():
            whole[group[0].dataset] = _whole_inputs(group, indexes, known)
        for node in step.nodes:
            present = workspace.tables(node.table_key)
            pools = {read.name: pool for read, pool in _pools(workspace, node, indexes, known)}
            pooled = {_POOL + name: _pool_digest(pool) for name, pool in pools.items() if name in _fingerprinted(node)}
            for shard, _ in indexes[node.source].shards:
                read = list(_read(node, indexes[node.source], shard))
                inputs = {f"{name}+{after}" if after else name: known[at] for name, after, at in read}
                parts = fingerprint_parts(node.stage, whole.get(node.dataset, inputs) | pooled)
                tables = tuple((name, at[0].path(at[1], known[at])) for name, _, at in read)
                ordinal = ordinals[node.table_key.root, node.table_key.owner, shard]
                one = _Table(workspace, node, shard, ordinal, tables, parts, pools)
                found = one.planned(step.name, present.get(shard, set()), selection, stale < _EXPLAINED)
                planned.append(found)
                stale += found.state == "stale"
                known[node.table_key, shard] = found.fingerprint
        plan.steps.append((step, planned))
    return plan


def _ordinals(steps: Sequence[Step], indexes: Mapping[str, SourceIndex]) -> dict[tuple[Root, str, str], int]:
    """A number for each shard of each source, then of each dataset, in the order of their names."""
    owners: list[tuple[Root, str, str]] = [("tables", source, source) for source in sorted(indexes)]
    pairs = {node.table_key.owner: node.source for step in steps for node in step.nodes if node.dataset}
    owners += [("pairs", owner, source) for owner, source in sorted(pairs.items())]
    keys = ((root, owner, shard) for root, owner, source in owners for shard, _ in indexes[source].shards)
    return {key: number for number, key in enumerate(keys)}


def _read(node: Node, index: SourceIndex, shard: str) -> Iterator[tuple[str, int, tuple[TableKey, str]]]:
    """What a node reads for a shard: name, how many shards after its own, and which table of which shard that is."""
    reach = index.reach.get(shard, 0) if node.stage.lookahead_shards else 0
    for name, table_key in node.reads:
        for after in range(reach + 1):
            yield name, after, (table_key, f"{int(shard) + after:06d}" if after else shard)


def _whole_inputs(
    nodes: Sequence[Node], indexes: Mapping[str, SourceIndex], known: Mapping[tuple[TableKey, str], str]
) -> dict[str, str]:
    """What a keyed stage reads: all shards of all its nodes, one digest for each table name."""
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
    """The pools of a node, each with the paths of all its tables in the order of their names."""
    for read, keys in node.pools:
        paths = {
            key.path(shard, known[key, shard])
            for source, key in keys
            if source in indexes
            for shard, _ in indexes[source].shards
        }
        yield read, Pool(workspace.store.url, tuple(sorted(paths)))


def _pool_digest(pool: Pool) -> str:
    """The digest of a pool's tables and, so that a plan can say what changed, how many there are."""
    return f"{hashlib.sha256(chr(10).join(pool.paths).encode()).hexdigest()[:16]}/{len(pool.paths)}"


def _fingerprinted(node: Node) -> set[str]:
    return {read.name for read, _ in node.pools if read.fingerprinted}


@dataclass(frozen=True)
class _Table:
    workspace: Workspace
    node: Node
    shard: str
    ordinal: int
    inputs: tuple[tuple[str, str], ...]
    parts: dict[str, Any]
    pools: Mapping[str, Pool]

    def planned(self, step: str, present: Iterable[str], selection: Selection, explain: bool) -> Planned:
        base = fingerprint(self.parts)
        generations = sorted(number for hashed, number in map(split_generation, present) if hashed == base)
        latest = generations[-1] if generations else None
        if latest is not None:
            if not selection.names(step, self.shard):
                return self._at(latest, "done")
            if selection.retry:
                return self._retried(latest, selection.retry)
            if self.node.stage.nondeterministic:
                return self._at(latest + 1, "again", "forced: a new generation")
            return self._at(latest, "again", "forced")
        if present and explain:
            return self._at(0, "stale", self._why(sorted(present)))
        return self._at(0, "stale" if present else "missing")

    def _at(
        self, generation: int, state: str, why: str = "", previous: str = "", retry: frozenset[str] = frozenset()
    ) -> Planned:
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
        return Planned(node, task, name, state, why, self.pools)

    def _retried(self, latest: int, retry: frozenset[str]) -> Planned:
        done, stage = self._at(latest, "done"), self.node.stage
        retryable = stage.retryable_reasons(self.workspace.read_table(done.task.output))
        # A row that an earlier stage failed is that stage's to retry. In a new run of rows there are none of these.
        for path in () if stage.fan_out else [path for _, path in self.inputs]:
            earlier = self.workspace.read_table(path, ["status"]).column("status")
            retryable = pc.if_else(pc.equal(earlier, str(Status.KEPT)), retryable, "")
        again = pc.sum(worth_retrying(retryable, retry)).as_py() or 0
        if not again:
            return done
        return self._at(latest + 1, "again", f"{again} failed rows are tried again", done.task.output, retry)

    def _why(self, present: Sequence[str]) -> str:
        """What sets the table apart from those that lie there: from the one that it is nearest to."""
        paths = [self.node.table_key.path(self.shard, name) for name in present]
        found = [differences(self.workspace.read_fingerprint_parts(path), self.parts) for path in paths]
        fewest = min(len(changes) for changes in found)
        nearest = next(changes for changes in found if len(changes) == fewest)
        return "; ".join(nearest) or "made by other settings"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between the parts of two fingerprints, in words."""
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
    """How a pool changed, in words; "" for what is no pool."""
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
