"""Runs stages over shards: reads tables, leaves out removed rows, calls the stage, finds failing rows, counts, writes.

An engine sends a `Job` to a worker, opens it there once, and calls it with one item at a time. A job returns an
`Outcome`, never rows: tables go from the worker straight into the workspace.
"""

from __future__ import annotations

import json
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.emitted import emitted_rows
from corpus.faults import fault_location, is_machine_fault, is_out_of_memory
from corpus.isolation import isolate
from corpus.media import MediaWriter
from corpus.pool import Pool
from corpus.schema import PLACE_FIELDS, Status, table_schema
from corpus.stage import ROWS, MapStage, Resources, Shard, ShuffleStage, Stage
from corpus.storage import StorageError
from corpus.table_digest import table_digest
from corpus.workspace import Workspace, with_content

WORKER_LOST = "worker_lost"  # in `Outcome.metrics`: the shard killed its workers, or took all their memory

I_contra = TypeVar("I_contra", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class Job(Protocol, Generic[I_contra, O_co]):
    """A job that workers do on items. Picklable; `open` is called once in each worker."""

    @property
    def resources(self) -> Resources:
        """The resources that one worker needs."""
        ...

    def open(self) -> Callable[[I_contra], O_co]:
        """Opens the job in a worker; returns the function that works on an item."""
        ...

    def on_worker_lost(self, item: I_contra, reason: str) -> O_co:
        """Returns the result of an item that killed each worker that had it."""
        ...


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job for one item: counts of rows, never the rows themselves."""

    owner: str
    stage: str
    shard: str
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # "status/reason" -> rows
    seconds: float = 0.0
    written_bytes: int = 0
    error: str = ""  # why nothing was written; "" when the table is there
    content: str = ""  # digest of the table, where its name has one
    metrics: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Returns a line of a run's log."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str | bytes) -> Outcome:
        """Reads what `to_json` returns."""
        return Outcome(**json.loads(text))


@dataclass(frozen=True)
class ShardTask:
    """A stage's task for one shard: what it reads, what it writes, and what goes into the fingerprint."""

    source: str
    shard: str
    ordinal: int
    inputs: tuple[tuple[str, str], ...]  # (table, path), in the order of `Stage.reads`; see `Stage.lookahead_shards`
    output: str
    media: str  # the path of a new media tar without its ending: each attempt adds its own
    fingerprint_parts: Mapping[str, Any]
    previous: str = ""  # the table of the generation before, of which only some rows are run again
    retry: frozenset[str] = frozenset()  # which of its rows: "failed", or reasons
    content_named: bool = False  # the name of the table gets the digest of its content


class ShardError(RuntimeError):
    """The error of a shard that can't be finished, for which no single row is to blame."""


@dataclass(frozen=True)
class MapJob:
    """The job of a map stage over shards.

    `isolated` runs each call in a process of its own, for shards that killed their workers or ran out of memory.
    """

    stage: MapStage
    workspace: str
    isolated: bool = False
    pools: Mapping[str, Pool] = field(default_factory=dict)  # by the names that the stage declares

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[ShardTask], Outcome]:
        function = isolate(self.stage) if self.isolated else self.stage.setup()
        return _OpenMap(self.stage, Workspace(self.workspace), function, self.isolated, self.pools)

    def on_worker_lost(self, item: ShardTask, reason: str) -> Outcome:
        return Outcome(item.source, self.stage.name, item.shard, error=reason, metrics={WORKER_LOST: True})


@dataclass(frozen=True)
class _OpenMap:
    stage: MapStage
    workspace: Workspace
    function: Callable[[Shard], pa.Table]
    isolated: bool
    pools: Mapping[str, Pool]

    def __call__(self, task: ShardTask) -> Outcome:
        return _outcome(
            self.stage,
            task,
            lambda: _run_map(self, task),
            isolate_on_oom=not self.isolated,
        )

    def close(self) -> None:
        close_function(self.function)


def close_function(function: Callable[..., Any]) -> None:
    """Closes a function that a stage or a job has opened, where it has a method `close`."""
    close = getattr(function, "close", None)
    if close is not None:
        close()


@dataclass(frozen=True)
class ShuffleMapJob:
    """The job of a shuffle stage's `map` over shards. An error fails the stage: to reduce a part would be wrong."""

    stage: ShuffleStage
    workspace: str

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[ShardTask], pa.Table]:
        workspace = Workspace(self.workspace)

        def map_shard(task: ShardTask) -> pa.Table:
            try:
                emit = lambda: self.stage.map(_load(self.stage, workspace, task)[0])  # noqa: E731
                return emitted_rows(self.stage, workspace.store, task, emit)
            except Exception as error:
                raise ShardError(
                    f"stage {self.stage.name}, {task.source}/{task.shard}: {_error_message(error)}"
                ) from error

        return map_shard

    def on_worker_lost(self, item: ShardTask, reason: str) -> pa.Table:
        raise ShardError(f"{item.source}/{item.shard}: {reason}")


@dataclass(frozen=True)
class FinalizeTask:
    """A shuffle stage's results for one shard: `row_address`, the stage's columns, `status` and `reason`."""

    task: ShardTask
    results: pa.Table | Callable[[], pa.Table]  # or what reads them


@dataclass(frozen=True)
class FinalizeJob:
    """The job that writes a shuffle stage's tables from its results."""

    stage: ShuffleStage
    workspace: str

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[FinalizeTask], Outcome]:
        workspace = Workspace(self.workspace)
        return lambda item: _outcome(self.stage, item.task, lambda: _finalize(self.stage, workspace, item))

    def on_worker_lost(self, item: FinalizeTask, reason: str) -> Outcome:
        return Outcome(item.task.source, self.stage.name, item.task.shard, error=reason)


def count(table: pa.Table) -> dict[str, int]:
    """Counts the rows of a table by "status/reason"."""
    grouped = table.group_by(["status", "reason"]).aggregate([([], "count_all")]).to_pylist()
    return {f"{row['status']}/{row['reason']}": row["count_all"] for row in grouped}


@dataclass(frozen=True)
class _Written:
    """A table that has been written."""

    table: pa.Table
    bytes: int
    content: str
    metrics: dict[str, Any]


def _write(stage: Stage, workspace: Workspace, task: ShardTask, table: pa.Table, metrics: dict[str, Any]) -> _Written:
    content = table_digest(table, {*stage.address_columns, *PLACE_FIELDS}) if task.content_named else ""
    size = workspace.write_table(with_content(task.output, content), table, task.fingerprint_parts)
    return _Written(table, size, content, metrics)


def _outcome(stage: Stage, task: ShardTask, run: Callable[[], _Written], isolate_on_oom: bool = False) -> Outcome:
    """Returns the outcome of a call. With `isolate_on_oom` a shard for which memory ran out is marked WORKER_LOST."""
    start = time.perf_counter()
    try:
        written = run()
    except Exception as error:  # noqa: BLE001 - whatever breaks one shard must not stop the others; it is reported
        metrics = {WORKER_LOST: True} if isolate_on_oom and is_out_of_memory(error) else {}
        seconds = time.perf_counter() - start
        return Outcome(
            task.source, stage.name, task.shard, seconds=seconds, error=_error_message(error), metrics=metrics
        )
    seconds = time.perf_counter() - start
    rows, counts = written.table.num_rows, count(written.table)
    figures = (rows, counts, seconds, written.bytes)
    return Outcome(task.source, stage.name, task.shard, *figures, metrics=written.metrics, content=written.content)


def _error_message(error: BaseException) -> str:
    """Describes an error in one line, with the place that raised it."""
    text = "; ".join(filter(None, [f"{type(error).__name__}: {error}", fault_location(error)]))
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, (ShardError, StorageError)) or not frames:  # whose messages say enough
        return text
    return f"{text} ({frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename.rsplit('/', 1)[-1]})"


def _load(
    stage: Stage, workspace: Workspace, task: ShardTask, media: MediaWriter | None = None
) -> tuple[Shard, pa.Array, pa.Array]:
    """Reads a shard, of which only the live rows are kept, and the status and reason of all its rows so far."""
    parts: dict[str, list[pa.Table]] = {}
    read: dict[str, pa.Table] = {}  # a table may have several roles
    for name, path in task.inputs:  # of several shards where the stage looks ahead
        if path not in read:
            read[path] = workspace.read_table(path)
        parts.setdefault(name, []).append(read[path])
    tables = {
        name: found[0] if len(found) == 1 else pa.concat_tables(found).combine_chunks() for name, found in parts.items()
    }
    side_inputs = {name: tables.pop(name) for name in stage.side_inputs}
    lengths = {name: table.num_rows for name, table in tables.items()}
    if len(set(lengths.values())) != 1:
        raise ShardError(f"the tables of {task.source}/{task.shard} differ in rows: {lengths}")
    status, reason = _combine_status(list(tables.values()))
    live = pc.equal(status, Status.KEPT).to_numpy(zero_copy_only=False)
    rows = np.arange(len(status)) if stage.include_removed else np.flatnonzero(live)
    cut = tables if len(rows) == len(status) else {name: table.take(rows) for name, table in tables.items()}
    generation = int(task.fingerprint_parts.get("generation", 0))
    shard = Shard(task.source, task.shard, task.ordinal, rows.astype(np.int64), cut, workspace.store, media, generation)
    return replace(shard, side_inputs=side_inputs), status, reason


def _combine_status(tables: list[pa.Table]) -> tuple[pa.Array, pa.Array]:
    """Combines the status and reason of each row over several tables: those of the first table that removed it."""
    status, reason = (_column(tables[0], name) for name in ("status", "reason"))
    for table in tables[1:]:
        still_kept = pc.equal(status, Status.KEPT)
        status = pc.if_else(still_kept, _column(table, "status"), status)
        reason = pc.if_else(still_kept, _column(table, "reason"), reason)
    return status, reason


def _column(table: pa.Table, name: str) -> pa.Array:
    return pa.concat_arrays(table.column(name).chunks) if table.num_rows else pa.array([], pa.string())


def _run_map(opened: _OpenMap, task: ShardTask) -> _Written:
    stage, workspace = opened.stage, opened.workspace
    # Two attempts at a download don't give the same bytes in the same order, so each has a tar of its own, and a
    # table can never point into the other's.
    media = MediaWriter(workspace.store, f"{task.media}.{uuid.uuid4().hex[:8]}.tar")
    try:
        shard, status, reason = _load(stage, workspace, task, media)
        shard = replace(shard, pools=opened.pools)
        before = None
        if task.previous and not stage.fan_out:  # rows that a stage made itself are made again together
            before = workspace.read_table(task.previous)
            if before.num_rows != len(status):
                raise ShardError(
                    f"{task.previous}: its rows are not those of the shard, so none can be run again alone"
                )
            shard = shard.take(_retry_rows(stage, before.take(shard.rows), task.retry))
        found = run_rows(stage, opened.function, shard, opened.isolated)
        table = found if stage.fan_out else _scatter_to_rows(stage, found, shard.rows, status, reason, before)
        media.commit()  # before the table: a table must never name bytes that are not there
    except BaseException:
        media.abort()
        raise
    return _write(stage, workspace, task, table, shard.metrics)


def _retry_rows(stage: MapStage, before: pa.Table, retry: frozenset[str]) -> np.ndarray:
    """Returns the rows of a table to try again, for one of the reasons ("failed": for any), int64[k]."""
    return np.flatnonzero(worth_retrying(stage.retryable_reasons(before), retry).to_numpy())


def worth_retrying(reasons: pa.ChunkedArray, retry: frozenset[str]) -> pa.ChunkedArray:
    """Returns the mask (bool[n]) of rows whose reason is one of `retry`; "failed" stands for every reason."""
    if "failed" in retry:
        return pc.not_equal(reasons, "")
    return pc.is_in(reasons, pa.array(sorted(retry - {""}), pa.string()))


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
                raise ShardError(_error_message(error)) from error
            if len(shard) == 1:
                return self._failed(shard, error)
        middle = len(shard) // 2
        return pa.concat_tables([self.run(half) for half in (shard.slice(0, middle), shard.slice(middle, len(shard)))])

    def _failed(self, shard: Shard, error: Exception) -> pa.Table:
        self.broken.append(_error_message(error))
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
    return _cast(stage, table)


def _cast(stage: Stage, table: pa.Table) -> pa.Table:
    schema = table_schema(stage.schema)
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise ShardError(f"stage {stage.name}: {error}") from error
    unknown = set(pc.unique(table.column("status")).to_pylist()) - set(Status)
    if unknown:
        raise ShardError(f"stage {stage.name}: no such status: {sorted(unknown)}")
    return table


def _scatter_to_rows(
    stage: Stage, found: pa.Table, rows: np.ndarray, status: pa.Array, reason: pa.Array, before: pa.Table | None
) -> pa.Table:
    """Puts rows at their places in the shard; elsewhere are the table before, or nulls with the status so far."""
    total = len(status)
    schema = table_schema(stage.schema)
    if before is None:
        nulls = {name: pa.nulls(total, schema.field(name).type) for name in stage.schema.names}
        before = pa.table({**nulls, "status": status, "reason": reason}).select(schema.names).cast(schema)
    if not len(rows):
        return before
    source = np.arange(total)
    source[rows] = total + np.arange(len(rows))
    return pa.concat_tables([before.select(schema.names).cast(schema), found]).take(source).combine_chunks()


def _finalize(stage: ShuffleStage, workspace: Workspace, item: FinalizeTask) -> _Written:
    shard, status, reason = _load(stage, workspace, item.task)
    results = item.results if isinstance(item.results, pa.Table) else item.results()
    nodes = results.column("row_address").to_numpy()
    if len(np.unique(nodes)) != len(nodes) or not np.isin(nodes, shard.row_addresses).all():
        raise ShardError(f"stage {stage.name}: its results name a row twice, or rows that are not live in this shard")
    rows = nodes & np.int64(0xFFFFFFFF)
    table = _scatter_to_rows(stage, _cast(stage, results), rows, status, reason, None)
    return _write(stage, workspace, item.task, table, shard.metrics)
