"""How far an export is: which tars are whole, so that an interrupted one goes on where it was.

    CORPUS/.progress/<fingerprint>/<tar's stem>.<samples>.<bytes>.<sha256>.<md5>    empty: the name says it all
    CORPUS/.progress/<fingerprint>/earlier.json                                     tars of a manifest that is removed

The fingerprint is the one of a dataset's tars: of everything that their bytes depend on. A receipt is written after
its tar, so what a receipt names is whole. The folder is gone once the manifest is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from corpus.storage import Store, storage_errors

_FOLDER = ".progress"
_EARLIER = "earlier.json"


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
        """What the manifest says of it."""
        return asdict(self)


def list_files(store: Store) -> set[str]:
    """The paths of all files of a corpus, those that a killed writer left among them. One walk."""
    with storage_errors(store.url):
        root = store.fs._strip_protocol(store.url).rstrip("/")
        return {path.removeprefix(root).lstrip("/") for path in store.fs.find(root)}


def is_tar_of(dataset: str, path: str) -> bool:
    """Whether a file of a corpus is a tar of a dataset, or what an interrupted export left of one."""
    name = rf"{re.escape(dataset)}-\d{{6,}}\.tar"
    return re.fullmatch(rf"{re.escape(dataset)}/({name}|\.{name}\.\w+\.tmp)", path) is not None


class Progress:
    """The receipts of a corpus that is being written."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, fingerprint: str, tar: Tar) -> None:
        """Say that a tar is whole. Call it when the tar has its final name."""
        stem = tar.name.removesuffix(".tar")
        name = f"{stem}.{tar.samples}.{tar.bytes}.{tar.sha256}.{tar.md5}"
        self._store.publish(f"{_FOLDER}/{fingerprint}/{name}", b"")

    def keep(self, fingerprint: str, tars: Iterable[Mapping[str, Any]]) -> None:
        """Carry over the tars that a manifest lists, before it is removed."""
        self._store.publish(f"{_FOLDER}/{fingerprint}/{_EARLIER}", json.dumps([dict(tar) for tar in tars]).encode())

    def finished(self, fingerprint: str) -> dict[str, Tar]:
        """The whole tars, by name. One listing."""
        found = []
        for name in self._store.names(f"{_FOLDER}/{fingerprint}"):
            if name == _EARLIER:
                found += [Tar(**tar) for tar in json.loads(self._store.read(f"{_FOLDER}/{fingerprint}/{name}"))]
            elif not name.startswith("."):
                stem, samples, size, sha256, md5 = name.split(".")
                found.append(Tar(f"{stem}.tar", int(samples), int(size), sha256, md5))
        return {tar.name: tar for tar in found}

    def begun(self) -> bool:
        """Whether an export was begun here that did not end."""
        return self._store.exists(_FOLDER)

    def fingerprints(self) -> list[str]:
        """Of all datasets whose export has begun."""
        return self._store.names(_FOLDER)

    def forget(self, fingerprint: str = "") -> None:
        """Remove what is noted of one fingerprint, or everything."""
        path = f"{_FOLDER}/{fingerprint}".rstrip("/")
        if self._store.exists(path):
            with storage_errors(self._store.full(path)):
                self._store.fs.rm(self._store.full(path), recursive=True)
