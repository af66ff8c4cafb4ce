"""The functions that the processes of a Ray cluster run: `entry` imports this module there, and calls them."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpus.execution import close_function
from corpus.isolation import picklable_error
from pipelines.engines import Reduce
from pipelines.engines.ray_heartbeats import Heartbeat, StallLimit
from pipelines.engines.shuffle import partition_rows
from pipelines.engines.workers import MAX_HELD
from rzen_corpus import Origin

loaded_origin: Origin | None = None  # where this process imports this package from
_opened: OrderedDict[int, Callable[[Any], Any]] = OrderedDict()  # by the numbers of jobs, the last used at the end
_heartbeat: tuple[StallLimit, Heartbeat] | None = None


@dataclass(frozen=True)
class RemoteCall:
    """A call of a function of this module in the cluster. `item` names what it works on, for people."""

    function: Callable[..., Any]
    item: str
    arguments: tuple[Any, ...]
    limit: StallLimit | None


def run_call(call: bytes, *objects: Any) -> Any:
    """Runs a call that is pickled, with objects of the cluster's after its own arguments."""
    loaded: RemoteCall = pickle.loads(call)  # noqa: S301 - the driver's own bytes, as all below
    with _working(loaded.limit, loaded.item):
        return loaded.function(*loaded.arguments, *objects)


class NotOpenedError(Exception):
    """A job could not be opened."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def open_function(job: bytes, pickled_limit: bytes) -> Callable[[str, bytes], Any]:
    """Opens a job in the process of an actor: the function takes the name of an item, and the item."""
    limit: StallLimit | None = pickle.loads(pickled_limit)  # noqa: S301
    with _working(limit, "a worker that starts"):
        function = _open(job)

    def run(label: str, item: bytes) -> Any:
        with _working(limit, label):
            return function(pickle.loads(item))  # noqa: S301

    return run


def _working(limit: StallLimit | None, item: str) -> AbstractContextManager[None]:
    global _heartbeat
    if limit is None:
        return nullcontext()
    if _heartbeat is None or _heartbeat[0] != limit:
        _heartbeat = limit, Heartbeat(limit)
    return _heartbeat[1].working(item)


def run_item(key: int, item: Any, job: bytes) -> Any:
    """Runs one item as a task, and returns its result."""
    return _function(key, job)(item)


def emit(key: int, item: Any, job: bytes) -> tuple[int, pa.Table]:
    """Runs one item of a shuffle as a task: the size of its rows in bytes (0 when there are none), and the rows."""
    table = _function(key, job)(item)
    return table.nbytes if table.num_rows else 0, table


def split(partitions: int, *tables: pa.Table) -> list[pa.Table] | pa.Table:
    """Divides tables into one for each partition, as a task with so many return values."""
    batches = partition_rows(pa.concat_tables(tables), partitions)
    parts = [pa.Table.from_batches([batch]) for batch in batches]
    return parts if partitions > 1 else parts[0]


def reduce_part(reduce: bytes, *parts: pa.Table) -> pa.Table | None:
    """Reduces a partition as a task; None when it has no rows."""
    function: Reduce = pickle.loads(reduce)  # noqa: S301
    rows = pa.concat_tables(parts)
    return function(rows) if rows.num_rows else None


def _function(key: int, job: bytes) -> Callable[[Any], Any]:
    """Returns the function of the job with a number; this process keeps the last few open."""
    if key in _opened:
        _opened.move_to_end(key)
    else:
        while len(_opened) >= MAX_HELD:  # before the next is opened
            close_function(_opened.popitem(last=False)[1])
        _opened[key] = _open(job)
    return _opened[key]


def _open(job: bytes) -> Callable[[Any], Any]:
    try:
        function: Callable[[Any], Any] = pickle.loads(job).open()  # noqa: S301
    except Exception as error:
        raise NotOpenedError(picklable_error(error)) from error
    return function
