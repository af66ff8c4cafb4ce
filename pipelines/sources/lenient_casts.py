"""Casts columns of foreign tables to the types that a source needs, value by value.

A value that cannot be cast to the type becomes null, and the caller learns how many did: one "n/a" in a column
of numbers stops nothing. Strings, binary and large or view forms of them, dictionaries, extension types, decimals and
unsigned numbers are all read. Arrow trusts a file that its strings are UTF-8; here they are checked.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_NUMBER = r"^[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?[ \t]*$"
_INT32 = (-(2**31), 2**31 - 1)
_EXACT_IN_FLOATS = 2**53


class UncastableError(ValueError):
    """The error of a column of which no value can be cast to the requested type."""


@dataclass(frozen=True)
class Cast:
    """A column in its new type; `failed`: which rows had a value that is null there (bool[n]; None: none of them)."""

    values: pa.ChunkedArray
    failed: pa.ChunkedArray | None = None

    @property
    def failed_count(self) -> int:
        """The number of values that became null."""
        return 0 if self.failed is None else pc.sum(self.failed).as_py() or 0


def cast_leniently(column: pa.ChunkedArray, kind: pa.DataType) -> Cast:
    """Casts a column to `string`, `int32` or `float64`.

    Raises UncastableError for a column of lists, structs and the like. NaN stands for null in tables whose numbers went
    through floats, and is not counted. Numbers become integers by rounding; a whole number in a float beyond 2**53 has
    failed digits and is null where it is to be a text.
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
    present = pc.is_valid(column)
    if pa.types.is_floating(column.type):
        present = pc.and_(present, pc.invert(pc.is_nan(column)))
    failed = pc.and_(present, pc.is_null(values))
    return Cast(values, failed if pc.any(failed).as_py() else None)


def stored_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Replaces dictionaries, extension types and views by what they store; a UUID by its text.

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
        return column.cast(pa.string())  # as it is stored: the bytes were not checked
    return column.cast(pa.binary()) if pa.types.is_binary_view(kind) else column


def comparable_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Casts a column to a type that Arrow compares: texts as strings, decimals as floats."""
    column = stored_values(column)
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    return cast_leniently(column, pa.string()).values if is_binary(column.type) else column


def is_binary(kind: pa.DataType) -> bool:
    """Tells whether a type holds bytes that are not declared to be text."""
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def is_list(kind: pa.DataType) -> bool:
    """Tells whether a type is one of lists, of any form."""
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
        return _integers_as_text(column.cast(pa.float64()))
    if is_binary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
        data = column.cast(pa.large_binary() if large else pa.binary())
        try:
            return data.cast(pa.string())  # looks at the bytes, which those of a string column are believed to be
        except pa.ArrowInvalid:
            return _mapped(data, pa.string(), _decoded)
    return column.cast(pa.string())


def _integers_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Writes whole numbers without a point; others as floats."""
    exact = pc.less_equal(pc.abs(column), _EXACT_IN_FLOATS)
    is_integer = pc.and_(exact, pc.equal(column, pc.trunc(column)))
    digits = pc.if_else(is_integer, column, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(digits, pc.if_else(exact, column, None).cast(pa.string()))


def _numbers(kind: pa.DataType) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    def cast(column: pa.ChunkedArray) -> pa.ChunkedArray:
        kind_in = column.type
        if pa.types.is_string(kind_in) or pa.types.is_large_string(kind_in) or is_binary(kind_in):
            text = _strings(column)
            readable = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
            column = pc.utf8_trim_whitespace(readable).cast(pa.float64())
        elif pa.types.is_decimal(kind_in) or pa.types.is_boolean(kind_in) or pa.types.is_float16(kind_in):
            column = column.cast(pa.float64())
        elif not (pa.types.is_integer(kind_in) or pa.types.is_floating(kind_in)):
            raise pa.ArrowNotImplementedError(f"{kind_in} holds no numbers")
        return _to_int32(column, kind) if pa.types.is_integer(kind) else column.cast(kind, safe=False)

    return cast


def _to_int32(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Rounds numbers to 32-bit integers, null where they are beyond those."""
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
    """Applies a function to a column value by value: for rare types."""
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


def all_failed(column: pa.ChunkedArray, kind: pa.DataType) -> Cast:
    """Makes the cast of a column of which no value can be read."""
    failed = pc.is_valid(column)
    return Cast(pa.chunked_array([pa.nulls(len(column), kind)]), failed if pc.any(failed).as_py() else None)
