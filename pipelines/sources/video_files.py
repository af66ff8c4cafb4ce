"""What a video's file may be called, on the web too, and which file an annotation means by a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from pipelines.sources.found_files import FoundFile

VIDEO_ENDINGS = (
    *(".mp4", ".webm", ".mkv", ".mov", ".avi", ".m4v", ".flv", ".wmv", ".ts", ".mpg", ".mpeg"),
    *(".m2ts", ".mts", ".3gp", ".ogv", ".gif"),
)
JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
_WEB = ("http://", "https://")
_AFTER_PATH = re.compile(r"[?#].*", re.DOTALL)


def is_web(name: str) -> bool:
    """Whether a name is a URL on the web, which is fetched, not listed."""
    return name.lower().startswith(_WEB)


def on_the_web(url: str) -> FoundFile:
    """A video on the web, as if it had been found."""
    path = _AFTER_PATH.sub("", url).partition("://")[2].partition("/")[2]
    return FoundFile(url, PurePosixPath(unquote(path)).name or url)


def under_prefix(prefix: str, name: str, ending: str) -> FoundFile:
    """The video that has this name below a URL; `ending` is added to a name without one."""
    name = name.removeprefix("./").lstrip("/")
    name = name if name.lower().endswith(VIDEO_ENDINGS) else name + ending
    return FoundFile(prefix + quote(name, safe="/"), name)


class Names:
    """Finds the video that an annotation names: by the file's name, with or without its ending and its folders.

    Where folders are given on both sides they must agree, from the last one back to where either ends. Names that
    differ only in how Unicode composes their letters are the same.
    """

    def __init__(self, videos: Iterable[FoundFile]) -> None:
        self._whole: dict[tuple[str, ...], list[FoundFile]] = {}
        self._ends: dict[tuple[str, ...], list[FoundFile]] = {}
        self._known: dict[str, list[FoundFile]] = {}  # names come again and again
        for video in videos:
            parts = _parts(video.name)
            self._whole.setdefault(parts, []).append(video)
            for end in _ends(parts)[1:]:
                self._ends.setdefault(end, []).append(video)

    def find(self, name: str) -> list[FoundFile]:
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


def _closeness(name: str, parts: tuple[str, ...], video: FoundFile) -> tuple[int, bool, int]:
    same_ending = PurePosixPath(name).suffix.lower() == PurePosixPath(video.name).suffix.lower()
    return _common(parts, _parts(video.url)), same_ending, -len(_parts(video.name))
