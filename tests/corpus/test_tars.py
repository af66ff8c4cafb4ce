"""Tars of every make, and tars that lie: what can be read of them is read, all else has a reason."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st

from corpus.media import TarWriter, read_contents
from corpus.storage import MissingError, Store
from corpus.tars import CORRUPT, SPARSE, SPECIAL, TarIndex, TarReader, index_tar, pax_records
from tests.helpers.raw_tars import END, block, extended, global_header, header, long_name, records, sparse

GIB = 1 << 30
FIRST, LAST = block("first.jpg", b"1" * 700), block("last.jpg", b"2" * 513)


def index_of(tmp_path: Path, data: bytes) -> TarIndex:
    (tmp_path / "a.tar").write_bytes(data)
    return index_tar(Store(tmp_path), "a.tar")


def read_through(data: bytes) -> tuple[list[tuple[str, str, bytes]], str]:
    """(name, fault, content) of each member, and the tar's fault."""
    tar = TarReader(io.BytesIO(data), len(data))
    return [(member.name, member.fault, tar.content(member)) for member in tar], tar.fault


# Tars of every make


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_every_form_are_indexed(tmp_path: Path, form: int) -> None:
    long = "deep/" * 25 + "x" * 90 + ".jpg"  # longer than the header's 100 bytes: each form has its own way out
    names = ["a.jpg", long, "ünï.jpg", "empty.txt"]
    contents = {name: name.encode() * 7 for name in names} | {"empty.txt": b""}
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        folder = tarfile.TarInfo("deep")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "x" * 150 if form == tarfile.GNU_FORMAT else "a.jpg"
        archive.addfile(link)
    found = index_tar(Store(tmp_path), "a.tar")
    assert found.fault == ""
    assert found.members.column("name").to_pylist() == [*names, "link.jpg"]
    assert found.members.column("fault").to_pylist() == ["", "", "", "", SPECIAL]
    rows = found.members.slice(0, 4)
    ranges = [("a.tar", row["offset"], row["size"]) for row in rows.to_pylist()]
    assert Store(tmp_path).read_ranges(ranges) == list(contents.values())


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar")
@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_the_systems_tar_writes(tmp_path: Path, form: str) -> None:
    contents = {f"f/{n}.bin": bytes([n]) * n * 300 for n in range(5)}
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    subprocess.run(["tar", f"--format={form}", "-C", tmp_path, "-cf", tmp_path / "a.tar", *contents], check=True)
    members, fault = read_through((tmp_path / "a.tar").read_bytes())
    assert fault == ""
    assert {name: content for name, _, content in members} == contents


def test_a_tar_that_lies_elsewhere_is_indexed_and_read_there(store_url: str, tmp_path: Path) -> None:
    shard = tmp_path / "downloaded" / "00000.tar"  # as img2dataset leaves them: key.jpg, key.json, key.txt
    shard.parent.mkdir()
    with webdataset.TarWriter(str(shard)) as writer:
        for n in range(5):
            writer.write({"__key__": f"{n:09d}", "jpg": bytes([n]) * 700, "txt": f"caption {n}", "json": {"key": n}})
    store = Store(store_url)
    table = index_tar(store, str(shard)).members
    names = table.column("name").to_pylist()
    assert names[:3] == ["000000000.jpg", "000000000.json", "000000000.txt"]
    images = table.take([at for at, name in enumerate(names) if name.endswith(".jpg")])
    located = images.append_column("media", [[str(shard)] * images.num_rows])
    assert dict(read_contents(store, located)) == {n: bytes([n]) * 700 for n in range(5)}


def test_an_empty_tar_has_an_empty_index_of_the_same_columns(tmp_path: Path) -> None:
    empty, full = index_of(tmp_path, END), index_of(tmp_path, FIRST + END)
    assert (empty.members.num_rows, empty.fault, full.fault) == (0, "", "")
    assert empty.members.schema == full.members.schema


def test_names_that_are_not_utf8_stay_apart(tmp_path: Path) -> None:
    data = header(b"caf\xe9.jpg", 0) + header(b"caf\xe8.jpg", 0) + extended({b"path": b"\xff/p.jpg"}) + FIRST + END
    names = index_of(tmp_path, data).members.column("name").to_pylist()
    assert names == ["caf%E9.jpg", "caf%E8.jpg", "%FF/p.jpg"]


def test_an_absent_tar_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        index_tar(Store(tmp_path), "none.tar")


# Tars that are not whole


@pytest.mark.parametrize("cut", [1536 + 512 + 700, 1536 + 512 + 500, 1536 + 512, 1536 + 300, 1536, 1300, 512, 10, 0])
def test_of_a_tar_that_is_cut_off_the_beginning_is_kept(tmp_path: Path, cut: int) -> None:
    whole = FIRST + block("b.jpg", b"x" * 600) + END  # headers at 0 and 1536
    assert index_of(tmp_path, whole).fault == ""
    found = index_of(tmp_path, whole[:cut])
    assert "a.tar: byte " in found.fault
    ends = {"first.jpg": 512 + 700, "b.jpg": 1536 + 512 + 600}
    good = [row["name"] for row in found.members.to_pylist() if not row["fault"]]
    assert good == [name for name, end in ends.items() if end <= cut]


def test_a_broken_header_ends_a_tar(tmp_path: Path) -> None:
    """Nothing says where the next member would begin: what comes before is kept, and the tar has a fault."""
    broken = bytearray(LAST)
    broken[0] ^= 1
    for data in (bytes(broken), b"<html>" * 100, b"\0" * 100 + b"x" * 412):
        found = index_of(tmp_path, FIRST + data + LAST + END)
        assert [row["name"] for row in found.members.to_pylist() if not row["fault"]] == ["first.jpg"]
        assert "a.tar: byte 1536: " in found.fault
    assert index_of(tmp_path, b"<html>" * 500).fault.endswith("byte 0: no header of a tar")


def test_what_follows_the_end_is_no_secret(tmp_path: Path) -> None:
    """Tars that were put one after the other: only the first is one, for most readers."""
    assert "byte 2048: 3072 bytes after the end" in index_of(tmp_path, FIRST + END + LAST + END).fault
    assert "after the end" in index_of(tmp_path, FIRST + END + bytes(2 << 20)).fault
    assert index_of(tmp_path, FIRST + END + bytes(8192)).fault == ""
    assert "without a member" in index_of(tmp_path, FIRST + long_name(b"x" * 200) + END).fault


# Headers that lie


def between(data: bytes) -> tuple[list[tuple[str, str, bytes]], str]:
    """What is found between two good members, and the tar's fault; both must be found if there is none."""
    members, fault = read_through(FIRST + data + LAST + END)
    assert members[0] == ("first.jpg", "", b"1" * 700)
    if not fault:
        assert members[-1] == ("last.jpg", "", b"2" * 513)
        return members[1:-1], fault
    return members[1:], fault


def test_members_that_cannot_be_used_cost_themselves() -> None:
    old = sparse("s.jpg", b"x" * 600, claimed=40 * GIB, more_maps=2)
    pax = extended({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"%d" % (40 * GIB)})
    cases = {
        "sparse, GNU's old form": (old, "s.jpg", SPARSE),
        "sparse, pax": (pax + block("s.jpg", b"x" * 600), "s.jpg", SPARSE),
        "sparse, pax, under its own name": (
            extended({b"GNU.sparse.name": b"real.jpg", b"GNU.sparse.map": b"0,9"}) + block("s.jpg", b"x" * 9),
            "real.jpg",
            SPARSE,
        ),
        "a hard link": (header("l.jpg", 700, b"1", link="first.jpg"), "l.jpg", SPECIAL),
        "a symbolic link": (header("l.jpg", 0, b"2", link="/etc/passwd"), "l.jpg", SPECIAL),
        "a character device": (header("zero.jpg", 8 * GIB - 1, b"3"), "zero.jpg", SPECIAL),
        "a pipe": (header("p.jpg", 0, b"6"), "p.jpg", SPECIAL),
        "of no known type": (block("z.jpg", b"z" * 9, b"Z"), "z.jpg", SPECIAL),
        "a long name of two MiB": (long_name(bytes(2 << 20)) + block("n.jpg", b"x"), "n.jpg", CORRUPT),
        "an extended header of two MiB": (records(bytes(2 << 20)) + block("n.jpg", b"x"), "n.jpg", CORRUPT),
        "an extended header of nothing known": (records(b"77 path=x\n") + block("n.jpg", b"x"), "n.jpg", CORRUPT),
        "a size that is no number": (extended({b"size": b"-1"}) + block("n.jpg", b"x"), "n.jpg", CORRUPT),
        "a hundred extended headers": (100 * extended({b"comment": b"x"}) + block("n.jpg", b"x"), "n.jpg", CORRUPT),
        "ten thousand of them": (10_000 * long_name(b"n.jpg") + block("n.jpg", b"x"), "n.jpg", CORRUPT),
    }
    wrong = {}
    for case, (data, name, reason) in cases.items():
        found, fault = between(data)
        if fault or [(one[0], one[1], one[2]) for one in found] != [(name, reason, b"")]:
            wrong[case] = (found, fault)
    assert wrong == {}


def test_extended_headers_that_say_what_is_so() -> None:
    cases = {
        "another name": (extended({b"path": b"d/n.jpg", b"mtime": b"1.5"}) + block("x", b"y"), "d/n.jpg", b"y"),
        "the size": (extended({b"size": b"3"}) + header("n.jpg", 0) + b"abc".ljust(512, b"\0"), "n.jpg", b"abc"),
        "a size in base 256": (header("n.jpg", 3, wide=True) + b"abc".ljust(512, b"\0"), "n.jpg", b"abc"),
        "a global comment": (global_header({b"comment": b"4f2a"}) + block("n.jpg", b"y"), "n.jpg", b"y"),
        "no sum but that of signed bytes": (header(b"\xc3\xbc.jpg", 0, signed=True), "ü.jpg", b""),
    }
    wrong = {}
    for case, (data, name, content) in cases.items():
        found, fault = between(data)
        if fault or found != [(name, "", content)]:
            wrong[case] = (found, fault)
    assert wrong == {}


def test_a_global_name_or_size_takes_all_that_follow() -> None:
    for key, value in ((b"path", b"one.jpg"), (b"size", b"0"), (b"GNU.sparse.major", b"1")):
        members, fault = read_through(FIRST + global_header({key: value}) + LAST + END)
        assert fault == ""
        assert [(name, reason) for name, reason, _ in members] == [("first.jpg", ""), ("last.jpg", CORRUPT)]


def test_sizes_beyond_the_end_are_of_no_member(tmp_path: Path) -> None:
    """Where the next one begins is not known then. The file is not read for it."""
    cases = {
        "8 GiB": header("n.jpg", 8 * GIB - 1),
        "2^80": header("n.jpg", 1 << 80, wide=True),
        "by an extended header": extended({b"size": b"%d" % (40 * GIB)}) + header("n.jpg", 1),
        "sparse": sparse("n.jpg", b"x" * 600, claimed=40 * GIB, stored=40 * GIB),
        "less than none": header("n.jpg", -512, wide=True),
        "no number": header("n.jpg", b"zzzzzzzzzzz\0"),
        "a signed number": header("n.jpg", b"-0000000512\0"),
    }
    wrong = {}
    for case, data in cases.items():
        found, fault = between(data)
        if [one[:2] for one in found] != [("n.jpg", CORRUPT)] or "byte " not in fault:
            wrong[case] = (found, fault)
    assert wrong == {}
    for kind in (b"L", b"K", b"x", b"g"):
        found, fault = between(header("n.jpg", 8 * GIB - 1, kind))
        assert (found, "extended header of 8589934591 bytes" in fault) == ([], True)
    assert read_through(FIRST + header("s.jpg", 0, b"S", more_maps=True) + b"\1" * 5120)[1]


def test_memory_is_that_of_what_is_there() -> None:
    small = FIRST + sparse("s.jpg", b"x" * 600, claimed=40 * GIB) + header("n.jpg", 8 * GIB - 1) + END
    tracemalloc.start()
    read_through(small)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_records_are_read_as_they_count_themselves() -> None:
    assert pax_records(b"") == {}
    assert pax_records(b"9 path=x\n12 path=y\nz\n") == {b"path": b"y\nz"}
    assert pax_records(b"9 path=x\n\0\0\0") == {b"path": b"x"}
    for bad in (b"path=x\n", b"8 path=x\n", b"0 path=x\n", b"11 path=x\n", b"-9 path=x\n", b"\xb2 path=x\n", b"1 "):
        with pytest.raises(ValueError, match="record"):
            pax_records(bad)


def test_a_file_that_has_become_shorter() -> None:
    data = FIRST + LAST + END
    tar = TarReader(io.BytesIO(data[:900]), len(data))
    with pytest.raises(EOFError, match=r"first\.jpg: 388 of 700"):
        tar.content(next(iter(tar)))


@given(st.data())
def test_whatever_is_changed_the_rest_is_as_it_was(data: st.DataObject) -> None:
    """Of a tar with changed bytes, members lie inside it, and those that lie before the change are untouched."""
    sink = io.BytesIO()
    writer = TarWriter(sink)
    offsets = [writer.add(f"{n}.jpg", bytes([65 + n]) * size) for n, size in enumerate((0, 300, 512, 1300))]
    writer.close()
    tar = np.frombuffer(sink.getvalue(), np.uint8).copy()
    at = data.draw(st.integers(0, len(tar) - 1))
    tar[at : at + 12] = np.frombuffer(data.draw(st.binary(min_size=12, max_size=12)), np.uint8)[: len(tar) - at]
    changed = tar.tobytes()[: data.draw(st.integers(0, len(tar)))]
    reader = TarReader(io.BytesIO(changed), len(changed))
    found = list(reader)
    assert all(one.offset >= 0 and one.offset + one.size <= len(changed) for one in found)
    ends = [offset + size for offset, size in zip(offsets, (0, 300, 512, 1300), strict=True)]
    untouched = [n for n, end in enumerate(ends) if end <= min(at, len(changed))]
    assert [one.name for one in found][: len(untouched)] == [f"{n}.jpg" for n in untouched]
