"""Reads rows of Parquet files as Python values, a few at a time; images that lie in them only by name."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.column_mapping import paths_of_schema
from pipelines.sources.files import FileInfo
from pipelines.sources.json_records import BadRecord
from pipelines.sources.lenient_casts import is_binary, is_list
from pipelines.sources.parquet_files import column_names, open_parquet, require_single
from pipelines.sources.parquet_footer import FooterError, null_columns

IMAGE = "image"  # the column whose embedded images are named without it
_BATCH_ROWS = 1024

Row = dict[str, Any]
_Converter = Callable[[Any], Any]


def embedded_name(file: str, row: int, column: str = IMAGE, at: int | None = None) -> str:
    """Names an image that lies in a Parquet file; rows are counted from 1, places in a list (`at`) from 0."""
    name = f"{file}#row={row}" + ("" if column == IMAGE else f"&column={column}")
    return name if at is None else f"{name}&at={at}"


def parquet_paths(file: FileInfo) -> set[str]:
    """Lists every path of a file's columns. Raises UnreadableFileError, StorageError."""
    with open_parquet(file) as parquet:
        return paths_of_schema(parquet.schema_arrow)


def parquet_rows(
    file: FileInfo, bad_records: list[BadRecord], columns: Collection[str] | None, maybe_images: Collection[str]
) -> Iterator[tuple[int, Row]]:
    """Reads (row, values) of a file, rows counted from 1. As `records.read_records`, for Parquet.

    Values are those that JSON has: binary columns are UTF-8, as some programs write text; decimals are numbers; dates,
    times and UUIDs are texts. A row with text that is not UTF-8, or a date that Python has not, is a bad record. Raises
    SettingsError for a column that is there twice.
    """
    with open_parquet(file) as parquet:
        names = column_names(parquet.schema_arrow, file.url)
        fields = [field for field in parquet.schema_arrow if columns is None or _selects(columns, field.name)]
        require_single(names, {field.name for field in fields}, file.url)
        lists = [field.name for field in fields if _selects_list(maybe_images, field.name) and holds_lists(field.type)]
        images = [field.name for field in fields if field.name in maybe_images and holds_images(field.type)]
        leaves = [field.name for field in fields if field.name not in (*images, *lists)]
        leaves += [f"{field.name}.path" for field in fields if field.name in images and _has_path(field.type)]
        leaves += [image_leaf(parquet, name, "path") or name for name in lists]
        embedded = _embedded_columns(file, parquet, images)
        first = 1
        for group in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=leaves):
                sizes = {name: _sizes(batch, name) for name in lists}
                if lists:
                    batch = batch.drop_columns(lists)
                for at, row in _python_rows(batch, file.url, first, bad_records):
                    for name, counts in sizes.items():
                        row[name] = [embedded_name(file.name, at, name, place) for place in range(counts[at - first])]
                    for name in images:
                        path = (row.get(name) or {}).get("path")
                        row[name] = embedded_name(file.name, at, name) if name in embedded[group] else path
                    yield at, row
                first += batch.num_rows


def holds_images(kind: pa.DataType) -> bool:
    """Tells whether a column of this type holds the bytes of images."""
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and is_binary(kind.field(at).type)
    return is_binary(kind)


def holds_lists(kind: pa.DataType) -> bool:
    """Tells whether a column of this type holds lists of images."""
    return is_list(kind) and holds_images(kind.value_type)


def image_leaf(parquet: pq.ParquetFile, column: str, field: str = "bytes") -> str:
    """Finds the Parquet path of a field of a column's images, such as `images.list.element.bytes`; "": none."""
    paths = [parquet.schema.column(at).path.split(".") for at in range(len(parquet.schema))]
    return next((".".join(path) for path in paths if path[0] == column and path[-1] == field), "")


def _selects_list(paths: Collection[str], column: str) -> bool:
    """Tells whether one of the paths is the column, or an entry of the list that is in it."""
    return any(
        path == column or (path.startswith(f"{column}.") and path[len(column) + 1 :].isdecimal()) for path in paths
    )


def _sizes(batch: pa.RecordBatch, column: str) -> list[int]:
    return batch.column(column).value_lengths().fill_null(0).to_pylist()


def _selects(paths: Collection[str], column: str) -> bool:
    """Tells whether one of the paths is the column, or lies in it."""
    return any(path == column or path.startswith(f"{column}.") for path in paths)


def _has_path(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.get_field_index("path") >= 0


def _embedded_columns(file: FileInfo, parquet: pq.ParquetFile, images: Collection[str]) -> list[set[str]]:
    """Lists for each row group the columns that have images in its own bytes, which are not read for it."""
    if not images:
        return [set()] * parquet.num_row_groups
    try:
        nulls = null_columns(file.url)
    except FooterError:
        nulls = []
    if len(nulls) != parquet.num_row_groups:
        nulls = [set()] * parquet.num_row_groups  # unknown: as if there were images
    return [{name for name in images if not {name, f"{name}.bytes"} & group} for group in nulls]


def _python_rows(
    batch: pa.RecordBatch, url: str, first: int, bad_records: list[BadRecord]
) -> Iterator[tuple[int, Row]]:
    converters = {field.name: convert for field in batch.schema if (convert := _converter(field.type))}
    try:
        yield from list(enumerate(_rows(batch, converters), first))
    except (ValueError, OverflowError):  # text that is not Unicode, or a date that Python has not, costs its row
        for at in range(batch.num_rows):
            try:
                (row,) = _rows(batch.slice(at, 1), converters)
            except UnicodeDecodeError as error:
                bad_records.append(BadRecord(url, first + at, "bad_text", f"not Unicode: {error.reason}"))
            except (ValueError, OverflowError) as error:
                bad_records.append(BadRecord(url, first + at, "bad_text", str(error)))
            else:
                yield first + at, row


def _rows(batch: pa.RecordBatch, converters: dict[str, _Converter]) -> list[Row]:
    rows = batch.to_pylist()
    for name, convert in converters.items():
        for row in rows:
            if row[name] is not None:
                row[name] = convert(row[name])
    return rows


def _converter(kind: pa.DataType) -> _Converter | None:
    """Chooses what makes JSON's values of those that Arrow gives for a type; None where they are already."""
    if is_binary(kind):
        return bytes.decode
    if pa.types.is_decimal(kind):
        return _number
    if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_timestamp(kind):
        return lambda value: value.isoformat()
    if pa.types.is_duration(kind) or kind == pa.uuid():
        return str
    if pa.types.is_dictionary(kind):
        return _converter(kind.value_type)
    if pa.types.is_map(kind):
        return _of_maps(_converter(kind.key_type), _converter(kind.item_type))
    if pa.types.is_struct(kind):
        fields = {field.name: convert for field in kind.fields if (convert := _converter(field.type))}
        return _of_structs(fields) if fields else None
    inner = _converter(kind.value_type) if is_list(kind) else None
    return (lambda values: [each if each is None else inner(each) for each in values]) if inner else None


def _of_structs(fields: dict[str, _Converter]) -> _Converter:
    def convert(value: Row) -> Row:
        return {
            name: fields[name](each) if name in fields and each is not None else each for name, each in value.items()
        }

    return convert


def _of_maps(key: _Converter | None, item: _Converter | None) -> _Converter | None:
    if key is None and item is None:
        return None

    def convert(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        return [(key(k) if key else k, item(v) if item and v is not None else v) for k, v in pairs]

    return convert


def _number(value: decimal.Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
