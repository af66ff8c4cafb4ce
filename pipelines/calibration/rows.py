"""Reads the numbers that thresholds cut: a seeded sample of the rows that a stage is given, columns only.

Each source gets its share of the sample by its number of rows, and takes it from several shards in a seeded order, so
the sample is the same wherever and however often it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import Ints, one_array
from corpus.sampling import derive_seed, random_order
from corpus.schema import Status
from corpus.thresholds import Numbers
from corpus.workspace import Workspace
from pipelines.calibration.cuts import TablePaths, ThresholdCut
from pipelines.plan import Node

_SHARDS = 16  # that a source's share of a sample is spread over, at the fewest
_MAX_SHARDS = 64  # times the shards that hold so many rows, are read in search of rows that are not removed
_MIN_ROWS = 1_000  # of a source, where it has them
_QUERIES = 2_000  # rows that are compared with all others of a sample


@dataclass(frozen=True)
class Part:
    """The sampled rows of one shard: those that the stage is given."""

    node: Node
    shard: str
    rows: Ints  # their positions in the tables of the shard, ascending
    tables: dict[str, pa.Table]  # by name or role, the sampled rows only


@dataclass(frozen=True)
class SampledRows:
    """The sampled rows of a stage, and how many rows its sources have."""

    parts: tuple[Part, ...]
    source_rows: int
    complete: bool  # all rows of all shards that exist are in it

    @property
    def rows(self) -> int:
        """How many rows are in it."""
        return sum(len(part.rows) for part in self.parts)


@dataclass(frozen=True)
class Measured:
    """The numbers of a cut: of the rows of a sample, or of their candidates."""

    numbers: Numbers  # float64[m], NaN: not measured
    part: Ints  # int64[m], in `Sample.parts`
    row: Ints  # int64[m], within the part
    place: Ints  # int64[m], in the row's list; 0 where a row has one number
    other: Ints | None = None  # int64[2, m], part and row of the nearest row, where rows are compared


def read_sample(
    workspace: Workspace, paths: TablePaths, cuts: Sequence[ThresholdCut], rows: int, seed: int
) -> SampledRows:
    """Reads the columns of the cuts of one stage, of about so many rows."""
    columns: dict[str, set[str]] = {}
    for cut in cuts:
        columns.setdefault(cut.threshold.table, set()).update(cut.threshold.columns)
    nodes = list(dict.fromkeys(node for cut in cuts for node in cut.nodes))
    cost = max(cut.threshold.cost for cut in cuts)
    rows = rows if cost == 1 else max(_MIN_ROWS, rows // cost)
    total = sum(paths.source_rows(node) for node in nodes)
    parts: list[Part] = []
    is_complete = True
    for node in nodes:
        quota = rows if rows >= total else max(_MIN_ROWS, -(-rows * paths.source_rows(node) // total))
        reader = _Reader(workspace, paths, node, {name: sorted(names) for name, names in columns.items()}, seed)
        parts.extend(reader.parts(quota))
        is_complete &= reader.complete
    return SampledRows(tuple(parts), total, is_complete)


@dataclass
class _Reader:
    workspace: Workspace
    paths: TablePaths
    node: Node
    columns: dict[str, list[str]]
    seed: int
    complete: bool = True

    def parts(self, quota: int) -> Iterator[Part]:
        """Yields the sampled rows of shards in a seeded order, until there are `quota`."""
        shards = self.paths.shards(self.node)
        owner = self.node.table_key.owner
        order = random_order(pa.array([f"{owner}/{shard}" for shard in shards], pa.string()), self.seed)
        size = max(1, self.paths.source_rows(self.node)) / max(1, len(shards))
        per_shard = -(-quota // max(1, min(len(shards), _SHARDS)))
        remaining, budget = quota, int(_MAX_SHARDS + _SHARDS * quota / size)
        for number, at in enumerate(order.tolist()):
            if remaining <= 0 or number >= budget:
                self.complete = False
                return
            part = self._part(shards[at], min(per_shard if quota < size * len(shards) else remaining, remaining))
            if part is not None:
                remaining -= len(part.rows)
                yield part

    def _part(self, shard: str, limit: int) -> Part | None:
        inputs = self.paths.inputs(self.node, shard)
        found = {name: self.paths.path(self.node, shard, name) for name in self.columns}
        if inputs is None or not all(found.values()):
            self.complete = False
            return None
        live = self._live(inputs)
        if len(live) > limit:
            self.complete = False
            names = pa.array([f"{shard}/{row}" for row in live.tolist()], pa.string())
            live = np.sort(live[random_order(names, derive_seed(self.seed, self.node.table_key.owner))[:limit]])
        tables = {
            name: self.workspace.read_table(str(found[name]), columns).take(live)
            for name, columns in self.columns.items()
        }
        return Part(self.node, shard, live, tables)

    def _live(self, inputs: Sequence[str]) -> Ints:
        """Returns the rows of a shard that no input of the stage has removed."""
        kept = None
        for path in inputs:
            status = one_array(self.workspace.read_table(path, ["status"]).column("status"))
            here = pc.equal(status, str(Status.KEPT)).to_numpy(zero_copy_only=False)
            kept = here if kept is None else kept & here
        return np.flatnonzero(kept) if kept is not None else np.zeros(0, np.int64)


def measure_rows(sample: SampledRows, cut: ThresholdCut, seed: int) -> Measured:
    """Returns the numbers of a cut over a sample."""
    if cut.threshold.nearest is not None:
        return _nearest(sample, cut, seed)
    numbers = np.array([number for number, part in enumerate(sample.parts) if part.node in cut.nodes], np.int64)
    if not len(numbers):
        return _nothing()
    parts = [sample.parts[number] for number in numbers.tolist()]
    tables = [part.tables[cut.threshold.table].select(cut.threshold.columns) for part in parts]
    # All at once: a number of a few rows takes about as long as one of many.
    values = one_array(cut.threshold.numbers(pa.concat_tables(tables, promote_options="permissive")))
    starts = np.cumsum([0, *(len(part.rows) for part in parts)])
    row = np.arange(len(values))
    place = np.zeros(len(values), np.int64)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        row = pc.list_parent_indices(values).to_numpy().astype(np.int64)
        counts = np.bincount(row, minlength=len(values))
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        values = values.flatten()
        known = np.asarray(values.is_valid())
        values, row, place = values.filter(pa.array(known)), row[known], place[known]
    at = np.searchsorted(starts, row, side="right") - 1
    return Measured(_float64(values), numbers[at], row - starts[at], place)


def _nothing() -> Measured:
    empty = np.zeros(0, np.int64)
    return Measured(np.zeros(0), empty, empty, empty)


def _float64(values: pa.Array) -> Numbers:
    """Returns numbers as numpy has them; NaN for null."""
    return values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)


def _nearest(sample: SampledRows, cut: ThresholdCut, seed: int) -> Measured:
    """Compares some rows of the sample with the rows of the whole sample that are nearest to them."""
    nearest, columns = cut.threshold.nearest, list(cut.threshold.columns)
    numbers = [number for number, part in enumerate(sample.parts) if part.node in cut.nodes]
    if nearest is None or not numbers:
        return _nothing()
    parts = [sample.parts[number] for number in numbers]
    part = np.repeat(numbers, [len(each.rows) for each in parts])
    row = np.concatenate([np.arange(len(each.rows)) for each in parts])
    names = [f"{each.node.table_key.owner}/{each.shard}/{at}" for each in parts for at in each.rows.tolist()]
    queries = np.sort(random_order(pa.array(names, pa.string()), seed)[:_QUERIES])
    rows = pa.concat_tables([each.tables[cut.threshold.table].select(columns) for each in parts])
    found, other = nearest(rows, queries)
    place = np.zeros(len(queries), np.int64)
    return Measured(found, part[queries], row[queries], place, np.stack([part[other], row[other]]))
