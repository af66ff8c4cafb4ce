"""Plans one table: compares its fingerprint with those of the tables that exist for its shard."""

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


@dataclass(frozen=True)
class TableInputs:
    """The inputs of a table: what it reads, what goes into its fingerprint, and what of that is not known yet."""

    read: tuple[tuple[str, str], ...]  # (table, path); a path that is not known is ""
    identities: Mapping[str, str]
    pools: Mapping[str, Pool]
    after: tuple[str, ...] = ()  # the steps after which all is known


@dataclass(frozen=True)
class TablePlanner:
    """The planner of the table of one stage and shard."""

    workspace: Workspace
    node: Node
    shard: str
    ordinal: int
    inputs: TableInputs

    @cached_property
    def _parts(self) -> dict[str, Any]:
        return fingerprint_parts(self.node.stage, self.inputs.identities)

    def plan(self, step: str, present: Collection[str], selection: Selection, explain: bool) -> PlannedTable:
        """Returns the table with its state; `present` are the names of those that exist for the shard."""
        if self.inputs.after:
            return self._unknown(bool(present))
        latest = self._latest(present)
        if latest is not None:
            if not selection.forces(step, self.node.source, self.shard):
                return self._done(latest)
            generation = split_generation(latest)[1]
            if selection.retry:
                return self._retried(latest, generation, selection.retry)
            if self.node.stage.nondeterministic or self.node.stage.has_early_cutoff:
                return self._at(generation + 1, "forced", "forced: a new generation")
            return self._at(generation, "forced", "forced")
        if present and explain:
            return self._at(0, "stale", self._why(sorted(present)))
        return self._at(0, "stale" if present else "missing")

    def _latest(self, present: Collection[str]) -> str | None:
        """Returns the name of the table that counts, that of the latest generation; None if there is none."""
        base = fingerprint(self._parts)
        found = [name for name in present if split_generation(name)[0] == base and self._has_content(name)]
        return min(found, key=lambda name: (-split_generation(name)[1], name), default=None)

    def _has_content(self, name: str) -> bool:
        return bool(split_content(name)[1]) or not self.node.stage.has_early_cutoff

    def _done(self, name: str) -> PlannedTable:
        table = self._at(split_generation(name)[1], "done")
        path = self.node.table_key.path(self.shard, name)
        return replace(table, task=replace(table.task, output=path))

    def _unknown(self, is_present: bool) -> PlannedTable:
        node = self.node
        task = ShardTask(node.table_key.owner, self.shard, self.ordinal, self.inputs.read, "", "", {})
        why = f"after {', '.join(self.inputs.after)}"
        state: tuple[TableState, str] = ("unknown", why) if is_present else ("missing", "")
        return PlannedTable(node, task, "", *state, self.inputs.pools)

    def _at(
        self, generation: int, state: TableState, why: str = "", previous: str = "", retry: frozenset[str] = frozenset()
    ) -> PlannedTable:
        parts = {**self._parts, "generation": generation}
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

    def _retried(self, latest: str, generation: int, retry: frozenset[str]) -> PlannedTable:
        done, stage = self._done(latest), self.node.stage
        retryable = stage.retryable_reasons(self.workspace.read_table(done.task.output))
        # A row that failed in an earlier stage is retried by that stage. A stage that fans out has no such rows.
        for path in () if stage.fan_out else [path for _, path in self.inputs.read]:
            earlier = self.workspace.read_table(path, ["status"]).column("status")
            retryable = pc.if_else(pc.equal(earlier, str(Status.KEPT)), retryable, "")
        again = pc.sum(worth_retrying(retryable, retry)).as_py() or 0
        if not again:
            return done
        return self._at(generation + 1, "forced", f"{again} failed rows are tried again", done.task.output, retry)

    def _why(self, present: Sequence[str]) -> str:
        """Returns the differences from the existing table of the shard that has the fewest."""
        paths = [self.node.table_key.path(self.shard, name) for name in present]
        found = [differences(self.workspace.read_fingerprint_parts(path), self._parts) for path in paths]
        nearest = min(found, key=len)
        unnamed = not any(map(self._has_content, present))
        return "; ".join(nearest) or ("written by an earlier version" if unnamed else "made by other settings")
