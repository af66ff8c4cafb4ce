"""The checkpoint of an export: which tars are complete, so that an interrupted export continues where it stopped.

    CORPUS/.progress/<fingerprint>/<tar's stem>.<samples>.<bytes>.<sha256>.<md5>    empty: its name has all
    CORPUS/.progress/<fingerprint>/earlier.json                                     tars of a manifest that is removed
    CORPUS/.progress/publisher                                                      who writes: see `claim`

The fingerprint is the one of a dataset's tars: of everything that their bytes depend on. A receipt is written after
its tar, so what a receipt names is whole. The folder is gone once the manifest is written.

Others can write into the folder as well. What lies there and can't be ours by its name is no receipt, leads to no path
and is not removed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from corpus.storage import Store, storage_errors
from corpus.strict_json import read_json
from corpus.workspace import NAME
from pipelines.publish.mixture import PublishError

_FOLDER = ".progress"
_EARLIER = "earlier.json"
CLAIM = f"{_FOLDER}/publisher"

MOST_JSON_BYTES = 256 << 20  # a million tars are listed in fewer

_FINGERPRINT = "[0-9a-f]{1,64}"
_STEM = rf"(?P<dataset>{NAME})-[0-9]{{6,12}}"
_RECEIPT = (
    rf"(?P<stem>{_STEM})\.(?P<samples>[0-9]{{1,18}})\.(?P<bytes>[0-9]{{1,18}})\.([0-9a-f]{{64}})\.([0-9a-f]{{32}})"
)
_FILE = rf"({CLAIM}|{_FOLDER}/(?P<of>{_FINGERPRINT})/({_EARLIER}|{_RECEIPT}))"
_PENDING = rf"\.progress/({_FINGERPRINT}/)?\.[^/]+\.tmp"  # what a killed writer left of one


@dataclass(frozen=True, slots=True)
class Tar:
    """One published tar: its file name, and what is known of it."""

    name: str
    samples: int
    bytes: int
    sha256: str
    md5: str

    @staticmethod
    def named(dataset: str, shard: int) -> str:
        """The file name of a dataset's tar."""
        return f"{dataset}-{shard:06d}.tar"

    @property
    def path(self) -> str:
        """Where it lies in the corpus."""
        return f"{self.name.rpartition('-')[0]}/{self.name}"

    def to_json(self) -> dict[str, Any]:
        """The tar's entry in the manifest."""
        return asdict(self)

    @staticmethod
    def from_json(entry: Any) -> Tar:
        """The inverse of `to_json`. Raises ValueError for what can't be a tar of ours, by its name or otherwise."""
        if not isinstance(entry, dict) or set(entry) != {"name", "samples", "bytes", "sha256", "md5"}:
            raise ValueError("not the entry of a tar")
        tar = Tar(**entry)
        texts, counts = (tar.name, tar.sha256, tar.md5), (tar.samples, tar.bytes)
        if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in counts):
            raise ValueError("not the entry of a tar")
        receipt = f"{tar.name.removesuffix('.tar')}.{tar.samples}.{tar.bytes}.{tar.sha256}.{tar.md5}"
        if not tar.name.endswith(".tar") or not re.fullmatch(_RECEIPT, receipt):
            raise ValueError(f"{tar.name!r}: no name of a tar of a corpus, or no digests")
        return tar


def file_sizes(store: Store) -> dict[str, int]:
    """Bytes of each file of a corpus, by path. One walk."""
    with storage_errors(store.url):
        root = store.fs._strip_protocol(store.url).rstrip("/")
        found = store.fs.find(root, detail=True)
        return {path.removeprefix(root).lstrip("/"): int(info["size"] or 0) for path, info in found.items()}


def list_files(store: Store, folder: str = "") -> set[str]:
    """The paths of all files of a corpus (or a folder of it), with those that a killed writer left. One walk."""
    with storage_errors(store.full(folder)):
        root = store.fs._strip_protocol(store.url).rstrip("/")
        return {path.removeprefix(root).lstrip("/") for path in store.fs.find(f"{root}/{folder}".rstrip("/"))}


def is_tar_of(dataset: str, path: str) -> bool:
    """Whether a file of a corpus is a tar of a dataset, or what an interrupted export left of one."""
    name = rf"{re.escape(dataset)}-[0-9]{{6,12}}\.tar"
    return re.fullmatch(rf"{re.escape(dataset)}/({name}|\.{name}\.\w+\.tmp)", path) is not None


class Checkpoint:
    """The checkpoint of a corpus that is being written: a receipt for each complete tar."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, fingerprint: str, tar: Tar) -> None:
        """Record that a tar is complete. Call it when the tar has its final name."""
        stem = tar.name.removesuffix(".tar")
        name = f"{stem}.{tar.samples}.{tar.bytes}.{tar.sha256}.{tar.md5}"
        self._store.publish(f"{_FOLDER}/{fingerprint}/{name}", b"")

    def carry_over(self, fingerprint: str, tars: Iterable[Mapping[str, Any]]) -> None:
        """Carry over the tars that a manifest lists, before it is removed."""
        self._store.publish(f"{_FOLDER}/{fingerprint}/{_EARLIER}", json.dumps([dict(tar) for tar in tars]).encode())

    def finished(self, fingerprint: str) -> dict[str, Tar]:
        """The complete tars, by name. One listing."""
        found = []
        for name in self._store.names(f"{_FOLDER}/{fingerprint}"):
            if name == _EARLIER:
                found += self._earlier(f"{_FOLDER}/{fingerprint}/{name}")
            elif match := re.fullmatch(_RECEIPT, name):
                *_, sha256, md5 = match.groups()
                found.append(Tar(f"{match['stem']}.tar", int(match["samples"]), int(match["bytes"]), sha256, md5))
        return {tar.name: tar for tar in found}

    def _earlier(self, path: str) -> list[Tar]:
        try:
            listed = read_json(self._store, path, MOST_JSON_BYTES)
            if not isinstance(listed, list):
                raise ValueError("not a list")
            return [Tar.from_json(entry) for entry in listed]
        except ValueError as error:
            raise PublishError(f"{self._store.full(path)}: not what an export leaves: {error}; remove it") from error

    def exists(self) -> bool:
        """Whether an export was begun here that did not end."""
        return bool(self.fingerprints())

    def fingerprints(self) -> list[str]:
        """Of all datasets whose export has begun."""
        return [name for name in self._store.names(_FOLDER) if re.fullmatch(_FINGERPRINT, name)]

    def clear(self, fingerprint: str = "") -> None:
        """Remove the receipts of one fingerprint, or all of them. Some of them may be gone already, or go meanwhile."""
        folder = f"{_FOLDER}/{fingerprint}".rstrip("/")
        files = {path for path in list_files(self._store, folder) if re.fullmatch(f"{_FILE}|{_PENDING}", path)}
        self._store.remove_all(sorted(files))
        if self._store.is_local:
            folders = {folder, *(path.rpartition("/")[0] for path in files)}
            for path in sorted(folders, reverse=True):  # the deepest first
                with contextlib.suppress(OSError):  # there is something in it, or it is gone already
                    Path(self._store.full(path)).rmdir()
