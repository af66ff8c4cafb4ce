"""Parts of a shuffle that the engines share: which partition a row goes to, and rows as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

KEY = "key"


def partition_rows(table: pa.Table, partitions: int) -> list[pa.RecordBatch]:
    """Cut the rows by `key` mod `partitions`: as many batches as partitions, slices of one buffer, some empty."""
    if table.schema.field(KEY).type != pa.uint64():
        raise TypeError(f"a shuffle wants a uint64 column {KEY!r}, not {table.schema.field(KEY).type}")
    partition = (table.column(KEY).to_numpy() % np.uint64(partitions)).astype(np.int64)
    stops = np.cumsum(np.bincount(partition, minlength=partitions)).tolist()
    ordered = table.take(np.argsort(partition, kind="stable"))
    batch = pa.record_batch([column.combine_chunks() for column in ordered.columns], schema=table.schema)
    return [batch.slice(start, stop - start) for start, stop in zip([0, *stops[:-1]], stops, strict=True)]


def to_ipc(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> bytes:
    """Write rows as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_ipc(streams: Iterable[bytes]) -> pa.Table:
    """Read the rows of several Arrow IPC streams; there must be at least one."""
    return pa.concat_tables([pa.ipc.open_stream(stream).read_all() for stream in streams])


def split_batch(batch: pa.RecordBatch, max_bytes: int) -> Iterator[pa.RecordBatch]:
    """Cut a batch into pieces of about `max_bytes`; none for an empty batch."""
    rows = max(1, int(batch.num_rows * max_bytes / max(1, batch.nbytes)))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)
