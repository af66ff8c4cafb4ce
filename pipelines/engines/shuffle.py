"""Shuffles rows by key: the partition of a row, rows as bytes, and the two halves of a shuffle through local files.

All engines partition rows by this rule, so that a reducer gets the same rows on each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa

from corpus.execution import Job
from corpus.stage import Resources
from pipelines.engines import Reduce

_I = TypeVar("_I")

KEY = "key"


def partition_rows(table: pa.Table, partitions: int) -> list[pa.RecordBatch]:
    """Divides the rows by `key` mod `partitions`: one batch for each partition, slices of one buffer, some empty.

    Raises TypeError for a key that is not uint64.
    """
    if table.schema.field(KEY).type != pa.uint64():
        raise TypeError(f"a shuffle needs a uint64 column {KEY!r}, not {table.schema.field(KEY).type}")
    partition = (table.column(KEY).to_numpy() % np.uint64(partitions)).astype(np.int64)
    stops = np.cumsum(np.bincount(partition, minlength=partitions)).tolist()
    ordered = table.take(np.argsort(partition, kind="stable"))
    batch = pa.record_batch([column.combine_chunks() for column in ordered.columns], schema=table.schema)
    return [batch.slice(start, stop - start) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]


def to_ipc(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> bytes:
    """Writes rows as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_ipc(streams: Iterable[bytes]) -> pa.Table:
    """Reads the rows of Arrow IPC streams, of at least one."""
    return pa.concat_tables([pa.ipc.open_stream(stream).read_all() for stream in streams])


def split_batch(batch: pa.RecordBatch, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Cuts a batch into pieces of about `max_bytes`; none for an empty batch."""
    rows = max(1, int(batch.num_rows * max_bytes / max(1, batch.nbytes)))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


@dataclass(frozen=True)
class ShuffleWrite(Generic[_I]):
    """The job of the first half of a shuffle: it writes an item's rows to a file, partition n as record batch n."""

    job: Job[_I, pa.Table]
    folder: str
    partitions: int

    @property
    def resources(self) -> Resources:
        return self.job.resources

    def open(self) -> Callable[[tuple[int, _I]], str]:
        function = self.job.open()
        return lambda entry: self._write(entry[0], function(entry[1]))

    def on_worker_lost(self, item: tuple[int, _I], why: str) -> str:
        return self._write(item[0], self.job.on_worker_lost(item[1], why))

    def _write(self, position: int, table: pa.Table) -> str:
        if not table.num_rows:
            return ""
        path = f"{self.folder}/{position}.arrow"
        with pa.ipc.new_file(path, table.schema) as writer:
            for batch in partition_rows(table, self.partitions):
                writer.write_batch(batch)
        return path


@dataclass(frozen=True)
class ShuffleRead:
    """The job of the second half of a shuffle: it reads a partition from each spilled file and reduces it."""

    reduce: Reduce
    folder: str
    spilled: tuple[str, ...]

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[int], str]:
        return self._reduce

    def on_worker_lost(self, item: int, why: str) -> str:
        raise RuntimeError(f"partition {item} of a shuffle: {why}")

    def _reduce(self, partition: int) -> str:
        batches = []
        for path in self.spilled:
            with pa.OSFile(path) as file:
                batches.append(pa.ipc.open_file(file).get_batch(partition))
        if not any(batch.num_rows for batch in batches):
            return ""
        reduced = self.reduce(pa.Table.from_batches(batches))
        path = f"{self.folder}/reduced-{partition}.arrow"
        with pa.ipc.new_file(path, reduced.schema) as writer:
            writer.write_table(reduced)
        return path
