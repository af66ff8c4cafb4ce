"""An index of millions of names, in which whole columns of names are looked up.

A name is looked up as it is; if nothing is called so, by path ends: folders must agree, from the last one back to where
either name ends. Every name, and every end of a name, has its 64-bit hash in one sorted column: finding names is a
binary search, and what it finds is compared letter by letter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import hash_strings
from corpus.storage import Store
from pipelines.sources.files import FileInfo

MISSING, AMBIGUOUS = -1, -2  # instead of a row
Rows = npt.NDArray[np.int64]

_METADATA_KEY = b"rzen_corpus"
_MAX_FOLDERS = 64  # folders of a name whose ends are looked up by


def normalize_names(names: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    """Puts names in one form: NFD, forward slashes, none at the beginning, no `.` folders; `..` is a name like any."""
    names = pc.fill_null(one_array(names).cast(pa.large_string()), "")
    if not pc.all(pc.string_is_ascii(names)).as_py():
        names = pc.utf8_normalize(names, "NFD")  # Arrow's NFC doesn't compose (25.0)
    for sign, pattern, replacement in (("\\", r"\\", "/"), ("/", r"^(\.?/)+", ""), ("/", r"/(\.?/)+", "/")):
        if pc.any(pc.match_substring(names, sign)).as_py():
            names = pc.replace_substring_regex(names, pattern, replacement)
    return names


@dataclass(frozen=True)
class NameIndex:
    """An index of names, and the table of what belongs to them.

    table: one row a name, column `name` and others; of rows of one name only the first. ends: `hash` (uint64, sorted)
    of each name and each end of one, and `row` (int32) of the name that is meant, or AMBIGUOUS. 12 bytes for a name
    and for each folder in it, beside the table. repeats: the other rows of repeated names, and in `first` (int64,
    ascending) the row of `table` that has the same name.
    """

    table: pa.Table
    hashes: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.int32]
    metadata: dict[str, Any]
    repeats: pa.Table

    @staticmethod
    def build(table: pa.Table, metadata: dict[str, Any]) -> NameIndex:
        """Indexes `table`, whose column `name` has normalized names; `metadata` is kept, with the count of repeats."""
        hashes = hash_strings(table.column("name"))
        complete, first, which = np.unique(hashes, return_index=True, return_inverse=True)
        metadata = {**metadata, "duplicate_name": len(hashes) - len(complete)}
        other = np.ones(len(hashes), np.bool_)
        other[first] = False
        of_first = np.searchsorted(np.sort(first), first[which[other]])
        order = np.argsort(of_first, kind="stable")
        repeats = table.take(pa.array(np.flatnonzero(other)[order])).append_column("first", pa.array(of_first[order]))
        if len(complete) < len(hashes):
            first.sort()
            table = table.take(pa.array(first))
            complete, first = np.unique(hashes[first], return_index=True)
        table = table.combine_chunks()
        suffixes, suffix_rows = _suffix_hashes(table.column("name"))
        at = np.searchsorted(suffixes, complete)
        taken = at[suffixes[np.minimum(at, len(suffixes) - 1)] == complete] if len(suffixes) else at[:0]
        new = np.ones(len(suffixes), np.bool_)
        new[taken] = False  # a complete name goes before the end of another
        hashes = np.concatenate([complete, suffixes[new]])
        order = np.argsort(hashes, kind="stable")
        rows = np.concatenate([first.astype(np.int32), suffix_rows[new]])
        return NameIndex(table, hashes[order], rows[order], metadata, repeats)

    def find(self, names: Sequence[str]) -> Rows:
        """Looks up the row of each normalized name, or MISSING or AMBIGUOUS; int64[n].

        Of the entries that are called like the end of a name, that with most of its folders is taken.
        """
        found = self._rows(names)
        candidates = self._names(found)
        for place, (name, other) in enumerate(zip(names, candidates, strict=True)):
            if other is not None and other != name and not other.endswith(f"/{name}"):
                found[place] = MISSING  # another name of the same hash
        shorter = {place: names[place] for place in np.flatnonzero(found == MISSING).tolist()}
        for _ in range(_MAX_FOLDERS):
            shorter = {place: name.partition("/")[2] for place, name in shorter.items() if "/" in name}
            if not shorter:
                break
            rows = self._rows(list(shorter.values()))
            for place, row, other in zip(list(shorter), rows.tolist(), self._names(rows), strict=True):
                if other == shorter[place]:  # all of it: a longer name has other folders before this end
                    found[place] = row
                    del shorter[place]
        return found

    def others(self, row: int) -> pa.Table:
        """Selects the further rows that have the name of the table's `row`: a part of `repeats`."""
        first = _to_numpy(self.repeats.column("first")) if self.repeats.num_rows else np.empty(0, np.int64)
        start, stop = np.searchsorted(first, row, "left"), np.searchsorted(first, row, "right")
        return self.repeats.slice(start, stop - start)

    def save(self, store: Store, stem: str) -> None:
        """Writes `stem`.ends.arrow, .repeats.arrow, .names.arrow, in this order: the last one completes the index."""
        suffixes = pa.table({"hash": pa.array(self.hashes), "row": pa.array(self.rows)})
        named = self.table.replace_schema_metadata({_METADATA_KEY: json.dumps(self.metadata).encode()})
        for suffix, table in (("ends", suffixes), ("repeats", self.repeats), ("names", named)):
            write_arrow(store, f"{stem}.{suffix}.arrow", table)

    @staticmethod
    def load(store: Store, stem: str) -> NameIndex:
        """Reads what `save` wrote; mapped on a local disk, so that all workers share one copy. Raises MissingError."""
        table = read_arrow(store, f"{stem}.names.arrow")
        suffixes = read_arrow(store, f"{stem}.ends.arrow")
        metadata = json.loads((table.schema.metadata or {})[_METADATA_KEY])
        repeats = read_arrow(store, f"{stem}.repeats.arrow")
        hashes, rows = _to_numpy(suffixes.column("hash")), _to_numpy(suffixes.column("row"))
        return NameIndex(table, hashes, rows, metadata, repeats)

    def _rows(self, names: Sequence[str]) -> Rows:
        hashes = hash_strings(pa.array(names, pa.large_string()))
        rows = np.full(len(hashes), MISSING, np.int64)
        if len(self.hashes):
            at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            same = self.hashes[at] == hashes
            rows[same] = self.rows[at[same]]
        return rows

    def _names(self, rows: Rows) -> list[str | None]:
        return self.table.column("name").take(pa.array(rows, mask=rows < 0)).to_pylist()


@dataclass(frozen=True)
class FileIndex:
    """Finds files by their names: the path below the searched folder, where just one file has it; else the URL, or
    what it ends with.
    """

    urls: list[str]
    below: dict[str, int]
    by_url: NameIndex

    @staticmethod
    def build(files: Sequence[FileInfo]) -> FileIndex:
        """Indexes files; a file may come several times, found in several ways."""
        urls = list(dict.fromkeys(file.url for file in files))
        row_of = {url: row for row, url in enumerate(urls)}
        owners: dict[str, set[int]] = {}
        for name, file in zip(normalize_names(_strings([file.name for file in files])).to_pylist(), files, strict=True):
            owners.setdefault(name, set()).add(row_of[file.url])
        below = {name: min(rows) for name, rows in owners.items() if len(rows) == 1}
        return FileIndex(urls, below, NameIndex.build(pa.table({"name": normalize_names(_strings(urls))}), {}))

    def find(self, names: Sequence[str]) -> Rows:
        """Looks up the position in `urls` of each name, or MISSING or AMBIGUOUS; int64[n]."""
        normalized = normalize_names(_strings(names)).to_pylist()
        rows = self.by_url.find(normalized)
        for at, name in enumerate(normalized):
            rows[at] = self.below.get(name, rows[at])
        return rows


def _strings(texts: Sequence[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


def _suffix_hashes(names: pa.ChunkedArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Hashes the proper ends of all names (sorted, each once), with the row that has each one, or AMBIGUOUS."""
    remaining: pa.Array = one_array(names)
    row = np.arange(len(remaining), dtype=np.int32)
    hashes: list[npt.NDArray[np.uint64]] = [np.empty(0, np.uint64)]
    rows = [np.empty(0, np.int32)]
    for _ in range(_MAX_FOLDERS):
        deeper = pc.match_substring(remaining, "/")
        remaining = pc.list_element(pc.split_pattern(remaining.filter(deeper), "/", max_splits=1), 1)
        row = row[deeper.to_numpy(zero_copy_only=False)]
        if not len(remaining):
            break
        hashes.append(hash_strings(remaining))
        rows.append(row)
    each, first, count = np.unique(np.concatenate(hashes), return_index=True, return_counts=True)
    row_of = np.concatenate(rows)[first]
    row_of[count > 1] = AMBIGUOUS
    return each, row_of


def write_arrow(store: Store, path: str, table: pa.Table) -> None:
    """Publishes a table as an Arrow file of one batch."""
    table = table.combine_chunks()
    with store.writer(path) as file, pa.ipc.new_file(pa.PythonFile(file, "w"), table.schema) as writer:
        writer.write_table(table)


def read_arrow(store: Store, path: str) -> pa.Table:
    """Reads what `write_arrow` wrote. Raises MissingError if it is not there."""
    if store.is_local and store.exists(path):
        return pa.ipc.open_file(pa.memory_map(str(Path(store.full(path))))).read_all()
    return pa.ipc.open_file(pa.BufferReader(store.read(path))).read_all()


def _to_numpy(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    return column.chunk(0).to_numpy() if column.num_chunks == 1 else column.to_numpy()
