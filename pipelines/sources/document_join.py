"""Joins pairs with the documents that they name by ids: a corpus in files of its own, by hashes of ids.

Two passes. The first reads the queries' lists of ids, the second the corpus, of which it keeps the documents that a
query names. Known as M-BEIR's candidate pool (arXiv 2311.17136) and as the corpora of Tevatron's newer sets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, field_validator

from corpus.hashing import Hashes, hash_strings, mix64
from corpus.settings import Settings
from corpus.text.keys import list_keys
from pipelines.sources.column_mapping import Template, require_paths, value_at
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecord, BadRecordError, BadRecords, text_of
from pipelines.sources.not_read import NotRead, UnreadableFileError
from pipelines.sources.pair_rows import Side
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS, paths_in, read_records

MISSING_DOCUMENT, AMBIGUOUS_DOCUMENT, EMPTY_DOCUMENT = "missing_document", "ambiguous_document", "empty_document"

_BLOCK = 4096  # rows of a corpus that are processed together
_BATCH = 65_536  # documents of a batch of the file that holds them
_MERGE = 1 << 22  # hashes that are gathered before they are made distinct
_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("images", pa.list_(pa.string()))])

_Numbered = tuple[int, Row]  # a row and its line


class DocumentsSettings(Settings):
    """Settings of a corpus of documents: its files, and which of its columns are what."""

    files: tuple[str, ...] = Field(
        min_length=1,
        description="JSON lines (.gz too), JSON or Parquet files with the documents: paths, folders, globs or "
        "fsspec URLs.",
    )
    id: str = Field(
        "docid", min_length=1, description="The column with a document's id; every document has another one."
    )
    text: str = Field(
        "", description="The column with a document's text, or a template of several columns; empty for none."
    )
    images: tuple[str, ...] = Field(
        (), description="Columns with the names of a document's images, each of one name or a list of names."
    )
    optional: tuple[str, ...] = Field((), description="Those of these columns that a file may lack.")

    @field_validator("images", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return ([value] if value else []) if isinstance(value, str) else value

    @property
    def paths(self) -> tuple[str, ...]:
        """The columns that are named."""
        return (self.id, *(Template(self.text).paths if self.text else ()), *self.images)

    def find(self, not_read: NotRead) -> list[FileInfo]:
        """Finds the files, in order. Raises SettingsError where there are none."""
        return find_files(self.files, ROW_ENDINGS, "documents.files", not_read, NO_DATA)

    def require(self, file: FileInfo) -> None:
        """Raises SettingsError for a file without a column that is needed, UnreadableFileError for a damaged one."""
        present = paths_in(file)
        require_paths((path for path in self.paths if path not in self.optional), present, file.url)


@dataclass(frozen=True, slots=True)
class Document:
    """The document of an id: a side, or the `reason` why there is none.

    Reasons: missing_document, the corpus has no such id; ambiguous_document, it has the id several times with different
    content; empty_document, neither a text nor an image.
    """

    side: Side = field(default_factory=Side)
    reason: str = ""


class Documents:
    """The documents of a corpus that some pairs name.

    In memory are 21 bytes for each distinct id that is named (5.6M of them: 118 MB). Texts and names of images lie in
    an Arrow file in a folder for temporary files, which is mapped: pages of it are in memory as far as there is room.
    """

    def __init__(self, named: Hashes, folder: str) -> None:
        """`named`: hashes of the ids that pairs name, ascending and distinct."""
        self._named = named
        self._row = np.full(len(named), -1, np.int32)
        self._content = np.zeros(len(named), np.uint64)
        self._ambiguous = np.zeros(len(named), np.bool_)
        self._path = Path(folder, "documents.arrow")
        self._batches: list[pa.RecordBatch] = []
        self.counts: Counter[str] = Counter()

    def read(
        self, files: Sequence[FileInfo], settings: DocumentsSettings, not_read: NotRead, bad_records: BadRecords
    ) -> None:
        """Reads a corpus, and keeps the documents that are named.

        A file that is damaged ends where the damage begins, and is noted.
        Raises UnreadableFileError where no file can be read.
        """
        unreadable: list[UnreadableFileError] = []
        columns = _Columns(settings)

        def blocks() -> Iterator[tuple[str, list[_Numbered]]]:
            for file in files:
                block: list[_Numbered] = []
                try:
                    for numbered in read_records(file, bad_records, settings.paths, settings.images):
                        block.append(numbered)
                        if len(block) == _BLOCK:
                            yield file.url, block
                            block = []
                except UnreadableFileError as error:
                    unreadable.append(error)
                    not_read.add_file("unreadable_file", error.url, error.detail)
                yield file.url, block

        with pa.OSFile(str(self._path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
            buffer: list[pa.Table] = []
            for url, block in blocks():
                buffer.append(self._select(url, block, columns, bad_records))
                if sum(table.num_rows for table in buffer) >= _BATCH:
                    buffer = [_write(writer, pa.concat_tables(buffer), _BATCH)]
            if buffer:
                _write(writer, pa.concat_tables(buffer), 1)
        if unreadable and len(unreadable) == len(files):
            raise unreadable[0]
        mapped = pa.ipc.open_file(pa.memory_map(str(self._path)))
        self._batches = [mapped.get_batch(at) for at in range(mapped.num_record_batches)]
        self.counts["named"] = len(self._named)
        self.counts["malformed"] = bad_records.counts.total()
        self.counts["ambiguous"] = int(self._ambiguous.sum())

    def find(self, ids: Sequence[str]) -> dict[str, Document]:
        """Looks up the document of each id."""
        distinct = list(dict.fromkeys(ids))
        place, known = self._positions(hash_strings(pa.array(distinct, pa.string())))
        found = dict.fromkeys(distinct, Document(reason=MISSING_DOCUMENT))
        rows = np.where(known, self._row[place], -1) if len(self._named) else np.full(len(distinct), -1)
        present = np.flatnonzero(rows >= 0)
        for at in present[self._ambiguous[place[present]]].tolist():
            found[distinct[at]] = Document(reason=AMBIGUOUS_DOCUMENT)
        present = present[~self._ambiguous[place[present]]]
        for number in np.unique(rows[present] // _BATCH).tolist():
            in_batch = present[rows[present] // _BATCH == number]
            documents = self._batches[number].take(pa.array(rows[in_batch] % _BATCH))
            for at, document in zip(in_batch.tolist(), documents.to_pylist(), strict=True):
                if document["id"] == distinct[at]:  # else another id of the same hash
                    side = Side(document["text"], tuple(document["images"]))
                    found[distinct[at]] = Document(side, "" if side != Side() else EMPTY_DOCUMENT)
        return found

    def _positions(self, hashes: Hashes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Finds the position of each hash among those that are named, and whether it is one of them."""
        if not len(self._named):
            return np.zeros(len(hashes), np.int64), np.zeros(len(hashes), np.bool_)
        place = np.searchsorted(self._named, hashes).clip(max=len(self._named) - 1)
        return place, self._named[place] == hashes

    def _select(self, url: str, rows: Sequence[_Numbered], columns: _Columns, bad_records: BadRecords) -> pa.Table:
        """Selects the documents among the rows that are named and new, as _SCHEMA."""
        self.counts["read"] += len(rows)
        ids = [columns.id_of(row) for _, row in rows]
        self.counts["without_id"] += ids.count("")
        place, known = self._positions(hash_strings(pa.array(ids, pa.string())))
        documents, places = [], []
        for at in np.flatnonzero(known).tolist():
            line, row = rows[at]
            try:
                side = columns.side_of(row)
            except BadRecordError as error:
                bad_records.append(BadRecord(url, line, error.reason, f"document {ids[at]}: {error.detail}"))
                continue
            documents.append({"id": ids[at], "text": side.text, "images": list(side.images)})
            places.append(place[at])
        table = pa.Table.from_pylist(documents, _SCHEMA)
        if not documents:
            return table
        return table.take(pa.array(self._assign_rows(np.array(places), _content(table))))

    def _assign_rows(self, places: npt.NDArray[np.int64], content: Hashes) -> npt.NDArray[np.int64]:
        """Selects the documents that are the first with their id, and gives them their rows."""
        _, first = np.unique(places, return_index=True)
        first.sort()
        new = first[self._row[places[first]] < 0]
        kept = self.counts["kept"]
        self._row[places[new]] = np.arange(kept, kept + len(new))
        self._content[places[new]] = content[new]
        self._ambiguous[places[self._content[places] != content]] = True
        self.counts["kept"] += len(new)
        self.counts["repeated"] += len(places) - len(new)
        return new


class NamedIds:
    """The hashes of all ids that pairs name, collected a few million at a time."""

    def __init__(self) -> None:
        self._known: Hashes = np.empty(0, np.uint64)
        self._pending: list[str] = []
        self._fresh: list[Hashes] = []

    def add(self, ids: Iterable[str]) -> None:
        """Adds ids; they may repeat."""
        self._pending.extend(ids)
        if len(self._pending) >= _BLOCK:
            self._hash()

    def hashes(self) -> Hashes:
        """Gives all hashes, ascending and distinct."""
        self._hash()
        self._known, self._fresh = np.unique(np.concatenate([self._known, *self._fresh])), []
        return self._known

    def _hash(self) -> None:
        if self._pending:
            self._fresh.append(np.unique(hash_strings(pa.array(self._pending, pa.string()))))
            self._pending = []
        if sum(map(len, self._fresh)) >= _MERGE:
            self._known, self._fresh = np.unique(np.concatenate([self._known, *self._fresh])), []


def ids_at(template: Template, row: Row) -> list[str]:
    """Gets the ids that a row names, in order; numbers are ids too. Raises BadRecordError for what is neither."""
    texts = template.texts(row)
    return [each for each in ([texts] if isinstance(texts, str) else texts) if each]


def names_at(row: Row, path: str) -> tuple[str, ...]:
    """Gets the names of images at a path: one, or a list. Raises BadRecordError for what is no name."""
    return image_names_at(value_at(row, path), path)


def image_names_at(value: Any, path: str) -> tuple[str, ...]:
    """Gets the names in a value that lies at a path, as `names_at` does."""
    try:
        return tuple(name for each in (value if isinstance(value, list) else [value]) if (name := text_of(each)))
    except BadRecordError as error:
        raise BadRecordError("bad_images", f"{path}: {error.detail}") from None


class _Columns:
    """The columns of the parts of a document."""

    def __init__(self, settings: DocumentsSettings) -> None:
        self._id = Template(settings.id)
        self._text = Template(settings.text) if settings.text else None
        self._images = settings.images

    def id_of(self, row: Row) -> str:
        """Gets the id, "" where a row has none."""
        try:
            return self._id.text(row)
        except BadRecordError:
            return ""

    def side_of(self, row: Row) -> Side:
        """Gets the text and the images of a document. Raises BadRecordError for what is no text or no name."""
        text = self._text.text(row) if self._text else ""
        return Side(text, tuple(name for path in self._images for name in names_at(row, path)))


def _content(documents: pa.Table) -> Hashes:
    """Hashes the content of each document."""
    images = list_keys(documents.column("images"))
    return mix64(hash_strings(documents.column("text"), 1) ^ mix64(images))


def _write(writer: pa.ipc.RecordBatchFileWriter, table: pa.Table, min_rows: int) -> pa.Table:
    """Writes batches of `_BATCH` rows while at least `min_rows` rows remain; returns those that do."""
    table, start = table.combine_chunks(), 0
    while table.num_rows - start >= min_rows:
        writer.write_table(table.slice(start, _BATCH))
        start += _BATCH
    return table.slice(start)
