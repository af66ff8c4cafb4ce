"""Finds the thresholds of a run graph, each with its value in the settings and the tables that have its numbers.

Which thresholds there are, stages declare (`corpus.thresholds`). Stages over several sources with the same settings
share one cut; a stage over pairs has one for each dataset, where its settings are the dataset's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from corpus.stage import PAIRS, ROWS
from corpus.thresholds import Threshold
from corpus.workspace import TableKey
from pipelines.plan import Node, Plan, PlannedTable, Step


@dataclass(frozen=True)
class ThresholdCut:
    """A threshold as a configuration has it."""

    threshold: Threshold
    stage: str
    path: str  # of the settings that have it: "stages.quality"
    value: float | None  # None: it is off
    is_integer: bool
    nodes: tuple[Node, ...]  # whose rows it decides about

    @property
    def key(self) -> str:
        """Its key in a settings file: "stages.quality.min_sharpness"."""
        return f"{self.path}.{self.threshold.setting}"


def find_cuts(steps: Sequence[Step], stage: str | None = None) -> list[ThresholdCut]:
    """Returns the cuts of all stages, or of one, in the order of the stages and of their declarations."""
    cuts: dict[tuple[str, str], ThresholdCut] = {}
    for step in steps:
        if stage not in (None, step.name):
            continue
        for node in step.nodes:
            for threshold in node.stage.active_thresholds():
                cut = _cut(node, threshold)
                found = cuts.get((step.name, cut.key))
                nodes = (*found.nodes, node) if found else (node,)
                cuts[step.name, cut.key] = ThresholdCut(
                    threshold, step.name, cut.path, cut.value, cut.is_integer, nodes
                )
    return list(cuts.values())


def _cut(node: Node, threshold: Threshold) -> ThresholdCut:
    value: Any = node.stage.settings
    for key in threshold.setting.split("."):
        value = getattr(value, key)
    number = None if value is None else float(value)
    return ThresholdCut(
        threshold, node.stage.name, node.stage.settings_path(node.dataset), number, isinstance(value, int), ()
    )


class TablePaths:
    """The paths of the tables of a plan that exist, by node, shard, and the name or role of the table."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._nodes = {node.table_key: node for step, _ in plan.steps for node in step.nodes}
        self._done: dict[tuple[TableKey, str], str] = {}
        for _, planned in plan.steps:
            self._done |= dict(_done_tables(planned))
        for source, index in plan.indexes.items():
            key = TableKey("tables", source, ROWS)
            self._done |= {(key, shard): key.path(shard, name) for shard, name in index.shards}

    def shards(self, node: Node) -> list[str]:
        """Returns the shards of a node's source."""
        index = self._plan.indexes.get(node.source)
        return [shard for shard, _ in index.shards] if index else []

    def source_rows(self, node: Node) -> int:
        """Returns how many rows a node's source has."""
        index = self._plan.indexes.get(node.source)
        return index.rows if index else 0

    def path(self, node: Node, shard: str, name: str) -> str | None:
        """Returns the path of a table of a shard; None where it does not exist.

        `name` is that of a table or role which the stage reads, its own name, or that of a table with the same rows
        that was read to make these: the items behind their statistics.
        """
        key = self._table_key(node, name)
        return None if key is None else self._done.get((key, shard))

    def all(self, name: str) -> list[str]:
        """Returns the paths of all tables that exist and that some stage reads by this name or role."""
        keys = {key for node in self._nodes.values() for read, key in node.reads if read == name}
        return sorted(path for (key, _), path in self._done.items() if key in keys)

    def pair_tables(self, datasets: Collection[str]) -> list[str]:
        """Returns the paths of the tables that exist of the pairs of datasets."""
        keys = {node.table_key for node in self._nodes.values() if node.dataset in datasets}
        return sorted(path for (key, _), path in self._done.items() if key in keys and key.stage == PAIRS)

    def inputs(self, node: Node, shard: str) -> list[str] | None:
        """Returns the paths of the tables that say which rows the stage is given; None where one does not exist."""
        names = [name for name, _ in node.reads if name not in node.stage.side_inputs]
        paths = [self.path(node, shard, name) for name in names]
        return [path for path in paths if path] if all(paths) else None

    def _table_key(self, node: Node, name: str) -> TableKey | None:
        if name == node.stage.name:
            return node.table_key
        return next(self._keys_behind(node, name), None)

    def _keys_behind(self, node: Node, name: str) -> Iterator[TableKey]:
        reads = dict(node.reads)
        if name in reads:
            yield reads[name]
        for key in reads.values():
            behind = self._nodes.get(key)
            if behind is None:
                continue
            if name == behind.stage.name or name in behind.stage.roles:
                yield key
            if not behind.stage.fan_out:  # else its rows are others than those that it reads
                yield from self._keys_behind(behind, name)


def _done_tables(planned: Sequence[PlannedTable]) -> Iterator[tuple[tuple[TableKey, str], str]]:
    for table in planned:
        if table.state == "done":
            yield (table.node.table_key, table.task.shard), table.task.output
