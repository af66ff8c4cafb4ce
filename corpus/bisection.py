"""Finds the rows of a shard that make a stage raise, and checks the tables that stages return."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.faults import fault_location, is_machine_fault, is_out_of_memory
from corpus.schema import Status, table_schema
from corpus.stage import ROWS, MapStage, Shard, Stage
from corpus.storage import StorageError


class ShardError(RuntimeError):
    """The error of a shard that can't be finished, for which no single row is to blame."""


def run_rows(stage: MapStage, function: Callable[[Shard], pa.Table], shard: Shard, isolated: bool = False) -> pa.Table:
    """Calls a stage's function on a shard's live rows; a row that raises is failed with the error as its reason.

    The shard is bisected until the raising rows are alone: about 2 k log2(n) calls for k such rows of n. Raises
    ShardError when all rows of 8 or more raise, or more than a tenth of them (and 16): that is no fault of single
    rows. A fault of the machine (`corpus.faults`) is raised as it is, at once, and so is memory that runs out, unless
    the function is `isolated`: there each call has a process of its own, and a row that takes all its memory is failed.
    """
    schema = table_schema(stage.schema)
    if not len(shard):
        return schema.empty_table()
    bisection = _Bisection(stage, function, schema, max(16, len(shard) // 10), isolated)
    table = bisection.run(shard)
    if len(bisection.broken) == len(shard) >= 8:
        raise ShardError(f"every row raised; the last one: {bisection.broken[-1]}")
    return table


@dataclass
class _Bisection:
    stage: MapStage
    function: Callable[[Shard], pa.Table]
    schema: pa.Schema
    limit: int  # rows that may raise
    isolated: bool
    broken: list[str] = field(default_factory=list)  # the error of each row that raised

    def run(self, shard: Shard) -> pa.Table:
        try:
            return _validate(self.stage, self.function(shard), shard, self.schema)
        except ShardError:
            raise
        except Exception as error:
            if is_machine_fault(error) or (is_out_of_memory(error) and not self.isolated):
                raise
            if self.stage.lookahead_shards:  # without its neighbours a row would be judged wrongly
                raise ShardError(describe_error(error)) from error
            if len(shard) == 1:
                return self._failed(shard, error)
        middle = len(shard) // 2
        return pa.concat_tables([self.run(half) for half in (shard.slice(0, middle), shard.slice(middle, len(shard)))])

    def _failed(self, shard: Shard, error: Exception) -> pa.Table:
        self.broken.append(describe_error(error))
        if len(self.broken) > self.limit:
            raise ShardError(f"{len(self.broken)} rows raised; the last one: {self.broken[-1]}") from error
        return _failed_row(self.stage, shard, self.schema, f"error:{type(error).__name__}")


def _failed_row(stage: MapStage, shard: Shard, schema: pa.Schema, reason: str) -> pa.Table:
    """Returns a row of nulls with a reason; of a stage with `fan_out` also with the columns of its origin."""
    fields: dict[str, Any] = {"status": Status.FAILED, "reason": reason}
    if stage.fan_out and ROWS in shard.tables:
        row = shard[ROWS].slice(0, 1)
        fields |= {
            name: row.column(origin).cast(schema.field(name).type).to_pylist()[0]
            for name, origin in stage.origin_columns.items()
            if origin in row.column_names
        }
    return pa.table(
        {name: pa.array([fields.get(name)], schema.field(name).type) for name in schema.names}, schema=schema
    )


def _validate(stage: MapStage, table: pa.Table, shard: Shard, schema: pa.Schema) -> pa.Table:
    """Returns a stage's table with `status` and `reason`, in the order and types of the schema.

    Raises ShardError where it is not as declared: the fault is the stage's, not a row's.
    """
    if not stage.fan_out and table.num_rows != len(shard):
        raise ShardError(f"stage {stage.name}: {table.num_rows} rows returned for {len(shard)}")
    for name, value in (("status", str(Status.KEPT)), ("reason", "")):
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat(pa.scalar(value), table.num_rows))
    if set(table.column_names) != set(schema.names):
        raise ShardError(f"stage {stage.name}: columns {table.column_names}, declared {schema.names}")
    return cast_to_schema(stage, table)


def cast_to_schema(stage: Stage, table: pa.Table) -> pa.Table:
    """Returns a stage's table in the order and types of its schema. Raises ShardError where it is not as declared."""
    schema = table_schema(stage.schema)
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise ShardError(f"stage {stage.name}: {error}") from error
    unknown = set(pc.unique(table.column("status")).to_pylist()) - set(Status)
    if unknown:
        raise ShardError(f"stage {stage.name}: no such status: {sorted(unknown)}")
    return table


def describe_error(error: BaseException) -> str:
    """Describes an error in one line, with the place that raised it."""
    text = "; ".join(filter(None, [f"{type(error).__name__}: {error}", fault_location(error)]))
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, (ShardError, StorageError)) or not frames:  # whose messages say enough
        return text
    return f"{text} ({frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename.rsplit('/', 1)[-1]})"
