"""Columns of foreign tables in the types that a source wants, value by value.

A value that cannot be had in the wanted type becomes null, and the caller learns how many did: one "n/a" in a column
of numbers stops nothing. Strings, binary and large or view forms of them, dictionaries, extension types, decimals and
unsigned numbers are all read. Arrow trusts a file that its strings are UTF-8; here they are checked.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?[ \t]*$"
_INT32 = (-(2**31), 2**31 - 1)
_EXACT_IN_FLOATS = 2**53


class UncastableError(ValueError):
    """No value of a column's type can be had in the wanted one."""


@dataclass(frozen=True)
class Cast:
    """A column in its new type, and which rows had a value that is null there (bool[n]; None: none of them)."""

    values: pa.ChunkedArray
    lost: pa.ChunkedArray | None = None

    @property
    def lost_count(self) -> int:
        """How many values became null."""
        return 0 if self.lost is None else pc.sum(self.lost).as_py() or 0


def cast_leniently(column: pa.ChunkedArray, kind: pa.DataType) -> Cast:
    """The column as `string`, `int32` or `float64`. Raises UncastableError for a column of lists, structs and the like.

    NaN stands for null in tables whose numbers went through floats, and is not counted. Numbers that are to be whole
    are rounded; a whole number in a float beyond 2**53 has lost digits and is null where it is to be a text.
    """
    column = stored_values(column)
    if column.type == kind and not pa.types.is_string(kind):
        return Cast(column)
    if pa.types.is_null(column.type):
        return Cast(column.cast(kind))
    cast = _strings if pa.types.is_string(kind) else _numbers(kind)
    try:
        values = cast(column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UncastableError(f"{column.type} cannot be read as {kind}") from error
    given = pc.is_valid(column)
    if pa.types.is_floating(column.type):
        given = pc.and_(given, pc.invert(pc.is_nan(column)))
    lost = pc.and_(given, pc.is_null(values))
    return Cast(values, lost if pc.any(lost).as_py() else None)


def stored_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column without dictionaries, extension types and views; of a UUID its text.

    Raises ArrowIndexError for a dictionary whose indices lead out of it.
    """
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        if kind == pa.uuid():
            return _mapped(column, pa.string(), lambda value: str(value if isinstance(value, uuid.UUID) else ""))
        return stored_values(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_dictionary(kind):
        chunks = [
            stored_values(pa.chunked_array([chunk.dictionary])).combine_chunks().take(chunk.indices)
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks) if chunks else stored_values(pa.chunked_array([], kind.value_type))
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())  # as it lies there: nobody has looked at the bytes
    return column.cast(pa.binary()) if pa.types.is_binary_view(kind) else column


def comparable_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in a type that Arrow compares: texts as strings, decimals as floats."""
    column = stored_values(column)
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    return cast_leniently(column, pa.string()).values if is_binary(column.type) else column


def is_binary(kind: pa.DataType) -> bool:
    """Whether a type holds bytes of which nobody says that they are text."""
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """Whether a type is one of lists, of any form."""
    types = pa.types
    return (
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def _strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_floating(kind):
        return _whole_as_text(column.cast(pa.float64()))
    if is_binary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
        data = column.cast(pa.large_binary() if large else pa.binary())
        try:
            return data.cast(pa.string())  # looks at the bytes, which those of a string column are believed to be
        except pa.ArrowInvalid:
            return _mapped(data, pa.string(), _decoded)
    return column.cast(pa.string())


def _whole_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers as they are written; others as floats are."""
    exact = pc.less_equal(pc.abs(column), _EXACT_IN_FLOATS)
    whole = pc.and_(exact, pc.equal(column, pc.trunc(column)))
    digits = pc.if_else(whole, column, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(digits, pc.if_else(exact, column, None).cast(pa.string()))


def _numbers(kind: pa.DataType) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    def cast(column: pa.ChunkedArray) -> pa.ChunkedArray:
        given = column.type
        if pa.types.is_string(given) or pa.types.is_large_string(given) or is_binary(given):
            text = _strings(column)
            readable = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
            column = pc.utf8_trim_whitespace(readable).cast(pa.float64())
        elif pa.types.is_decimal(given) or pa.types.is_boolean(given) or pa.types.is_float16(given):
            column = column.cast(pa.float64())
        elif not (pa.types.is_integer(given) or pa.types.is_floating(given)):
            raise pa.ArrowNotImplementedError(f"{given} holds no numbers")
        return _whole(column, kind) if pa.types.is_integer(kind) else column.cast(kind, safe=False)

    return cast


def _whole(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Numbers as 32-bit integers, null where they are beyond those."""
    floating = pa.types.is_floating(column.type)
    if floating:
        column = pc.round(column)
    low, high = _INT32
    if floating or column.type.bit_width > 32 or column.type == pa.uint32():
        fits = pc.less_equal(column, pa.scalar(high, column.type) if not floating else float(high))
        if floating or pa.types.is_signed_integer(column.type):
            fits = pc.and_(fits, pc.greater_equal(column, pa.scalar(low, column.type) if not floating else float(low)))
        column = pc.if_else(fits, column, None)
    return column.cast(kind)


def _mapped(column: pa.ChunkedArray, kind: pa.DataType, function: Callable[[Any], Any]) -> pa.ChunkedArray:
    """A column value by value: for what is rare."""
    chunks = [
        pa.array([None if value is None else function(value) for value in chunk.to_pylist()], kind)
        for chunk in column.chunks
    ]
    return pa.chunked_array(chunks, kind)


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def all_lost(column: pa.ChunkedArray, kind: pa.DataType) -> Cast:
    """What becomes of a column of which no value can be read."""
    lost = pc.is_valid(column)
    return Cast(pa.chunked_array([pa.nulls(len(column), kind)]), lost if pc.any(lost).as_py() else None)


def rows_without(lost: pa.ChunkedArray | None, rows: int) -> np.ndarray:
    """Which of `rows` rows lost nothing; bool[rows]."""
    return np.ones(rows, np.bool_) if lost is None else ~lost.to_numpy()
