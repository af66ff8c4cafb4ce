from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.outages import patient_storage
from corpus.storage import StorageError, Store
from tests.helpers.outages import FakeTime, clock

__all__ = ["clock"]


class Flaky(io.BytesIO):
    """A file of a client: its second read fails, in the middle, as often as requested."""

    failures = 0
    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > 1 and self.failures:
            self.failures -= 1
            super().read(3)  # the place is another one now
            raise ConnectionResetError("planted")
        return super().read(size)


def opened(store: Store, monkeypatch: pytest.MonkeyPatch, data: bytes, failures: int) -> Flaky:
    file = Flaky(data)
    file.failures = failures
    monkeypatch.setattr(type(store.fs), "open", lambda *_: file)
    return file


def test_reads_are_made_again_at_their_place(clock: FakeTime, memory_store: str, monkeypatch) -> None:
    store, data = Store(memory_store), bytes(range(256)) * 400
    opened(store, monkeypatch, data, failures=4)
    with patient_storage(300), store.open("one.bin") as file:
        assert file.read(10_000) == data[:10_000]
        file.seek(50_000)
        assert file.read(20_000) == data[50_000:70_000]
        assert file.seek(-5, io.SEEK_END) == len(data) - 5
        assert file.read() == data[-5:]
    assert len(clock.pauses) == 4


def test_an_error_in_the_middle_names_the_file(memory_store: str, monkeypatch) -> None:
    store = Store(memory_store)
    opened(store, monkeypatch, bytes(100_000), failures=1)
    with store.open("one.bin") as file, pytest.raises(StorageError, match=r"one\.bin: planted"):
        while file.read(20_000):
            pass


def test_arrow_and_text_are_read_through_it(store_url: str) -> None:
    store = Store(store_url)
    sink = io.BytesIO()
    table = pa.table({"a": range(50_000), "b": [str(n) for n in range(50_000)]})
    pq.write_table(table, sink, row_group_size=9_000)
    store.publish("t.parquet", sink.getvalue())
    with store.open_native("t.parquet") as file:
        assert pq.ParquetFile(file).read(columns=["b"]) == table.select(["b"])
    store.publish("t.txt", b"one\ntwo\n")
    with store.open("t.txt") as file:
        assert list(io.TextIOWrapper(file)) == ["one\n", "two\n"]
