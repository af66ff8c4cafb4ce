"""The files that paths, folders and globs stand for, on this machine or in a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import fsspec

from corpus.settings import SettingsError
from corpus.storage import storage_errors


@dataclass(frozen=True)
class FoundFile:
    """A file, or a URL on the web that nobody has looked at. `version` changes when its content does."""

    url: str  # of a local file its absolute path
    name: str  # path below the folder that was searched; of a single file its name
    size: int = 0
    version: str = ""

    @property
    def is_local(self) -> bool:
        return "://" not in self.url


def find_files(patterns: Sequence[str], endings: Collection[str], what: str) -> list[FoundFile]:
    """What paths, folders (with those below) and globs stand for, in their order; a file may come several times.

    Of folders, files with one of the `endings` that are not hidden. Raises SettingsError for a pattern that finds
    nothing, StorageError where a store cannot be listed.
    """
    return [found for pattern in patterns for found in _find(pattern, tuple(endings), what)]


def _find(pattern: str, endings: tuple[str, ...], what: str) -> list[FoundFile]:
    try:
        fs, path = fsspec.url_to_fs(pattern)
    except (ImportError, ValueError) as error:  # a protocol that nothing here reads, or nobody knows
        raise SettingsError(f"{what}: {pattern}: {error}") from error
    local = "file" in fs.protocol or fs.protocol == "file"
    with storage_errors(pattern):
        root = str(PurePosixPath(path).parent)
        if fs.isfile(path):  # first: names of videos may well have brackets in them
            infos = {path: fs.info(path)}
        elif fs.isdir(path):
            root = path.rstrip("/")
            infos = {name: info for name, info in fs.find(path, detail=True).items() if _wanted(name, root, endings)}
        else:
            while any(sign in root for sign in "*?["):
                root = str(PurePosixPath(root).parent)
            infos = {name: info for name, info in fs.glob(path, detail=True).items() if info["type"] == "file"}
    if not infos:
        none = f", or none of {', '.join(endings)}" if any(endings) else ""
        raise SettingsError(f"{what}: {pattern}: no files there{none}")
    return [
        FoundFile(
            name if local else str(fs.unstrip_protocol(name)),
            name.removeprefix(root).lstrip("/"),
            int(info.get("size") or 0),
            _version(info),
        )
        for name, info in sorted(infos.items())
    ]


def _wanted(name: str, root: str, endings: tuple[str, ...]) -> bool:
    below = name.removeprefix(root).strip("/").split("/")
    return name.lower().endswith(endings) and not any(part.startswith(".") for part in below)


def _version(info: Mapping[str, Any]) -> str:
    for key in ("ETag", "etag", "blob_id", "md5Hash", "mtime", "LastModified", "last_modified"):
        if info.get(key):
            return str(info[key])
    return ""
