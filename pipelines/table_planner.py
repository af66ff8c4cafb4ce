"""Plans single tables: compares the fingerprint of each with those of the tables that exist for its shard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow.compute as pc

from corpus.execution import ShardTask, worth_retrying
from corpus.pool import Pool
from corpus.schema import Status
from corpus.stage import fingerprint, fingerprint_parts, split_generation
from corpus.workspace import Workspace, split_content
from pipelines.plan import Node, PlannedTable, Selection, TableState, differences

_NO_PARTS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class TableInputs:
    """The inputs of a table: what it reads, what goes into its fingerprint, and what of that is not known yet."""

    read: tuple[tuple[str, str], ...]  # (table, path); a path that is not known is ""
    identities: Mapping[str, str]
    pools: Mapping[str, Pool]
    after: tuple[str, ...] = ()  # the steps after which all is known


@dataclass(frozen=True)
class TablePlanner:
    """The planner of the tables of one stage over one source."""

    workspace: Workspace
    step: str
    node: Node
    selection: Selection

    @cached_property
    def _node_parts(self) -> dict[str, Any]:
        """What all its tables depend on, once: most of the memory that a plan would take otherwise."""
        return fingerprint_parts(self.node.stage, {})

    def plan(
        self, shard: str, ordinal: int, inputs: TableInputs, present: Collection[str], explain: bool
    ) -> PlannedTable:
        """Returns the table of a shard with its state; `present` are the names of those that exist for the shard."""
        table = _Table(self, shard, ordinal, inputs, {**self._node_parts, "inputs": dict(inputs.identities)})
        if inputs.after:
            return table.unknown(bool(present))
        latest = table.latest(present)
        if latest is not None:
            if not self.selection.forces(self.step, self.node.source, shard):
                return table.done(latest)
            generation = split_generation(latest)[1]
            if self.selection.retry:
                return table.retried(latest, generation, self.selection.retry)
            if self.node.stage.nondeterministic or self.node.stage.has_early_cutoff:
                return table.at(generation + 1, "forced", "forced: a new generation")
            return table.at(generation, "forced", "forced")
        if present and explain:
            return table.at(0, "stale", table.why(sorted(present)))
        return table.at(0, "stale" if present else "missing")


@dataclass(frozen=True, slots=True)
class _Table:
    """The table of one shard."""

    planner: TablePlanner
    shard: str
    ordinal: int
    inputs: TableInputs
    parts: dict[str, Any]

    @property
    def node(self) -> Node:
        return self.planner.node

    def latest(self, present: Collection[str]) -> str | None:
        """Returns the name of the table that counts, that of the latest generation; None if there is none."""
        if not present:
            return None
        base = fingerprint(self.parts)
        found = [name for name in present if split_generation(name)[0] == base and self._has_content(name)]
        return min(found, key=lambda name: (-split_generation(name)[1], name), default=None)

    def _has_content(self, name: str) -> bool:
        return bool(split_content(name)[1]) or not self.node.stage.has_early_cutoff

    def done(self, name: str) -> PlannedTable:
        """Returns it as the table that exists by this name."""
        table = self.at(split_generation(name)[1], "done")
        path = self.node.table_key.path(self.shard, name)
        # What it depends on is in its file: most of the memory that a plan of what is done would take.
        return replace(table, task=replace(table.task, output=path, fingerprint_parts=_NO_PARTS))

    def unknown(self, is_present: bool) -> PlannedTable:
        """Returns it as one of which not all inputs are known."""
        node = self.node
        task = ShardTask(node.table_key.owner, self.shard, self.ordinal, self.inputs.read, "", "", {})
        why = f"after {', '.join(self.inputs.after)}"
        state: tuple[TableState, str] = ("unknown", why) if is_present else ("missing", "")
        return PlannedTable(node, task, "", *state, self.inputs.pools)

    def at(
        self, generation: int, state: TableState, why: str = "", previous: str = "", retry: frozenset[str] = frozenset()
    ) -> PlannedTable:
        """Returns it as a table of a generation, with a state."""
        parts = {**self.parts, "generation": generation}
        name = fingerprint(parts)
        node = self.node
        task = ShardTask(
            node.table_key.owner,
            self.shard,
            self.ordinal,
            self.inputs.read,
            node.table_key.path(self.shard, name),
            Workspace.media_stem(node.source, self.shard, name),
            parts,
            previous,
            retry,
            node.stage.has_early_cutoff,
        )
        return PlannedTable(node, task, name, state, why, self.inputs.pools)

    def retried(self, latest: str, generation: int, retry: frozenset[str]) -> PlannedTable:
        """Returns it as the next generation where rows are worth another try, else as done."""
        done, stage = self.done(latest), self.node.stage
        workspace = self.planner.workspace
        retryable = stage.retryable_reasons(workspace.read_table(done.task.output))
        # A row that failed in an earlier stage is retried by that stage. A stage that fans out has no such rows.
        for path in () if stage.fan_out else [path for _, path in self.inputs.read]:
            earlier = workspace.read_table(path, ["status"]).column("status")
            retryable = pc.if_else(pc.equal(earlier, str(Status.KEPT)), retryable, "")
        again = pc.sum(worth_retrying(retryable, retry)).as_py() or 0
        if not again:
            return done
        return self.at(generation + 1, "forced", f"{again} failed rows are tried again", done.task.output, retry)

    def why(self, present: Sequence[str]) -> str:
        """Returns the differences from the existing table of the shard that has the fewest."""
        paths = [self.node.table_key.path(self.shard, name) for name in present]
        found = [differences(self.planner.workspace.read_fingerprint_parts(path), self.parts) for path in paths]
        nearest = min(found, key=len)
        unnamed = not any(map(self._has_content, present))
        return "; ".join(nearest) or ("written by an earlier version" if unnamed else "made by other settings")
