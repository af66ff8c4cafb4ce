"""Image formats that are not read are told from what is no image."""

from __future__ import annotations

import io
import struct

from PIL import Image

from corpus.image.header import ImageHeader, sniff
from corpus.image.limits import reject_reason
from corpus.image.other_formats import other_format
from tests.helpers.cases import cases


def encode(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, form, **options)
    return file.getvalue()


def icon(kind: int = 1, entries: int = 1, start: int = 22) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, kind, entries, 16, 16, 0, 0, 1, 32, 40, start) + bytes(40)


FILES = [
    ("jxl", b"\xff\x0a" + bytes(20)),
    ("jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20)),
    ("jp2", encode("jpeg2000")),
    ("jp2", encode("jpeg2000", no_jp2=True)),
    ("jxr", b"II\xbc\x01" + bytes(20)),
    ("ico", icon()),
    ("ico", encode("ico")),
    ("cur", icon(2)),
    ("psd", b"8BPS\0\1" + bytes(20)),
    ("dds", encode("dds")),
    ("icns", encode("icns")),
    ("qoi", b"qoif" + bytes(20)),
    ("exr", b"\x76\x2f\x31\x01" + bytes(20)),
    ("netpbm", encode("ppm")),
    ("netpbm", b"P1\n2 2\n0 1 1 0\n"),
    ("bigtiff", b"II+\0\x08\0\0\0" + bytes(20)),
    ("djvu", b"AT&TFORM" + bytes(20)),
    ("emf", b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(20)),
    ("dicom", bytes(128) + b"DICM" + bytes(20)),
    ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ("svg", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by -->\n<svg width='3'>"),
    ("svg", b"<!DOCTYPE svg>\n<SVG width='3'>"),
]


@cases(("name", "data"), FILES)
def test_a_format_is_known_by_its_first_bytes(name: str, data: bytes) -> None:
    assert other_format(data) == name
    assert sniff(data).format == name
    assert reject_reason(ImageHeader(name), 100, 100) == "unsupported_format"


@cases(
    "data",
    [
        b"",
        b"P",
        b"P7",
        b"Plain text",
        b"<html><body><svg width='3'></svg>",
        b"<?xml version='1.0'?><html><svg/></html>",
        b"<?xml version='1.0'?><rss/>",
        b"<!-- " + b"a long comment " * 100 + b" --><svg/>",  # beyond what is searched
        b"\0\1\0\0" + bytes(60),  # a font
        icon(entries=0),
        icon(entries=300),
        icon(start=4),
        icon(start=5000),
        icon()[:20],
        *(encode(form) for form in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif")),  # which are read
    ],
)
def test_what_is_none_has_no_name(data: bytes) -> None:
    assert other_format(data) == ""
