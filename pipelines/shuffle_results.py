"""Runs a shuffle stage up to its results, and hands them out shard by shard: in memory, or through files if they are
many.

What `reduce` returns of all partitions comes together on the driver, and `finalize` concludes from it. A stage whose
reduced rows are edges (`ShuffleStage.edge_columns`) does not need that: the results of a component depend on its rows
alone. Where there are more such rows than `max_driver_rows`, the reducers write them to files, rounds over the shuffle
find the components (`pipelines.component_rounds`), two more shuffles bring the rows of each component together, which
`finalize` is called with, and the results of each shard. The driver handles names. The results are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.arrays import Ints
from corpus.execution import FinalizeTask, ShardTask, ShuffleMapJob
from corpus.hashing import mix64
from corpus.stage import Resources, ShuffleStage
from pipelines.component_rounds import EdgeFile, ScratchFiles, address_keys, find_stars, read_stars
from pipelines.engines import Engine, Reduce

_FILE = "file"  # the column of a table that stands for a file
_SPILLED = {b"rzen_corpus": b"spilled"}
_COMPONENT, _ADDRESS = "component", "row_address"


@contextmanager
def shuffle_results(
    engine: Engine,
    job: ShuffleMapJob,
    tasks: Sequence[ShardTask],
    todo: Sequence[ShardTask],
    partitions: int,
    scratch: str,
    max_driver_rows: int,
) -> Iterator[list[FinalizeTask]]:
    """Runs a shuffle stage over all of `tasks`, and yields what is to be written for each of `todo`.

    `scratch`: the URL of a folder that every worker reaches, for files as long as the context lasts. Raises what the
    stage raises.
    """
    stage, files = job.stage, ScratchFiles(scratch)
    if stage.edge_columns is None:
        tables = list(engine.map_reduce(job, tasks, stage.reduce, partitions))
        yield finalize_tasks(stage.finalize(pa.concat_tables(tables)) if tables else None, todo, stage)
        return
    try:
        reduce = _SpillingReduce(stage.reduce, files, max_driver_rows // partitions)
        tables = list(engine.map_reduce(job, tasks, reduce, partitions))
        if any(map(_is_spilled, tables)):
            yield _Contraction(engine, stage, files, partitions).tasks(tables, todo)
        else:
            yield finalize_tasks(stage.finalize(pa.concat_tables(tables)) if tables else None, todo, stage)
    finally:
        files.clear()


def finalize_tasks(results: pa.Table | None, tasks: Sequence[ShardTask], stage: ShuffleStage) -> list[FinalizeTask]:
    """Splits the results of a shuffle stage by the shards of their rows; None stands for no results."""
    if results is None:
        results = _no_results(stage)
    results = results.sort_by(_ADDRESS).combine_chunks()
    ordinals = results.column(_ADDRESS).to_numpy() >> np.int64(32)
    starts = np.searchsorted(ordinals, [task.ordinal for task in tasks], side="left")
    stops = np.searchsorted(ordinals, [task.ordinal for task in tasks], side="right")
    # Taken, not sliced: a pickled slice takes all buffers of its table along.
    return [
        FinalizeTask(task, results.take(pa.array(np.arange(start, stop))))
        for task, start, stop in zip(tasks, starts.tolist(), stops.tolist(), strict=True)
    ]


def _no_results(stage: ShuffleStage) -> pa.Table:
    columns = [*stage.schema, pa.field("status", pa.string()), pa.field("reason", pa.string())]
    return pa.schema([pa.field(_ADDRESS, pa.int64()), *columns]).empty_table()


@dataclass(frozen=True)
class StoredResults:
    """The results of one shard in a file, which is read where they are written to its table."""

    scratch: ScratchFiles
    path: str

    def __call__(self) -> pa.Table:
        return self.scratch.read(self.path)


@dataclass(frozen=True)
class _SpillingReduce:
    """A stage's `reduce`, which writes what it returns to a file if that is more than a number of rows."""

    reduce: Reduce
    scratch: ScratchFiles
    max_rows: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        reduced = self.reduce(rows)
        return reduced if reduced.num_rows <= self.max_rows else _spilled(self.scratch, reduced)


def _spilled(scratch: ScratchFiles, table: pa.Table) -> pa.Table:
    """Writes a table to a file; returns one of a row that stands for it."""
    return pa.table({_FILE: [scratch.write(table)]}).replace_schema_metadata(_SPILLED)


def _is_spilled(table: pa.Table) -> bool:
    return (table.schema.metadata or {}) == _SPILLED


@dataclass(frozen=True)
class _Contraction:
    """A shuffle stage's results from its reduced rows, by components, through files."""

    engine: Engine
    stage: ShuffleStage
    scratch: ScratchFiles
    partitions: int

    def tasks(self, tables: Sequence[pa.Table], todo: Sequence[ShardTask]) -> list[FinalizeTask]:
        """Returns the tasks of the shards, with the files of their results."""
        assert self.stage.edge_columns is not None
        reduced = [
            table.column(_FILE)[0].as_py() if _is_spilled(table) else self.scratch.write(table)
            for table in tables
            if table.num_rows
        ]
        edges = [EdgeFile(path, self.stage.edge_columns) for path in reduced]
        stars = find_stars(self.engine, edges, self.scratch, self.partitions)
        member = self.stage.edge_columns[0]
        labelled = self._shuffled(reduced, _Keys(member), _Label(member, self.scratch, stars, self.partitions))
        results = self._shuffled(labelled, _Keys(_COMPONENT), _Finalize(self.stage, self.scratch))
        by_shard = self.engine.map_reduce(
            _Emit(self.scratch, _Keys(_ADDRESS, of_shard=True)), results, _ByShard(self.scratch), self.partitions
        )
        files = {row["ordinal"]: row[_FILE] for table in by_shard for row in table.to_pylist()}
        none = _no_results(self.stage)
        return [
            FinalizeTask(task, StoredResults(self.scratch, files[task.ordinal]) if task.ordinal in files else none)
            for task in todo
        ]

    def _shuffled(self, paths: Sequence[str], keys: _Keys, reduce: Reduce) -> list[str]:
        """Shuffles the rows of files; returns the files that `reduce` wrote."""
        tables = self.engine.map_reduce(_Emit(self.scratch, keys), list(paths), reduce, self.partitions)
        return [table.column(_FILE)[0].as_py() for table in tables]


@dataclass(frozen=True)
class _Keys:
    """The column that brings rows together, or the shards of the rows that it addresses."""

    column: str
    of_shard: bool = False

    def of(self, rows: pa.Table) -> np.ndarray:
        """Returns the key of each row, uint64[n]."""
        addresses = rows.column(self.column).to_numpy()
        return mix64((addresses >> np.int64(32)).astype(np.uint64)) if self.of_shard else address_keys(addresses)


@dataclass(frozen=True)
class _Emit:
    """The job that emits the rows of a file."""

    scratch: ScratchFiles
    keys: _Keys

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[str], pa.Table]:
        return self._emit

    def on_worker_lost(self, item: str, reason: str) -> pa.Table:
        raise RuntimeError(f"rows of {item}: {reason}")

    def _emit(self, item: str) -> pa.Table:
        rows = self.scratch.read(item)
        return rows.append_column("key", pa.array(self.keys.of(rows)))


@dataclass(frozen=True)
class _Label:
    """The reduction that adds the component of each member."""

    member: str
    scratch: ScratchFiles
    stars: Mapping[int, str]
    partitions: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        addresses: Ints = rows.column(self.member).to_numpy()
        component = read_stars(self.scratch, self.stars, addresses, self.partitions)
        labelled = rows.drop_columns(["key"]).append_column(_COMPONENT, pa.array(component))
        return _spilled(self.scratch, labelled)


@dataclass(frozen=True)
class _Finalize:
    """The reduction that concludes from the rows of some whole components."""

    stage: ShuffleStage
    scratch: ScratchFiles

    def __call__(self, rows: pa.Table) -> pa.Table:
        return _spilled(self.scratch, self.stage.finalize(rows.drop_columns(["key", _COMPONENT])))


@dataclass(frozen=True)
class _ByShard:
    """The reduction that writes a file of the results of each shard, in the order of its rows."""

    scratch: ScratchFiles

    def __call__(self, rows: pa.Table) -> pa.Table:
        rows = rows.drop_columns(["key"]).sort_by(_ADDRESS).combine_chunks()
        ordinals, starts = np.unique(rows.column(_ADDRESS).to_numpy() >> np.int64(32), return_index=True)
        stops = [*starts.tolist()[1:], rows.num_rows]
        files = [
            self.scratch.write(rows.slice(start, stop - start))
            for start, stop in zip(starts.tolist(), stops, strict=True)
        ]
        return pa.table({"ordinal": ordinals, _FILE: files})
