"""Reads the rows of the files that public sets come in: JSON lines, JSON and Parquet, local or in a store.

Files are streamed: JSON lines (also gzipped) line by line, Parquet a few rows of a row group at a time; only a JSON
array is read completely. Images that lie in a Parquet file are not read: the row has their names in their place.
"""

from __future__ import annotations

import gzip
import io
import itertools
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from corpus.storage import StorageError, Store
from pipelines.sources.column_mapping import paths_of_records
from pipelines.sources.files import FileInfo
from pipelines.sources.json_records import BadRecord, BadRecords, parse_lines, read_all, scan
from pipelines.sources.not_read import UnreadableFileError
from pipelines.sources.parquet_records import Row, parquet_paths, parquet_rows

ROW_ENDINGS = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".parquet")
_SCHEMA_RECORDS = 100  # of a JSON file, which tell which fields there are
_OTHER_KINDS = {  # by how a file begins: what would else be a heap of malformed lines
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"\xfd7zXZ\0": "compressed with xz",
    b"BZh": "compressed with bzip2",
    b"PK\x03\x04": "a zip",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "in UTF-16",
    b"\xfe\xff": "in UTF-16",
}
_GZIP = b"\x1f\x8b"


def is_parquet(file: FileInfo) -> bool:
    """Tells whether a file is Parquet, by its name."""
    return file.url.lower().endswith(".parquet")


def named_apart(files: Sequence[FileInfo]) -> list[FileInfo]:
    """Makes the names of files distinct: those of equal name are called by their URLs."""
    count = Counter(file.name for file in files)
    return [replace(file, name=file.url) if count[file.name] > 1 else file for file in files]


def read_records(
    file: FileInfo, bad_records: list[BadRecord], columns: Collection[str] | None = None, images: Collection[str] = ()
) -> Iterator[tuple[int, Row]]:
    """Reads (line, record) of each object in a file; in Parquet the row, from 1. Adds to `bad_records` what is none.

    `columns`: of a Parquet file only these are read, as far as it has them; with dots, what lies in them. Of these,
    `images` are those that may hold images (a binary column, or what `datasets` makes of images, {bytes, path}); such
    a one becomes a string: its `embedded_name` in the file's name, which is the same wherever the file lies; or the
    path, where none of the row group's rows holds bytes. What the file's folders state of all its rows (`lang=en`) is a
    column as well. Raises UnreadableFileError for a file of another kind or one that is damaged, after what could be
    read; SettingsError for a column that is there twice; StorageError for a file that its storage does not give.
    """
    partition = {name: value for name, value in file.partition.items() if columns is None or name in columns}
    if is_parquet(file):
        for line, row in parquet_rows(file, bad_records, columns, images):
            yield line, {**partition, **row} if partition else row
        return
    for line, record in _json_values(file.url, bad_records):
        if isinstance(record, dict):
            yield line, {**partition, **record} if partition else record
        else:
            bad_records.append(BadRecord(file.url, line, "not_an_object", f"a {type(record).__name__}"))


def _json_values(url: str, bad_records: list[BadRecord]) -> Iterator[tuple[int, Any]]:
    """Reads (line, value) of each value of a JSON file, plain or gzipped."""
    try:
        with Store(".").open(url) as opened:
            stream = io.BufferedReader(cast(io.RawIOBase, opened), 2**20)
            head = stream.peek(8)
            if head.startswith(_GZIP) or url.lower().endswith(".gz"):
                stream = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stream)), 2**20)
                head = stream.peek(8)
            if kind := next((kind for magic, kind in _OTHER_KINDS.items() if head.startswith(magic)), ""):
                raise UnreadableFileError(
                    url, f"it is {kind}: wanted are JSON in UTF-8, plain or gzipped, and *.parquet"
                )
            is_array = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")  # a .json.gz may as well be of lines
            if url.lower().endswith(".json") or (url.lower().endswith(".json.gz") and is_array):
                yield from scan(read_all(stream, url).decode("utf-8", "surrogateescape"), url, bad_records)
            else:
                yield from parse_lines(stream, url, bad_records)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnreadableFileError(url, f"not a whole gzip file: {error}") from error
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{url}: {error}") from error


def reject_all(file: FileInfo, bad_records: list[BadRecord]) -> None:
    """Adds each record of a file in which `paths_in` finds no paths to `bad_records`."""
    for line, _ in read_records(file, bad_records):
        bad_records.append(BadRecord(file.url, line, "no_query", "an object without fields"))


def paths_in(file: FileInfo) -> set[str]:
    """Lists the paths of a file's rows: those of a Parquet file's schema, else of its first records; of none, none.

    Errors as in `read_records`.
    """
    if is_parquet(file):
        return parquet_paths(file) | {*file.partition}
    rows = read_records(file, BadRecords())  # of which a file may be full
    paths = paths_of_records(record for _, record in itertools.islice(rows, _SCHEMA_RECORDS))
    return paths | {*file.partition} if paths else paths
