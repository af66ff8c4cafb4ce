"""The state of a workspace as the sections of a report see it: its plan, its counts, and bounded samples of its tables.

Whatever a section reads of tables it reads of a bounded number of shards, chosen by a seed, so that a report of a large
workspace takes no longer than that of a small one; counts are those that runs have kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.sampling import random_order
from corpus.storage import StorageError
from corpus.thresholds import Shows
from corpus.workspace import Workspace, owner_name
from pipelines.calibration.contents import (
    ITEM_COLUMNS,
    ByteRange,
    RowContent,
    add_item,
    read_contents_of,
    thumbnails,
)
from pipelines.calibration.cuts import TablePaths
from pipelines.calibration.rows import Part, SampledRows
from pipelines.config import Config
from pipelines.plan import Node, Plan, PlannedTable, Selection
from pipelines.report.funnel import CountedTable, Funnel, counted_of_source, funnels
from pipelines.report.run_history import RunHistory, read_history
from pipelines.report.table_counts import TableCounts
from pipelines.status import plan_run

SAMPLE_SEED = 0
SHARDS = 24  # of a source, that a section reads
_MAX_IMAGE_BYTES = 6 << 20  # as text a third more: the page stays below 10 MB
_TOGETHER = 48  # images


@dataclass(frozen=True)
class RowPlace:
    """One row of the tables of a shard."""

    node: Node
    shard: str
    row: int

    @property
    def address(self) -> str:
        """Source or dataset, shard and row, for people."""
        return f"{owner_name(self.node.table_key.owner)}, shard {self.shard}, row {self.row:,}"


@dataclass(frozen=True)
class ShardSample:
    """Some shards of a source, in the order of their names, and how many there are."""

    shards: tuple[str, ...]
    total: int

    @property
    def is_complete(self) -> bool:
        """Whether these are all shards."""
        return len(self.shards) == self.total


class Thumbnails:
    """Small images of items, as many as a page has room for."""

    def __init__(self, workspace: Workspace, max_bytes: int = _MAX_IMAGE_BYTES) -> None:
        self._workspace = workspace
        self._room = max_bytes
        self._known: dict[ByteRange, bytes] = {}
        self.omitted = 0  # images for which there was no room
        self.unreadable = 0  # images whose media could not be read

    def load(self, ranges: Iterable[ByteRange]) -> Mapping[ByteRange, bytes]:
        """Returns JPEGs by the places of their bytes, without those that do not decode or find no room."""
        new = [each for each in dict.fromkeys(ranges) if each not in self._known]
        for start in range(0, len(new), _TOGETHER):
            together = new[start : start + _TOGETHER]
            if self._room <= 0:
                self.omitted += len(together)
                continue
            try:
                found = thumbnails(self._workspace, together)
            except StorageError:
                self.unreadable += len(together)
                continue
            self._known |= found
            self._room -= sum(map(len, found.values()))
        return self._known


@dataclass(frozen=True)
class ReportContext:
    """All that sections read."""

    config: Config
    workspace: Workspace
    plan: Plan
    paths: TablePaths
    ready: frozenset[str]  # paths of the tables that exist
    counts: TableCounts
    funnels: Mapping[str, Funnel]
    history: RunHistory
    images: Thumbnails

    def nodes(self, stage: str) -> list[Node]:
        """Returns the nodes of a stage over sources that are no evaluation sets."""
        return [
            node
            for step, _ in self.plan.steps
            for node in step.nodes
            if step.name == stage and node.source in self.config.sources
        ]

    def sample(self, node: Node, limit: int = SHARDS) -> ShardSample:
        """Chooses shards of which the node's table exists: the first `limit` in a seeded order."""
        shards = [shard for shard in self.paths.shards(node) if self.paths.path(node, shard, node.stage.name)]
        names = pa.array([f"{node.table_key.owner}/{shard}" for shard in shards], pa.string())
        chosen = random_order(names, SAMPLE_SEED)[:limit] if len(shards) > limit else np.arange(len(shards))
        return ShardSample(tuple(sorted(shards[at] for at in chosen.tolist())), len(shards))

    def read(self, node: Node, shard: str, name: str, columns: Sequence[str]) -> pa.Table | None:
        """Reads those of the columns that a table of a shard has; None where there is no such table.

        `name` is that of the node's stage, or the name or role of a table with the same rows behind it.
        """
        path = self.paths.path(node, shard, name)
        return None if path is None else self.workspace.read_present(path, columns)

    def counted(self, source: str) -> list[CountedTable]:
        """Returns the tables that the funnel of a source counts."""
        return counted_of_source(self.plan, source, set(self.ready))

    def tables_by_path(self) -> dict[str, PlannedTable]:
        """Returns all tables of the plan that exist, by their paths."""
        return {
            table.task.output: table
            for _, planned in self.plan.steps
            for table in planned
            if table.task.output in self.ready
        }

    def contents(self, places: Sequence[RowPlace], shows: Shows, max_frames: int = 3) -> list[RowContent]:
        """Reads the texts of rows, and where their images lie; of a clip, those of some of its frames."""
        found: dict[RowPlace, RowContent] = {}
        parts: list[Part] = []
        addresses: dict[RowPlace, tuple[int, int]] = {}
        for node, shard, together in of_same_shard(places):
            if node.stage.fan_out and not node.dataset:  # its rows are its own, not those of what it reads
                found |= self._table_contents(node, shard, together, shows, max_frames)
                continue
            rows = np.unique([place.row for place in together])
            at = np.searchsorted(rows, [place.row for place in together]).tolist()
            addresses |= {place: (len(parts), each) for place, each in zip(together, at, strict=True)}
            parts.append(Part(node, shard, rows, {}))
        requested = dict.fromkeys(addresses.values(), shows)
        read = read_contents_of(self.workspace, self.paths, SampledRows(tuple(parts), 0, False), requested)
        found |= {place: read[address] for place, address in addresses.items()}
        return [found[place] for place in places]

    def _table_contents(
        self, node: Node, shard: str, places: Sequence[RowPlace], shows: Shows, max_frames: int
    ) -> dict[RowPlace, RowContent]:
        table = self.read(node, shard, node.stage.name, (*ITEM_COLUMNS, "text"))
        found = {place: RowContent() for place in places}
        fields = [] if table is None else table.take([place.row for place in places]).to_pylist()
        for row, item in zip(found.values(), fields, strict=False):
            if shows is not Shows.TEXT:
                add_item(row, item, max_frames)
            if shows is not Shows.ITEM and item.get("text"):
                row.texts.append(item["text"])
        return found


def of_same_shard(places: Iterable[RowPlace]) -> Iterator[tuple[Node, str, list[RowPlace]]]:
    """Yields nodes and shards with those of some rows that are in their tables, each row once."""
    groups: dict[tuple[int, str], list[RowPlace]] = {}
    for place in dict.fromkeys(places):
        groups.setdefault((id(place.node), place.shard), []).append(place)
    for together in groups.values():
        yield together[0].node, together[0].shard, together


def report_context(config: Config) -> ReportContext:
    """Reads the state of a workspace; runs nothing."""
    workspace = Workspace(config.workspace)
    plan = plan_run(config, Selection(), check=False)
    paths = TablePaths(plan)
    ready = frozenset(table.task.output for _, planned in plan.steps for table in planned if table.state == "done")
    counts = TableCounts.load(workspace)
    return ReportContext(
        config,
        workspace,
        plan,
        paths,
        ready,
        counts,
        funnels(counts, plan, set(ready), config.sources),
        read_history(workspace.store),
        Thumbnails(workspace),
    )
