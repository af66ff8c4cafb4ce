"""Paths that exist are themselves, folders are searched, and what is passed over is counted."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from corpus.outages import patient_storage
from corpus.settings import SettingsError
from corpus.storage import Store
from pipelines.sources.files import NO_DATA, FileInfo, find_files, named_in_unicode
from pipelines.sources.not_read import NotRead
from tests.helpers.outages import FakeTime, clock, storage_outage

__all__ = ["clock"]


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(*patterns: object, endings: tuple[str, ...] = (".parquet",), not_read: NotRead | None = None) -> list[str]:
    found = find_files([str(pattern) for pattern in patterns], endings, "files", not_read, NO_DATA)
    return [file.name for file in found]


def test_a_path_that_exists_is_that_path(tmp_path: Path) -> None:
    make(tmp_path, "laion [en]/part [1].parquet", "laion [en]/part 1.parquet", "laion e/x.parquet", "a::b?/*.parquet")
    assert names(tmp_path / "laion [en]/part [1].parquet") == ["part [1].parquet"]
    assert names(tmp_path / "laion [en]") == ["part 1.parquet", "part [1].parquet"]
    assert names(tmp_path / "laion [en]/*.parquet") == ["part 1.parquet", "part [1].parquet"]
    assert names(tmp_path / "laion [a-e]/*.parquet") == ["laion e/x.parquet"], "a glob where there is no such folder"
    assert names(tmp_path / "a::b?/*.parquet") == ["*.parquet"]
    assert names(f"file://{tmp_path}/a::b?") == ["*.parquet"]


def test_folders_that_a_glob_meets_are_searched(tmp_path: Path) -> None:
    make(tmp_path, "s/a.parquet", "s/b.parquet/part-0.parquet", "s/b.parquet/_SUCCESS", "s/b.parquet/x/y.PARQUET")
    assert names(tmp_path / "s/*.parquet") == ["a.parquet", "b.parquet/part-0.parquet", "b.parquet/x/y.PARQUET"]
    assert names(tmp_path / "s") == names(tmp_path / "s/*") == names(tmp_path / "s/*.parquet")
    assert names(tmp_path / "s/**/*.parquet") == names(tmp_path / "s"), "each once"


def test_a_listing_waits_for_a_store_that_is_away(memory_store: str, clock: FakeTime) -> None:
    store = Store(memory_store)
    for name in ("a.parquet", "b/c.parquet", "b/d.txt", "b/e.txt"):
        store.publish(name, b"x")
    not_read = NotRead()
    with storage_outage(clock, lambda *_: True) as outage, patient_storage(300):
        assert names(memory_store, not_read=not_read) == ["a.parquet", "b/c.parquet"]
    assert outage.refused > 2
    assert not_read.files == {"unsupported_extension": 2}, "each counted once"


def test_names_that_mark_no_data_are_passed_over_and_counted(tmp_path: Path) -> None:
    make(tmp_path, "d/_x/a.parquet", "d/.hidden.parquet", "d/_delta_log/0.json", "d/_year=2020/a.parquet", "d/_SUCCESS")
    not_read = NotRead()
    assert names(tmp_path / "d", not_read=not_read) == ["_year=2020/a.parquet"]
    assert not_read.files == {"hidden_file": 2}
    assert names(tmp_path / "d/_x/a.parquet", tmp_path / "d/_x", tmp_path / "d/_x/*") == 3 * ["a.parquet"], "asked for"
    videos = find_files([str(tmp_path / "d")], (".parquet",), "videos")
    assert [file.name for file in videos] == ["_x/a.parquet", "_year=2020/a.parquet"], "names of videos may begin so"


def test_files_with_other_endings_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "d/a.parquet", "d/b.csv", "d/e/c.csv", "d/e/README", "d/_SUCCESS")
    not_read = NotRead()
    assert names(tmp_path / "d", not_read=not_read) == ["a.parquet"]
    assert not_read.files == {"unsupported_extension": 3}
    assert any(line.startswith(f"not read (unsupported_extension): {tmp_path}/d/") for line in not_read.lines())
    with pytest.raises(SettingsError, match=r"files: .*d/e: no Parquet files there"):
        names(tmp_path / "d/e")


def test_links_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path, "blobs/1", "more/b.parquet")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a.parquet").symlink_to("../blobs/1")
    (tmp_path / "d/more").symlink_to("../more")
    (tmp_path / "d/again").symlink_to("../d")
    (tmp_path / "d/lost.parquet").symlink_to("nowhere")
    for pattern in ("d", "d/*"):
        not_read = NotRead()
        assert names(tmp_path / pattern, not_read=not_read)[:1] == ["a.parquet"]
        assert "more/b.parquet" in names(tmp_path / pattern)
        assert not_read.files["unreadable_file"] >= 1 and "a link to nothing" in "".join(not_read.lines())
    assert names(tmp_path / "d") == ["a.parquet", "more/b.parquet"]
    (found,) = find_files([str(tmp_path / "d/a.parquet")], (), "files")
    (tmp_path / "blobs/1").write_bytes(b"other")
    assert find_files([str(tmp_path / "d/a.parquet")], (), "files") != [found], "the content's version, not the link's"


def test_stores_are_searched_in_the_same_way() -> None:
    memory = fsspec.filesystem("memory")
    for name in ("a [1]/x.parquet", "a [1]/y.parquet/part-0.parquet", "a [1]/y.parquet/_SUCCESS", "a 1/z.parquet"):
        memory.pipe(f"/found/{name}", b"x")
    assert names("memory://found/a [1]/x.parquet") == ["x.parquet"]
    assert names("memory://found/a [1]") == ["x.parquet", "y.parquet/part-0.parquet"]
    assert names("memory://found/a [1]/*.parquet") == ["x.parquet", "y.parquet/part-0.parquet"]
    assert [file.url for file in find_files(["memory://found/a 1"], (".parquet",), "files")] == [
        "memory:///found/a 1/z.parquet"
    ]
    memory.rm("/found", recursive=True)


def test_folders_that_give_a_column_its_value() -> None:
    url = "s3://bucket/set/lang=en/year=__HIVE_DEFAULT_PARTITION__/what=a%2Fb/part.parquet"
    assert FileInfo(url, "part.parquet").partition == {"lang": "en", "year": None, "what": "a/b"}
    assert FileInfo("/data/x=1.parquet", "x=1.parquet").partition == {}


def test_names_that_are_not_utf_8_are_noted(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet")
    (tmp_path / os.fsdecode(b"\xff.parquet")).write_bytes(b"x")
    not_read = NotRead()
    found = find_files([str(tmp_path)], (".parquet",), "files", not_read, NO_DATA)
    assert [file.name for file in named_in_unicode(found, not_read)] == ["a.parquet"]
    assert not_read.files == {"bad_name": 1}
    "".join(not_read.lines()).encode()
