"""The checkpoint of an export records the complete tars, so that an interrupted export continues where it stopped.

    CORPUS/.progress/<fingerprint>/<tar's stem>.<samples>.<bytes>.<sha256>.<md5>    empty; all is in its name
    CORPUS/.progress/<fingerprint>/earlier.json                                     tars of a removed manifest
    CORPUS/.progress/publisher                                                      the writer: see `claim`

The fingerprint is that of a dataset's tars: the hash of everything that their bytes depend on. A receipt is written
after its tar, so the tar of a receipt is complete. The folder is removed after the manifest is written.

Other programs may write into the folder. A file whose name is not of this form is ignored, and is not removed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from corpus.outages import wait_out
from corpus.storage import Store, storage_errors
from corpus.store_listing import files_below
from corpus.strict_parse import read_json
from corpus.workspace import NAME
from pipelines.publish.mixture import PublishError

_FOLDER = ".progress"
_EARLIER = "earlier.json"
CLAIM = f"{_FOLDER}/publisher"

MAX_JSON_BYTES = 256 << 20  # a million tars are listed in fewer

_FINGERPRINT = "[0-9a-f]{1,64}"
_STEM = rf"(?P<dataset>{NAME})-[0-9]{{6,12}}"
_RECEIPT = (
    rf"(?P<stem>{_STEM})\.(?P<samples>[0-9]{{1,18}})\.(?P<bytes>[0-9]{{1,18}})\.([0-9a-f]{{64}})\.([0-9a-f]{{32}})"
)
_FILE = rf"({CLAIM}|{_FOLDER}/(?P<of>{_FINGERPRINT})/({_EARLIER}|{_RECEIPT}))"
_PENDING = rf"\.progress/({_FINGERPRINT}/)?\.[^/]+\.tmp"  # the temporary file of a killed writer


@dataclass(frozen=True, slots=True)
class Tar:
    """A published tar: its file name, sizes and digests."""

    name: str
    samples: int
    bytes: int
    sha256: str
    md5: str

    @staticmethod
    def named(dataset: str, shard: int) -> str:
        """Returns the file name of a dataset's tar."""
        return f"{dataset}-{shard:06d}.tar"

    @property
    def path(self) -> str:
        """Its path in the corpus."""
        return f"{self.name.rpartition('-')[0]}/{self.name}"

    def to_json(self) -> dict[str, Any]:
        """Returns the tar's entry in the manifest."""
        return asdict(self)

    @staticmethod
    def from_json(entry: Any) -> Tar:
        """Reads what `to_json` returns. Raises ValueError for an entry that can't be of a tar of a corpus."""
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
    """Returns the bytes of each file of a corpus, by path. Lists the folder once."""
    return {path: int(info["size"] or 0) for path, info in _listed(store, "").items()}


def list_files(store: Store, folder: str = "") -> set[str]:
    """Returns the paths of all files of a corpus (or a folder in it), temporary ones too. Lists the folder once."""
    return set(_listed(store, folder))


def _listed(store: Store, folder: str) -> dict[str, Any]:
    def listed() -> dict[str, Any]:
        with storage_errors(store.full(folder)):
            root = store.fs._strip_protocol(store.url).rstrip("/")
            found = files_below(store.fs, f"{root}/{folder}".rstrip("/"))
            return {path.removeprefix(root).lstrip("/"): info for path, info in found.items()}

    return wait_out(listed, store.root_of(folder))


def is_tar_of(dataset: str, path: str) -> bool:
    """Returns whether a path is of a tar of a dataset, or of the temporary file of one."""
    name = rf"{re.escape(dataset)}-[0-9]{{6,12}}\.tar"
    return re.fullmatch(rf"{re.escape(dataset)}/({name}|\.{name}\.\w+\.tmp)", path) is not None


class Checkpoint:
    """The checkpoint of a corpus: a receipt for each complete tar."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, fingerprint: str, tar: Tar) -> None:
        """Records a complete tar, which must have its final name."""
        stem = tar.name.removesuffix(".tar")
        name = f"{stem}.{tar.samples}.{tar.bytes}.{tar.sha256}.{tar.md5}"
        self._store.publish(f"{_FOLDER}/{fingerprint}/{name}", b"")

    def carry_over(self, fingerprint: str, tars: Iterable[Mapping[str, Any]]) -> None:
        """Records the tars of a manifest that is to be removed."""
        self._store.publish(f"{_FOLDER}/{fingerprint}/{_EARLIER}", json.dumps([dict(tar) for tar in tars]).encode())

    def finished(self, fingerprint: str) -> dict[str, Tar]:
        """Reads the complete tars, by name. Lists the folder once."""
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
            listed = read_json(self._store, path, MAX_JSON_BYTES)
            if not isinstance(listed, list):
                raise ValueError("not a list")
            return [Tar.from_json(entry) for entry in listed]
        except ValueError as error:
            raise PublishError(f"{self._store.full(path)}: not a file of an export: {error}; remove it") from error

    def exists(self) -> bool:
        """Returns whether an export was started here and not finished."""
        return bool(self.fingerprints())

    def fingerprints(self) -> list[str]:
        """Returns the fingerprints of the datasets whose export has started."""
        return [name for name in self._store.names(_FOLDER) if re.fullmatch(_FINGERPRINT, name)]

    def clear(self, fingerprint: str = "") -> None:
        """Removes the receipts of one fingerprint, or all of them; some may have been removed by another process."""
        folder = f"{_FOLDER}/{fingerprint}".rstrip("/")
        files = {path for path in list_files(self._store, folder) if re.fullmatch(f"{_FILE}|{_PENDING}", path)}
        self._store.remove_all(sorted(files))
        if self._store.is_local:
            folders = {folder, *(path.rpartition("/")[0] for path in files)}
            for path in sorted(folders, reverse=True):  # the deepest first
                with contextlib.suppress(OSError):  # not empty, or removed by another process
                    Path(self._store.full(path)).rmdir()
