from __future__ import annotations

import asyncio
import os
import pickle
import stat
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from fsspec.asyn import AsyncFileSystem

from corpus.read_ahead import AT_ONCE
from corpus.storage import CONNECTIONS, MissingError, StorageError, Store, is_absolute
from tests.helpers.cases import cases

ODD_NAMES = ["a#b.bin", "a b.bin", "100%.bin", "a%20b.bin", "ünï.bin", "a?b&c=d+e.bin"]


def test_what_is_published_is_read_back(store_url: str) -> None:
    store = Store(store_url)
    store.publish("deep/er/one.bin", b"0123456789")
    assert store.read("deep/er/one.bin") == b"0123456789"
    assert store.size("deep/er/one.bin") == 10
    assert store.exists("deep/er/one.bin") and store.exists("deep/er") and not store.exists("deep/er/two.bin")
    assert store.names("deep") == ["er"]
    assert store.names("deep/er") == ["one.bin"]
    with store.open("deep/er/one.bin") as file:
        file.seek(4)
        assert file.read(3) == b"456"
    store.publish("deep/er/one.bin", b"other")
    assert store.read("deep/er/one.bin") == b"other"
    store.remove("deep/er/one.bin")
    store.remove("deep/er/one.bin")
    assert not store.exists("deep/er/one.bin")


def test_arrow_reads_local_files_itself(store_url: str) -> None:
    store = Store(store_url)
    store.publish("a/b.bin", b"0123456789")
    with store.open_native("a/b.bin") as file:
        assert isinstance(file, pa.NativeFile) == store.is_local
        file.seek(3)
        assert file.read(4) == b"3456"
    with pytest.raises(FileNotFoundError):
        store.open_native("a/none.bin")


def test_of_a_file_of_others_no_more_is_read_than_may_be(store_url: str) -> None:
    store = Store(store_url)
    store.publish("one.bin", b"0123456789")
    assert store.read_bounded("one.bin", 10) == b"0123456789"
    with pytest.raises(ValueError, match=r"^more than 9 bytes$"):
        store.read_bounded("one.bin", 9)


def test_a_folder_is_removed_with_its_files(store_url: str) -> None:
    store = Store(store_url)
    store.publish("a/b/c/one.bin", b"1")
    store.publish("a/other/two.bin", b"2")
    store.remove_folder("a/b/c")
    store.remove_folder("a/none")
    assert store.names("a") == ["other"]
    store.remove_folder("a/other")
    assert store.names("") == []


def test_what_is_absent(store_url: str) -> None:
    store = Store(store_url)
    assert store.names("nowhere") == []
    for attempt in (store.read, store.open, store.size, lambda path: store.read_ranges([(path, 0, 1)])):
        with pytest.raises(MissingError, match=r"nowhere\.bin") as raised:
            attempt("nowhere.bin")
        assert isinstance(raised.value, FileNotFoundError)
        assert isinstance(raised.value, StorageError)


def test_a_writer_publishes_whole_files_only(store_url: str) -> None:
    store = Store(store_url)
    with store.writer("a/one.bin") as file:
        file.write(b"first")
        file.flush()
        assert not store.exists("a/one.bin")
        assert store.names("a") == []
    assert store.read("a/one.bin") == b"first"
    with store.writer("a/one.bin") as file:
        file.write(b"second")
        file.flush()
        assert store.read("a/one.bin") == b"first"
    assert store.read("a/one.bin") == b"second"


def test_a_writer_whose_block_raises_leaves_nothing(store_url: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    store = Store(store_url)
    with pytest.raises(KeyError, match="planted"), store.writer("a/one.bin") as file:
        file.write(b"half")
        raise KeyError("planted")
    assert not store.exists("a/one.bin")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_upload_that_fails_leaves_nothing(s3_store: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = Store(f"s3://absent-{uuid.uuid4().hex}/work")
    with pytest.raises(StorageError, match="absent-"), store.writer("one.bin") as file:
        file.write(b"whole")
    with pytest.raises(StorageError, match="absent-"):
        store.publish("one.bin", b"whole")
    assert list(tmp_path.iterdir()) == []


def test_a_rename_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.bin").mkdir()  # a folder stands where the file should go
    with pytest.raises(StorageError, match=r"one\.bin"):
        Store(tmp_path).publish("one.bin", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["one.bin"]


def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match=r"pipe: is no file, and is not replaced"):
        Store(str(tmp_path)).publish("pipe", b"0123")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("unnamed", [True, False], ids=["unnamed", "named"])
def test_what_a_killed_writer_leaves_is_not_listed(tmp_path: Path, unnamed: bool) -> None:
    code = (
        "import os, signal, sys; from corpus.storage import Store\n"
        f"{'' if unnamed else 'del os.O_TMPFILE'}\n"
        "file = Store(sys.argv[1]).create('one.bin').file\n"
        "file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False)
    assert killed.returncode == -9
    left = [path.name for path in tmp_path.iterdir()]
    if unnamed and hasattr(os, "O_TMPFILE"):
        assert left == []
    else:
        assert len(left) == 1 and left[0].startswith(".one.bin.") and left[0].endswith(".tmp")
    assert Store(tmp_path).names("") == []
    Store(tmp_path).publish("one.bin", b"whole")
    assert Store(tmp_path).names("") == ["one.bin"]


def test_where_files_must_have_a_name_they_appear_whole_too(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    Store(tmp_path).publish("a/one.bin", b"whole")
    with pytest.raises(ZeroDivisionError), Store(tmp_path).writer("a/two.bin") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "a").iterdir()] == [("one.bin", b"whole")]


def test_files_get_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        Store(tmp_path).publish("a/one.bin", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a/one.bin").stat().st_mode) == 0o640


@cases("name", ODD_NAMES)
def test_odd_names(store_url: str, name: str) -> None:
    store = Store(f"{store_url}/{name} folder")
    store.publish(f"b/{name}", b"0123456789")
    assert store.names("b") == [name]
    assert store.read(f"b/{name}") == b"0123456789"
    assert store.read_ranges([(f"b/{name}", 7, 2)]) == [b"78"]
    with store.open(f"b/{name}") as file:
        assert file.read() == b"0123456789"
    store.remove(f"b/{name}")
    assert not store.exists(f"b/{name}")


def test_ranges_come_in_the_order_asked_for(store_url: str) -> None:
    store = Store(store_url)
    contents = {f"{n}.bin": bytes(range(n, n + 100)) for n in range(5)}
    for name, content in contents.items():
        store.publish(name, content)
    ranges = [(f"{n * 7 % 5}.bin", n * 13 % 90, n % 11) for n in range(60)]
    assert any(size == 0 for _, _, size in ranges)
    wanted = [contents[name][offset : offset + size] for name, offset, size in ranges]
    assert store.read_ranges(ranges) == wanted
    assert store.read_ranges([]) == []


class Meeting(AsyncFileSystem):
    """Answers no one before eight have asked."""

    protocol = "meeting"
    asked = 0

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: object) -> bytes:
        self.asked += 1
        if self.asked == 1:
            self.complete = asyncio.Event()
        if self.asked == 8:
            self.complete.set()
        await asyncio.wait_for(self.complete.wait(), timeout=20)
        return f"{start}-{end}".encode()


def test_ranges_of_an_object_store_are_asked_for_together() -> None:
    fsspec.register_implementation("meeting", Meeting, clobber=True)
    ranges = [(f"{n}.bin", 10 + n, 5) for n in range(8)]
    assert Store("meeting://room").read_ranges(ranges) == [f"{10 + n}-{15 + n}".encode() for n in range(8)]


@pytest.mark.parametrize("offset", [7, 10, 20])
def test_a_range_past_the_end_is_an_error(store_url: str, offset: int) -> None:
    store = Store(store_url)
    store.publish("one.bin", b"0123456789")
    with pytest.raises(StorageError, match=r"one\.bin"):
        store.read_ranges([("one.bin", 0, 2), ("one.bin", offset, 5)])


def test_the_error_names_the_file_among_many(store_url: str) -> None:
    store = Store(store_url)
    store.publish("there.bin", b"0123456789")
    with pytest.raises(MissingError, match=r"gone\.bin"):
        store.read_ranges([("there.bin", 0, 2), ("gone.bin", 0, 2), ("there.bin", 4, 2)])


def test_two_colons_in_a_local_path_are_no_chain_of_file_systems(tmp_path: Path) -> None:
    store = Store(tmp_path / "a::b")
    store.publish("c::d.bin", b"1")
    assert store.names("") == ["c::d.bin"]
    assert store.exists("c::d.bin") and store.read("c::d.bin") == b"1"


def test_other_roots_are_read_where_they_lie(store_url: str, memory_store: str, s3_store: str, tmp_path: Path) -> None:
    memory_store, s3_store = f"{memory_store}-other", f"{s3_store}-other"
    local = tmp_path / "else where#.bin"
    local.write_bytes(b"local")
    Store(memory_store).publish("x.bin", b"memory")
    Store(s3_store).publish("x.bin", b"s3")
    store = Store(store_url)
    store.publish("x.bin", b"own")
    paths = ["x.bin", str(local), f"file://{local}", f"{memory_store}/x.bin", f"{s3_store}/x.bin"]
    contents = [b"own", b"local", b"local", b"memory", b"s3"]
    assert [store.read(path) for path in paths] == contents
    assert [store.size(path) for path in paths] == [len(content) for content in contents]
    assert all(store.exists(path) for path in paths)
    assert store.read_ranges([(path, 1, 1) for path in paths]) == [content[1:2] for content in contents]
    for path, content in zip(paths, contents, strict=True):
        with store.open(path) as file:
            assert file.read() == content
    assert store.names(memory_store) == ["x.bin"]
    assert store.names(s3_store) == ["x.bin"]
    assert local.name in store.names(f"file://{tmp_path}")
    store.publish(f"{memory_store}/y.bin", b"written")
    assert Store(memory_store).read("y.bin") == b"written"


def test_a_listing_sees_what_others_wrote_a_moment_ago(s3_store: str) -> None:
    store = Store(s3_store)
    store.publish("a/one.bin", b"1")
    assert store.names("a") == ["one.bin"]
    other = fsspec.filesystem("s3", skip_instance_cache=True)
    other.pipe_file(f"{s3_store}/a/two.bin", b"2")
    assert store.names("a") == ["one.bin", "two.bin"]
    assert store.exists("a/two.bin")
    other.rm_file(f"{s3_store}/a/one.bin")
    assert store.names("a") == ["two.bin"]


def test_the_marker_of_a_folder_is_not_in_it(s3_store: str) -> None:
    fsspec.filesystem("s3").pipe_file(f"{s3_store}/a/", b"")  # as web consoles make folders
    Store(s3_store).publish("a/one.bin", b"1")
    assert Store(s3_store).names("a") == ["one.bin"]


def test_a_pickled_store_opens_its_own_file_system(store_url: str) -> None:
    store = Store(store_url)
    store.publish("one.bin", b"1")
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301
    assert copy.url == store.url
    assert copy.read("one.bin") == b"1"


def test_a_server_that_is_away_is_a_storage_error(s3_store: str, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    try:
        with pytest.raises(StorageError, match=r"nowhere/one\.bin"):
            Store("s3://nowhere").read("one.bin")
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_store_has_as_many_connections_as_threads_ask_for(s3_store: str, monkeypatch) -> None:
    store = Store(s3_store)
    store.publish("one.bin", b"1")  # which opens the client
    assert store.fs.s3.meta.config.max_pool_connections == CONNECTIONS > AT_ONCE
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"max_pool_connections": 3, "read_timeout": 7}})
    configured = Store(s3_store)
    configured.names("")
    config = configured.fs.s3.meta.config
    assert (config.max_pool_connections, config.read_timeout) == (3, 7), "what the user says counts"


def test_the_environment_of_fsspec_names_another_s3_too(s3_store: str, s3_server: str, monkeypatch) -> None:
    Store(s3_store).publish("one.bin", b"1")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", s3_server)  # read when fsspec is imported
    root = Path(__file__).parents[2]
    code = "import sys; from corpus.storage import Store; print(Store(sys.argv[1]).names(''))"
    shown = subprocess.run([sys.executable, "-c", code, s3_store], cwd=root, check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "['one.bin']"


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(StorageError, match="nosuch"):
        Store("nosuch://bucket").read("one.bin")


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("s3://bucket/work/", "s3://bucket/work"),
        ("s3://bucket", "s3://bucket"),
        ("memory://", "memory://"),
        ("/", "/"),
        ("/data/work/", "/data/work"),
        ("file:///data/work", "/data/work"),
        ("local:///data/work", "/data/work"),
        ("/data/a:b#c", "/data/a:b#c"),
    ],
)
def test_the_root_of_a_store(url: str, root: str) -> None:
    assert Store(url).url == root
    assert Store(url).is_local == root.startswith("/")


def test_the_home_and_the_current_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.chdir(tmp_path)
    assert Store("~/work").url == "/home/someone/work"
    assert Store("work").url == str(tmp_path / "work")


def test_the_root_of_the_memory_file_system() -> None:
    name = uuid.uuid4().hex
    Store("memory://").publish(f"{name}/one.bin", b"1")
    assert Store(f"memory://{name}").names("") == ["one.bin"]
    assert name in Store("memory://").names("")


def test_absolute_paths() -> None:
    assert is_absolute("/a") and is_absolute("s3://a/b") and not is_absolute("a/b")
