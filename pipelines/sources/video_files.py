"""The files that paths, folders and globs stand for, and which of them an annotation means by a name."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import fsspec

from corpus.settings import SettingsError
from corpus.storage import storage_errors

VIDEO_ENDINGS = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v", ".flv", ".wmv", ".ts", ".mpg", ".mpeg")
JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
_WEB = ("http://", "https://")


@dataclass(frozen=True)
class Found:
    """A file, or a URL on the web that nobody has looked at. `version` changes when its content does."""

    url: str  # of a local file its absolute path
    name: str  # path below the folder that was searched; of a single file its name
    size: int = 0
    version: str = ""

    @property
    def is_local(self) -> bool:
        return "://" not in self.url


def is_web(name: str) -> bool:
    """Whether a name is a URL on the web, which is fetched, not listed."""
    return name.lower().startswith(_WEB)


def on_the_web(url: str) -> Found:
    """A video on the web, as if it had been found."""
    return Found(url, PurePosixPath(unquote(urlsplit(url).path)).name or url)


def under_prefix(prefix: str, name: str, ending: str) -> Found:
    """The video that has this name below a URL; `ending` is added to a name without one."""
    name = name.removeprefix("./").lstrip("/")
    name = name if name.lower().endswith(VIDEO_ENDINGS) else name + ending
    return Found(prefix + quote(name, safe="/"), name)


def find_files(patterns: Sequence[str], endings: Collection[str], what: str) -> list[Found]:
    """What paths, folders (with those below) and globs stand for, in their order; a file may come several times.

    Of folders, files with one of the `endings` that are not hidden. Raises SettingsError for a pattern that finds
    nothing, StorageError where a store cannot be listed.
    """
    return [found for pattern in patterns for found in _find(pattern, tuple(endings), what)]


def _find(pattern: str, endings: tuple[str, ...], what: str) -> list[Found]:
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
        Found(
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


class Names:
    """Finds the video that an annotation names: by the file's name, with or without its ending and its folders.

    Where folders are given on both sides they must agree, from the last one back to where either ends. Names that
    differ only in how Unicode composes their letters are the same.
    """

    def __init__(self, videos: Iterable[Found]) -> None:
        self._whole: dict[tuple[str, ...], list[Found]] = {}
        self._ends: dict[tuple[str, ...], list[Found]] = {}
        self._known: dict[str, list[Found]] = {}  # names come again and again
        for video in videos:
            parts = _parts(video.name)
            self._whole.setdefault(parts, []).append(video)
            for end in _ends(parts)[1:]:
                self._ends.setdefault(end, []).append(video)

    def find(self, name: str) -> list[Found]:
        """The one video that is meant; several where that cannot be told, none where there is none."""
        if name not in self._known:
            parts = _parts(name)
            near = [video for end in _ends(parts) for video in self._whole.get(end, [])] + self._ends.get(parts, [])
            # The closest: most folders in common, then the same ending, then the one that lies least deep.
            best = max((_closeness(name, parts, video) for video in near), default=None)
            self._known[name] = [video for video in near if _closeness(name, parts, video) == best]
        return self._known[name]


def _parts(name: str) -> tuple[str, ...]:
    """Folders and name, without its ending if that is a video's."""
    parts = [part for part in unicodedata.normalize("NFC", name).split("/") if part not in ("", ".")] or [""]
    stem, dot, ending = parts[-1].rpartition(".")
    return (*parts[:-1], stem) if stem and (dot + ending).lower() in VIDEO_ENDINGS else tuple(parts)


def _ends(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """All of it, then without the first folder, and so on."""
    return [parts[at:] for at in range(len(parts))]


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return count


def _closeness(name: str, parts: tuple[str, ...], video: Found) -> tuple[int, bool, int]:
    same_ending = PurePosixPath(name).suffix.lower() == PurePosixPath(video.name).suffix.lower()
    return _common(parts, _parts(video.url)), same_ending, -len(_parts(video.name))
