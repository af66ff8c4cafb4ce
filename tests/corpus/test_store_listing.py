from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from corpus.store_listing import expand_glob, files_below, has_file, has_folder
from tests.helpers.outages import FakeTime, clock, storage_outage

__all__ = ["clock"]

FILES = ["a.txt", "b/c.txt", "b/d.bin", "b/e/f.txt", "b/e [1]/g.txt", "h.txt/i.txt", "b/.hidden.txt", "x1/y/z.txt"]
PATTERNS = [
    "*",
    "*.txt",
    "b/*",
    "b/*.txt",
    "*/*.txt",
    "**",
    "**/*.txt",
    "b/**/*.txt",
    "*/e/*.txt",
    "x?/y/z.txt",
    "x[0-9]/*/z.txt",
    "none/*",
    "b/[!d]*",
]


class Tree(MemoryFileSystem):
    """A store that is listed folder by folder, as fsspec does it where a file system knows no better."""

    find = AbstractFileSystem.find


@pytest.fixture(params=["memory", "tree", "s3"])
def root(request: pytest.FixtureRequest) -> tuple[Any, str]:
    """A store with files, and the folder that they lie in."""
    if request.param == "tree":
        fs, path = Tree(), "/tree"
    else:
        fs, path = fsspec.url_to_fs(request.getfixturevalue(f"{request.param}_store"), use_listings_cache=False)
    for name in FILES:
        fs.pipe_file(f"{path}/{name}", b"x")
    return fs, path


def test_files_and_folders_are_found_as_fsspec_finds_them(root: tuple[Any, str]) -> None:
    fs, path = root
    assert set(files_below(fs, path)) == {f"{path}/{name}" for name in FILES} == set(fs.find(path))
    assert files_below(fs, f"{path}/none") == {}
    assert has_file(fs, f"{path}/a.txt") and not has_folder(fs, f"{path}/a.txt")
    assert has_folder(fs, f"{path}/b") and not has_file(fs, f"{path}/b")
    assert not has_file(fs, f"{path}/none") and not has_folder(fs, f"{path}/none")


def test_globs_mean_what_they_mean_to_fsspec(root: tuple[Any, str]) -> None:
    fs, path = root
    found = {pattern: {name.rstrip("/") for name in expand_glob(fs, path, pattern)} for pattern in PATTERNS}
    expected = {pattern: {name.rstrip("/") for name in fs.glob(f"{path}/{pattern}")} for pattern in PATTERNS}
    for pattern in PATTERNS:
        expected[pattern].discard(path)  # of `**` fsspec gives the folder itself, too
    assert found == expected
    assert all(found[pattern] for pattern in PATTERNS if pattern != "none/*")


def test_a_store_that_is_away_has_no_empty_folders(clock: FakeTime) -> None:
    fs, path = Tree(), "/tree"
    for name in FILES:
        fs.pipe_file(f"{path}/{name}", b"x")
    calls: list[Callable[[], Any]] = [
        lambda: files_below(fs, path),
        lambda: expand_glob(fs, path, "*/*.txt"),
        lambda: expand_glob(fs, path, "**/*.txt"),
        lambda: has_file(fs, f"{path}/a.txt"),
        lambda: has_folder(fs, f"{path}/b"),
    ]
    for call in calls:
        with storage_outage(clock, lambda *_: True), pytest.raises(ConnectionError, match="planted"):
            call()
    with storage_outage(clock, lambda kind, path: path.endswith("/b/e")), pytest.raises(ConnectionError):
        files_below(fs, path)  # in the middle
