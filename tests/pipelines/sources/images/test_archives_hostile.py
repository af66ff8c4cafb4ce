"""Archives that lie, that are cut off, and that are of an odd make: none of them costs more than itself."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from corpus.settings import SettingsError
from tests.helpers.small_archives import archives, contents, patched, put, tar_of, zip_of
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
