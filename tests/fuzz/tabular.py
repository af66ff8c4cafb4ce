"""Whole Parquet files of odd tables: other types, values that no schema promises, names that stand twice."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import io
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .mutate import set_integer

_BAD_TEXT = b"\xff\xfe a \xed\xa0\x80"  # a string by its type, and no UTF-8
_VALUES: tuple[tuple[pa.DataType, tuple[Any, ...]], ...] = (
    (pa.int8(), (-1, 0, None)),
    (pa.int64(), (-(2**63), 2**63 - 1, None)),
    (pa.uint64(), (2**64 - 1, 0, None)),
    (pa.float16(), (1.5, float("nan"), None)),
    (pa.float64(), (float("inf"), float("nan"), 1e308, -0.0, 2.0**60, None)),
    (pa.bool_(), (True, False, None)),
    (pa.null(), (None,)),
    (pa.decimal128(38, 9), (decimal.Decimal("1.5"), decimal.Decimal(10) ** 27, None)),
    (pa.decimal256(60, 0), (decimal.Decimal(10) ** 50, None)),
    (pa.date32(), (datetime.date(1, 1, 1), None)),
    (pa.timestamp("s"), (-(2**40), 0, None)),
    (pa.timestamp("us", "UTC"), (2**60, None)),
    (pa.duration("ns"), (1, None)),
    (pa.time64("us"), (0, None)),
    (pa.string(), ("", "é", "\x00", "\x1b[31m", "a" * 70_000, "['a', 'b']", "http://u:p@[::1]@/", None)),
    (pa.large_string(), ("b", "\u202e", None)),
    (pa.string_view(), ("a string that is too long to lie inline", "", None)),
    (pa.binary(), (b"\xff", b"\x89PNG\r\n", b"", None)),
    (pa.binary(3), (b"abc", b"\xff\xff\xff", None)),
    (pa.list_(pa.string()), (["a", None], [], None)),
    (pa.list_(pa.list_(pa.int32())), ([[1], []], [None], None)),
    (pa.list_(pa.float32(), 2), ([1.0, 2.0], None)),
    (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), ({"bytes": b"\xff\xd8", "path": None}, None)),
    (pa.struct([("text", pa.list_(pa.string()))]), ({"text": ["x"]}, {"text": None}, None)),
    (pa.map_(pa.string(), pa.int32()), ([("a", 1), ("a", 2)], [], None)),
)


def odd_table(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds as a table, changed once or more, and written again; `data` with another number in it where
    that can't be done."""
    table = pq.read_table(io.BytesIO(random.choice(seeds)))
    with contextlib.suppress(pa.ArrowException, ValueError, OverflowError):  # no such cast, type, date or text
        for _ in range(random.choice((1, 1, 2, 4))):
            table = random.choice(_CHANGES)(table, random)
        return _written(table, random)
    return set_integer(data, random, seeds)


def _written(table: pa.Table, random: Random) -> bytes:
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        row_group_size=random.choice((1, 2, 1000)),
        compression=random.choice(("none", "snappy", "zstd")),
        use_dictionary=random.random() < 0.5,
        write_statistics=random.random() < 0.5,
        store_schema=random.random() < 0.7,
        coerce_timestamps="us",
        allow_truncated_timestamps=True,
    )
    return file.getvalue()


def _other_values(table: pa.Table, random: Random) -> pa.Table:
    """A column of another type."""
    kind, values = random.choice(_VALUES)
    column = pa.array([random.choice(values) for _ in range(len(table))], kind)
    at = random.randrange(table.num_columns)
    return table.set_column(at, table.column_names[at], column)


def _other_type(table: pa.Table, random: Random) -> pa.Table:
    """The same values, of a type that holds them too."""
    at = random.randrange(table.num_columns)
    column = table.column(at)
    kinds = (
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.float64(),
        pa.decimal128(38, 2),
        pa.int32(),
        pa.string(),
    )
    if random.random() < 0.3:
        return table.set_column(at, table.column_names[at], column.dictionary_encode())
    return table.set_column(at, table.column_names[at], column.cast(random.choice(kinds)))


def _bad_text(table: pa.Table, random: Random) -> pa.Table:
    """A text column with a value that is no Unicode."""
    at = random.randrange(table.num_columns)
    values = [str(value).encode() for value in table.column(at).to_pylist()]
    if values:
        values[random.randrange(len(values))] = _BAD_TEXT
    return table.set_column(at, table.column_names[at], pa.array(values, pa.binary()).view(pa.string()))


def _other_name(table: pa.Table, random: Random) -> pa.Table:
    names = list(table.column_names)
    at = random.randrange(len(names))
    names[at] = random.choice((random.choice(names), names[at].upper(), "", "a.b", "\x1b]0;x\x07", f"{names[at]}_"))
    return table.rename_columns(names)


def _fewer_columns(table: pa.Table, random: Random) -> pa.Table:
    return table.remove_column(random.randrange(table.num_columns)) if table.num_columns > 1 else table


def _other_rows(table: pa.Table, random: Random) -> pa.Table:
    if random.random() < 0.3:
        return table.slice(0, 0)
    return table.take([random.randrange(len(table)) for _ in range(random.choice((1, 3, 50)))]) if len(table) else table


_CHANGES: tuple[Callable[[pa.Table, Random], pa.Table], ...] = (
    _other_values,
    _other_values,
    _other_type,
    _bad_text,
    _other_name,
    _fewer_columns,
    _other_rows,
)
