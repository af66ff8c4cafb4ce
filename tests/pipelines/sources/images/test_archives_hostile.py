"""Archives that lie, that are cut off, and that are of an odd make: none of them costs more than itself."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from corpus.settings import SettingsError
from pipelines.sources.images.zip import zip_members
from tests.helpers.raw_tars import END, block, header, sparse
from tests.helpers.small_archives import archives, contents, find, patched, put, tar_of, zip_of
from tests.helpers.small_worlds import picture

A, B = picture(0), picture(1)


def test_members_that_lie_say_so(tmp_path: Path) -> None:
    bomb = bytes(3 << 20)
    data = zip_of({f"{name}.jpg": A for name in ("good", "secret", "far", "crc", "huge", "long")})
    data = patched(data, "secret.jpg", 8, b"\x01\x00")
    data = patched(data, "far.jpg", 42, struct.pack("<L", 2**31))
    data = patched(data, "crc.jpg", 16, b"\0\0\0\0")
    data = patched(data, "huge.jpg", 20, struct.pack("<LL", 2**30, 2**30))
    data = patched(data, "long.jpg", 24, struct.pack("<L", len(A) + 1))
    found = archives(str(tmp_path), put(f"{tmp_path}/1.zip", data))
    names = ("good.jpg", "secret.jpg", "far.jpg", "crc.jpg", "huge.jpg", "long.jpg")
    assert contents(found, *names) == [A, "encrypted_image", *["corrupt_member"] * 4]

    data = zip_of({"bomb.jpg": bomb, "lying.jpg": bomb, "good.jpg": A, "torn.jpg": B}, zipfile.ZIP_DEFLATED)
    data = patched(data, "lying.jpg", 24, struct.pack("<L", 1000))
    data = patched(data, "torn.jpg", 42, struct.pack("<L", 5))
    found = archives(str(tmp_path), put(f"{tmp_path}/2.zip", data))
    assert contents(found, "bomb.jpg", "lying.jpg", "good.jpg", "torn.jpg") == [
        "too_large",
        "corrupt_member",
        A,
        "corrupt_member",
    ]
    other = archives(str(tmp_path), put(f"{tmp_path}/3.zip", zip_of({"a.jpg": A}, zipfile.ZIP_LZMA)))
    assert contents(other, "a.jpg") == ["unsupported_compression"]


def test_a_local_header_that_sends_behind_the_end(tmp_path: Path) -> None:
    data = zip_of({"a.jpg": A})
    data = data[:28] + b"\xff\xff" + data[30:]  # the length of its extra field
    found = archives(str(tmp_path), put(f"{tmp_path}/1.zip", data))
    assert contents(found, "a.jpg") == ["corrupt_member"]


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


def a_link(target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo("link.jpg")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info, target.encode()


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


def test_links_and_members_that_overlap_cost_no_more_than_their_bytes(tmp_path: Path) -> None:
    linked = io.BytesIO()
    with zipfile.ZipFile(linked, "w") as archive:
        archive.writestr(*a_link("/etc/passwd"))
    found = archives(str(tmp_path), put(f"{tmp_path}/1.zip", linked.getvalue()))
    assert contents(found, "link.jpg") == [b"/etc/passwd"]  # the bytes that are there; nothing is followed

    bomb, names = bytes(1 << 20), [f"{letter}.jpg" for letter in "abcdefghij"]
    data = zip_of(dict.fromkeys(names, bomb), zipfile.ZIP_DEFLATED)
    for name in names[1:]:  # all are the first one
        data = patched(data, name, 42, struct.pack("<L", 0))
    found = archives(str(tmp_path), put(f"{tmp_path}/2.zip", data))
    assert contents(found, *names, max_bytes=1 << 19) == ["too_large"] * len(names)
    assert contents(found, "a.jpg", "j.jpg", max_bytes=1 << 20) == [bomb] * 2


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


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.zip", zip_of({"a.jpg": A})[:-30]),
        ("short.zip", zip_of({"a.jpg": A, "b.jpg": B})[len(A) :]),
        ("none.zip", b"<html>"),
        ("empty.zip", b""),
        ("cut.tar", tar_of({"a.jpg": A})[:700]),
        ("none.tar", b"<html>" * 200),
        ("packed.tar.gz", b""),
    ],
)
def test_archives_that_cannot_be_read_are_named(tmp_path: Path, name: str, data: bytes) -> None:
    path = put(f"{tmp_path}/given/{name}", data)
    with pytest.raises(SettingsError, match=name):
        archives(str(tmp_path), path).index()
    with pytest.raises(SettingsError, match=name):
        archives(str(tmp_path), f"{tmp_path}/given").index()


def test_tars_with_members_that_are_no_files(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for kind, name in ((tarfile.SYMTYPE, "link.jpg"), (tarfile.LNKTYPE, "hard.jpg"), (tarfile.DIRTYPE, "d.jpg")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name, data in (("l" * 300 + "/ö.jpg", A), ("empty.jpg", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    found = archives(str(tmp_path), put(f"{tmp_path}/1.tar", sink.getvalue()))
    names = ("ö.jpg", "link.jpg", "hard.jpg", "d.jpg", "empty.jpg")
    assert contents(found, *names) == [A, "special_member", "special_member", "missing_image", b""]


@pytest.mark.parametrize(
    "size", [b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"-0000000512\0", b"zzzzzzzzzzz\0", b"77777777777\0"]
)
def test_tars_whose_sizes_are_nonsense(tmp_path: Path, size: bytes) -> None:
    data = bytearray(tar_of({"good.jpg": A, "bad.jpg": B, "after.jpg": A}))
    at = data.rindex(b"bad.jpg")
    data[at + 124 : at + 136] = size
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    found = archives(str(tmp_path), put(f"{tmp_path}/1.tar", bytes(data)))
    good, bad, after = find(found, "good.jpg", "bad.jpg", "after.jpg")
    assert (good.data, bad.reason, after.reason) == (A, "corrupt_member", "damaged_archive")
    assert "1.tar: byte" in after.detail


def test_what_cannot_be_read_of_a_tar_costs_its_own_rows(tmp_path: Path) -> None:
    readable = block("a.jpg", A) + sparse("s.jpg", A, claimed=40 << 30) + block("b.jpg", B)
    put(f"{tmp_path}/1.tar", readable + END)
    put(f"{tmp_path}/2.tar", block("c.jpg", A) + block("cut.jpg", B)[:-600])
    put(f"{tmp_path}/3.tar", block("d.jpg", B) + header("n.jpg", (8 << 30) - 1) + END)
    found = archives(str(tmp_path), f"{tmp_path}/1.tar")
    assert contents(found, "a.jpg", "s.jpg", "b.jpg", "x.jpg") == [A, "sparse_member", B, "missing_image"]
    found = archives(str(tmp_path), f"{tmp_path}/*.tar")
    assert contents(found, "a.jpg", "c.jpg", "cut.jpg", "d.jpg", "n.jpg") == [
        A,
        A,
        "corrupt_member",
        B,
        "corrupt_member",
    ]
    [one] = find(found, "x.jpg")
    assert one.reason == "damaged_archive"
    assert "2.tar: byte" in one.detail and "3.tar: byte" in one.detail and "1.tar" not in one.detail
    again = archives(str(tmp_path), f"{tmp_path}/[12].tar")  # from what is known of each archive
    assert contents(again, "b.jpg", "x.jpg") == [B, "damaged_archive"]
