from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus import journal as module
from corpus.journal import MAX_BLOCK_ROWS, Journal, journal_folder, remove_finished
from corpus.media import MediaWriter
from corpus.schema import item_id
from corpus.storage import StorageError, Store
from corpus.workspace import TableKey, Workspace

SCHEMA = pa.schema([("url", pa.string()), ("offset", pa.int64()), ("size", pa.int64()), ("content", pa.large_binary())])
FOLDER = journal_folder("web", "download", "000000")
NAME = "000000.f"


def opened(store: Store, attempt: str, name: str = NAME, folder: str = FOLDER) -> Journal:
    return Journal(store, folder, name, attempt, SCHEMA, MediaWriter(store, f"media/{attempt}.tar"))


def content(number: int) -> bytes:
    return str(number).encode() * 10


def row(number: int) -> dict[str, Any]:
    """What is read of a row; every seventh has no item."""
    return {"url": f"u{number}", "content": content(number) if number % 7 else None}


def note(journal: Journal, numbers: range) -> None:
    for number in numbers:
        place: tuple[int | None, int | None] = (None, None)
        if number % 7:
            place = journal._media.add(item_id(content(number)), "bin", content(number))
        journal.add({**row(number), "offset": place[0], "size": place[1]})


def noted(store: Store, attempt: str = "reader", name: str = NAME) -> list[dict[str, Any]]:
    rows = [row for table in opened(store, attempt, name).read() for row in table.to_pylist()]
    found = [{"url": row["url"], "content": row["content"] or None} for row in rows]
    return sorted(found, key=lambda row: int(row["url"][1:]))


def test_the_next_attempt_reads_what_was_noted_and_the_last_one_removes_it(store_url: str) -> None:
    store = Store(store_url)
    assert noted(store) == []
    first = opened(store, "a")
    note(first, range(3 * MAX_BLOCK_ROWS + 5))
    first.close()
    assert noted(store) == [row(number) for number in range(3 * MAX_BLOCK_ROWS + 5)]
    assert noted(store, "a") == [], "an attempt does not read itself"
    assert noted(store, name="000000.g") == [], "nor another fingerprint"
    second = opened(store, "b")
    assert sum(table.num_rows for table in second.read()) == 3 * MAX_BLOCK_ROWS + 5
    note(second, range(1_000, 1_010))
    second.remove()
    assert noted(store) == []
    assert store.names("journals") == []


def test_a_killed_attempt_has_lost_a_few_blocks_at_most(tmp_path: Path) -> None:
    store = Store(tmp_path)
    journal = opened(store, "a")
    for number in range(10 * MAX_BLOCK_ROWS):
        note(journal, range(number, number + 1))
        if journal._writing is not None:
            journal._writing.result()
    assert len(noted(store)) == 10 * MAX_BLOCK_ROWS  # without an end
    journal.close()


def test_large_rows_and_slow_ones_make_blocks_of_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(Store(tmp_path), "a")
    journal.add({**row(1), "offset": 0, "size": module.MAX_BLOCK_BYTES})
    assert journal._written == 1
    assert journal._writing is not None
    journal._writing.result()
    monkeypatch.setattr(module, "_BLOCK_S", -1.0)
    journal.add({**row(2), "offset": 0, "size": 1})
    assert journal._written == 2
    journal.close()


def test_a_damaged_block_is_work_done_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    journal = opened(store, "a")
    note(journal, range(2 * MAX_BLOCK_ROWS))
    journal.close()
    blocks = sorted(path for path in (tmp_path / FOLDER).iterdir() if path.suffix != ".tar")
    whole = blocks[0].read_bytes()
    rows = [pa.ipc.open_stream(block.read_bytes()[4:]).read_all().num_rows for block in blocks]
    assert sum(rows) == 2 * MAX_BLOCK_ROWS
    for damaged in (b"", whole[:-1], whole[:100], bytes(len(whole)), whole[:300] + b"\xff" + whole[301:], b"1234"):
        blocks[0].write_bytes(damaged)
        assert len(noted(store)) == 2 * MAX_BLOCK_ROWS - rows[0]
    blocks[0].write_bytes(whole)
    assert len(noted(store)) == 2 * MAX_BLOCK_ROWS


def test_a_store_that_takes_nothing_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("planted")

    monkeypatch.setattr(Store, "publish", refuse)
    journal = opened(store, "a")
    note(journal, range(1_000))
    journal.close()
    journal.remove()
    assert noted(store) == []


def test_a_slow_store_bounds_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(Store, "publish", lambda *_, **__: release.wait(60))
    journal = opened(Store(tmp_path), "a")
    waiting = []
    for number in range(100):
        journal.add({**row(number), "offset": 0, "size": module.MAX_BLOCK_BYTES})
        waiting.append(journal._bytes)
    release.set()
    journal.close()
    assert 0 < max(waiting) <= 5 * module.MAX_BLOCK_BYTES


def test_two_attempts_at_the_same_time_do_each_other_no_harm(store_url: str) -> None:
    store = Store(store_url)
    first, late = opened(store, "a"), opened(store, "b")
    note(first, range(MAX_BLOCK_ROWS))
    first.close()
    blocks = late.read()
    assert next(blocks).num_rows == MAX_BLOCK_ROWS
    first.remove()  # its table is there
    assert list(blocks) == []
    note(late, range(MAX_BLOCK_ROWS))
    late.remove()
    assert store.names("journals") == []


def test_journals_of_tables_that_are_there_are_removed_and_no_others(store_url: str) -> None:
    workspace = Workspace(store_url)
    remove_finished(workspace)
    for shard, fingerprint in (("000000", "f"), ("000000", "g"), ("000001", "f"), ("000002", "f-g1")):
        folder = journal_folder("web", "download", shard)
        journal = opened(workspace.store, "a", f"{shard}.{fingerprint}", folder)
        note(journal, range(3))
        journal.close()
    for shard in ("000000", "000001", "000002"):
        path = TableKey("tables", "web", "download").path(shard, "f")
        workspace.write_table(path, pa.table({"a": [1]}), {})
    remove_finished(workspace)
    remaining = {
        name
        for shard in workspace.store.names("journals/web/download")
        for name in workspace.store.names(journal_folder("web", "download", shard))
    }
    tars = {"000000.g.a.tar", "000002.f-g1.a.tar"} if workspace.store.is_local else set()
    assert remaining == {"000000.g.a.000000", "000002.f-g1.a.000000"} | tars


def test_on_a_local_disk_nothing_is_written_twice_and_another_attempt_does_the_tar_no_harm(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, late = opened(store, "a"), opened(store, "b")
    note(first, range(1, 600))
    note(late, range(1, 600))
    second_name = tmp_path / FOLDER / f"{NAME}.a.tar"
    assert second_name.stat().st_ino != (tmp_path / FOLDER / f"{NAME}.b.tar").stat().st_ino
    late.close()
    blocks = [path for path in (tmp_path / FOLDER).iterdir() if ".b.0" in path.name]
    assert content(500) not in b"".join(path.read_bytes() for path in blocks)
    first._media.commit()
    assert second_name.stat().st_ino == (tmp_path / "media/a.tar").stat().st_ino, "the same file"
    first.remove()  # its table is there, and with its journal the names of the other's tar are gone
    late._media.commit()
    late.remove()
    assert (tmp_path / "media/b.tar").read_bytes() == (tmp_path / "media/a.tar").read_bytes()
    assert not (tmp_path / "journals").exists()


def test_a_tar_that_ends_early_costs_the_blocks_behind_its_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    journal = opened(store, "a")
    for number in range(1, 3 * MAX_BLOCK_ROWS + 1):
        note(journal, range(number, number + 1))
        if journal._writing is not None:
            journal._writing.result()
    tar = tmp_path / FOLDER / f"{NAME}.a.tar"
    os.truncate(tar, tar.stat().st_size // 2)
    assert noted(store) == [row(number) for number in range(1, MAX_BLOCK_ROWS + 1)]
