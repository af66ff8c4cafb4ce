"""Runs stages over shards: reads tables, leaves out removed rows, calls the stage, finds failing rows, counts, writes.

An engine sends a `Job` to a worker, opens it there once, and calls it with one item at a time. A job returns an
`Outcome`, never rows: tables go from the worker straight into the workspace.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.bisection import ShardError, cast_to_schema, describe_error, run_rows
from corpus.emitted import emitted_rows
from corpus.faults import is_out_of_memory
from corpus.isolation import isolate
from corpus.journal import Journal, journal_folder
from corpus.media import MediaWriter
from corpus.outages import patient_storage, storage_retry_s, wait_out
from corpus.pool import Pool
from corpus.schema import PLACE_FIELDS, Status, table_schema
from corpus.stage import MapStage, Resources, Shard, ShuffleStage, Stage
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
        return json.dumps(vars(self), sort_keys=True)

    @staticmethod
    def from_json(text: str | bytes) -> Outcome:
        """Reads what `to_json` returns."""
        return Outcome(**json.loads(text))


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True)
class MapJob:
    """The job of a map stage over shards.

    `isolated` runs each call in a process of its own, for shards that killed their workers or ran out of memory. Like
    the other jobs it waits for storage that is away as long as the process does in which it was made, a run's driver.
    """

    stage: MapStage
    workspace: str
    isolated: bool = False
    pools: Mapping[str, Pool] = field(default_factory=dict)  # by the names that the stage declares
    storage_retry_s: float = field(default_factory=storage_retry_s)

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[ShardTask], Outcome]:
        with patient_storage(self.storage_retry_s):
            function = isolate(self.stage) if self.isolated else self.stage.setup()
        workspace = Workspace(self.workspace)
        return _OpenMap(self.stage, workspace, function, self.isolated, self.pools, self.storage_retry_s)

    def on_worker_lost(self, item: ShardTask, reason: str) -> Outcome:
        return Outcome(item.source, self.stage.name, item.shard, error=reason, metrics={WORKER_LOST: True})


@dataclass(frozen=True)
class _OpenMap:
    stage: MapStage
    workspace: Workspace
    function: Callable[[Shard], pa.Table]
    isolated: bool
    pools: Mapping[str, Pool]
    storage_retry_s: float

    def __call__(self, task: ShardTask) -> Outcome:
        attempt = partial(_run_map, self, task)
        return _outcome(self.stage, self.workspace, task, attempt, self.storage_retry_s, not self.isolated)

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
    storage_retry_s: float = field(default_factory=storage_retry_s)

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[ShardTask], pa.Table]:
        workspace = Workspace(self.workspace)

        def map_shard(task: ShardTask) -> pa.Table:
            def attempt() -> pa.Table:
                emit = lambda: self.stage.map(_load(self.stage, workspace, task)[0])  # noqa: E731
                return emitted_rows(self.stage, workspace.store, task, emit)

            try:
                with patient_storage(self.storage_retry_s):
                    return wait_out(attempt, workspace.store.root_of(""))
            except Exception as error:
                raise ShardError(
                    f"stage {self.stage.name}, {task.source}/{task.shard}: {describe_error(error)}"
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
    storage_retry_s: float = field(default_factory=storage_retry_s)

    @property
    def resources(self) -> Resources:
        return self.stage.resources

    def open(self) -> Callable[[FinalizeTask], Outcome]:
        workspace = Workspace(self.workspace)

        def finalize(item: FinalizeTask) -> Outcome:
            attempt = partial(_finalize, self.stage, workspace, item)
            return _outcome(self.stage, workspace, item.task, attempt, self.storage_retry_s)

        return finalize

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


def _outcome(
    stage: Stage,
    workspace: Workspace,
    task: ShardTask,
    attempt: Callable[[], _Written],
    retry_s: float,
    isolate_on_oom: bool = False,
) -> Outcome:
    """Returns the outcome of a task, tried again for a while where storage is away.

    With `isolate_on_oom` a shard for which memory ran out is marked WORKER_LOST.
    """
    start = time.perf_counter()
    with patient_storage(retry_s) as waits:
        try:
            written = wait_out(attempt, workspace.store.root_of(""))
        except Exception as error:  # noqa: BLE001 - whatever breaks one shard must not stop the others; it is reported
            metrics = {WORKER_LOST: True} if isolate_on_oom and is_out_of_memory(error) else {}
            seconds, message = time.perf_counter() - start, describe_error(error)
            metrics = {**metrics, **waits.metrics()}
            return Outcome(task.source, stage.name, task.shard, seconds=seconds, error=message, metrics=metrics)
    seconds = time.perf_counter() - start
    rows, counts = written.table.num_rows, count(written.table)
    figures, metrics = (rows, counts, seconds, written.bytes), {**written.metrics, **waits.metrics()}
    return Outcome(task.source, stage.name, task.shard, *figures, metrics=metrics, content=written.content)


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
    number = uuid.uuid4().hex[:8]
    media = MediaWriter(workspace.store, f"{task.media}.{number}.tar")
    journal = None if opened.isolated else _open_journal(stage, workspace, task, number, media)
    try:
        shard, status, reason = _load(stage, workspace, task, media)
        shard = replace(shard, pools=opened.pools, journal=journal)
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
        written = _write(stage, workspace, task, table, shard.metrics)
    except BaseException:
        media.abort()  # after its commit there is nothing to drop
        if journal is not None:
            journal.close()
        raise
    if journal is not None:
        journal.remove()
    return written


def _open_journal(
    stage: MapStage, workspace: Workspace, task: ShardTask, attempt: str, media: MediaWriter
) -> Journal | None:
    if stage.journal_schema is None:
        return None
    folder, name = journal_folder(task.source, stage.name, task.shard), task.media.rpartition("/")[2]
    return Journal(workspace.store, folder, name, attempt, stage.journal_schema, media)


def _retry_rows(stage: MapStage, before: pa.Table, retry: frozenset[str]) -> np.ndarray:
    """Returns the rows of a table to try again, for one of the reasons ("failed": for any), int64[k]."""
    return np.flatnonzero(worth_retrying(stage.retryable_reasons(before), retry).to_numpy())


def worth_retrying(reasons: pa.ChunkedArray, retry: frozenset[str]) -> pa.ChunkedArray:
    """Returns the mask (bool[n]) of rows whose reason is one of `retry`; "failed" stands for every reason."""
    if "failed" in retry:
        return pc.not_equal(reasons, "")
    return pc.is_in(reasons, pa.array(sorted(retry - {""}), pa.string()))


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
    table = _scatter_to_rows(stage, cast_to_schema(stage, results), rows, status, reason, None)
    return _write(stage, workspace, item.task, table, shard.metrics)
