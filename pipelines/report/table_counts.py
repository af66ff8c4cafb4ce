"""Counts of the rows of tables by status and reason, kept in one file for each run: a table is counted once.

A table never changes under its name, so its counts are known for ever. Those that a run's funnels need lie in
`runs/<run id>.counts.parquet`, and replace those of the run before. What is not in it is read from the table itself.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.execution import count
from corpus.read_ahead import read_ahead
from corpus.storage import MissingError, StorageError
from corpus.workspace import Workspace

_ENDING = ".counts.parquet"
_T = TypeVar("_T")

RowCounts = dict[str, int]  # "status/reason" -> rows


class TableCounts:
    """The counts of the tables of a workspace, by their paths, as far as they were needed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._counts: dict[str, RowCounts] = {}
        self._repeated: dict[str, list[str]] = {}
        self._used: set[str] = set()
        self._is_new = False  # some are not in the file

    @staticmethod
    def load(workspace: Workspace) -> TableCounts:
        """Reads those that the last run kept; what cannot be read is counted again."""
        found = TableCounts(workspace)
        names = [name for name in workspace.store.names("runs") if name.endswith(_ENDING)]
        try:
            table = pq.read_table(pa.BufferReader(workspace.store.read(f"runs/{max(names)}"))) if names else None
        except (MissingError, pa.ArrowInvalid):  # another run has replaced it
            table = None
        for row in table.to_pylist() if table is not None else ():
            if row["counts"] is not None:
                found._counts[row["path"]] = json.loads(row["counts"])
            if row["repeated"] is not None:
                found._repeated[row["path"]] = row["repeated"]
        return found

    def add(self, path: str, counts: Mapping[str, int]) -> None:
        """Adds the counts of a table that was written."""
        self._counts[path] = dict(counts)
        self._repeated.pop(path, None)
        self._is_new = True

    def rows(self, paths: Sequence[str]) -> list[RowCounts]:
        """Returns the counts of each table."""
        return self._found(self._counts, paths, self._count)

    def repeated_names(self, paths: Sequence[str]) -> list[list[str]]:
        """Returns the names that several archives have, of each table of images."""
        return self._found(self._repeated, paths, self._read_repeated)

    def save(self, run_id: str) -> None:
        """Writes those that were used, where some are new, and removes the file of the run before."""
        if not self._is_new or not self._used:
            return
        paths = sorted(self._used)
        counts = [json.dumps(self._counts[path], sort_keys=True) if path in self._counts else None for path in paths]
        repeated = pa.array([self._repeated.get(path) for path in paths], pa.list_(pa.string()))
        sink = io.BytesIO()
        table = pa.table({"path": paths, "counts": pa.array(counts, pa.string()), "repeated": repeated})
        pq.write_table(table, sink, compression="zstd")
        store, name = self._workspace.store, f"{run_id}{_ENDING}"
        try:
            old = [each for each in store.names("runs") if each.endswith(_ENDING) and each != name]
            store.publish(f"runs/{name}", sink.getvalue())
            store.remove_all([f"runs/{each}" for each in old])
        except StorageError:  # they are counted again the next time
            return
        self._is_new = False

    def _found(self, known: dict[str, _T], paths: Sequence[str], read: Callable[[str], _T]) -> list[_T]:
        self._used.update(paths)
        missing = [path for path in paths if path not in known]
        known.update(zip(missing, read_ahead(read, missing), strict=True))
        self._is_new = self._is_new or bool(missing)
        return [known[path] for path in paths]

    def _count(self, path: str) -> RowCounts:
        return count(self._workspace.read_table(path, ["status", "reason"]))

    def _read_repeated(self, path: str) -> list[str]:
        table = self._workspace.read_table(path, ["image", "repeated"])
        return _unique(table.filter(pc.fill_null(table.column("repeated"), False)).column("image").to_pylist())


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
