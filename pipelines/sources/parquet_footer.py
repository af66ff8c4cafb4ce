"""Reads from a Parquet file's footer which of its columns are null, without Arrow.

Arrow ends the process where the metadata of a damaged column chunk is asked for. This reads the few fields that are
needed here from the footer's bytes. Formats: parquet.thrift of Apache Parquet, and Thrift's compact protocol.
"""

from __future__ import annotations

import struct
from typing import Any

from corpus.storage import Store

_MAX_DEPTH = 32  # structs and lists in each other; footers have six
_MAX_FOOTER_BYTES = 256 * 2**20

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _MAP, _STRUCT, _UUID = 1, 2, 3, 7, 8, 11, 12, 13
_INTEGERS, _LISTS = (4, 5, 6), (9, 10)

# Numbers of fields in parquet.thrift.
_ROW_GROUPS = 4  # of FileMetaData
_COLUMNS, _ROWS = 1, 3  # of RowGroup
_METADATA = 3  # of ColumnChunk
_PATH, _STATISTICS = 3, 12  # of ColumnMetaData
_NULL_COUNT = 3  # of Statistics

_Fields = dict[int, Any]


class FooterError(ValueError):
    """The bytes are no footer."""


def null_columns(url: str) -> list[set[str]]:
    """Lists for each row group the columns, by their paths ("image.bytes"), that are all null by the footer.

    Raises FooterError for a file without a footer that can be read, StorageError where its storage does not give it.
    """
    store = Store(".")
    size = store.size(url)
    if size < 12:
        raise FooterError(f"{size} bytes")
    (tail,) = store.read_ranges([(url, size - 8, 8)])
    length, magic = struct.unpack("<I4s", tail)
    if magic != b"PAR1" or not 0 < length <= min(size - 12, _MAX_FOOTER_BYTES):
        raise FooterError(f"ends in {tail!r}")
    (footer,) = store.read_ranges([(url, size - 8 - length, length)])
    return [_all_null(group) for group in _list(_Reader(footer).struct(), _ROW_GROUPS, dict)]


def _all_null(group: _Fields) -> set[str]:
    """Returns the columns of a row group that are all null."""
    rows = group.get(_ROWS)
    names = set()
    for column in _list(group, _COLUMNS, dict):
        metadata = column.get(_METADATA, {})
        statistics = metadata.get(_STATISTICS, {}) if isinstance(metadata, dict) else {}
        if rows is not None and isinstance(statistics, dict) and statistics.get(_NULL_COUNT) == rows:
            names.add(b".".join(_list(metadata, _PATH, bytes)).decode("utf-8", "replace"))
    return names


def _list(fields: _Fields, number: int, kind: type) -> list[Any]:
    """Returns the list in a field, of values of one kind. Raises FooterError for anything else."""
    values = fields.get(number, [])
    if not isinstance(values, list) or not all(isinstance(each, kind) for each in values):
        raise FooterError(f"field {number} is not what it should be")
    return values


class _Reader:
    """Reads values of the compact protocol from bytes that may hold anything."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self, depth: int = 0) -> _Fields:
        """Reads the struct that begins here: number -> value of each field."""
        fields: _Fields = {}
        number = 0
        while header := self._byte():
            kind, step = header & 15, header >> 4
            number = number + step if step else self._integer()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise FooterError("too deep")
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in _LISTS:
            return self._elements(depth)
        if kind == _MAP:
            return self._map(depth)
        if kind in (_TRUE, _FALSE, _BYTE):  # in a list each truth value is a byte
            return self._byte()
        if kind in (_DOUBLE, _UUID):
            return self._bytes(8 if kind == _DOUBLE else 16)
        raise FooterError(f"a value of type {kind}")

    def _elements(self, depth: int) -> list[Any]:
        header = self._byte()
        count = header >> 4 if header >> 4 != 15 else self._varint()
        self._require(count)
        return [self._value(header & 15, depth + 1) for _ in range(count)]

    def _map(self, depth: int) -> list[tuple[Any, Any]]:
        count = self._varint()
        self._require(count)
        kinds = self._byte() if count else 0
        return [(self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(count)]

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > 63:
                raise FooterError("a number of more than 64 bits")

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        self._require(count)
        self._at += count
        return self._data[self._at - count : self._at]

    def _require(self, count: int) -> None:
        if count > len(self._data) - self._at:
            raise FooterError(f"ends at byte {len(self._data)}, {count} more are wanted")
