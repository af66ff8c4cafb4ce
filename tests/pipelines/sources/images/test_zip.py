"""Directories of zip files, read as the standard library reads them."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

from pipelines.sources.images.zip import zip_members
from tests.helpers.small_archives import a_link, archives, contents, patched, put, zip_of
from tests.helpers.small_worlds import picture

A, B = picture(0), picture(1)


def test_zips_of_all_makes(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.comment = b"PK about it" * 100
        archive.mkdir("folder")
        with archive.open(zipfile.ZipInfo("folder/wide.jpg"), "w", force_zip64=True) as member:
            member.write(A)
    data = b"#!/bin/sh\n" * 9 + sink.getvalue()  # one that unpacks itself
    found = archives(str(tmp_path), put(f"{tmp_path}/1.ZIP", data))
    assert contents(found, "folder/wide.jpg", "folder", "folder/") == [A, "missing_image", "missing_image"]
    latin = patched(zip_of({"n__.jpg": A}), "n__.jpg", 46, b"n\x84_.jpg")  # of the days before UTF-8
    members = list(zip_members(io.BytesIO(latin), len(latin)))
    assert [member.name for member in members] == ["nä_.jpg"]
    at = latin.rindex(b"n\x84_.jpg") - 46 + 8  # its flags
    wrong = latin[:at] + b"\x00\x08" + latin[at + 2 :]  # it says that this is UTF-8
    assert [member.name for member in zip_members(io.BytesIO(wrong), len(wrong))] == ["n\ufffd_.jpg"]


class Unseekable(io.BytesIO):
    """Where a zip is written as a stream: sizes stand behind the contents, in data descriptors."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation


def test_a_directory_is_read_as_the_standard_library_reads_it() -> None:
    """Which holds it as a whole, and refuses it as a whole for one entry."""
    streamed, linked, plain = Unseekable(), io.BytesIO(), zip_of({"a.jpg": A, "\u00e4/b.jpg": B}, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(streamed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", A)
        archive.writestr("b.jpg", B)
    with zipfile.ZipFile(linked, "w") as archive:
        archive.writestr(*a_link("/etc/passwd"))
    by_program = {
        "plain": plain,
        "with bytes before it": b"#!/bin/sh\n" + plain,
        "streamed": streamed.getvalue(),
        "with a link": linked.getvalue(),
        "with nothing": zip_of({}),
        "with many": zip_of({f"{number}.jpg": b"" for number in range(3000)}),
    }
    wrong = []
    for name, data in by_program.items():
        with zipfile.ZipFile(io.BytesIO(data)) as reference:
            expected = [
                (one.filename, one.header_offset, one.file_size, one.compress_size, one.CRC, one.compress_type)
                for one in reference.infolist()
            ]
        ours = [
            (one.name, one.offset, one.size, one.packed, one.crc, one.method)
            for one in zip_members(io.BytesIO(data), len(data))
        ]
        if ours != expected:
            wrong.append(name)
    assert wrong == []


def test_a_64_bit_directory() -> None:
    plain = zip_of({"a.jpg": A, "b.jpg": B})
    end = plain.rindex(b"PK\x05\x06")
    length, offset = struct.unpack_from("<LL", plain, end + 12)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, length, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    narrow = struct.pack("<4s4H2LH", b"PK\x05\x06", 0xFFFF, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    data = plain[:end] + wide + locator + narrow
    with zipfile.ZipFile(io.BytesIO(data)) as reference:
        expected = [(info.filename, info.header_offset, info.file_size, info.CRC) for info in reference.infolist()]
    ours = [(one.name, one.offset, one.size, one.crc) for one in zip_members(io.BytesIO(data), len(data))]
    assert ours == expected
