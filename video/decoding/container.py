"""Recognizes containers by their first bytes, and truncated files by the sizes in their headers, without decoding."""

from __future__ import annotations

import io
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MAX_BOXES = 100_000
HEAD_BYTES = 1024  # enough to recognize a container
_TS_PACKET_BYTES = 188
_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"jp2 ")
_ATOMS = (b"moov", b"wide", b"free", b"skip", b"pnot")  # first boxes of old QuickTime files
_MAGIC = (
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
    (b"OggS\x00", "ogv"),
    (b"\x00\x00\x01\xba", "mpg"),  # a program stream
    (b"\x00\x00\x01\xb3", "mpg"),  # bare MPEG video
)


def container_of(head: bytes) -> str:
    """Returns the file extension of a video container, known by a file's first bytes; "" for anything else.

    Containers that may hold audio alone are included: only a demuxer can tell.
    """
    if head[4:8] in (b"ftyp", b"styp"):  # ISO/IEC 14496-12, 4.3: the four bytes after it are the major brand
        brand = head[8:12]
        return "" if brand in _IMAGE_BRANDS else "mov" if brand == b"qt  " else "3gp" if brand[:3] == b"3gp" else "mp4"
    if head[4:8] == b"mdat" or (head[4:8] in _ATOMS and head[0] == 0):  # their sizes come first, and are small
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":  # RFC 8794: EBML, which names its document type near its start
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    for start in (0, 4):  # Blu-ray discs put a time of four bytes before each packet
        sync_bytes = slice(start, start + 3 * (_TS_PACKET_BYTES + start), _TS_PACKET_BYTES + start)
        if head[sync_bytes] == b"GGG":
            return "ts"
    return next((ext for magic, ext in _MAGIC if head.startswith(magic)), "")


def truncation_error(file: BinaryIO) -> str:
    """Returns how much of a seekable file is missing by its own headers, as a message; "" where nothing is, or is
    known.

    Parses the MP4 family (ISO/IEC 14496-12, boxes), Matroska and WebM (RFC 9559) and AVI (RIFF). Moves the position in
    the file.
    """
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _boxes_error(file, length)
    if head.startswith(_EBML):
        return _short(_segment_end(file), length)
    if head.startswith(b"RIFF") and len(head) == 12:
        return _short(8 + int.from_bytes(head[4:8], "little"), length)
    return ""


def _short(end: int, length: int) -> str:
    return f"{end - length} of {end} bytes are missing" if end > length else ""


def _boxes_error(file: BinaryIO, length: int) -> str:
    """Walks over the boxes, each of which starts with its size; one of them, `moov`, is the index of all frames."""
    position = 0
    kinds = set()
    for _ in range(_MAX_BOXES):
        if position >= length:
            break
        file.seek(position)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        kind = head[4:8]
        if len(head) < 8 or not kind.replace(b"\xa9", b"").isalnum():  # appended data
            break
        kinds.add(kind)
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size == 0:  # up to the end of the file
            break
        if size < 8:
            break
        position += size
    if position > length:
        return _short(position, length)
    return "" if b"moov" in kinds else "the index (moov) is missing"


def _segment_end(file: BinaryIO) -> int:
    """Returns where the one segment of a Matroska file ends; 0 where that is unknown, as in a recorded stream."""
    file.seek(4)
    size, digits = _variable_size(file.read(8))
    start = 4 + digits + (size or 0)
    file.seek(start)
    head = file.read(12)
    if size is None or not head.startswith(_SEGMENT):
        return 0
    size, digits = _variable_size(head[4:])
    return 0 if size is None else start + 4 + digits + size


def _variable_size(data: bytes) -> tuple[int | None, int]:
    """Returns an EBML size and its length in bytes; None for an unknown (all ones) or missing one."""
    digits = 9 - data[0].bit_length() if data and data[0] else 0
    if not digits or len(data) < digits:
        return None, 0
    value = int.from_bytes(data[:digits], "big") & ((1 << 7 * digits) - 1)
    return (None if value == (1 << 7 * digits) - 1 else value), digits
