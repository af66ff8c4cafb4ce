"""Image formats that are recognised and not read, so that a funnel tells them from pages of HTML."""

from __future__ import annotations

import struct

_MAGIC: tuple[tuple[int, bytes, str], ...] = (  # position, bytes, name
    (0, b"\xff\x0a", "jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (0, b"\xff\x4f\xff\x51", "jp2"),
    (0, b"II\xbc\x01", "jxr"),
    (0, b"II+\0", "bigtiff"),
    (0, b"MM\0+", "bigtiff"),
    (0, b"8BPS", "psd"),
    (0, b"gimp xcf ", "xcf"),
    (0, b"DDS ", "dds"),
    (0, b"\x76\x2f\x31\x01", "exr"),
    (0, b"#?RADIANCE", "hdr"),
    (0, b"qoif", "qoi"),
    (0, b"FLIF", "flif"),
    (0, b"BPG\xfb", "bpg"),
    (0, b"icns", "icns"),
    (0, b"\x8aMNG\r\n\x1a\n", "mng"),
    (0, b"\x8bJNG\r\n\x1a\n", "jng"),
    (0, b"\x97JB2\r\n\x1a\n", "jbig2"),
    (0, b"AT&TFORM", "djvu"),
    (0, b"SIMPLE  =", "fits"),
    (0, b"\xd7\xcd\xc6\x9a", "wmf"),
    (40, b" EMF", "emf"),
    (128, b"DICM", "dicom"),
)
_NETPBM = b"1234567"  # after a P
_SVG_HEAD_BYTES = 1024  # of an XML file, in which its first element must begin


def other_format(data: bytes) -> str:
    """Returns the name of the image format that these bytes begin like, none of those that are read; "" for anything
    else.
    """
    for position, magic, name in _MAGIC:
        if data.startswith(magic, position):
            return name
    if data[:1] == b"P" and data[1:2] in _NETPBM and data[2:3].isspace():
        return "netpbm"
    if data[:4] in (b"\0\0\1\0", b"\0\0\2\0") and _has_icons(data):
        return "ico" if data[2] == 1 else "cur"
    return "svg" if _is_svg(data[:_SVG_HEAD_BYTES]) else ""


def _has_icons(data: bytes) -> bool:
    """Returns whether the directory of an icon file leads into the file: fonts begin with the same four bytes."""
    if len(data) < 22:
        return False
    number, reserved, size, start = struct.unpack_from("<4xH3xB4xII", data)
    return 0 < number <= 256 and not reserved and size > 0 and 6 + 16 * number <= start < len(data)


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<?xml", b"<!--", b"<!doctype svg")):
        return b"<svg" in text and b"<html" not in text
    return text.startswith(b"<svg")
