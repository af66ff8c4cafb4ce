"""Tars that anybody may have made, read member by member: nothing that a header claims is believed unchecked.

Formats: USTAR and pax (POSIX.1-2017, utility pax: "ustar Interchange Format", "pax Interchange Format"), those of GNU
tar (its manual, "Basic Tar Format": long names, sparse members, sizes in base 256), and V7. Memory does not depend on
what headers claim, time on nothing but the length of the file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyarrow as pa

from corpus.storage import Store

BLOCK = 512
_ZEROS = bytes(BLOCK)
# Why a member can't be used, as a row's reason.
CORRUPT = "corrupt_member"  # its headers contradict themselves, or the tar ends before its content does
SPARSE = "sparse_member"  # the tar holds parts of its content, and a map of the rest
SPECIAL = "special_member"  # a link, a device, or a part of a dump

_REGULAR = b"0\x007"
_WITHOUT_CONTENT = b"123456"  # links, devices, folders: whatever size is given, nothing follows the header
_FOLDER = b"5"
_SPARSE = b"S"
_OF_ALL, _LONG_NAME, _LONG_LINK = b"g", b"L", b"K"
_EXTENSIONS = b"xXgLK"
_CHECKSUM = slice(148, 156)
_MAX_EXTENSION_BYTES = 1 << 20  # of one extended header; a path, an access list or an attribute takes up to 64 KiB
_MAX_EXTENSIONS = 16  # extended headers of one member
_MAX_PADDING = 1 << 20  # bytes: archives are filled with zeros to a whole record
_MAX_NAME_CHARACTERS = 200  # characters of a name in a message


class ReadFile(Protocol):
    """A file that is read at rising offsets."""

    def read(self, size: int, /) -> bytes:
        """Reads up to `size` bytes at the offset."""
        ...

    def seek(self, offset: int, /) -> int:
        """Moves to an offset, which is behind the last one."""
        ...


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file in a tar: its content lies in `size` bytes from `offset` on. With a `fault` (a reason) it has none."""

    name: str
    offset: int
    size: int
    fault: str = ""
    detail: str = ""


@dataclass(frozen=True, eq=False)
class TarIndex:
    """The index of a tar. members: `name`, `offset`, `size` (bytes), `fault` and `detail`, a row each, in their order.

    fault: why nothing after them could be read, "" where the tar is whole.
    """

    members: pa.Table
    fault: str = ""


class TarReader:
    """Iterates over the files in a tar, folders left out, and reads their contents on the way.

    A member that can't be used has a fault, and those after it still come. Where the chain of headers breaks, or the
    file ends without an end of the archive, the iteration ends, and `fault` says why. The file is read forwards only.
    Its errors are left as they are.
    """

    def __init__(self, file: ReadFile, size: int) -> None:
        self._file, self._size = file, size
        self._common_fault = ""  # of a global header, for all members that follow
        self.fault = ""

    def __iter__(self) -> Iterator[TarMember]:
        at = 0
        extension = _NOTHING
        while (header := self._read(at, BLOCK)) != _ZEROS:
            try:
                kind, size = _kind_and_size(header)
            except ValueError as error:
                self.fault = f"byte {at}: {error}" if len(header) == BLOCK else f"byte {at}: no end of the archive"
                if name := extension.name or _claimed_name(header):
                    yield TarMember(name, at, 0, CORRUPT, self.fault)
                return
            at += BLOCK
            if kind in _EXTENSIONS:
                if at + size > self._size:
                    self.fault = f"byte {at}: an extended header of {size} bytes, {self._size - at} are left"
                    return
                extension = self._extended(kind, at, size, extension)
                at += _padded(size)
                continue
            if kind == _SPARSE:
                at = self._after_map(header, at)
            name = extension.name or _name(header)
            size = 0 if kind in _WITHOUT_CONTENT else extension.size if extension.size is not None else size
            if at + size > self._size:
                self.fault = f"byte {at}: a member of {size} bytes, {max(self._size - at, 0)} are left"
                yield TarMember(name, at, 0, CORRUPT, self.fault)
                return
            if kind != _FOLDER and not (kind == b"\0" and name.endswith("/")):
                yield _member(name, at, size, kind, replace(extension, fault=extension.fault or self._common_fault))
            at += _padded(size)
            extension = _NOTHING
        self.fault = self._after_end(at + BLOCK) or ("an extended header without a member" if extension.count else "")

    def content(self, member: TarMember) -> bytes:
        """Returns the bytes of the member that was given last. EOFError where the file has become shorter."""
        data = self._read(member.offset, member.size)
        if len(data) < member.size:
            raise EOFError(f"{member.name[:_MAX_NAME_CHARACTERS]}: {len(data)} of {member.size} bytes are there")
        return data

    def _read(self, at: int, size: int) -> bytes:
        size = min(size, self._size - at)
        if size <= 0:
            return b""
        self._file.seek(at)
        return self._file.read(size)

    def _extended(self, kind: bytes, at: int, size: int, extension: _Extension) -> _Extension:
        """Returns what holds for the next member after one more extended header."""
        extension = replace(extension, count=extension.count + 1)
        if extension.count > _MAX_EXTENSIONS:
            return extension.faulty(f"over {_MAX_EXTENSIONS} extended headers")
        if size > _MAX_EXTENSION_BYTES:
            return extension.faulty(f"an extended header of {size} bytes")
        data = self._read(at, size)
        if kind == _LONG_LINK:
            return extension
        if kind == _LONG_NAME:
            return replace(extension, name=_text(data.partition(b"\0")[0]))
        try:
            records = pax_records(data)
        except ValueError as error:
            return extension.faulty(f"an extended header at byte {at}: {error}")
        if kind != _OF_ALL:
            return extension.extended(records)
        if not records.keys().isdisjoint((b"path", b"linkpath", b"size")) or _maps(records):
            self._common_fault = "a global header gives all members one name, size or map"
        return extension

    def _after_map(self, header: bytes, at: int) -> int:
        """Returns where the content of a sparse member of GNU's old form begins: more blocks of its
        map may come first.
        """
        more = header[482]
        while more and at < self._size:
            block = self._read(at, BLOCK)
            more = block[504] if len(block) == BLOCK else 0
            at += BLOCK
        return at

    def _after_end(self, at: int) -> str:
        """Returns what is wrong with what follows the first block of zeros: nothing but zeros may."""
        remaining = self._size - at
        data = self._read(at, min(remaining, _MAX_PADDING)) if remaining > 0 else b""
        if remaining > _MAX_PADDING or data.count(0) < len(data):
            return f"byte {at}: {remaining} bytes after the end of the archive"
        return ""


@dataclass(frozen=True, slots=True)
class _Extension:
    """The facts that extended headers add to a member's own header."""

    name: str = ""
    size: int | None = None
    sparse: bool = False
    count: int = 0  # of extended headers
    fault: str = ""

    def faulty(self, what: str) -> _Extension:
        return replace(self, fault=self.fault or what)

    def extended(self, records: dict[bytes, bytes]) -> _Extension:
        """Returns a copy with those records that say where a member lies or what it is called."""
        name = records.get(b"GNU.sparse.name") or records.get(b"path")
        extension = replace(self, name=_text(name) if name else self.name, sparse=self.sparse or _maps(records))
        size = records.get(b"size")
        if size is None:
            return extension
        if not re.fullmatch(rb"[0-9]{1,19}", size):
            return extension.faulty(f"a size of {size[:20]!r}")
        return replace(extension, size=int(size))


_NOTHING = _Extension()


def index_tar(store: Store, path: str) -> TarIndex:
    """Returns where the files in a tar lie, without unpacking it. What storage raises is left as it is."""
    with store.open(path) as file:
        reader = TarReader(file, file.seek(0, io.SEEK_END))
        columns = _Columns()
        for member in reader:
            columns.add(member)
    return TarIndex(columns.table(), f"{store.full(path)}: {reader.fault}" if reader.fault else "")


@dataclass
class _Columns:
    """Members while they come, a list for each column."""

    names: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def add(self, member: TarMember) -> None:
        self.names.append(member.name)
        self.offsets.append(member.offset)
        self.sizes.append(member.size)
        self.faults.append(member.fault)
        self.details.append(member.detail)

    def table(self) -> pa.Table:
        return pa.table(
            {
                "name": pa.array(self.names, pa.string()),
                "offset": pa.array(self.offsets, pa.int64()),
                "size": pa.array(self.sizes, pa.int64()),
                "fault": pa.array(self.faults, pa.string()),
                "detail": pa.array(self.details, pa.string()),
            }
        )


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """Returns the records of an extended header: "LENGTH KEY=VALUE\\n", the last of a key. Raises ValueError."""
    records = {}
    at = 0
    while at < len(data) and data[at]:  # some writers count the padding
        space = data.find(b" ", at, at + 10)
        if space < 0 or not re.fullmatch(rb"[0-9]+", data[at:space]):
            raise ValueError(f"no record at its byte {at}")
        end = at + int(data[at:space])
        if not space < end <= len(data) or data[end - 1 : end] != b"\n":
            raise ValueError(f"a record of {end - at} bytes at its byte {at}")
        key, _, value = data[space + 1 : end - 1].partition(b"=")
        records[key] = value
        at = end
    return records


def _maps(records: dict[bytes, bytes]) -> bool:
    """Returns whether a member is sparse, in one of GNU's forms with extended headers."""
    return any(key.startswith(b"GNU.sparse.") for key in records)


def _member(name: str, at: int, size: int, kind: bytes, extension: _Extension) -> TarMember:
    if extension.fault:
        return TarMember(name, at, 0, CORRUPT, extension.fault)
    if extension.sparse or kind == _SPARSE:
        return TarMember(name, at, 0, SPARSE, f"{size} bytes of it are in the tar")
    if kind not in _REGULAR:
        return TarMember(name, at, 0, SPECIAL, f"of type {kind!r}")
    return TarMember(name, at, size)


def _kind_and_size(header: bytes) -> tuple[bytes, int]:
    """Returns type flag and size of a header. ValueError for what is no header."""
    if len(header) < BLOCK:
        raise ValueError("no whole header")
    try:
        claimed = _number(header[_CHECKSUM])
    except ValueError:
        raise ValueError("no header of a tar") from None
    spaces = 8 * ord(" ") - sum(header[_CHECKSUM])
    total = sum(header) + spaces
    if claimed != total and claimed != total - 256 * sum(byte > 127 for byte in header[:148] + header[156:]):
        raise ValueError("no header of a tar: its sum is another")  # some old writers summed signed bytes
    return header[156:157], _number(header[124:136])


def _number(field: bytes) -> int:
    """Reads octal digits, or GNU's base 256. ValueError for what is neither, and for a negative number."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise ValueError("a negative number in a header")
        return int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
    digits = field.partition(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        raise ValueError(f"no number in a header: {digits!r}")
    return int(digits or b"0", 8)


def _name(header: bytes) -> str:
    name = _text(header[:100].partition(b"\0")[0])
    if header[257:263] == b"ustar\0" and header[345]:
        folder = _text(header[345:500].partition(b"\0")[0])
        return f"{folder}/{name}"
    return name


def _claimed_name(header: bytes) -> str:
    """Returns the name in a block that may be no header; "" unless it has the magic of one."""
    return _name(header) if len(header) == BLOCK and header[257:262] == b"ustar" else ""


def _text(name: bytes) -> str:
    """Returns a name as text; of one that is not UTF-8 all bytes beyond ASCII as %XX, so that no two
    names become one.
    """
    try:
        return name.decode()
    except UnicodeDecodeError:
        return re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02X" % ord(byte[0]), name).decode()


def _padded(size: int) -> int:
    return size + -size % BLOCK
