"""Counts the requests to an object store: those to fsspec's store in memory, whoever makes them in this process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

KINDS = {
    "cat_file": "GET",
    "open": "OPEN",  # of a file object, which asks for the size and then for blocks
    "info": "HEAD",
    "exists": "HEAD",
    "size": "HEAD",
    "pipe_file": "PUT",
    "put_file": "PUT",
    "ls": "LIST",
    "rm": "DELETE",
    "rm_file": "DELETE",
}


class Requests:
    """The requests so far: (kind, path)."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []
        self._inside = threading.local()

    def counts(self) -> Counter[str]:
        return Counter(kind for kind, _ in self.made)

    def paths(self, kind: str) -> list[str]:
        return [path for each, path in self.made if each == kind]

    def counted(self, kind: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """A method of the store, whose calls of other methods are part of the same request."""

        def call(fs: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "request", False):
                return method(fs, path, *args, **kwargs)
            self.made.append((kind, str(path)))
            self._inside.request = True
            try:
                return method(fs, path, *args, **kwargs)
            finally:
                self._inside.request = False

        return call


@contextmanager
def counted_requests() -> Iterator[Requests]:
    found = Requests()
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in KINDS.items():
            patch.setattr(MemoryFileSystem, name, found.counted(kind, getattr(MemoryFileSystem, name)))
        yield found
