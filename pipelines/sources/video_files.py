"""Finds the video file that an annotation means by a name, on the web too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from pipelines.sources.files import FileInfo

VIDEO_ENDINGS = (
    *(".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v", ".flv", ".wmv", ".ts", ".mpg", ".mpeg"),
    *(".m2ts", ".mts", ".3gp", ".ogv", ".gif"),
)
JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
_WEB = ("http://", "https://")
_AFTER_PATH = re.compile(r"[?#].*", re.DOTALL)


def is_web(name: str) -> bool:
    """Tells whether a name is a URL on the web, which is fetched, not listed."""
    return name.lower().startswith(_WEB)


def on_the_web(url: str) -> FileInfo:
    """Makes the file of a video on the web."""
    path = _AFTER_PATH.sub("", url).partition("://")[2].partition("/")[2]
    return FileInfo(url, PurePosixPath(unquote(path)).name or url)


def under_prefix(prefix: str, name: str, ending: str) -> FileInfo:
    """Makes the file of a video of this name below a URL; `ending` is added to a name without one."""
    name = name.removeprefix("./").lstrip("/")
    name = name if name.lower().endswith(VIDEO_ENDINGS) else name + ending
    return FileInfo(prefix + quote(name, safe="/"), name)


class VideoNames:
    """Finds the video that an annotation names: by the file's name, with or without its ending and its folders.

    Where folders are given on both sides they must agree, from the last one back to where either ends. Names that
    differ only in how Unicode composes their letters are the same.
    """

    def __init__(self, videos: Iterable[FileInfo]) -> None:
        self._by_name: dict[tuple[str, ...], list[FileInfo]] = {}
        self._by_suffix: dict[tuple[str, ...], list[FileInfo]] = {}
        self._cache: dict[str, list[FileInfo]] = {}  # names come again and again
        for video in videos:
            parts = _parts(video.name)
            self._by_name.setdefault(parts, []).append(video)
            for suffix in _suffixes(parts)[1:]:
                self._by_suffix.setdefault(suffix, []).append(video)

    def find(self, name: str) -> list[FileInfo]:
        """Finds the one video that is meant; several where the name does not decide, none where there is none."""
        if name not in self._cache:
            parts = _parts(name)
            candidates = [video for suffix in _suffixes(parts) for video in self._by_name.get(suffix, [])]
            candidates += self._by_suffix.get(parts, [])
            # The closest: most folders in common, then the same ending, then the one that lies least deep.
            best = max((_closeness(name, parts, video) for video in candidates), default=None)
            self._cache[name] = [video for video in candidates if _closeness(name, parts, video) == best]
        return self._cache[name]


def _parts(name: str) -> tuple[str, ...]:
    """Splits a name into folders and name, without its ending if that is a video's."""
    parts = [part for part in unicodedata.normalize("NFC", name).split("/") if part not in ("", ".")] or [""]
    stem, dot, ending = parts[-1].rpartition(".")
    return (*parts[:-1], stem) if stem and (dot + ending).lower() in VIDEO_ENDINGS else tuple(parts)


def _suffixes(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Lists all suffixes of a name: all of it, then without the first folder, and so on."""
    return [parts[at:] for at in range(len(parts))]


def _common_suffix(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Counts the parts that two names have in common at their ends."""
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return count


def _closeness(name: str, parts: tuple[str, ...], video: FileInfo) -> tuple[int, bool, int]:
    """Ranks a video by how near its name is: folders in common, the same ending, the depth."""
    same_ending = PurePosixPath(name).suffix.lower() == PurePosixPath(video.name).suffix.lower()
    return _common_suffix(parts, _parts(video.url)), same_ending, -len(_parts(video.name))
