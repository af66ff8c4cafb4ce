"""Rows of the files that public sets come in, one after the other: JSON lines, JSON and Parquet, local or in a store.

Files are streamed: JSON lines (also gzipped) line by line, Parquet a few rows of a row group at a time; only a JSON
array is read whole. Images that lie in a Parquet file are not read: the row has their names in their place.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.settings import SettingsError
from corpus.storage import StorageError, Store
from pipelines.sources.column_templates import paths_of_records, paths_of_schema
from pipelines.sources.found_files import FoundFile
from pipelines.sources.json_records import Fault, Faults, scan

ROW_ENDINGS = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".parquet")
IMAGE = "image"  # the column whose embedded images are named without it
_MOST_LINE_BYTES = 64 * 2**20
_MOST_JSON_BYTES = 2 * 2**30  # of a JSON file that is read whole, unpacked
_BATCH_ROWS = 1024
_LOOKED_AT = 100  # records of a JSON file that tell which fields there are
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

Row = dict[str, Any]


def is_parquet(file: FoundFile) -> bool:
    """Whether a file is one by its name."""
    return file.url.lower().endswith(".parquet")


def embedded_name(file: str, row: int, column: str = IMAGE) -> str:
    """The name of an image that lies in a Parquet file; rows are counted from 1."""
    return f"{file}#row={row}" + ("" if column == IMAGE else f"&column={column}")


def named_apart(files: Sequence[FoundFile]) -> list[FoundFile]:
    """The same files; those that are called alike are called by their URLs."""
    count = Counter(file.name for file in files)
    return [replace(file, name=file.url) if count[file.name] > 1 else file for file in files]


def read_records(
    file: FoundFile, faults: list[Fault], columns: Collection[str] | None = None, images: Collection[str] = ()
) -> Iterator[tuple[int, Row]]:
    """(line, record) of each object in a file; in Parquet the row, counted from 1. Adds to `faults` what is none.

    `columns`: of a Parquet file only these are read, as far as it has them; with dots, what lies in them. Of these,
    `images` are those that may hold images (a binary column, or what `datasets` makes of images, {bytes, path}); such
    a one is given as a string: its `embedded_name` in the file's name, which is the same wherever the file lies; or the
    path, where none of the row group's rows holds bytes. Other binary columns are taken for UTF-8, as some programs
    write text. Raises SettingsError for a file of another kind or one that is cut off, StorageError for one that cannot
    be read.
    """
    if is_parquet(file):
        yield from _parquet_rows(file, faults, columns, images)
        return
    for line, record in _json_values(file.url, faults):
        if isinstance(record, dict):
            yield line, record
        else:
            faults.append(Fault(file.url, line, "not_an_object", f"a {type(record).__name__}"))


def _json_values(url: str, faults: list[Fault]) -> Iterator[tuple[int, Any]]:
    try:
        with Store(".").open(url) as opened:
            stream = io.BufferedReader(cast(io.RawIOBase, opened), 2**20)
            head = stream.peek(8)
            if head.startswith(_GZIP) or url.lower().endswith(".gz"):
                stream = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stream)), 2**20)
                head = stream.peek(8)
            if kind := next((kind for magic, kind in _OTHER_KINDS.items() if head.startswith(magic)), ""):
                raise SettingsError(f"{url}: it is {kind}: wanted are JSON in UTF-8, plain or gzipped, and *.parquet")
            is_array = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")  # a .json.gz may as well be of lines
            if url.lower().endswith(".json") or (url.lower().endswith(".json.gz") and is_array):
                yield from scan(_read_whole(stream, url).decode("utf-8", "surrogateescape"), url, faults)
            else:
                yield from _parsed_lines(stream, url, faults)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SettingsError(f"{url}: not a whole gzip file: {error}") from error
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{url}: {error}") from error


def _read_whole(stream: IO[bytes], url: str) -> bytes:
    """All bytes of a stream, which may be packed a thousand times smaller. Raises SettingsError for too many."""
    data = stream.read(_MOST_JSON_BYTES + 1)
    if len(data) > _MOST_JSON_BYTES:
        raise SettingsError(f"{url}: a JSON file of over {_MOST_JSON_BYTES:,} bytes, unpacked: make it JSON lines")
    return data


def _parsed_lines(stream: IO[bytes], url: str, faults: list[Fault]) -> Iterator[tuple[int, Any]]:
    number = 0
    while data := stream.readline(_MOST_LINE_BYTES):
        number += 1
        if len(data) == _MOST_LINE_BYTES and not data.endswith(b"\n"):
            faults.append(Fault(url, number, "line_too_long", f"more than {_MOST_LINE_BYTES} bytes"))
            while data and not data.endswith(b"\n"):
                data = stream.readline(_MOST_LINE_BYTES)
            continue
        text = data.decode("utf-8", "surrogateescape").strip("\ufeff \t\r\n")
        try:
            if text:
                yield number, json.loads(text)
        except json.JSONDecodeError as error:
            faults.append(Fault(url, number, "not_json", f"{error.msg}: column {error.colno}"))
        except (ValueError, RecursionError) as error:
            faults.append(Fault(url, number, "not_json", str(error)))


def fault_all(file: FoundFile, faults: list[Fault]) -> None:
    """Of a file in which `paths_in` finds none: whatever lies in it is a fault."""
    for line, _ in read_records(file, faults):
        faults.append(Fault(file.url, line, "no_query", "an object without fields"))


def open_parquet(file: FoundFile | str) -> tuple[Any, pq.ParquetFile]:
    """The open file, which is the caller's to close, and what reads it. Errors as in `read_records`."""
    url = file if isinstance(file, str) else file.url
    opened = Store(".").open(url)
    try:
        # Local files are read page by page; of remote ones the columns of a row group are asked for at once.
        return opened, pq.ParquetFile(opened, **({"pre_buffer": True} if "://" in url else {"buffer_size": 2**20}))
    except (pa.ArrowInvalid, OSError) as error:  # Arrow says either of a broken footer
        opened.close()
        if isinstance(error, StorageError):
            raise
        raise SettingsError(f"{url}: not a Parquet file that can be read: {error}") from error
    except BaseException:
        opened.close()
        raise


def paths_in(file: FoundFile) -> set[str]:
    """The paths that a file's rows have: those of a Parquet file's schema, else of its first records; of none, none.

    Errors as in `read_records`.
    """
    if is_parquet(file):
        opened, parquet = open_parquet(file)
        with opened:
            return paths_of_schema(parquet.schema_arrow)
    rows = read_records(file, Faults())  # of which a file may be full
    return paths_of_records(record for _, record in itertools.islice(rows, _LOOKED_AT))


def holds_images(kind: pa.DataType) -> bool:
    """Whether a column of this type holds the bytes of images."""
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _is_binary(kind.field(at).type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _parquet_rows(
    file: FoundFile, faults: list[Fault], columns: Collection[str] | None, maybe_images: Collection[str]
) -> Iterator[tuple[int, Row]]:
    opened, parquet = open_parquet(file)
    try:
        with opened:
            fields = [field for field in parquet.schema_arrow if columns is None or _names_it(columns, field.name)]
            images = [field.name for field in fields if field.name in maybe_images and holds_images(field.type)]
            leaves = [field.name for field in fields if field.name not in images]
            leaves += [f"{field.name}.path" for field in fields if field.name in images and _has_path(field.type)]
            first = 1
            for group in range(parquet.num_row_groups):
                embedded = [name for name in images if _has_bytes(parquet, group, name)]
                for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=leaves):
                    for at, row in _python_rows(batch, file.url, first, faults):
                        for name in images:
                            path = (row.get(name) or {}).get("path")
                            row[name] = embedded_name(file.name, at, name) if name in embedded else path
                        yield at, row
                    first += batch.num_rows
    except pa.ArrowInvalid as error:
        raise SettingsError(f"{file.url}: not a Parquet file that can be read: {error}") from error
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{file.url}: {error}") from error


def _names_it(paths: Collection[str], column: str) -> bool:
    """Whether one of the paths is the column, or lies in it."""
    return any(path == column or path.startswith(f"{column}.") for path in paths)


def _python_rows(batch: pa.RecordBatch, url: str, first: int, faults: list[Fault]) -> Iterator[tuple[int, Row]]:
    try:
        yield from list(enumerate(_decoded(batch).to_pylist(), first))
    except (ValueError, OverflowError):  # what is not Unicode, or a date that Python has not, costs its row
        for at in range(batch.num_rows):
            try:
                row = _decoded(batch.slice(at, 1)).to_pylist()[0]
            except UnicodeDecodeError as error:
                faults.append(Fault(url, first + at, "bad_text", f"not Unicode: {error.reason}"))
            except (ValueError, OverflowError) as error:
                faults.append(Fault(url, first + at, "bad_text", str(error)))
            else:
                yield first + at, row


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Text where there is binary. Raises ArrowInvalid, a ValueError, for what is not Unicode."""
    for at, field in enumerate(batch.schema):
        if _is_binary(field.type):
            batch = batch.set_column(at, field.name, batch.column(at).cast(pa.large_string()))
    return batch


def _has_path(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("path") >= 0


def _has_bytes(parquet: pq.ParquetFile, group: int, column: str) -> bool:
    """Whether a row group has an image in its own bytes; told from the file's statistics, without reading them."""
    metadata = parquet.metadata.row_group(group)
    for at in range(metadata.num_columns):
        chunk = metadata.column(at)
        if chunk.path_in_schema in (column, f"{column}.bytes"):
            known = chunk.is_stats_set and chunk.statistics.has_null_count
            return not (known and chunk.statistics.null_count == metadata.num_rows)
    return False
