"""From a source to shards that are named by their rows, and the index that is written last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.settings import SettingsError
from corpus.stage import ROWS
from corpus.storage import Store
from corpus.workspace import TableKey, Workspace
from pipelines.sources.source_shards import (
    SourceIndex,
    check_source,
    find_index,
    source_fingerprint,
    write_source_shards,
)

SHARD_ROWS = 5
SCHEMA = pa.schema([("url", pa.string()), ("text", pa.string()), ("width", pa.int32()), ("licence", pa.string())])


class ToySource:
    """`total` rows in the same order every time, cut from one table; raises after `breaks_after` shards."""

    def __init__(self, total: int, version: int = 1, breaks_after: int | None = None) -> None:
        self.total, self.version, self.breaks_after = total, version, breaks_after
        self.counts: dict[str, int] = {}

    def identity(self) -> dict[str, Any]:
        return {"total": self.total, "version": self.version}

    def shards(self) -> Iterator[pa.Table]:
        # Nulls, because a slice shares bytes of the bitmap that says where they are with its neighbours.
        whole = pa.Table.from_pylist([toy_row(number) for number in range(self.total)], SCHEMA)
        self.counts = {"read": 2 * self.total, "no_url": 3, "not_sampled": self.total - 3}
        for number, start in enumerate(range(0, self.total, SHARD_ROWS)):
            if number == self.breaks_after:
                raise OSError("the source went away")
            yield whole.slice(start, SHARD_ROWS)


def toy_row(number: int) -> dict[str, Any]:
    odd = {"text": f"text {number}", "width": number}
    return {"url": f"http://example.org/{number}", "licence": "", **(odd if number % 2 else {})}


def take(workspace: Workspace, source: ToySource) -> SourceIndex:
    return write_source_shards(workspace, "toy", source, source_fingerprint(source))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are written, in order."""
    paths: list[str] = []
    publish = Store.publish

    def noted(self: Store, path: str, data: bytes) -> None:
        publish(self, path, data)
        paths.append(path)

    monkeypatch.setattr(Store, "publish", noted)
    return paths


def test_rows_become_shards_and_an_index(store_url: str) -> None:
    workspace = Workspace(store_url)
    source = ToySource(12)
    name = source_fingerprint(source)
    assert find_index(workspace, "toy", name) is None
    index = write_source_shards(workspace, "toy", source, name)
    assert find_index(workspace, "toy", name) == index
    assert index.fingerprint == name
    assert [shard for shard, _ in index.shards] == ["000000", "000001", "000002"]
    assert index.rows == 12
    assert index.counts == {"read": 24, "no_url": 3, "not_sampled": 9}
    table_key = TableKey("tables", "toy", ROWS)
    tables = [workspace.read_table(table_key.path(shard, name)) for shard, name in index.shards]
    assert [table.num_rows for table in tables] == [5, 5, 2]
    rows = pa.concat_tables(tables)
    assert rows.select(SCHEMA.names).to_pylist() == [{**dict.fromkeys(SCHEMA.names), **toy_row(n)} for n in range(12)]
    assert rows.column("status").to_pylist() == ["kept"] * 12
    assert rows.column("reason").to_pylist() == [""] * 12
    assert workspace.tables(table_key) == {shard: {name} for shard, name in index.shards}


def test_the_index_is_written_last(tmp_path: Any, published: list[str]) -> None:
    index = take(Workspace(tmp_path), ToySource(12))
    assert published[-1] == f"tables/toy/rows/index.{index.fingerprint}.json"
    assert [path.endswith(".parquet") for path in published] == [True, True, True, False]


def test_a_source_that_breaks_leaves_no_index_and_goes_on_where_it_was(tmp_path: Any, published: list[str]) -> None:
    workspace = Workspace(tmp_path)
    broken = ToySource(12, breaks_after=2)
    with pytest.raises(OSError, match="went away"):
        take(workspace, broken)
    assert find_index(workspace, "toy", source_fingerprint(broken)) is None
    assert len(published) == 2
    take(workspace, ToySource(12))
    assert [path.rpartition("/")[2].partition(".")[0] for path in published[2:]] == ["000002", "index"]


def test_a_sample_that_grows_keeps_its_shards(tmp_path: Any, published: list[str]) -> None:
    workspace = Workspace(tmp_path)
    small = take(workspace, ToySource(12))
    published.clear()
    large = take(workspace, ToySource(20))
    assert large.fingerprint != small.fingerprint
    assert large.shards[:2] == small.shards[:2]
    assert large.shards[2] != small.shards[2], "two rows before, five now"
    assert len([path for path in published if path.endswith(".parquet")]) == 2, "what lies there is not written again"
    assert find_index(workspace, "toy", small.fingerprint) == small, "going back finds the old shards"


def test_a_source_that_changed_but_says_the_same_keeps_its_shards(tmp_path: Any, published: list[str]) -> None:
    workspace = Workspace(tmp_path)
    before = take(workspace, ToySource(12))
    published.clear()
    after = take(workspace, ToySource(12, version=2))
    assert after.fingerprint != before.fingerprint
    assert after.shards == before.shards
    assert published == [f"tables/toy/rows/index.{after.fingerprint}.json"]


def test_a_changed_row_changes_its_shard_only(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = take(Workspace(tmp_path), ToySource(12))
    original = toy_row
    monkeypatch.setattr(f"{__name__}.toy_row", lambda n: {**original(n), **({"width": 1} if n == 6 else {})})
    after = take(Workspace(tmp_path), ToySource(12, version=2))
    assert [old == new for old, new in zip(before.shards, after.shards, strict=True)] == [True, False, True]


@pytest.mark.parametrize("pieces", [[12], [5, 7], [1, 2, 3, 6]])
def test_a_shards_name_does_not_depend_on_how_its_rows_were_put_together(tmp_path: Any, pieces: list[int]) -> None:
    class Pieced(ToySource):
        def shards(self) -> Iterator[pa.Table]:
            (whole,) = [pa.concat_tables(super().shards())]
            starts = [sum(pieces[:n]) for n in range(len(pieces))]
            yield pa.concat_tables([whole.slice(start, size) for start, size in zip(starts, pieces, strict=True)])

    rows = pa.Table.from_pylist([toy_row(number) for number in range(12)], SCHEMA)

    class Whole(ToySource):
        def shards(self) -> Iterator[pa.Table]:
            yield rows

    assert take(Workspace(tmp_path), Pieced(12)).shards == take(Workspace(tmp_path), Whole(12)).shards


def test_a_source_without_rows_has_no_shards(tmp_path: Any) -> None:
    index = take(Workspace(tmp_path), ToySource(0))
    assert (index.shards, index.rows) == ((), 0)


class Triples(ToySource):
    """Rows that belong together, three by three, whatever shards they come to lie in."""

    def shards(self) -> Iterator[pa.Table]:
        for number, table in enumerate(super().shards()):
            rows = range(number * SHARD_ROWS, number * SHARD_ROWS + table.num_rows)
            yield table.append_column("home_shard", pa.array([row // 3 * 3 // SHARD_ROWS for row in rows], pa.int32()))


def test_rows_that_go_on_in_later_shards_are_noted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    # 0-2 | 3 4 + 5 | 6-8 | 9 + 10 11 | 12-14
    index = take(workspace, Triples(15))
    assert index.continues_in == {"000000": 1, "000001": 1}
    found = find_index(workspace, "toy", source_fingerprint(Triples(15)))
    assert found == index
    assert take(workspace, ToySource(15)).continues_in == {}


class WithCredentials(ToySource):
    """Every third URL has some, and so has one video that is named by its URL, and a malformed record."""

    notes = {"faults": ["http://me:secret@example.org/list.jsonl, line 1: not_json"]}

    def shards(self) -> Iterator[pa.Table]:
        for table in super().shards():
            urls = [
                url.replace("://", "://me:secret@") if int(url.rpartition("/")[2]) % 3 == 0 else f"{url}?at=a@b"
                for url in table.column("url").to_pylist()
            ]
            table = table.set_column(0, SCHEMA.field("url"), pa.array(urls))
            table = table.append_column("video", pa.array([url.replace("?at=a@b", "") for url in urls]))
            error = pa.array(["<http://me:secret@example.org/> refused"] * table.num_rows)
            yield table.append_column("download_error", error)


def test_credentials_are_taken_off_urls_before_anything_is_written_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    publish = Store.publish
    monkeypatch.setattr(Store, "publish", lambda self, path, data: written.append(data) or publish(self, path, data))
    workspace = Workspace(tmp_path)
    index = take(workspace, WithCredentials(12))
    assert index.notes == {"faults": ["http://example.org/list.jsonl, line 1: not_json"], "credentials_removed": 4}
    assert find_index(workspace, "toy", index.fingerprint) == index
    tables = [workspace.read_table(TableKey("tables", "toy", ROWS).path(*shard)) for shard in index.shards]
    rows = pa.concat_tables(tables)
    plain = [f"http://example.org/{number}" for number in range(12)]
    assert rows.column("video").to_pylist() == plain
    assert rows.column("url").to_pylist() == [f"{url}?at=a@b" if at % 3 else url for at, url in enumerate(plain)]
    assert set(rows.column("download_error").to_pylist()) == {"<http://example.org/> refused"}
    assert len(written) == 4 and not any(b"secret" in data for data in written)
    assert "credentials_removed" not in take(workspace, ToySource(12)).notes


class CheckedSource(ToySource):
    """A source that counts its checks, and notes a file that it leaves out; damaged, it has nothing to read."""

    def __init__(self, version: int, damaged: bool = False) -> None:
        super().__init__(5, version)
        self.checks, self.damaged, self.notes = 0, damaged, {}

    def check(self) -> None:
        self.checks += 1
        if self.damaged:
            raise SettingsError("nothing can be read")
        self.notes = {"not_read": {"lines": ["one.parquet: cut off"]}}


def check(workspace: Workspace, source: CheckedSource) -> Any:
    return check_source(workspace, "toy", source, source_fingerprint(source))


def test_a_source_is_checked_once_for_each_fingerprint(store_url: str) -> None:
    workspace = Workspace(store_url)
    first, again, other = CheckedSource(1), CheckedSource(1), CheckedSource(2)
    expected = {"not_read": {"lines": ["one.parquet: cut off"]}}
    assert [check(workspace, source) for source in (first, again, other)] == [expected] * 3
    assert [source.checks for source in (first, again, other)] == [1, 0, 1]
    assert find_index(workspace, "toy", source_fingerprint(first)) is None, "it is not read"


def test_a_check_that_fails_is_made_again(tmp_path: Path) -> None:
    source = CheckedSource(1, damaged=True)
    for _ in range(2):
        with pytest.raises(SettingsError, match="nothing can be read"):
            check(Workspace(tmp_path), source)
    assert source.checks == 2
