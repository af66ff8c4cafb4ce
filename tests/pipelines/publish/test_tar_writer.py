from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from corpus.storage import StorageError, Store
from pipelines.publish import tar_writer
from pipelines.publish.tar_writer import Sample, write_tar

FIELDS = ("query.jpg", "positive.jpg")
PARTS = [bytes([number]) * (100 * number + 1) for number in range(20)]


def samples(media: Store) -> list[Sample]:
    """Ten samples of two items each, which lie in one file of the store, in another order."""
    order = [7 * number % 20 for number in range(20)]
    media.publish("media.tar", b"".join(PARTS[part] for part in order))
    starts = [sum(len(PARTS[before]) for before in order[: order.index(part)]) for part in range(20)]
    places = [("media.tar", starts[part], len(PARTS[part])) for part in range(20)]
    return [Sample(f"{number:032x}", b'{"n":%d}' % number, places[2 * number : 2 * number + 2]) for number in range(10)]


def expected() -> list[tuple[str, bytes]]:
    return [
        member
        for number in range(10)
        for member in (
            (f"{number:032x}.json", b'{"n":%d}' % number),
            (f"{number:032x}.query.jpg", PARTS[2 * number]),
            (f"{number:032x}.positive.jpg", PARTS[2 * number + 1]),
        )
    ]


@pytest.mark.parametrize(("items", "size"), [(256, 1 << 20), (3, 1 << 20), (256, 1), (256, 2000)])
def test_samples_lie_in_order_however_much_is_read_at_a_time(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, items: int, size: int
) -> None:
    monkeypatch.setattr(tar_writer, "READ_AHEAD_ITEMS", items)
    for name in ("READ_AHEAD_BYTES", "_LOCAL_READ_AHEAD_BYTES", "_FLUSH_BYTES"):
        monkeypatch.setattr(tar_writer, name, size)
    store = Store(store_url)
    tar = write_tar(store, store, "d/d-000000.tar", samples(store), FIELDS)
    data = store.read("d/d-000000.tar")
    assert (tar.name, tar.samples, tar.bytes) == ("d-000000.tar", 10, len(data))
    assert (tar.sha256, tar.md5) == (hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest())
    (tmp_path / "copy.tar").write_bytes(data)
    with tarfile.open(tmp_path / "copy.tar") as archive:
        found = [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    assert found == expected()


def test_samples_without_media(tmp_path: Path) -> None:
    store = Store(tmp_path)
    tar = write_tar(store, store, "d/d-000000.tar", [Sample(f"{n:032x}", b"{}", []) for n in range(3)], ())
    assert tar.samples == 3
    with tarfile.open(tmp_path / "d/d-000000.tar") as archive:
        assert archive.getnames() == [f"{n:032x}.json" for n in range(3)]


def test_media_that_cannot_be_read_leave_no_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_writer, "_LOCAL_READ_AHEAD_BYTES", 1)
    store = Store(tmp_path)
    spoilt = samples(store)
    spoilt[8].ranges[1] = ("media.tar", 10**9, 5)
    with pytest.raises(StorageError, match="wanted 5 bytes"):
        write_tar(store, store, "d/d-000000.tar", spoilt, FIELDS)
    assert list((tmp_path / "d").iterdir()) == []


def test_a_sample_with_more_or_fewer_items_than_fields_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="longer"):
        write_tar(store, store, "d/d-000000.tar", samples(store), FIELDS[:1])


def test_a_flush_that_fails_on_the_way_fails_the_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel reports a lost write once: to whoever flushes first."""
    store = Store(tmp_path)
    made = samples(store)
    flush, calls = os.fsync, []

    def fail_once(file: int) -> None:
        calls.append(file)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        flush(file)

    monkeypatch.setattr(os, "fsync", fail_once)
    monkeypatch.setattr(tar_writer, "_FLUSH_BYTES", 1)
    with pytest.raises(OSError, match="Input/output error"):
        write_tar(store, store, "d/d-000000.tar", made, FIELDS)
    assert list((tmp_path / "d").iterdir()) == []
