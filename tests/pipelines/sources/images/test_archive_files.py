"""Members of archives: what is no file, lies about its size or overlaps costs itself."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.raw_tars import END, block, header, sparse
from tests.helpers.small_archives import a_link, archives, contents, find, patched, put, tar_of, zip_of
from tests.helpers.small_worlds import picture

A, B = picture(0), picture(1)


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
