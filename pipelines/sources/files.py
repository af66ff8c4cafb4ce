"""Finds the files that paths, folders and globs stand for, on this machine or in a store.

A path that exists is that path, whatever characters are in it. Folders, and folders that a glob meets, are searched
with those below. Tables that Spark or another engine has written are folders of parts, maybe in folders that give a
column its value (`lang=en/part-0.parquet`).
"""

from __future__ import annotations

import copy
import glob
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import fsspec

from corpus.outages import wait_out
from corpus.printable import printable
from corpus.settings import SettingsError
from corpus.storage import missing_package, storage_errors
from corpus.store_listing import expand_glob, files_below, has_file, has_folder
from pipelines.sources.not_read import NotRead

HIDDEN = (".",)  # names that begin so are left out of folders
NO_DATA = (".", "_")  # of tables: _SUCCESS, _temporary, _delta_log and the like are no data

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_GLOB_CHARACTERS = "*?["


@dataclass(frozen=True)
class FileInfo:
    """A file, or a URL on the web that was not requested yet. `version` changes when its content does."""

    url: str  # of a local file its absolute path
    name: str  # path below the folder that was searched; of a single file its name
    size: int = 0
    version: str = ""

    @property
    def is_local(self) -> bool:
        """Whether the file lies on a local file system."""
        return "://" not in self.url

    @property
    def partition(self) -> dict[str, str | None]:
        """Column -> value, of the folders that give one to all rows of the file (`lang=en`); the innermost counts."""
        folders = (part.partition("=") for part in self.url.split("/")[:-1])
        pairs = {unquote(name): unquote(value) for name, mark, value in folders if mark and name}
        return {name: None if value == _NULL_PARTITION else value for name, value in pairs.items()}


def find_files(
    patterns: Sequence[str],
    endings: Collection[str],
    what: str,
    not_read: NotRead | None = None,
    hidden: tuple[str, ...] = HIDDEN,
    may_lack: bool = False,
) -> list[FileInfo]:
    """Finds what paths, folders (with those below) and globs stand for, in order; a file may come several times.

    Of folders, files with one of the `endings`; names that begin with one of `hidden` are left out, as files and as
    folders below. Files that are left out go into `not_read`. Raises SettingsError for a pattern that finds nothing,
    unless it `may_lack`; StorageError where a store cannot be listed.
    """
    all_files = []
    for pattern in patterns:
        search = _Search(tuple(endings), hidden, not_read or NotRead())
        files = search.find(pattern, what)
        if not files and not may_lack:
            expected = f", or none of {', '.join(endings)}" if any(endings) else ""
            missing = "no Parquet files there" if {*endings} == {".parquet"} else f"no files there{expected}"
            raise SettingsError(f"{what}: {pattern}: {missing}")
        search.note_others()
        all_files += files
    return all_files


def is_unicode(name: str) -> bool:
    """Tells whether a file's name is Unicode, as tables want their texts."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def named_in_unicode(files: Iterable[FileInfo], not_read: NotRead | None = None) -> list[FileInfo]:
    """Selects the files whose names a table can hold; the others are noted."""
    selected = []
    for file in files:
        if is_unicode(file.url):
            selected.append(file)
        elif not_read is not None:
            not_read.add_file("bad_name", printable(file.url), "its name is not UTF-8")
    return selected


_Stat = tuple[int, str]  # size and version of a file


class _Search:
    """Finds the files of one pattern, and counts those that it passes over."""

    def __init__(self, endings: tuple[str, ...], hidden: tuple[str, ...], not_read: NotRead) -> None:
        self._endings, self._hidden, self._not_read = endings, hidden, not_read
        self._others: dict[str, list[Any]] = {}  # ending -> the first file that has it, and how many have

    def find(self, pattern: str, what: str) -> list[FileInfo]:
        """Finds the files of a pattern, by name."""
        fs, path = _file_system(pattern, what)
        before = copy.deepcopy(self._others)

        def found() -> tuple[str, dict[str, _Stat]]:
            self._others = copy.deepcopy(before)
            with storage_errors(pattern):
                return self._find_local(path) if fs is None else self._find_stored(fs, path)

        root, stats = wait_out(found, pattern if fs is not None else "")
        return [
            FileInfo(name if fs is None else str(fs.unstrip_protocol(name)), name.removeprefix(root).lstrip("/"), *stat)
            for name, stat in sorted(stats.items())
        ]

    def note_others(self) -> None:
        """Notes which files were passed over for their endings."""
        for ending, (first, count) in self._others.items():
            more = f"and {count - 1} more that end in {ending or 'nothing'}" if count > 1 else ""
            self._not_read.add_file("unsupported_extension", first, more, count)

    def _find_local(self, path: str) -> tuple[str, dict[str, _Stat]]:
        """Finds the files of a local path: the folder that was searched, and the files; links are followed."""
        exact = Path(path)
        if exact.is_file():  # first: names may well have brackets in them
            return str(exact.parent), {path: _stat(exact.stat())}
        if exact.is_dir():
            return path, self._select(path, walk(path))
        root, rest = _existing_root(path, lambda folder: Path(folder).is_dir())
        found: dict[str, _Stat] = {}
        for below in sorted(_globbed(root, rest)):
            each = Path(root, below)
            if each.is_dir():
                found |= {} if self._is_hidden(below) else self._select(str(each), walk(str(each)))
            elif not each.exists():
                self._not_read.add_file("unreadable_file", str(each), "a link to nothing")
            elif not self._is_marker(below, rest):
                found[str(each)] = _stat(each.stat())
        return root, found

    def _find_stored(self, fs: Any, path: str) -> tuple[str, dict[str, _Stat]]:
        """Finds the files of a path in a store, as `_find_local`."""
        if has_file(fs, path):
            return str(PurePosixPath(path).parent), {path: _stored_stat(fs.info(path))}
        if has_folder(fs, path):
            return path.rstrip("/"), self._select(path.rstrip("/"), _listed(fs, path))
        root, rest = _existing_root(path, partial(has_folder, fs))
        found: dict[str, _Stat] = {}
        globbed = expand_glob(fs, root, rest) if _is_glob(rest) else {}
        for name, info in sorted(globbed.items()):
            below = name.removeprefix(root)
            if info["type"] == "directory":
                found |= {} if self._is_hidden(below) else self._select(name.rstrip("/"), _listed(fs, name))
            elif not self._is_marker(below, rest):
                found[name] = _stored_stat(info)
        return root, found

    def _select(self, folder: str, files: Iterable[tuple[str, _Stat | None]]) -> dict[str, _Stat]:
        """Selects the files below a folder that are data by their names; the others are noted."""
        selected = {}
        for name, stat in files:
            has_ending = name.lower().endswith(self._endings)
            if self._is_hidden(name.removeprefix(folder)):
                if has_ending and any(self._endings):
                    self._not_read.add_file("hidden_file", name)
            elif has_ending and stat is None:
                self._not_read.add_file("unreadable_file", name, "a link to nothing")
            elif stat is not None and has_ending:
                selected[name] = stat
            else:
                self._others.setdefault(PurePosixPath(name).suffix.lower(), [name, 0])[1] += 1
        return selected

    def _is_hidden(self, below: str) -> bool:
        """Tells whether a path below the folder is marked as no data. One that gives a column its value is not."""
        parts = below.strip("/").split("/")
        return any(part.startswith(self._hidden) and not ("=" in part and part[0] == "_") for part in parts)

    def _is_marker(self, below: str, pattern: str) -> bool:
        """Tells whether a file that a glob meets is no data although the glob's wildcards match its name."""
        last = pattern.rpartition("/")[2]
        return self._is_hidden(below.rpartition("/")[2]) and not last.startswith(self._hidden)


def walk(folder: str) -> Iterator[tuple[str, _Stat | None]]:
    """Walks the files below a local folder, in no order: (path, (size, version)).

    Links are followed, each folder once. A link to nothing has None in place of size and version. Pipes, sockets and
    the like are passed over.
    """
    known: set[tuple[int, int]] = set()
    queue = [folder.rstrip("/")]
    while queue:
        current = queue.pop()
        status = Path(current).stat()
        if (status.st_dev, status.st_ino) in known:
            continue
        known.add((status.st_dev, status.st_ino))
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.is_dir():
                    queue.append(entry.path)
                elif entry.is_file():
                    yield entry.path, _stat(entry.stat())
                elif entry.is_symlink():
                    yield entry.path, None


def _globbed(root: str, rest: str) -> list[str]:
    """Expands a glob below a folder; names that begin with a dot only where it has one."""
    return glob.glob(rest, root_dir=root or "/", recursive=True) if _is_glob(rest) else []  # noqa: PTH207 - follows links


def _stat(status: os.stat_result) -> _Stat:
    return status.st_size, str(status.st_mtime_ns)


def _listed(fs: Any, folder: str) -> Iterator[tuple[str, _Stat]]:
    """Lists the files below a folder of a store."""
    for name, info in files_below(fs, folder).items():
        if not name.endswith("/") and name != folder.rstrip("/"):  # else the marker of a folder
            yield name, _stored_stat(info)


def _stored_stat(info: Mapping[str, Any]) -> _Stat:
    """Returns the size and version of a file in a store: as version its digest, else its time of change."""
    names = ("ETag", "etag", "blob_id", "md5Hash", "mtime", "LastModified", "last_modified")
    return int(info.get("size") or 0), next((str(info[name]) for name in names if info.get(name)), "")


def _file_system(pattern: str, what: str) -> tuple[Any | None, str]:
    """Opens the file system of a pattern, with the path there; None: this machine's."""
    protocol, mark, _ = pattern.partition("://")
    if not mark or protocol in ("file", "local"):  # not by fsspec's rules, which take `::` for a chain of file systems
        path = pattern.removeprefix(f"{protocol}://") if mark else pattern
        return None, str(Path(path).expanduser().absolute())
    try:
        fs, path = fsspec.url_to_fs(pattern)
    except ImportError as error:
        advice = missing_package(protocol, error)
        raise SettingsError(f"{what}: {pattern}: nothing here reads {protocol}://: {advice}") from error
    except ValueError as error:  # an unknown protocol
        raise SettingsError(f"{what}: {pattern}: {error}") from error
    return fs, path


def _existing_root(path: str, is_folder: Callable[[str], bool]) -> tuple[str, str]:
    """Splits a glob into the folders at its beginning that exist as they are written, and the rest."""
    parts = path.split("/")
    fixed = next((at for at, part in enumerate(parts) if _is_glob(part)), len(parts) - 1)
    while fixed < len(parts) - 1 and is_folder("/".join(parts[: fixed + 1])):
        fixed += 1
    return "/".join(parts[:fixed]), "/".join(parts[fixed:])


def _is_glob(path: str) -> bool:
    return any(character in path for character in _GLOB_CHARACTERS)
