from __future__ import annotations

import errno
import io
import subprocess
import tarfile
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.media import MediaWriter, TarWriter, read_contents, tar_header
from corpus.schema import LOCATION_FIELDS, item_id
from corpus.storage import StorageError, Store
from corpus.tars import index_tar
from tests.helpers.media_columns import location_columns

SIZES = [0, 1, 511, 512, 513, 1024]


def written(members: list[tuple[str, bytes]]) -> tuple[bytes, list[int]]:
    sink = io.BytesIO()
    tar = TarWriter(sink)
    offsets = [tar.add(name, data) for name, data in members]
    tar.close()
    assert tar.position == len(sink.getvalue())
    return sink.getvalue(), offsets


def members_of_sizes() -> list[tuple[str, bytes]]:
    return [(f"{size}.bin", bytes(n % 251 for n in range(size))) for size in SIZES]


def locations(rows: list[tuple[str, int, int]]) -> pa.Table:
    media, offsets, sizes = zip(*rows, strict=True) if rows else ((), (), ())
    columns = {
        "media": pa.array(media, pa.string()),
        "offset": pa.array(offsets, pa.int64()),
        "size": pa.array(sizes, pa.int64()),
    }
    return pa.table(columns)


# The writer


def test_tarfile_reads_what_the_writer_writes() -> None:
    members = members_of_sizes()
    data, offsets = written(members)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        found = archive.getmembers()
        assert [member.name for member in found] == [name for name, _ in members]
        assert [member.offset_data for member in found] == offsets
        assert [archive.extractfile(member).read() for member in found] == [content for _, content in members]
        for member in found:
            assert member.isreg()
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert member.mode == 0o644


def test_gnu_tar_reads_what_the_writer_writes(tmp_path: Path) -> None:
    members = members_of_sizes()
    (tmp_path / "a.tar").write_bytes(written(members)[0])
    listed = subprocess.run(
        ["tar", "--utc", "--numeric-owner", "-tvf", tmp_path / "a.tar"], capture_output=True, text=True, check=True
    )
    assert listed.stderr == ""
    for (name, content), line in zip(members, listed.stdout.splitlines(), strict=True):
        assert line.split() == ["-rw-r--r--", "0/0", str(len(content)), "1970-01-01", "00:00", name]
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", tmp_path / "out"], check=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == dict(members)


def test_the_header_is_ustar_and_sums_up() -> None:
    header = tar_header("0123456789abcdef.jpg", 12345)
    assert len(header) == 512
    assert header[257:265] == b"ustar\x0000"
    assert header[124:136] == b"00000030071\x00"
    blank = header[:148] + b" " * 8 + header[156:]
    assert int(header[148:154], 8) == sum(blank)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=25),
            st.binary(max_size=1100),
        )
    )
)
def test_any_names_and_contents_survive(members: list[tuple[str, bytes]]) -> None:
    data, offsets = written(members)
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        found = [(member.name, archive.extractfile(member).read()) for member in archive]
    assert found == members
    assert [data[at : at + len(content)] for at, (_, content) in zip(offsets, members, strict=True)] == [
        content for _, content in members
    ]


@pytest.mark.parametrize(("name", "size"), [("", 1), ("a" * 101, 1), ("ü" * 51, 1), ("a", 1 << 33), ("a", -1)])
def test_what_does_not_fit_a_header_is_refused(name: str, size: int) -> None:
    with pytest.raises(ValueError, match="does not fit a USTAR header"):
        tar_header(name, size)


def test_the_largest_that_fits() -> None:
    member = tarfile.TarInfo.frombuf(tar_header("a" * 100, (1 << 33) - 1), "utf-8", "strict")
    assert (member.name, member.size) == ("a" * 100, (1 << 33) - 1)


# The media tar of a shard


def test_an_item_is_stored_once(store_url: str) -> None:
    store = Store(store_url)
    media = MediaWriter(store, "media/s/0.tar")
    contents = [b"one", b"two" * 300, b"one", b"", b"two" * 300]
    places = [media.add(item_id(content), "bin", content) for content in contents]
    assert store.names("media/s") == []
    media.commit()
    assert places[0] == places[2] and places[1] == places[4]
    data = store.read("media/s/0.tar")
    assert [data[offset : offset + size] for offset, size in places] == contents
    table = index_tar(store, "media/s/0.tar").members
    assert table.column("name").to_pylist() == [f"{item_id(c).hex()}.bin" for c in (b"one", b"two" * 300, b"")]
    assert list(zip(table["offset"].to_pylist(), table["size"].to_pylist(), strict=True)) == places[:2] + places[3:4]


def test_a_tar_of_nothing_is_not_written(store_url: str) -> None:
    media = MediaWriter(Store(store_url), "media/s/0.tar")
    media.commit()
    assert Store(store_url).names("media") == []


def test_what_is_aborted_is_gone(store_url: str, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spool"))
    media = MediaWriter(Store(store_url), "media/s/0.tar")
    media.add(item_id(b"one"), "bin", b"one")
    media.abort()
    media.abort()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert Store(store_url).names("media/s") == []
    for late in (lambda: media.add(item_id(b"late"), "bin", b"late"), media.commit):
        with pytest.raises(StorageError, match="dropped"):
            late()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_item_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    media = MediaWriter(Store(tmp_path), "0.tar")
    media.add(item_id(b"one"), "bin", b"one")
    media.commit()
    media.abort()  # changes nothing any more
    with pytest.raises(StorageError, match="after the end"):
        media.add(item_id(b"two"), "bin", b"two")
    assert index_tar(Store(tmp_path), "0.tar").members.num_rows == 1


def test_many_threads_add(tmp_path: Path) -> None:
    media = MediaWriter(Store(tmp_path), "0.tar")
    contents = [f"{n % 60}".encode() * (n % 60) for n in range(240)]
    places: dict[int, tuple[int, int]] = {}
    start = threading.Barrier(8)

    def add(first: int) -> None:
        start.wait()
        for n in range(first, len(contents), 8):
            places[n] = media.add(item_id(contents[n]), "bin", contents[n])

    threads = [threading.Thread(target=add, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    media.commit()
    data = (tmp_path / "0.tar").read_bytes()
    for n, content in enumerate(contents):
        offset, size = places[n]
        assert data[offset : offset + size] == content
    assert index_tar(Store(tmp_path), "0.tar").members.num_rows == len(set(contents))


def test_a_full_disk_is_a_storage_error_to_the_end(tmp_path: Path, monkeypatch) -> None:
    media = MediaWriter(Store(tmp_path), "0.tar")
    media.add(item_id(b"one"), "bin", b"one")

    def full(_tar: TarWriter, _name: str, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(TarWriter, "add", full)
    with pytest.raises(StorageError, match=r"0\.tar.*No space left"):
        media.add(item_id(b"two"), "bin", b"two")
    monkeypatch.undo()
    with pytest.raises(StorageError, match="No space left"):  # a stage that swallowed the error gets it again
        media.add(item_id(b"three"), "bin", b"three")
    with pytest.raises(StorageError, match="No space left"):
        media.commit()
    media.abort()
    assert list(tmp_path.iterdir()) == []


# Reading by range


def test_contents_of_shuffled_rows_over_several_tars(store_url: str) -> None:
    store = Store(store_url)
    random = np.random.default_rng(7)
    rows: list[tuple[str, int, int]] = []
    wanted: list[bytes] = []
    for number in range(3):
        media = MediaWriter(store, f"media/s/{number}.tar")
        for _ in range(40):
            content = random.bytes(int(random.integers(0, 900)))
            rows.append((media.path, *media.add(item_id(content), "bin", content)))
            wanted.append(content)
        media.commit()
    order = random.permutation(len(rows))
    table = locations([rows[at] for at in order])
    chunked = pa.concat_tables([table.slice(0, 50), table.slice(50, 1), table.slice(51)])
    for given_rows in (table, chunked):
        found = list(read_contents(store, given_rows))
        assert sorted(row for row, _ in found) == list(range(len(rows)))
        assert all(content == wanted[order[row]] for row, content in found)


def test_contents_come_as_they_lie_and_a_few_at_a_time(tmp_path: Path) -> None:
    class Watched(Store):
        blocks: list[list[tuple[str, int, int]]] = []

        def read_ranges(self, ranges):
            self.blocks.append(list(ranges))
            return super().read_ranges(ranges)

    (tmp_path / "a.tar").write_bytes(bytes(40 << 20))
    large = [("a.tar", n << 20, 1 << 20) for n in range(40)]
    store = Watched(tmp_path)
    contents = read_contents(store, locations(large[::-1]))
    next(contents)
    assert len(store.blocks) == 1  # nothing is read before it is asked for
    assert [row for row, _ in contents] == list(range(38, -1, -1))
    assert [len(block) for block in store.blocks] == [16, 16, 8]

    store.blocks.clear()
    small = [("a.tar", n, 1) for n in range(600)]
    assert sum(1 for _ in read_contents(store, locations(small))) == 600
    assert [len(block) for block in store.blocks] == [256, 256, 88]


def test_no_rows_have_no_contents(tmp_path: Path) -> None:
    for table in (locations([]), locations([]).schema.empty_table()):
        assert list(read_contents(Store(tmp_path), table)) == []


def test_a_row_without_an_item_has_no_contents(tmp_path: Path) -> None:
    columns = location_columns([b"x" * 16, None], ["a.tar", None], [0, None], [1, None], ["jpg", None])
    table = pa.table(columns)
    assert table.schema.equals(pa.schema(LOCATION_FIELDS))
    with pytest.raises(ValueError, match="only rows with an item"):
        list(read_contents(Store(tmp_path), table))
