"""Zip archives where they lie: what is in one by its central directory, and the bytes of some of its members.

Format: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5. Nothing in a zip is believed before it is used: a member's size is
known before it is inflated, and no more than that comes out of it.

Why not `zipfile`: it refuses a whole archive for one entry that it can't read (a name that is no UTF-8, a version of
the format that it doesn't know); it holds an object for each entry (117 MiB for 200,000 images, at 1.6 times the
processor time, where this reader holds one entry at a time); and it doesn't say where a member's bytes begin, by which
images are read, many of them with one request. Tests compare the two.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from corpus.storage import Store

STORED, DEFLATED = 0, 8  # methods of compression, as the format numbers them
ENCRYPTED, BROKEN = 254, 253  # of this module: a member that cannot be read, one that lies elsewhere than listed
OTHER_METHOD = 252
MAX_MEMBER_BYTES = 2**32 - 1  # bytes of a member: a larger one is given this size

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT_BYTES = 65_535
_UTF_8 = 0x800  # flag: the name is UTF-8
_SECRET = 0x1 | 0x40 | 0x2000  # flags: encrypted, strongly, the directory too


class ZipError(ValueError):
    """A file is no zip, or not a complete one."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip. `offset` is that of its local header; `size` its bytes, `packed` those in the archive."""

    name: str
    offset: int
    size: int
    packed: int
    crc: int
    method: int


def zip_members(file: IO[bytes], size: int) -> Iterator[Member]:
    """Lists the files in a zip of `size` bytes, in the order of its central directory. Raises ZipError."""
    begin, length, shift = _directory(file, size)
    file.seek(begin)
    at = 0
    while at < length:  # their number in the directory wraps around at 65,536, in zips of some programs
        entry = file.read(min(_ENTRY.size, length - at))
        if len(entry) < _ENTRY.size or entry[:4] != b"PK\x01\x02":
            raise ZipError(f"its directory breaks off at byte {at} of {length}")
        fields = _ENTRY.unpack(entry)
        flags, method, crc, packed, unpacked = fields[3], fields[4], *fields[7:10]
        name_bytes, extra_bytes, comment_bytes, offset = *fields[10:13], fields[16]
        rest = file.read(name_bytes + extra_bytes + comment_bytes)
        name = _name(rest[:name_bytes], flags)
        if MAX_MEMBER_BYTES in (unpacked, packed, offset):
            extra = rest[name_bytes : name_bytes + extra_bytes]
            unpacked, packed, offset = _zip64_fields(extra, unpacked, packed, offset)
        at += _ENTRY.size + name_bytes + extra_bytes + comment_bytes
        if name.endswith("/"):
            continue
        offset += shift
        if flags & _SECRET:
            method = ENCRYPTED
        elif method not in (STORED, DEFLATED):
            method = OTHER_METHOD
        elif offset + _LOCAL.size + packed > size or (method == STORED and packed != unpacked):
            method = BROKEN
        sizes = (min(unpacked, MAX_MEMBER_BYTES), min(packed, MAX_MEMBER_BYTES))
        yield Member(name, min(offset, size), *sizes, crc, method)


def data_offsets(store: Store, headers: Sequence[tuple[str, int]]) -> list[int]:
    """Finds where the contents of members begin whose local headers lie at (path, offset); -1 where there is none."""
    lengths = []
    for data in store.read_ranges([(path, offset, _LOCAL.size) for path, offset in headers]):
        fields = _LOCAL.unpack(data)
        lengths.append(_LOCAL.size + fields[9] + fields[10] if fields[0] == b"PK\x03\x04" else -1)
    return [length if length < 0 else offset + length for length, (_, offset) in zip(lengths, headers, strict=True)]


def inflate(data: bytes, size: int, crc: int) -> bytes | None:
    """Inflates a deflated member to its `size` bytes; None if it holds others, or more, or fewer."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(data, size + 1)
    except zlib.error:
        return None
    return content if len(content) == size and zlib.crc32(content) == crc else None


def _directory(file: IO[bytes], size: int) -> tuple[int, int, int]:
    """Finds the central directory: offset, length, and by how much all offsets are short (bytes before the zip)."""
    tail_size = min(size, _MAX_COMMENT_BYTES + _END.size + _LOCATOR_64.size)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise ZipError("no end of a central directory: no zip, or cut off")
    _, disk, _, _, _, length, offset, _ = _END.unpack_from(tail, at)
    end = size - tail_size + at  # where the directory ends
    if at >= _LOCATOR_64.size and tail[at - _LOCATOR_64.size : at][:4] == b"PK\x06\x07":
        end -= _LOCATOR_64.size + _END_64.size
        file.seek(max(end, 0))
        record = file.read(_END_64.size)
        if len(record) < _END_64.size or record[:4] != b"PK\x06\x06":
            raise ZipError("no end of a 64-bit central directory where one should be")
        _, _, _, _, disk, _, _, _, length, offset = _END_64.unpack(record)
    if disk:
        raise ZipError("one part of several: join them first")
    if end - length - offset < 0:
        raise ZipError("its central directory is cut off")
    return end - length, length, end - length - offset


def _name(data: bytes, flags: int) -> str:
    """Decodes a name: as UTF-8, which most programs write with or without its flag; else by the format's code page."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace") if flags & _UTF_8 else data.decode("cp437")


def _zip64_fields(extra: bytes, *narrow: int) -> list[int]:
    """Reads size, packed size and offset of a member, those that don't fit 32 bits from its extra field (4.5.3)."""
    at = 0
    wide: list[int] = []
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            wide = [number for (number,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])]
            break
        at += 4 + length
    wide.reverse()
    return [wide.pop() if number == MAX_MEMBER_BYTES and wide else number for number in narrow]
