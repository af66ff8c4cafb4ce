"""Images found by name in tars, zips and folders that were made here, hostile ones among them."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_archives import put, tar_of, zip_of
from small_worlds import picture

from corpus.settings import SettingsError
from corpus.storage import Store
from pipelines.sources import archive_files
from pipelines.sources.archive_index import AMBIGUOUS, MISSING, NameIndex, normalised
from pipelines.sources.archive_zip import zip_members
from pipelines.sources.archives import Archives, ArchivesSettings, Found

A, B, C, D = (picture(number) for number in range(4))


def archives(root: str, *paths: str, **settings: Any) -> Archives:
    return Archives(ArchivesSettings(paths=paths, **settings), f"{root}/work", "tables/given/images-index")


def find(found: Archives, *names: str, max_bytes: int = 1 << 20) -> list[Found]:
    """What each name stands for; whatever is said to lie somewhere lies there."""
    results = dict(pickle.loads(pickle.dumps(found)).open(max_bytes)(names))  # noqa: S301
    assert sorted(results) == list(range(len(names)))
    for one in results.values():
        assert not (one.reason and one.data)
        if one.place:
            assert Store("/nowhere").read_ranges([(*one.place, len(one.data))]) == [one.data]
    return [results[place] for place in range(len(names))]


def said(found: Archives, *names: str, **more: Any) -> list[str | bytes]:
    return [one.reason or one.data for one in find(found, *names, **more)]


def test_each_kind_of_archive_on_each_kind_of_storage(store_url: str) -> None:
    put(f"{store_url}/given/1.tar", tar_of({"tar/a.jpg": A, "tar/a.json": b"{}"}))
    put(f"{store_url}/given/2.zip", zip_of({"stored/b.jpg": B}))
    put(f"{store_url}/given/deep/3.zip", zip_of({"deflated/c.jpg": C}, zipfile.ZIP_DEFLATED))
    put(f"{store_url}/given/loose/d.jpg", D)
    found = archives(store_url, f"{store_url}/given")
    names = ["tar/a.jpg", "stored/b.jpg", "deflated/c.jpg", "loose/d.jpg", "no.jpg", ""]
    a, b, c, d, *none = find(found, *names)
    assert [one.data for one in (a, b, c, d)] == [A, B, C, D]
    assert [one.place is not None for one in (a, b, c, d)] == [True, True, False, True]
    assert d.place is not None and d.place[0].endswith("/given/loose/d.jpg")
    assert [one.reason for one in none] == ["missing_image", "missing_image"]
    assert found.index().stated["members"] == 5


def test_names_are_found_by_their_ends(tmp_path: Path) -> None:
    put(f"{tmp_path}/x.tar", tar_of({"train/v1/0.jpg": A, "train/v2/0.jpg": B, "only.jpg": C, "../up.jpg": D}))
    found = archives(str(tmp_path), f"{tmp_path}/x.tar")
    assert said(found, "v1/0.jpg", "set/train/v2/0.jpg", "/data/images/only.jpg", "./../up.jpg", "up.jpg") == [
        A,
        B,
        C,
        D,
        D,
    ]
    assert said(found, "0.jpg", "v3/0.jpg", "other/v1/0.jpg", "nly.jpg", "train") == [
        "ambiguous_image",
        "missing_image",
        "missing_image",
        "missing_image",
        "missing_image",
    ]


def test_the_closest_name_is_meant(tmp_path: Path) -> None:
    put(f"{tmp_path}/x.tar", tar_of({"x.jpg": A, "b/x.jpg": B, "q/b/x.jpg": C}))
    found = archives(str(tmp_path), f"{tmp_path}/x.tar")
    assert said(found, "x.jpg", "b/x.jpg", "z/b/x.jpg", "z/x.jpg", "y/q/b/x.jpg") == [A, B, B, A, C]


def test_prefixes_come_first(tmp_path: Path) -> None:
    put(f"{tmp_path}/x.tar", tar_of({"a/1.jpg": A, "b/1.jpg": B}))
    found = archives(str(tmp_path), f"{tmp_path}/x.tar", strip_prefix="images/", add_prefix="b/")
    assert said(found, "images/1.jpg", "1.jpg") == [B, B]


def test_of_equal_names_the_first_archive_counts(tmp_path: Path) -> None:
    put(f"{tmp_path}/2.tar", tar_of({"i/a.jpg": A}))
    put(f"{tmp_path}/1.zip", zip_of({"./i//a.jpg": B, "i\\b.jpg": C}))
    found = archives(str(tmp_path), f"{tmp_path}/2.tar", f"{tmp_path}/1.zip", f"{tmp_path}/*.tar")
    assert said(found, "i/a.jpg", "a.jpg", "i/b.jpg") == [A, A, C]
    assert found.index().stated["repeated_name"] == 1
    again = archives(str(tmp_path), f"{tmp_path}/1.zip", f"{tmp_path}/2.tar")
    assert said(again, "a.jpg") == [B]


def test_unicode_is_composed_alike(tmp_path: Path) -> None:
    name = "caf\u00e9/\u00fc.jpg"
    apart = unicodedata.normalize("NFD", name)
    assert apart != name
    put(f"{tmp_path}/x.tar", tar_of({apart: A}))
    put(f"{tmp_path}/y/{unicodedata.normalize('NFD', 'é.jpg')}", B)
    put(f"{tmp_path}/z.zip", patched(zip_of({"n\u00e4.jpg": C}), "n\u00e4.jpg", 8, b"\0\0"))  # it does not say UTF-8
    found = archives(str(tmp_path), f"{tmp_path}/x.tar", f"{tmp_path}/y", f"{tmp_path}/z.zip")
    assert said(found, name, apart, "é.jpg", "nä.jpg") == [A, A, B, C]


def test_folders_with_links_and_odd_names(tmp_path: Path) -> None:
    put(f"{tmp_path}/given/pictures.zip/a.jpg", A)  # a folder
    put(f"{tmp_path}/given/.hidden.jpg", B)
    put(f"{tmp_path}/given/a b#1?.jpg", C)
    (tmp_path / "given" / "loop").symlink_to(tmp_path / "given")
    (tmp_path / "given" / "gone.jpg").symlink_to(tmp_path / "nothing")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/given/\xff.jpg")).write_bytes(D)
    found = archives(str(tmp_path), f"{tmp_path}/given")
    assert said(found, "pictures.zip/a.jpg", "a b#1?.jpg", ".hidden.jpg", "gone.jpg") == [
        A,
        C,
        "missing_image",
        "missing_image",
    ]


def patched(data: bytes, name: str, at: int, value: bytes) -> bytes:
    """A zip in whose directory the entry of a name has other bytes, `at` counted from the entry's beginning."""
    entry = data.rindex(name.encode()) - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    return data[: entry + at] + value + data[entry + at + len(value) :]


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
    assert said(found, *names) == [A, "encrypted_image", *["corrupt_member"] * 4]

    data = zip_of({"bomb.jpg": bomb, "lying.jpg": bomb, "good.jpg": A, "torn.jpg": B}, zipfile.ZIP_DEFLATED)
    data = patched(data, "lying.jpg", 24, struct.pack("<L", 1000))
    data = patched(data, "torn.jpg", 42, struct.pack("<L", 5))
    found = archives(str(tmp_path), put(f"{tmp_path}/2.zip", data))
    assert said(found, "bomb.jpg", "lying.jpg", "good.jpg", "torn.jpg") == [
        "too_large",
        "corrupt_member",
        A,
        "corrupt_member",
    ]
    other = archives(str(tmp_path), put(f"{tmp_path}/3.zip", zip_of({"a.jpg": A}, zipfile.ZIP_LZMA)))
    assert said(other, "a.jpg") == ["unsupported_compression"]


def test_a_local_header_that_sends_behind_the_end(tmp_path: Path) -> None:
    data = zip_of({"a.jpg": A})
    data = data[:28] + b"\xff\xff" + data[30:]  # the length of its extra field
    found = archives(str(tmp_path), put(f"{tmp_path}/1.zip", data))
    assert said(found, "a.jpg") == ["corrupt_member"]


def test_zips_of_all_makes(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.comment = b"PK about it" * 100
        archive.mkdir("folder")
        with archive.open(zipfile.ZipInfo("folder/wide.jpg"), "w", force_zip64=True) as member:
            member.write(A)
    data = b"#!/bin/sh\n" * 9 + sink.getvalue()  # one that unpacks itself
    found = archives(str(tmp_path), put(f"{tmp_path}/1.ZIP", data))
    assert said(found, "folder/wide.jpg", "folder", "folder/") == [A, "missing_image", "missing_image"]
    latin = patched(zip_of({"n__.jpg": A}), "n__.jpg", 46, b"n\x84_.jpg")  # of the days before UTF-8
    members = list(zip_members(io.BytesIO(latin), len(latin)))
    assert [member.name for member in members] == ["nä_.jpg"]
    at = latin.rindex(b"n\x84_.jpg") - 46 + 8  # its flags
    wrong = latin[:at] + b"\x00\x08" + latin[at + 2 :]  # it says that this is UTF-8
    assert [member.name for member in zip_members(io.BytesIO(wrong), len(wrong))] == ["n\ufffd_.jpg"]


def test_a_64_bit_directory() -> None:
    plain = zip_of({"a.jpg": A, "b.jpg": B})
    end = plain.rindex(b"PK\x05\x06")
    length, offset = struct.unpack_from("<LL", plain, end + 12)
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, length, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    narrow = struct.pack("<4s4H2LH", b"PK\x05\x06", 0xFFFF, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    data = plain[:end] + wide + locator + narrow
    with zipfile.ZipFile(io.BytesIO(data)) as theirs:
        expected = [(info.filename, info.header_offset, info.file_size, info.CRC) for info in theirs.infolist()]
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


def test_nothing_there_is_an_error(tmp_path: Path, memory_store: str) -> None:
    for path in (f"{tmp_path}/none.tar", f"{tmp_path}/*.zip", f"{memory_store}/none.tar", str(tmp_path)):
        with pytest.raises(SettingsError, match="no files there"):
            archives(str(tmp_path), path).identity()


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
    assert said(found, "ö.jpg", "link.jpg", "hard.jpg", "d.jpg", "empty.jpg") == [A, *["missing_image"] * 3, b""]


def test_an_index_is_made_once(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = archive_files.index_tar

    def spy(store: Store, path: str) -> pa.Table:
        read.append(path.rpartition("/")[2])
        return original(store, path)

    monkeypatch.setattr(archive_files, "index_tar", spy)
    put(f"{store_url}/given/1.tar", tar_of({"a.jpg": A}))
    first = archives(store_url, f"{store_url}/given/*.tar")
    before = first.identity()
    assert said(first, "a.jpg") == said(first, "a.jpg") == [A]
    put(f"{store_url}/given/2.tar", tar_of({"b.jpg": B}))
    second = archives(store_url, f"{store_url}/given/*.tar")
    assert said(second, "a.jpg", "b.jpg") == [A, B]
    assert read == ["1.tar", "2.tar"]
    assert before != second.identity() == archives(store_url, f"{store_url}/given/*.tar").identity()


def test_a_changed_folder_has_another_identity(tmp_path: Path) -> None:
    put(f"{tmp_path}/given/a.jpg", A)
    before = archives(str(tmp_path), f"{tmp_path}/given").identity()
    assert archives(str(tmp_path), f"{tmp_path}/given").identity() == before
    put(f"{tmp_path}/given/a.jpg", A + b"\0")
    assert archives(str(tmp_path), f"{tmp_path}/given").identity() != before


def test_archives_that_change_while_they_are_read(tmp_path: Path) -> None:
    put(f"{tmp_path}/given/a.jpg", A)
    found = archives(str(tmp_path), f"{tmp_path}/given")
    found.identity()
    found = pickle.loads(pickle.dumps(found))  # noqa: S301 - on its way to a worker, which lists them for itself
    put(f"{tmp_path}/given/b.jpg", B)
    with pytest.raises(SettingsError, match="has changed"):
        found.index()


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)


@given(st.lists(NAMES, max_size=12), st.lists(NAMES, min_size=1, max_size=12))
def test_lookups_keep_to_the_rule(held: list[str], asked: list[str]) -> None:
    index = NameIndex.build(pa.table({"name": pa.array(held, pa.large_string())}), {})
    kept = list(dict.fromkeys(held))
    assert index.table.column("name").to_pylist() == kept
    assert index.find(asked).tolist() == [slowly(name, kept) for name in asked]


def slowly(name: str, held: list[str]) -> int:
    if name in held:
        return held.index(name)

    def common(other: str) -> int:
        shorter = min(name, other, key=len)
        longer = max(name, other, key=len)
        return shorter.count("/") + 1 if longer.endswith(f"/{shorter}") else 0

    best = max(map(common, held), default=0)
    near = [row for row, other in enumerate(held) if best and common(other) == best]
    return MISSING if not near else near[0] if len(near) == 1 else AMBIGUOUS


def test_names_in_one_form() -> None:
    given = pa.array(["./a.jpg", "/a//b/./c.jpg", "a\\b.jpg", ".//./x", "../x", "a/../b", ".hidden/x.", None, ""])
    expected = ["a.jpg", "a/b/c.jpg", "a/b.jpg", "x", "../x", "a/../b", ".hidden/x.", "", ""]
    assert normalised(given).to_pylist() == expected


def test_a_hundred_thousand_names(tmp_path: Path) -> None:
    names = [f"train/v{number // 100}/{number % 100:04d}.jpg" for number in range(100_000)]
    index = NameIndex.build(pa.table({"name": pa.array(names, pa.large_string())}), {"told": 1})
    index.save(Store(tmp_path), "index")
    index = NameIndex.load(Store(tmp_path), "index")
    rows = np.random.default_rng(0).integers(0, len(names), 2000)
    asked = [names[row].removeprefix("train/") for row in rows]
    assert index.find(asked).tolist() == rows.tolist()
    assert index.find(["0001.jpg", "v0", "v1000/0001.jpg"]).tolist() == [AMBIGUOUS, MISSING, MISSING]
    assert index.stated == {"told": 1, "repeated_name": 0}
    held = index.hashes.nbytes + index.rows.nbytes
    assert held <= 12 * (2 * len(names) + 100)  # a name, its end without `train`, and ends that all of them share
