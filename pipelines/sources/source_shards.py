"""Writes the rows of a source as tables of shards, on which all stages build, and their index.

The tables are named by their content. So a sample that grows, or a source that is read again, keeps every shard whose
rows are the same, and all tables that were made of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.schema import Status
from corpus.stage import ROWS, fingerprint
from corpus.storage import MissingError, StorageError
from corpus.urls import urls_without_credentials, without_credentials
from corpus.workspace import TableKey, Workspace
from pipelines.sources.base import Source
from pipelines.sources.malformed import FAULTS
from pipelines.sources.not_read import NOT_READ, counts_of

HOME_SHARD = "home_shard"
CREDENTIALS_REMOVED = "credentials_removed"  # among the notes: URLs that had some
_URL_COLUMNS = ("url", "video", "download_error")  # those of which URLs may be a part


@dataclass(frozen=True)
class SourceIndex:
    """The shards of a source. It is written last, so that it exists only when all of them do."""

    fingerprint: str
    shards: tuple[tuple[str, str], ...]  # (shard, fingerprint of its rows)
    rows: int
    counts: Mapping[str, int]
    continues_in: Mapping[str, int] = field(
        default_factory=dict
    )  # shard -> number of shards after it with rows of its groups
    notes: Mapping[str, Any] = field(default_factory=dict)  # other findings of the source, for people

    @property
    def not_read(self) -> dict[str, dict[str, int]]:
        """The counts of files not read, by reason, and of values, by column; empty where all was read."""
        return counts_of(self.notes.get(NOT_READ, {}))

    @staticmethod
    def from_json(text: bytes) -> SourceIndex:
        """Parses an index that `write_source_shards` has written."""
        data = json.loads(text)
        shards = tuple((shard, name) for shard, name in data["shards"])
        return SourceIndex(
            data["fingerprint"],
            shards,
            data["rows"],
            data["counts"],
            data.get("continues_in", {}),
            data.get("notes", {}),
        )


_VERSION = 1  # of how sources are read: another one reads them again, and rows that come out the same stay


def source_fingerprint(source: Source) -> str:
    """Hashes all that the source's rows depend on."""
    return fingerprint({"source": source.identity(), "version": _VERSION})


def find_index(workspace: Workspace, owner: str, name: str) -> SourceIndex | None:
    """Returns the index of a source, if its shards have been written under this fingerprint."""
    try:
        return SourceIndex.from_json(workspace.store.read(index_path(owner, name)))
    except MissingError:
        return None


def check_source(workspace: Workspace, owner: str, source: Source, name: str) -> Mapping[str, Any]:
    """Checks the files of a source that has not been read, once for each fingerprint; returns its notes about them.

    Raises SettingsError as `Source.check` does. A workspace that can't be written to keeps nothing.
    """
    path = f"{TableKey('tables', owner, ROWS).folder}/checked.{name}.json"
    with contextlib.suppress(MissingError):
        return json.loads(workspace.store.read(path))
    source.check()
    notes = dict(getattr(source, "notes", {}))
    with contextlib.suppress(StorageError):
        workspace.store.publish(path, json.dumps(notes).encode())
    return notes


def write_source_shards(workspace: Workspace, owner: str, source: Source, name: str) -> SourceIndex:
    """Writes the rows of a source, shard by shard, then the index. Tables that exist already are not written again."""
    table_key = TableKey("tables", owner, ROWS)
    present = workspace.tables(table_key)
    shards: list[tuple[str, str]] = []
    rows = 0
    continues_in: dict[str, int] = {}
    credentials = 0
    for number, rows_read in enumerate(source.shards()):
        shard = f"{number:06d}"
        table, removed = _without_credentials(rows_read)
        credentials += removed
        complete = _with_status(table)
        content = _digest(complete)
        if content not in present.get(shard, ()):
            workspace.write_table(table_key.path(shard, content), complete, {"stage": ROWS, "content": content})
        shards.append((shard, content))
        rows += table.num_rows
        for home in set(table.column(HOME_SHARD).to_pylist()) if HOME_SHARD in table.column_names else ():
            if home < number:
                continues_in[f"{home:06d}"] = number - home  # numbers go up: the last one counts
    notes = dict(getattr(source, "notes", {}))
    if FAULTS in notes:
        notes[FAULTS] = [without_credentials(fault) for fault in notes[FAULTS]]
    if credentials:
        notes[CREDENTIALS_REMOVED] = credentials
    index = SourceIndex(name, tuple(shards), rows, dict(source.counts), continues_in, notes)
    text: dict[str, Any] = {"fingerprint": name, "shards": shards, "rows": rows}
    text |= {"counts": dict(sorted(source.counts.items())), "continues_in": continues_in, "notes": index.notes}
    workspace.store.publish(index_path(owner, name), json.dumps(text, indent=1).encode())
    return index


def index_path(owner: str, name: str) -> str:
    """Returns the path of a source's index, by the fingerprint of the source; its notes list malformed rows."""
    return f"{TableKey('tables', owner, ROWS).folder}/index.{name}.json"


def _digest(table: pa.Table) -> str:
    """Hashes the rows themselves: a file has the version of its writer in it."""
    # Taken row by row into fresh buffers: those of a slice still hold bits of its neighbours.
    table = table.take(pa.array(np.arange(table.num_rows))).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()[:16]


def _without_credentials(table: pa.Table) -> tuple[pa.Table, int]:
    """Removes `user:password@` from the rows, and returns the number of URLs that had it.

    Later stages request URLs as they are in the rows: without credentials, so that nothing stored can leak them.
    """
    removed = {}
    for name in set(_URL_COLUMNS) & set(table.column_names):
        at = table.column_names.index(name)
        column, removed[name] = urls_without_credentials(table.column(name))
        if removed[name]:
            table = table.set_column(at, table.schema.field(at), column)
    return table, removed.get("url", 0)


def _with_status(table: pa.Table) -> pa.Table:
    zeros = pa.array(np.zeros(table.num_rows, np.int8))
    for column, value in (("status", str(Status.KEPT)), ("reason", "")):
        field = pa.field(column, pa.string(), nullable=False)
        table = table.append_column(field, pa.array([value], pa.string()).take(zeros))
    return table.combine_chunks()
