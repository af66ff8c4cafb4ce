"""Finds the tars, zips and loose files that settings name, and lists the images in each of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.settings import SettingsError
from corpus.storage import Store, is_absolute, storage_errors
from corpus.tars import CORRUPT, SPARSE, SPECIAL, TarIndex, index_tar
from pipelines.sources.files import find_files, is_unicode
from pipelines.sources.images.archive_index import normalize_names
from pipelines.sources.images.zip import BROKEN, MAX_MEMBER_BYTES, ZipError, zip_members

# Methods of `MEMBERS`; others: `zip`.
DIRECT = 255  # the bytes lie as they are, from `offset` on
SPARSE_IN_TAR, SPECIAL_IN_TAR = 251, 250  # what can't be read by range
_DAMAGE = b"damage"  # in a table's metadata

MEMBERS = pa.schema(
    [
        pa.field("name", pa.large_string()),  # normalized
        pa.field("offset", pa.int64()),  # in a zip, of the local header
        pa.field("size", pa.uint32()),  # bytes of the image; 2³² - 1: so many, or more
        pa.field("packed", pa.uint32()),  # bytes in the archive
        pa.field("crc", pa.uint32()),  # 0 where there is none
        pa.field("method", pa.uint8()),
        pa.field("raw", pa.string()),  # of a loose file: its path, where that is not `name`; else ""
    ]
)
_SOLID_ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
_ARCHIVES = (".tar", ".zip")


@dataclass(frozen=True)
class Archive:
    """A tar, a zip, or a folder with loose files (`table` then says which). `version` changes when its content does."""

    url: str
    size: int = 0
    version: str = ""
    table: pa.Table | None = None


def find_archives(patterns: tuple[str, ...]) -> list[Archive]:
    """Finds the archives that paths, folders (with those below), globs and URLs stand for, in their order; none twice.

    Raises SettingsError for a pattern that finds nothing, and for an archive that must be unpacked first.
    """
    archives: dict[str, Archive] = {}
    for pattern in patterns:
        root = _local_folder(pattern)
        present = list(_walk(root) if root else _listed(pattern))
        if not present:
            raise SettingsError(f"archives: {pattern}: no files there")
        loose: dict[str, list[_File]] = {}
        for file in present:
            lower = file.url.lower()
            if lower.endswith(_SOLID_ARCHIVES):
                raise SettingsError(f"archives: {file.url}: unpack it first: nothing can be read out of it by range")
            if lower.endswith(_ARCHIVES):
                archives.setdefault(file.url, Archive(file.url, file.size or _size(file.url), file.version))
            else:
                loose.setdefault(file.url.removesuffix(file.name), []).append(file)
        for folder, files in loose.items():
            archives.setdefault(f"{folder}*{pattern}", _folder(folder, files))
    return list(archives.values())


def members(archive: Archive) -> pa.Table:
    """Lists the MEMBERS of an archive from its end: a later one replaces an earlier one of the same name, as it does
    when an archive is unpacked. `damage` of the table says why it may lack some.

    Raises SettingsError for an archive of which nothing can be read, StorageError if it cannot be read.
    """
    if archive.table is not None:
        return archive.table
    store = _store(archive.url)
    try:
        is_zip = archive.url.lower().endswith(".zip")
        table = _of_zip(store, archive.url, archive.size) if is_zip else _of_tar(index_tar(store, archive.url))
    except ZipError as error:
        raise _unreadable(archive.url, str(error)) from error
    if damage(table) and DIRECT not in table.column("method").unique().to_pylist():
        raise _unreadable(archive.url, damage(table))
    return table.take(np.arange(table.num_rows)[::-1])


def damage(table: pa.Table) -> str:
    """Returns why nothing after the members of a tar could be read; "" where that is all of them."""
    return (table.schema.metadata or {}).get(_DAMAGE, b"").decode()


def _unreadable(url: str, why: str) -> SettingsError:
    return SettingsError(f"archives: {url}: cannot be read as an archive ({why}). Get it again")


def _store(url: str) -> Store:
    return Store(url.rpartition("/")[0] or "/")


def _size(url: str) -> int:
    return _store(url).size(url)  # a web server's listing may not say


def _of_tar(index: TarIndex) -> pa.Table:
    members = index.members
    method_of = {"": DIRECT, CORRUPT: BROKEN, SPARSE: SPARSE_IN_TAR, SPECIAL: SPECIAL_IN_TAR}
    method = np.array([method_of[fault] for fault in members.column("fault").to_pylist()], np.uint8)
    sizes = np.minimum(members.column("size").to_numpy(), MAX_MEMBER_BYTES).astype(np.uint32)
    zeros = np.zeros(len(sizes), np.uint32)
    table = _table(members.column("name"), members.column("offset").to_numpy(), sizes, sizes, zeros, method)
    return table.replace_schema_metadata({_DAMAGE: index.fault.encode()} if index.fault else None)


def _of_zip(store: Store, url: str, size: int) -> pa.Table:
    columns: tuple[list, ...] = ([], [], [], [], [], [])
    with store.open(url) as file:
        for member in zip_members(file, size):
            values = (member.name, member.offset, member.size, member.packed, member.crc, member.method)
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    kinds = (np.int64, np.uint32, np.uint32, np.uint32, np.uint8)
    numbers = [np.array(column, kind) for column, kind in zip(columns[1:], kinds, strict=True)]
    return _table(pa.array(columns[0], pa.large_string()), *numbers)


def _table(names: pa.Array | pa.ChunkedArray, *numbers: np.ndarray, raw: pa.Array | None = None) -> pa.Table:
    raw = pa.repeat(pa.scalar(""), len(names)) if raw is None else raw
    return pa.table([normalize_names(names), *map(pa.array, numbers), raw], schema=MEMBERS)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that was found."""

    url: str
    name: str  # below the folder that was searched; the end of `url`
    size: int
    version: str


def _folder(folder: str, files: list[_File]) -> Archive:
    """Makes one archive of the loose files below a folder, whatever their number."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.size}\0{file.version}\n".encode("utf-8", "surrogateescape"))
    paths = pa.array([file.name for file in files], pa.string())
    names = normalize_names(paths)
    raw = pc.if_else(pc.equal(names, paths.cast(pa.large_string())), "", paths)
    sizes = np.array([min(file.size, MAX_MEMBER_BYTES) for file in files], np.uint32)
    zeros = np.zeros(len(files), np.uint32)
    method = np.full(len(files), DIRECT, np.uint8)
    table = _table(names, zeros.astype(np.int64), sizes, sizes, zeros, method, raw=raw)
    return Archive(folder.rstrip("/"), len(files), digest.hexdigest()[:16], table)


def _local_folder(pattern: str) -> Path | None:
    path = Path(pattern.removeprefix("file://")).expanduser()
    return path.absolute() if ("://" not in pattern or pattern.startswith("file://")) and path.is_dir() else None


def _walk(root: Path) -> Iterator[_File]:
    """Lists the files below a local folder, by name, hidden ones left out; links are followed, each folder once."""
    known: set[tuple[int, int]] = set()
    queue = [""]
    while queue:
        below = queue.pop()
        folders = []
        with storage_errors(str(root / below)), os.scandir(root / below) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{below}{entry.name}"
                if entry.name.startswith(".") or not is_unicode(name):
                    continue
                if entry.is_dir():
                    status = entry.stat()
                    if (status.st_dev, status.st_ino) not in known:
                        known.add((status.st_dev, status.st_ino))
                        folders.append(f"{name}/")
                elif entry.is_file():
                    status = entry.stat()
                    yield _File(f"{root}/{name}", name, status.st_size, str(status.st_mtime_ns))
        queue += reversed(folders)


def _listed(pattern: str) -> Iterator[_File]:
    """Lists the files of a glob, of a path, or below a folder in a store."""
    for file in find_files([pattern], [""], "archives"):
        if not file.name.endswith("/") and is_unicode(file.name):
            url = file.url if is_absolute(file.url) else str(Path(file.url).absolute())
            yield _File(url, file.name, file.size, file.version)
