"""The journal of a shard that is being worked on: what is done of it is not done again after a kill.

    journals/<source>/<stage>/<shard>/<shard>.<fingerprint>.<attempt>.<number>

A stage that takes long for each row, and would do it in another way the next time (a download), notes what is done row
by row. Blocks of some hundred rows are written while the work goes on, each a file or object of its own that is there
whole or not at all. The next attempt at the same table takes over what all earlier ones have noted; when the table is
there, the journal is removed. Attempts at the same time only read what the others wrote.

A block in an object store has the bytes of its items. On a local disk they are not written twice: the media tar that
the attempt writes has a second name here (`...<attempt>.tar`), and the block says where in it they lie.

A journal saves time and decides nothing: a block that cannot be written, or read, is work that is done again.
"""

from __future__ import annotations

import contextlib
import threading
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from corpus.media import MediaWriter
from corpus.storage import StorageError, Store
from corpus.workspace import TableKey, Workspace

_FOLDER = "journals"
_TAR = ".tar"
MAX_BLOCK_ROWS = 128
MAX_BLOCK_BYTES = 8 << 20
_BLOCK_S = 10.0  # a block is written after so long, however few rows it has
_MAX_WAITING_BYTES = 4 * MAX_BLOCK_BYTES  # while a block is being written; what comes then is not noted
_CHECKSUM_BYTES = 4


class Journal:
    """The notes of one attempt at a shard, and of the attempts before it. Thread-safe.

    `name` is what the attempts at the same table have in common: the shard and the fingerprint. The schema has
    `offset`, `size` and `content` of each row's item, null where it has none; `media` is the tar they are put into.
    """

    def __init__(
        self, store: Store, folder: str, name: str, attempt: str, schema: pa.Schema, media: MediaWriter
    ) -> None:
        self._store, self._folder, self._name, self._attempt, self._schema = store, folder, name, attempt, schema
        self._media = media
        self._is_linked: bool | None = None  # whether the tar has its second name; None: not tried yet
        self._lock = threading.Lock()
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0
        self._since = time.monotonic()
        self._blocks = 0  # that lie in the folder, as far as this attempt knows
        self._written = 0
        self._writer: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None

    def read(self) -> Iterator[pa.Table]:
        """Yields the rows that earlier attempts have noted, with contents, a block at a time. A row may come twice."""
        try:
            names = self._store.names(self._folder)
        except StorageError:
            return
        self._blocks = len(names)
        for name in names:
            if not name.startswith(f"{self._name}.") or name.startswith(f"{self._name}.{self._attempt}."):
                continue
            if name.endswith(_TAR):
                continue
            with contextlib.suppress(StorageError):  # another attempt has ended, and removed it
                if (table := _decode(self._store.read(f"{self._folder}/{name}"), self._schema)) is not None:
                    yield self._with_contents(table, f"{self._folder}/{name.rpartition('.')[0]}{_TAR}")

    def _with_contents(self, table: pa.Table, tar: str) -> pa.Table:
        """Returns a block with the contents that lie in a tar. Raises StorageError where it ends before one does."""
        offsets, sizes, contents = (table.column(name).to_pylist() for name in ("offset", "size", "content"))
        if not any(size is not None and content is None for size, content in zip(sizes, contents, strict=True)):
            return table
        ranges = [(tar, offset or 0, size or 0) for offset, size in zip(offsets, sizes, strict=True)]
        column = pa.array(self._store.read_ranges(ranges), pa.large_binary())
        return table.set_column(table.column_names.index("content"), "content", column)

    def add(self, row: Mapping[str, Any]) -> None:
        """Notes a row, with the fields of the schema; its item is in the media tar already."""
        with self._lock:
            self._rows.append(row)
            self._bytes += row["size"] or 0
            late = time.monotonic() - self._since > _BLOCK_S
            if len(self._rows) < MAX_BLOCK_ROWS and self._bytes < MAX_BLOCK_BYTES and not late:
                return
            if self._writing is None or self._writing.done():
                self._submit()
            elif self._bytes > _MAX_WAITING_BYTES:
                self._rows, self._bytes = [], 0

    def close(self) -> None:
        """Writes what was noted last. For an attempt that ends without a table; the next one goes on from there."""
        with self._lock:
            if self._rows:
                self._submit()
        self._finish()

    def remove(self) -> None:
        """Removes what this and all other attempts at the shard have noted: its table is there."""
        with self._lock:
            self._rows = []
        self._finish()
        if self._blocks:
            with contextlib.suppress(StorageError):  # then `remove_finished` does, at the end of a run
                self._store.remove_folder(self._folder)

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.shutdown()
        if self._writing is not None:
            self._writing.result()

    def _submit(self) -> None:
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
        stem = f"{self._folder}/{self._name}.{self._attempt}"
        if self._is_linked is None and self._bytes:
            self._is_linked = self._store.is_local and self._media.link(self._store.full(f"{stem}{_TAR}"))
        if self._is_linked:
            self._rows = [{**row, "content": None} for row in self._rows]
            with contextlib.suppress(StorageError):  # then the tar ends early, and the block is of no use
                self._media.flush()
        path = f"{stem}.{self._written:06d}"
        self._writing = self._writer.submit(self._write, path, self._rows)
        self._written += 1
        self._rows, self._bytes, self._since = [], 0, time.monotonic()

    def _write(self, path: str, rows: list[Mapping[str, Any]]) -> None:
        with contextlib.suppress(StorageError):
            self._store.publish(path, _encode(rows, self._schema), durable=False)
            self._blocks += 1


def journal_folder(owner: str, stage: str, shard: str) -> str:
    """Returns where the journal of a shard lies."""
    return f"{_FOLDER}/{owner}/{stage}/{shard}"


def remove_finished(workspace: Workspace) -> None:
    """Removes journals of tables that are there: of runs that were killed between the two.

    Costs one listing where there is no journal, as there is none when no shard is being worked on. Where storage does
    not take part, they stay for the next run.
    """
    store = workspace.store
    with contextlib.suppress(StorageError):
        for owner in store.names(_FOLDER):
            for stage in store.names(f"{_FOLDER}/{owner}"):
                tables = workspace.tables(TableKey("tables", owner, stage))
                for shard in store.names(f"{_FOLDER}/{owner}/{stage}"):
                    _remove_finished(store, journal_folder(owner, stage, shard), shard, tables.get(shard, ()))


def _remove_finished(store: Store, folder: str, shard: str, fingerprints: Collection[str]) -> None:
    blocks = store.names(folder)
    done = tuple(f"{shard}.{fingerprint}." for fingerprint in fingerprints)
    finished = [name for name in blocks if name.startswith(done)]
    if finished and len(finished) == len(blocks):
        store.remove_folder(folder)
    else:
        store.remove_all([f"{folder}/{name}" for name in finished])


def _encode(rows: list[Mapping[str, Any]], schema: pa.Schema) -> bytes:
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table(columns, schema=schema))
    data = sink.getvalue()
    return b"".join([zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "big"), data])


def _decode(data: bytes, schema: pa.Schema) -> pa.Table | None:
    """Returns the rows of a block; None for one that a machine that went down left unfinished, or of other columns."""
    content = memoryview(data)[_CHECKSUM_BYTES:]
    if zlib.crc32(content) != int.from_bytes(data[:_CHECKSUM_BYTES], "big"):
        return None
    try:
        table = pa.ipc.open_stream(pa.py_buffer(content)).read_all()
    except pa.ArrowInvalid:
        return None
    return table if table.schema.equals(schema) else None
