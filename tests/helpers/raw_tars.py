"""Tars made by hand, header by header, so that they can say what no program would write."""

from __future__ import annotations

from collections.abc import Mapping

END = bytes(1024)


def header(
    name: str | bytes,
    size: int | bytes,
    kind: bytes = b"0",
    *,
    link: str = "",
    wide: bool = False,
    signed: bool = False,
    more_maps: bool = False,
) -> bytes:
    """A header of GNU's form. `size` as it stands there if it is bytes; `wide`: in base 256; `signed`: how its bytes
    are summed; `more_maps`: of a sparse member, whose map goes on in the next block.
    """
    if isinstance(size, int):
        size = b"\x80" + (size % (1 << 88)).to_bytes(11, "big") if wide else b"%011o\0" % size
        size = b"\xff" + size[1:] if wide and size[1] & 0x80 else size
    name = name.encode() if isinstance(name, str) else name
    data = bytearray(512)
    data[: len(name)] = name
    data[100:124] = b"0000644\0" + 2 * b"0000000\0"
    data[124:136] = size
    data[136:148] = b"00000000000\0"
    data[148:156] = b" " * 8
    data[156:157] = kind
    data[157 : 157 + len(link)] = link.encode()
    data[257:265] = b"ustar  \0"
    data[482] = more_maps
    total = sum(byte - 256 * (signed and byte > 127) for byte in data)
    data[148:156] = b"%06o\0 " % total
    return bytes(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def block(name: str | bytes, data: bytes, kind: bytes = b"0") -> bytes:
    """A whole member."""
    return header(name, len(data), kind) + padded(data)


def long_name(name: bytes) -> bytes:
    """GNU's extended header for a name."""
    return block("././@LongLink", name + b"\0", b"L")


def records(data: bytes, kind: bytes = b"x") -> bytes:
    """An extended header of pax with these bytes as its records."""
    return block("PaxHeaders/x", data, kind)


def extended(values: Mapping[bytes, bytes], kind: bytes = b"x") -> bytes:
    """An extended header of pax for the member that follows."""
    data = b""
    for key, value in values.items():
        rest = b" " + key + b"=" + value + b"\n"
        length = next(n for n in range(len(rest) + 1, len(rest) + 20) if n == len(rest) + len(str(n)))
        data += b"%d" % length + rest
    return records(data, kind)


def global_header(values: Mapping[bytes, bytes]) -> bytes:
    """One for all members that follow."""
    return extended(values, b"g")


def sparse(name: str, data: bytes, claimed: int, stored: int | None = None, more_maps: int = 0) -> bytes:
    """A sparse member of GNU's old form, which claims a size; its map goes on in some more blocks."""
    head = bytearray(header(name, len(data) if stored is None else stored, b"S", wide=True, more_maps=more_maps > 0))
    head[386:410] = 2 * b"00000000000\0"
    head[483:495] = b"\x80" + claimed.to_bytes(11, "big")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    maps = [bytes(504) + bytes([number + 1 < more_maps]) + bytes(7) for number in range(more_maps)]
    return bytes(head) + b"".join(maps) + padded(data)
