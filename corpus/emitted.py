"""Keeps what a shuffle stage emits for each shard, so that the next run of the stage emits for new shards only.

    emitted/<owner>/<stage>/<shard>.<fingerprint>.arrow

The fingerprint is of the shard's own inputs and the stage's settings. A shard's number among all shards, which rows are
addressed by, is another one when sources are added: addresses are kept as if it were 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.stage import ShuffleStage, fingerprint
from corpus.storage import MissingError, Store
from corpus.workspace import identity_of_path

if TYPE_CHECKING:
    from corpus.execution import ShardTask

_ROW_BITS = 32


def emitted_rows(stage: ShuffleStage, store: Store, task: ShardTask, emit: Callable[[], pa.Table]) -> pa.Table:
    """Returns what a stage emits for a shard: `emit()`, or what it returned in an earlier run."""
    if not stage.keeps_emitted:
        return emit()
    path = emitted_path(stage, task)
    try:
        kept = pa.ipc.open_stream(store.read(path)).read_all()
    except MissingError:
        rows = emit()
        store.publish(path, _to_bytes(_moved(stage, rows, -task.ordinal)))
        return rows
    return _moved(stage, kept, task.ordinal)


def emitted_path(stage: ShuffleStage, task: ShardTask) -> str:
    """Returns where the rows that a shard emits are kept."""
    inputs = [[name, identity_of_path(path)] for name, path in task.inputs]
    parts = {"stage": stage.name, "version": stage.version, "settings": stage.fingerprint_inputs(), "inputs": inputs}
    return f"emitted/{task.source}/{stage.name}/{task.shard}.{fingerprint(parts)}.arrow"


def _moved(stage: ShuffleStage, rows: pa.Table, by: int) -> pa.Table:
    """Adds to the number of the shard in the addresses of rows."""
    for name, addresses_per_row in stage.emitted_addresses.items():
        at = rows.column_names.index(name)
        moved = pc.add(one_array(rows.column(name)), pa.scalar(by * addresses_per_row << _ROW_BITS, pa.int64()))
        rows = rows.set_column(at, rows.schema.field(at), moved)
    return rows


def _to_bytes(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()
