"""Copies a published corpus to another folder or bucket, and reads it again there.

What an interrupted copy has finished is kept. The manifest is written last, when all files have the digests that it
lists, so that a corpus exists at its new place when it is whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from corpus.storage import Store, storage_errors
from pipelines.publish.checkpoint import file_sizes
from pipelines.publish.manifest import MANIFEST, listed_files, read_manifest
from pipelines.publish.mixture import PublishError

_CHUNK_BYTES = 8 << 20
_COPIES = 4  # files that are copied at a time
_OF_REPOSITORIES = frozenset({".gitattributes"})  # which a new repository of a hub has

Progress = Callable[[int, int], None]  # called with the bytes that are done, and all bytes


@dataclass(frozen=True)
class Pushed:
    """The result of a push: where the corpus is now, its files, and how many of them had been there."""

    path: str
    files: int
    bytes: int
    present: int


@dataclass(frozen=True)
class _File:
    """A file of a corpus, as the manifest has it."""

    path: str
    bytes: int
    sha256: str


def push(corpus: str, target: str, progress: Progress | None = None) -> Pushed:
    """Copies a corpus to another folder or URL, verifies every file there, and writes the manifest last.

    Files of the right size are taken over from an earlier attempt; all are read again at their new place, and one whose
    digest is wrong is copied once more. Raises PublishError where there is no corpus, where the target has files of
    something else, or where a file of the corpus is not what its manifest says.
    """
    source, store = Store(corpus), Store(target)
    manifest = read_manifest(source)
    if manifest is None:
        raise PublishError(f"{source.url}: no {MANIFEST}: there is no corpus, or it was not finished")
    store.check_bucket()
    files = _files(source, manifest)
    sizes = file_sizes(store)
    _refuse_others(store, set(sizes), listed_files(manifest), manifest["fingerprint"])
    total = sum(file.bytes for file in files)
    counter = _Counter(2 * total, progress)
    present = [file for file in files if sizes.get(file.path) == file.bytes]
    counter.add(sum(file.bytes for file in present))
    with ThreadPoolExecutor(_COPIES) as threads:
        absent = [file for file in files if sizes.get(file.path) != file.bytes]
        _all(threads.map(lambda file: _copy(source, store, file, counter), absent))
        sound = list(threads.map(lambda file: _digest(store, file.path, counter) == file.sha256, files))
        damaged = [file for file, is_sound in zip(files, sound, strict=True) if not is_sound]
        counter.total += 2 * sum(file.bytes for file in damaged)
        _all(threads.map(lambda file: _copy(source, store, file, counter), damaged))
        for file in damaged:
            if _digest(store, file.path, counter) != file.sha256:
                raise PublishError(f"{store.full(file.path)}: what was written reads as something else")
    if read_manifest(store) != manifest:
        store.publish(MANIFEST, source.read(MANIFEST))
    return Pushed(store.url, len(files) + 1, total, len(present))


def _files(source: Store, manifest: dict[str, Any]) -> list[_File]:
    tars = [
        _File(f"{name}/{tar['name']}", tar["bytes"], tar["sha256"])
        for name, entry in manifest["datasets"].items()
        for tar in entry["shards"]
    ]
    small = [
        _File(file["name"], sizes, file["sha256"])
        for file, sizes in zip(
            manifest["files"], (source.size(file["name"]) for file in manifest["files"]), strict=True
        )
    ]
    return sorted([*tars, *small], key=lambda file: file.path)


def _refuse_others(store: Store, present: set[str], listed: set[str], fingerprint: str) -> None:
    """Raises PublishError where the target has another corpus, or files of none."""
    if MANIFEST in present:
        there = read_manifest(store)
        if there is not None and there["fingerprint"] != fingerprint:
            raise PublishError(f"{store.url}: another corpus is there: choose another place, or remove it")
    others = sorted(present - listed - {MANIFEST} - _OF_REPOSITORIES)
    if others:
        raise PublishError(
            f"{store.url}: {len(others):,} files that are not of this corpus, such as {others[0]}: choose another "
            "place, or remove them"
        )


def _copy(source: Store, store: Store, file: _File, counter: _Counter) -> None:
    """Copies a file. Raises PublishError where its digest is not the manifest's."""
    digest = hashlib.sha256()
    with store.writer(file.path) as target:
        for chunk in _chunks(source, file.path):
            digest.update(chunk)
            target.write(chunk)
            counter.add(len(chunk))
        if digest.hexdigest() != file.sha256:
            raise PublishError(f"{source.full(file.path)}: its sha256 is not the manifest's: see `rzen-corpus verify`")


def _digest(store: Store, path: str, counter: _Counter) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(store, path):
        digest.update(chunk)
        counter.add(len(chunk))
    return digest.hexdigest()


def _chunks(store: Store, path: str) -> Iterator[bytes]:
    try:
        with storage_errors(store.full(path)), store.open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
    except FileNotFoundError as error:
        raise PublishError(
            f"{store.full(path)}: the manifest lists it, and it is not there: see `rzen-corpus verify`"
        ) from error


def _all(results: Iterable[None]) -> None:
    """Waits for all results; raises what the first that failed raised."""
    for _ in results:
        pass


class _Counter:
    """A counter of bytes over several threads, which calls `progress`."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total = total
        self._done = 0
        self._progress = progress

    def add(self, count: int) -> None:
        """Adds bytes that are done."""
        self._done += count
        if self._progress is not None:
            self._progress(self._done, self.total)
