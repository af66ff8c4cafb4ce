"""Mutations and repairs that know a format: damage that gets past a checksum, a compression, a grammar."""

from __future__ import annotations

import contextlib
import gzip
import json
import struct
import zlib
from collections.abc import Sequence
from random import Random
from typing import Any

from .mutate import GENERIC, Mutation, flip_bits, overwrite, set_integer

_BLOCK = 512


def png_checksums(data: bytes) -> bytes:
    """The CRC of every chunk of a PNG set right."""
    found, at = bytearray(data), 8
    while at + 12 <= len(found):
        end = at + 8 + int.from_bytes(found[at : at + 4], "big")
        if end + 4 > len(found):
            break
        found[end : end + 4] = zlib.crc32(found[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(found)


def tar_checksums(data: bytes) -> bytes:
    """The checksum of every block that looks like a header set right."""
    found = bytearray(data)
    for at in range(0, len(found) - _BLOCK + 1, _BLOCK):
        if found[at + 257 : at + 262] == b"ustar":
            found[at + 148 : at + 156] = b" " * 8
            found[at + 148 : at + 156] = b"%06o\0 " % sum(found[at : at + _BLOCK])
    return bytes(found)


def tar_field(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A member's name, size, type or link becomes another one: octal, base 256, negative, PAX, sparse."""
    headers = [at for at in range(0, len(data) - _BLOCK + 1, _BLOCK) if data[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return set_integer(data, random, seeds)
    at = random.choice(headers)
    begin, length, values = random.choice(_TAR_FIELDS)
    value = random.choice(values)[:length].ljust(length, b"\0")
    return data[: at + begin] + value + data[at + begin + length :]


_TAR_FIELDS = (
    (0, 100, (b"", b"../../up.jpg", b"/etc/passwd", b"\xff\xfe.jpg", b"a" * 100, b"GNUSparseFile.0/a.jpg", b"x/")),
    (124, 12, (b"7" * 11, b"\x80" + b"\xff" * 11, b"\xff" * 12, b"-0000000001", b"\x80" + bytes(6) + b"\x7f" * 5, b"")),
    (156, 1, tuple(bytes([kind]) for kind in b"012345678xgLKSDMNV\0")),
    (157, 100, (b"../../up", b"\xff" * 100, b"a.jpg")),
    (345, 155, (b"..", b"p" * 155, b"\xff" * 155)),
    (386, 96, (b"7" * 96, b"00000000000\00000000001000\0" * 4)),
)


def parquet_footer(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """Damage inside the footer, whose length stays."""
    if len(data) < 12 or data[-4:] != b"PAR1":
        return set_integer(data, random, seeds)
    length = min(int.from_bytes(data[-8:-4], "little"), len(data) - 8)
    begin, footer = len(data) - 8 - length, data[len(data) - 8 - length : -8]
    changed = random.choice(GENERIC)(footer, random, [footer])
    return data[:begin] + changed + len(changed).to_bytes(4, "little") + data[-4:]


def parquet_values(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """Damage before the footer, which finds everything where it was: other values, or pages that break off."""
    if len(data) < 12 or data[-4:] != b"PAR1":
        return set_integer(data, random, seeds)
    begin = max(4, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    change = random.choice((flip_bits, overwrite, set_integer, text_token))
    return change(data[:begin], random, seeds)[:begin].ljust(begin, b"\0") + data[begin:]


PARQUET: tuple[Mutation, ...] = (parquet_footer, parquet_values, parquet_values)


def inside_gzip(change: Mutation) -> Mutation:
    """The mutation of what is compressed, compressed again; of what isn't, as it is."""

    def changed(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
        with contextlib.suppress(OSError, EOFError, zlib.error):
            return gzip.compress(change(gzip.decompress(data), random, seeds), 1, mtime=0)
        return change(data, random, seeds)

    return changed


_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, 1e308, 0.1, -0.0),
    *(float("nan"), float("inf"), "", " ", "\x00", "\ud800", "\ufeff", "\x1b[31m", "a" * 5000, "é", "日本語", "-1"),
    *([], {}, [[]], [None], {"": None}, {"a": {"a": {}}}, ["", 1, None], "../../up", "http://[::1]@/", "{", "{0.a}"),
)


def json_value(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """One value of a JSON text (of one of its lines, if it has several) becomes an odd one, or goes, or is nested."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    whole = random.random() < 0.5
    with contextlib.suppress(ValueError, RecursionError):
        value = json.loads(data if whole else lines[at])
        text = json.dumps(_changed(value, random), ensure_ascii=random.random() < 0.5)
        changed = text.encode("utf-8", "surrogatepass")
        return changed if whole else b"\n".join([*lines[:at], changed, *lines[at + 1 :]])
    return text_token(data, random, seeds)


def _changed(value: Any, random: Random) -> Any:
    if random.random() < 0.2 or not isinstance(value, (dict, list)) or not value:
        odd = random.choice(_ODD_VALUES)
        return random.choice((odd, [value], {"value": value}, [value] * 3, odd, odd))
    if isinstance(value, list):
        at = random.randrange(len(value))
        return [*value[:at], _changed(value[at], random), *value[at + 1 :]]
    key = random.choice(list(value))
    if random.random() < 0.1:
        return {name: each for name, each in value.items() if name != key}
    return {**value, key: _changed(value[key], random)}


_TOKENS = (
    *b"{ } [ ] < > </b> &amp; &#0; &#x110000; \" ' ` \\ 1e999 -1 0x7f NaN null ~ *a &a <<: # % %00 %zz %2f @".split(),
    *b"http:// [::1] user:pw@ .. / // :// ? ; , = and not in( is None <1 !!binary !!timestamp 2001-99-99 1:60".split(),
    *"\ufeff \u200b \u202e \u2028 \x85 \U0001f600 \ufb01 Ã© \u0300".encode().split(b" "),
    *(b"\xff", b"\xed\xa0\x80", b"\0", b"\x1b[2J", b"\r\n", b"\n", b"\t", b"  ", b"- ", b": ", b"? ", b"!!set {a}"),
    *(b"[" * 2000, b"{" * 500, b"(" * 300, b"-" * 300, b"1" * 400, b"not " * 300, b"!!python/object:os.system "),
)


def text_token(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """A token that means something in some grammar, put in or in the place of a few bytes."""
    at = random.randrange(len(data) + 1)
    times = random.choice((1, 1, 1, 3, 50))
    return data[:at] + random.choice(_TOKENS) * times + data[at + random.choice((0, 0, 1, 4, 10)) :]


def line_shuffled(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """Two lines swapped, or one again elsewhere."""
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return data
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    if random.random() < 0.5:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines.insert(one, lines[other])
    return b"".join(lines)


def box_size(data: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """The size of a box of ISO/IEC 14496-12, or a number in it, becomes an extreme one."""
    kinds = (b"moov", b"trak", b"mdia", b"stbl", b"stsd", b"stts", b"stsz", b"stco", b"stsc", b"tkhd", b"mdhd", b"ispe")
    found = [at for kind in kinds if (at := data.find(kind)) >= 4]
    if not found:
        return set_integer(data, random, seeds)
    at = random.choice(found) + random.choice((-4, 4, 8, 12, 16))
    number = random.choice((0, 1, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data), random.getrandbits(32)))
    return data[:at] + struct.pack(">I", number) + data[at + 4 :]


TEXT: tuple[Mutation, ...] = (text_token, text_token, line_shuffled)
JSON: tuple[Mutation, ...] = (json_value, json_value, text_token, line_shuffled)
