"""Digests of tables: the same for the same rows, whatever engine, library version or layout they come with."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array, string_bytes

DIGEST_DIGITS = 16  # hexadecimal, as those of a fingerprint


def table_digest(table: pa.Table, without: Collection[str] = ()) -> str:
    """Returns a hash (16 hex digits of SHA-256) of the columns of a table: names, types, and values in row order.

    Chunks, slices, buffers behind nulls and a file's row groups make no difference. `without` names columns, and fields
    of structs, that are left out.
    """
    hashed = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        if field.name not in without:
            hashed.update(f"{field.name}\n{field.type}\n{len(column)}\n".encode())
            _add(hashed, one_array(column), without)
    return hashed.hexdigest()[:DIGEST_DIGITS]


def _add(hashed: Any, array: pa.Array, without: Collection[str]) -> None:
    """Adds which values are null, then the others. Of a nested type the parts follow, one after the other."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    hashed.update(b"nulls" + _bits(array.is_null()) if array.null_count else b"all valid")
    if pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            if kind.field(number).name not in without:
                _add(hashed, pc.struct_field(array, [number]), without)
        return
    valid = array.drop_null() if array.null_count else array
    if pa.types.is_nested(kind):
        hashed.update(_integers(pc.list_value_length(valid).to_numpy(zero_copy_only=False)))
        _add(hashed, valid.flatten(), without)
    elif pa.types.is_boolean(kind):
        hashed.update(_bits(valid))
    elif not pa.types.is_null(kind):
        _add_values(hashed, valid)


def _add_values(hashed: Any, valid: pa.Array) -> None:
    """Adds values of a type that is not nested, none of them null."""
    if pa.types.is_primitive(valid.type) or pa.types.is_fixed_size_binary(valid.type):
        width = valid.type.bit_width // 8
        data = valid.buffers()[1]
        if len(valid) and data is not None:
            hashed.update(memoryview(data)[valid.offset * width : (valid.offset + len(valid)) * width])
        return
    offsets, bytes_of_all = string_bytes(valid)
    hashed.update(_integers(np.diff(offsets)))
    hashed.update(bytes_of_all[offsets[0] : offsets[-1]])


def _bits(flags: pa.Array) -> bytes:
    return np.packbits(flags.to_numpy(zero_copy_only=False)).tobytes()


def _integers(numbers: np.ndarray) -> bytes:
    return numbers.astype("<i8").tobytes()
