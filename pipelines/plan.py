"""The plan of a run: its steps, the tables of each, and whether they are done, missing, stale or not known yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from corpus.execution import ShardTask
from corpus.pool import Pool, PoolRead
from corpus.stage import ShuffleStage, Stage
from corpus.workspace import TableKey
from pipelines.sources.source_shards import SourceIndex

POOL = "pool "  # before the name of a pool, among the inputs of a fingerprint

# forced: done, and made again because the user selects it. unknown: there are tables, and whether one of them is what
# is wanted shows when an earlier stage has run.
TableState = Literal["done", "missing", "stale", "forced", "unknown"]


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

    @property
    def is_shuffle(self) -> bool:
        """Whether the rows of all its shards meet."""
        return isinstance(self.stage, ShuffleStage)


@dataclass(frozen=True)
class Step:
    """The nodes of one stage: a map stage over several sources, or a shuffle stage over all of them."""

    name: str
    nodes: tuple[Node, ...]

    @property
    def is_shuffle(self) -> bool:
        """Tells whether the rows of all shards meet in this step."""
        return self.nodes[0].is_shuffle


@dataclass(frozen=True)
class Selection:
    """The stage, sources, shards and rows that a user wants to run, or to run again."""

    stage: str | None = None
    shards: frozenset[int] | None = None  # numbers; None: all
    force: bool = False
    retry: frozenset[str] = frozenset()  # "failed", or reasons
    sources: frozenset[str] | None = None  # None: all

    def described(self) -> dict[str, Any]:
        """Returns what is not at its default, as JSON-compatible data."""
        values = {name: getattr(self, name) for name in ("stage", "shards", "force", "retry", "sources")}
        return {name: sorted(v) if isinstance(v, frozenset) else v for name, v in values.items() if v}

    def selects(self, source: str, shard: str) -> bool:
        """Tells whether a shard of a source is among those that are wanted."""
        requested = self.sources is None or source in self.sources
        return requested and (self.shards is None or int(shard) in self.shards)

    def forces(self, step: str, source: str, shard: str) -> bool:
        """Tells whether a shard of a step runs although it is done."""
        return (self.force or bool(self.retry)) and step == self.stage and self.selects(source, shard)


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """One table of a plan: the task that writes it, and its state.

    As long as the content of what it reads is not known, its fingerprint and the path of its output are "", and it is
    `unknown`, or `missing` where there is no table at all.
    """

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


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Describes what changed between the parts of two fingerprints, a line for each."""
    found = []
    if old.get("version") != new["version"]:
        found.append(f"stage version {old.get('version')} -> {new['version']}")
    found += changed_settings("", old.get("settings", {}), new["settings"])
    inputs = old.get("inputs", {})
    for name, value in new["inputs"].items():
        if inputs.get(name) != value:
            found.append(_pool_change(name, inputs.get(name), value) or f"`{name}` changed")
    return found


def _pool_change(name: str, old: str | None, new: str) -> str:
    """Describes how a pool changed; "" for an input that is no pool."""
    if not name.startswith(POOL):
        return ""
    name = name.removeprefix(POOL)
    before, after = (int(each.partition("/")[2] or 0) for each in (old or "", new))
    if after > before:
        return f"the pool `{name}` grew by {after - before} tables, to {after}"
    if after < before:
        return f"the pool `{name}` lost {before - after} tables, of {before}"
    return f"the pool `{name}` changed"


def changed_settings(path: str, old: Any, new: Any) -> list[str]:
    """Describes what differs between two values of settings, `path.to.key: old -> new`, a line for each."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted({*old, *new})
            for line in changed_settings(f"{path}.{key}" if path else str(key), old.get(key), new.get(key))
        ]
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
