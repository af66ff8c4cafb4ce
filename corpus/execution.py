"""What happens around a stage, once for all stages: read, leave out, run, find the row that breaks it, count, write.

A `Work` is what an engine is handed: it is sent to a worker, opened there once, and called with one item at a time.
It answers with an `Outcome`, never with rows: tables go from the worker straight into the workspace.
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

from corpus.faults import fault_location, is_machine_fault, is_out_of_memory
from corpus.isolation import isolated
from corpus.media import MediaWriter
from corpus.pool import Pool
from corpus.schema import Status, table_schema
from corpus.stage import ROWS, MapStage, Resources, Shard, ShuffleStage, Stage
from corpus.storage import StorageError
from corpus.workspace import Workspace

LOST = "lost"  # in `Outcome.metrics`: the shard killed its workers, or took all their memory

I_contra = TypeVar("I_contra", contravariant=True)
O_co = TypeVar("O_co", covariant=True)


class Work(Protocol, Generic[I_contra, O_co]):
    """What a worker does with an item. Picklable; `open` is called once in each worker."""

    @property
    def resources(self) -> Resources: ...

    def open(self) -> Callable[[I_contra], O_co]: ...

    def lost(self, item: I_contra, why: str) -> O_co:
        """The answer for an item that killed each worker it was given to."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What became of one item of work: counted rows, never the rows themselves."""

    owner: str
    stage: str
    shard: str
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)  # "status/reason" -> rows
    seconds: float = 0.0
    written_bytes: int = 0
    error: str = ""  # why nothing was written; "" when the table is there
    metrics: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of a run's record."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str | bytes) -> Outcome:
        """The inverse of `to_json`."""
        return Outcome(**json.loads(text))


@dataclass(frozen=True)
class ShardTask:
    """One shard's share of a stage: where to read, where to write, and what goes into the fingerprint."""

    source: str
    shard: str
    ordinal: int
    inputs: tuple[tuple[str, str], ...]  # (table, path), in the order of `Stage.reads`; see `Stage.lookahead_shards`
    output: str
    media: str  # where a new media tar goes, without its ending: each attempt adds its own
    fingerprint_parts: Mapping[str, Any]
    previous: str = ""  # the table of the generation before, of which only some rows are run again
    retry: frozenset[str] = frozenset()  # which of its rows: "failed", or reasons


class ShardError(RuntimeError):
    """A shard that can't be finished: the fault is not in single rows."""


@dataclass(frozen=True)
class MapJob:
    """A map stage over shards. `careful`: in processes of their own, for shards that killed their workers or ran out of
    memory."""

    stage: MapStage
    workspace: str
    careful: bool = False
    pools: Mapping[str, Pool] = field(default_factory=dict)  # by the names that the stage declares

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[ShardTask], Outcome]:
        function = isolated(self.stage) if self.careful else self.stage.setup()
        return _OpenMap(self.stage, Workspace(self.workspace), function, self.careful, self.pools)

    def lost(self, item: ShardTask, why: str) -> Outcome:
        return Outcome(item.source, self.stage.name, item.shard, error=why, metrics={LOST: True})


@dataclass(frozen=True)
class _OpenMap:
    stage: MapStage
    workspace: Workspace
    function: Callable[[Shard], pa.Table]
    careful: bool
    pools: Mapping[str, Pool]

    def __call__(self, task: ShardTask) -> Outcome:
        return _outcome(
            self.stage,
            task,
            lambda: _run_map(self, task),
            lost_without_memory=not self.careful,
        )

    def close(self) -> None:
        close_function(self.function)


def close_function(function: Callable[..., Any]) -> None:
    """Give a function that a stage or a work has opened the chance to let go of what it holds."""
    close = getattr(function, "close", None)
    if close is not None:
        close()


@dataclass(frozen=True)
class ShuffleMapJob:
    """A keyed stage's `map` over shards. An error here is the whole stage's: reducing a part would be wrong."""

    stage: ShuffleStage
    workspace: str

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[ShardTask], pa.Table]:
        workspace = Workspace(self.workspace)

        def emit(task: ShardTask) -> pa.Table:
            try:
                shard, _, _ = _load(self.stage, workspace, task)
                return self.stage.map(shard)
            except Exception as error:
                raise ShardError(
                    f"stage {self.stage.name}, {task.source}/{task.shard}: {_error_message(error)}"
                ) from error

        return emit

    def lost(self, item: ShardTask, why: str) -> pa.Table:
        raise ShardError(f"{item.source}/{item.shard}: {why}")


@dataclass(frozen=True)
class FinalizeTask:
    """What a keyed stage concluded about one shard's rows: `node`, the stage's columns, `status`, `reason`."""

    task: ShardTask
    results: pa.Table


@dataclass(frozen=True)
class FinalizeJob:
    """Writes a keyed stage's tables from what it concluded."""

    stage: ShuffleStage
    workspace: str

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[FinalizeTask], Outcome]:
        workspace = Workspace(self.workspace)
        return lambda item: _outcome(self.stage, item.task, lambda: _finalize(self.stage, workspace, item))

    def lost(self, item: FinalizeTask, why: str) -> Outcome:
        return Outcome(item.task.source, self.stage.name, item.task.shard, error=why)


def count(table: pa.Table) -> dict[str, int]:
    """Rows by "status/reason"."""
    grouped = table.group_by(["status", "reason"]).aggregate([([], "count_all")]).to_pylist()
    return {f"{row['status']}/{row['reason']}": row["count_all"] for row in grouped}


def _outcome(
    stage: Stage,
    task: ShardTask,
    run: Callable[[], tuple[pa.Table, int, dict[str, Any]]],
    lost_without_memory: bool = False,
) -> Outcome:
    """What a run came to. With `lost_without_memory` a shard for which memory ran out is marked LOST."""
    start = time.perf_counter()
    try:
        table, written, notes = run()
    except Exception as error:  # noqa: BLE001 - whatever breaks one shard must not stop the others; it is reported
        metrics = {LOST: True} if lost_without_memory and is_out_of_memory(error) else {}
        seconds = time.perf_counter() - start
        return Outcome(
            task.source, stage.name, task.shard, seconds=seconds, error=_error_message(error), metrics=metrics
        )
    seconds = time.perf_counter() - start
    return Outcome(task.source, stage.name, task.shard, table.num_rows, count(table), seconds, written, metrics=notes)


def _error_message(error: BaseException) -> str:
    """The error in one line, with the place that raised it."""
    text = "; ".join(filter(None, [f"{type(error).__name__}: {error}", fault_location(error)]))
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, (ShardError, StorageError)) or not frames:  # these say all themselves
        return text
    return f"{text} ({frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename.rsplit('/', 1)[-1]})"


def _load(
    stage: Stage, workspace: Workspace, task: ShardTask, media: MediaWriter | None = None
) -> tuple[Shard, pa.Array, pa.Array]:
    """The shard cut to its live rows, and the status and reason of all its rows so far."""
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
    status, reason = _combined(list(tables.values()))
    live = pc.equal(status, Status.KEPT).to_numpy(zero_copy_only=False)
    rows = np.arange(len(status)) if stage.include_removed else np.flatnonzero(live)
    cut = tables if len(rows) == len(status) else {name: table.take(rows) for name, table in tables.items()}
    generation = int(task.fingerprint_parts.get("generation", 0))
    shard = Shard(task.source, task.shard, task.ordinal, rows.astype(np.int64), cut, workspace.store, media, generation)
    return replace(shard, side_inputs=side_inputs), status, reason


def _combined(tables: list[pa.Table]) -> tuple[pa.Array, pa.Array]:
    """Status and reason of each row over several tables: the first table that removed it says why."""
    status, reason = (_column(tables[0], name) for name in ("status", "reason"))
    for table in tables[1:]:
        open_still = pc.equal(status, Status.KEPT)
        status = pc.if_else(open_still, _column(table, "status"), status)
        reason = pc.if_else(open_still, _column(table, "reason"), reason)
    return status, reason


def _column(table: pa.Table, name: str) -> pa.Array:
    return pa.concat_arrays(table.column(name).chunks) if table.num_rows else pa.array([], pa.string())


def _run_map(opened: _OpenMap, task: ShardTask) -> tuple[pa.Table, int, dict[str, Any]]:
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
            shard = shard.take(_chosen(stage, before.take(shard.rows), task.retry))
        found = run_rows(stage, opened.function, shard, opened.careful)
        table = found if stage.fan_out else _spread(stage, found, shard.rows, status, reason, before)
        media.commit()  # before the table: a table must never name bytes that are not there
    except BaseException:
        media.abort()
        raise
    return table, workspace.write_table(task.output, table, task.fingerprint_parts), shard.metrics


def _chosen(stage: MapStage, before: pa.Table, retry: frozenset[str]) -> np.ndarray:
    """Which rows of a table are to be tried again, for one of the reasons ("failed": for any); int64[k]."""
    return np.flatnonzero(worth_retrying(stage.retryable_reasons(before), retry).to_numpy())


def worth_retrying(reasons: pa.ChunkedArray, retry: frozenset[str]) -> pa.ChunkedArray:
    """The mask (bool[n]) of rows whose reason is one of `retry`; "failed" stands for every reason."""
    if "failed" in retry:
        return pc.not_equal(reasons, "")
    return pc.is_in(reasons, pa.array(sorted(retry - {""}), pa.string()))


def run_rows(stage: MapStage, function: Callable[[Shard], pa.Table], shard: Shard, careful: bool = False) -> pa.Table:
    """The stage's function over a shard's live rows; a row that raises is failed with the error as its reason.

    The shard is halved until the raising rows are alone: about 2 k log2(n) calls for k such rows of n. Raises
    ShardError when all rows of 8 or more raise, or more than a tenth of them (and 16): that is no fault of single
    rows. A fault of the machine (`corpus.faults`) is raised as it is, at once, and so is memory that runs out, unless
    the function is `careful`: there each call has a process of its own, and a row that takes all its memory is failed.
    """
    schema = table_schema(stage.schema)
    if not len(shard):
        return schema.empty_table()
    bisection = _Bisection(stage, function, schema, max(16, len(shard) // 10), careful)
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
    careful: bool
    broken: list[str] = field(default_factory=list)  # the error of each row that raised

    def run(self, shard: Shard) -> pa.Table:
        try:
            return _checked(self.stage, self.function(shard), shard, self.schema)
        except ShardError:
            raise
        except Exception as error:
            if is_machine_fault(error) or (is_out_of_memory(error) and not self.careful):
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
    """One row of nulls with a reason; in a new run of rows also with what tells where it came from."""
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


def _checked(stage: MapStage, table: pa.Table, shard: Shard, schema: pa.Schema) -> pa.Table:
    """The stage's answer with `status` and `reason`, in the order and types of the schema.

    What is wrong with it is the stage's fault, not a row's: ShardError.
    """
    if not stage.fan_out and table.num_rows != len(shard):
        raise ShardError(f"stage {stage.name}: {table.num_rows} rows returned for {len(shard)}")
    for name, value in (("status", str(Status.KEPT)), ("reason", "")):
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat(pa.scalar(value), table.num_rows))
    if set(table.column_names) != set(schema.names):
        raise ShardError(f"stage {stage.name}: columns {table.column_names}, declared {schema.names}")
    return _typed(stage, table)


def _typed(stage: Stage, table: pa.Table) -> pa.Table:
    schema = table_schema(stage.schema)
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise ShardError(f"stage {stage.name}: {error}") from error
    unknown = set(pc.unique(table.column("status")).to_pylist()) - set(Status)
    if unknown:
        raise ShardError(f"stage {stage.name}: no such status: {sorted(unknown)}")
    return table


def _spread(
    stage: Stage, found: pa.Table, rows: np.ndarray, status: pa.Array, reason: pa.Array, before: pa.Table | None
) -> pa.Table:
    """The found rows at their places in the whole shard; elsewhere the table before, or nulls and the status so far."""
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


def _finalize(stage: ShuffleStage, workspace: Workspace, item: FinalizeTask) -> tuple[pa.Table, int, dict[str, Any]]:
    shard, status, reason = _load(stage, workspace, item.task)
    nodes = item.results.column("row_address").to_numpy()
    if len(np.unique(nodes)) != len(nodes) or not np.isin(nodes, shard.row_addresses).all():
        raise ShardError(f"stage {stage.name}: concluded on rows twice, or on rows that are not live in this shard")
    rows = nodes & np.int64(0xFFFFFFFF)
    table = _spread(stage, _typed(stage, item.results), rows, status, reason, None)
    return table, workspace.write_table(item.task.output, table, item.task.fingerprint_parts), shard.metrics
