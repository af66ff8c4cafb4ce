"""Lists what lies in a store: all of it, or an error.

fsspec's own `isfile`, `isdir`, `find` and `glob` take a folder that could not be listed for an empty one, so that a
source would be short of files for which the store had no time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractFileSystem
from fsspec.utils import glob_translate

Info = dict[str, Any]  # of a file or folder: `name`, `type`, `size` and what the store knows besides


def has_file(fs: Any, path: str) -> bool:
    """Tells whether there is a file of that name."""
    return _type(fs, path) == "file"


def has_folder(fs: Any, path: str) -> bool:
    """Tells whether there is a folder of that name."""
    return _type(fs, path) == "directory"


def _type(fs: Any, path: str) -> str:
    try:
        return str(fs.info(path)["type"])
    except FileNotFoundError:
        return ""


def files_below(fs: Any, folder: str) -> dict[str, Info]:
    """Lists the files below a folder, by name."""
    if _lists_flat(fs):
        return dict(fs.find(folder, detail=True))
    found: dict[str, Info] = {}
    queue = [folder.rstrip("/")]
    known = {*queue}
    while queue:
        for info in _entries(fs, queue.pop()):
            name = info["name"].rstrip("/")
            if info["type"] != "directory":
                found[info["name"]] = info
            elif name not in known:
                known.add(name)
                queue.append(name)
    return found


def _lists_flat(fs: Any) -> bool:
    """Tells whether a file system lists all below a folder itself, instead of folder by folder as fsspec does."""
    if isinstance(fs, AsyncFileSystem):
        return type(fs)._find is not AsyncFileSystem._find
    return type(fs).find is not AbstractFileSystem.find


def _entries(fs: Any, folder: str) -> list[Info]:
    """Lists what lies directly in a folder; one that was removed meanwhile is empty."""
    try:
        return [info for info in fs.ls(folder, detail=True) if info["name"].rstrip("/") != folder]
    except FileNotFoundError:
        return []


def expand_glob(fs: Any, root: str, pattern: str) -> dict[str, Info]:
    """Finds the files and folders that a glob means below a folder, by name.

    As in fsspec: `**` as a part of its own stands for any number of folders.
    """
    head, _, rest = pattern.partition("/")
    if head == "**" or not rest:
        return dict(_matches(fs, root, pattern))
    found: dict[str, Info] = {}
    for name, info in _matches(fs, root, head):
        if info["type"] == "directory":
            found |= expand_glob(fs, name.rstrip("/"), rest)
    return found


def _matches(fs: Any, root: str, pattern: str) -> Iterator[tuple[str, Info]]:
    """Yields what a glob means, whose folders are `**` or none."""
    expression = re.compile(glob_translate(pattern))
    entries = _tree(fs, root) if pattern.startswith("**") else {info["name"]: info for info in _entries(fs, root)}
    for name, info in sorted(entries.items()):
        if expression.match(name.removeprefix(root).strip("/")):
            yield name, info


def _tree(fs: Any, root: str) -> dict[str, Info]:
    """Lists the files and folders below a folder, by name."""
    found = files_below(fs, root)
    for name in list(found):
        while (name := name.rpartition("/")[0]) and name != root and name not in found:
            found[name] = {"name": name, "type": "directory"}
    return found
