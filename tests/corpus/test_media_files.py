"""Items too large for memory, copied into media tars from files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from corpus.media import MAX_BYTES, MediaWriter, TarWriter
from corpus.schema import item_id
from corpus.storage import StorageError, Store
from corpus.tars import index_tar
from tests.helpers.memory import traced


def test_a_member_from_a_file_is_written_as_one_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpus.media._COPIED_BYTES", 100)
    members = [(f"{size}.bin", bytes(n % 251 for n in range(size))) for size in (0, 1, 511, 512, 513, 1024)]
    memory = io.BytesIO()
    other = TarWriter(memory)
    wanted = [other.add(name, data) for name, data in members]
    other.close()
    sink = io.BytesIO()
    tar = TarWriter(sink)
    offsets = [tar.add_file(name, io.BytesIO(data + b"more"), len(data)) for name, data in members]
    tar.close()
    assert (sink.getvalue(), offsets) == (memory.getvalue(), wanted)
    assert tar.position == len(sink.getvalue())


def test_an_item_from_a_file_is_one_like_any_other(store_url: str) -> None:
    store = Store(store_url)
    media = MediaWriter(store, "media/s/0.tar")
    large = b"large" * 500_000
    file = io.BytesIO(b"before" + large + b"after")
    file.seek(len(b"before"))
    places = [
        media.add(item_id(b"one"), "bin", b"one"),
        media.add_file(item_id(large), "mp4", file, len(large)),
        media.add_file(item_id(large), "mp4", io.BytesIO(), len(large)),  # is there: not read again
        media.add(item_id(b"two"), "bin", b"two"),
    ]
    media.commit()
    assert places[1] == places[2]
    data = store.read("media/s/0.tar")
    assert [data[offset : offset + size] for offset, size in places] == [b"one", large, large, b"two"]
    names = index_tar(store, "media/s/0.tar").members.column("name").to_pylist()
    assert names == [f"{item_id(c).hex()}.{ext}" for c, ext in ((b"one", "bin"), (large, "mp4"), (b"two", "bin"))]


def copy_file(folder: Path, size: int) -> None:
    media = MediaWriter(Store(folder), "0.tar")
    with (folder / "a.mp4").open("w+b") as file:
        file.truncate(size)
        media.add_file(b"x" * 16, "mp4", file, size)
    media.commit()


def test_a_file_is_copied_in_blocks(tmp_path: Path) -> None:
    size = 32 << 20
    _, peak = traced(copy_file, tmp_path, size)
    assert 0 < peak < 4 << 20
    assert index_tar(Store(tmp_path), "0.tar").members.column("size").to_pylist() == [size]


def test_a_file_too_large_for_a_tar_is_refused_and_the_tar_stays_good(tmp_path: Path) -> None:
    media = MediaWriter(Store(tmp_path), "0.tar")
    with pytest.raises(ValueError, match="8589934592 bytes"):
        media.add_file(b"x" * 16, "mp4", io.BytesIO(), MAX_BYTES + 1)
    media.add(item_id(b"one"), "bin", b"one")
    media.commit()
    assert index_tar(Store(tmp_path), "0.tar").members.num_rows == 1


def test_a_file_that_ends_early_is_a_storage_error_to_the_end(tmp_path: Path) -> None:
    media = MediaWriter(Store(tmp_path), "0.tar")
    with pytest.raises(StorageError, match=r"0\.tar.*5 of 8 bytes are missing"):
        media.add_file(b"x" * 16, "mp4", io.BytesIO(b"abc"), 8)
    with pytest.raises(StorageError, match="missing"):
        media.commit()
    media.abort()
    assert list(tmp_path.iterdir()) == []
