"""Finds images by their names: in tars and zips where they lie, and in plain folders.

An `ImageResolver` finds images. `Archives` is the one for names of files; others take names of another form, as
 `ParquetImages` does (`pipelines.sources.images.parquet`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.media import READ_AHEAD_BYTES, READ_AHEAD_ITEMS
from corpus.settings import Settings, SettingsError, tuning
from corpus.stage import fingerprint
from corpus.storage import MissingError, Store
from corpus.tars import SPARSE, SPECIAL
from pipelines.sources.images.archive_files import (
    DIRECT,
    MEMBERS,
    SPARSE_IN_TAR,
    SPECIAL_IN_TAR,
    Archive,
    damage,
    find_archives,
    members,
)
from pipelines.sources.images.archive_index import AMBIGUOUS, NameIndex, normalize_names, read_arrow, write_arrow
from pipelines.sources.images.zip import BROKEN, DEFLATED, ENCRYPTED, STORED, data_offsets, inflate

_VERSION = 4  # of the index
_UNREADABLE = {
    ENCRYPTED: "encrypted_image",
    BROKEN: "corrupt_member",
    SPARSE_IN_TAR: SPARSE,
    SPECIAL_IN_TAR: SPECIAL,
}
_MAX_NAMED = 3  # damaged archives that a row names


@dataclass(frozen=True, slots=True)
class ImageRef:
    """The image that a name stands for: its bytes, or the `reason` why there are none.

    location: (path, offset) where just these bytes lie for good, so that they need not be copied; None: nowhere.
    """

    data: bytes = b""
    location: tuple[str, int] | None = None
    reason: str = ""
    detail: str = ""
    repeated: bool = False  # other archives have an image of this name, and nothing but their order decided


# Yields (position among the requested names, image), each name once, in any order.
Finder = Callable[[Sequence[str]], Iterator[tuple[int, ImageRef]]]


class ImageResolver(Protocol):
    """Finds images by names of some form. Picklable, and small when pickled."""

    def identity(self) -> dict[str, Any]:
        """Returns all that the images depend on: settings, and names, sizes and versions of files."""
        ...

    def matches(self, name: str) -> bool:
        """Tells whether a name is of the form that this resolver is for."""
        ...

    def open(self, max_bytes: int) -> Finder:
        """Opens the finder, once in each worker. An image of more bytes is `too_large`, and is never held."""
        ...


class ArchivesSettings(Settings):
    """Settings of where images lie, and how a set's names for them are read."""

    paths: tuple[str, ...] = Field(
        min_length=1,
        description="Tars, zips, folders of these or of images, globs or fsspec URLs; where a name is in several, "
        "the first counts.",
    )
    strip_prefix: str = Field("", description="The prefix that is removed from the names that have it.")
    add_prefix: str = Field("", description="The prefix that is then added to every name.")
    prefix_archive_name: bool = Field(
        False,
        description="Whether an archive's name without its extension is a folder above its members, where these "
        "don't name it themselves.",
    )
    index_threads: int = tuning(4, ge=1, description="Threads that index archives.")


class Archives:
    """The resolver of names of files; it matches every name. Its index lies in `folder` of a workspace.

    Where a name is found without some of its folders, and several archives have what is left of it, the archive counts
    that is called like the last of these folders or lies in one that is; if several are, the folder before it decides.
    Where the complete name is in several archives, the first counts, and the image is `repeated`.

    Reasons: missing_image, ambiguous_image (names in several folders end so, or several archives have it and no folder
    tells which is meant), too_large, encrypted_image,
    unsupported_compression, corrupt_member; of tars sparse_member (a part of it lies there), special_member (a link or
    device); damaged_archive (a name that is in no archive, where some could not be read to their end).
    """

    def __init__(self, settings: ArchivesSettings, workspace: str, folder: str) -> None:
        """`folder`: such as `tables/<source>/images-index`."""
        self._settings = settings
        self._workspace, self._folder = workspace, folder

    @cached_property
    def _archives(self) -> list[Archive]:
        return find_archives(self._settings.paths)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return {**self._settings.canonical(), "files": self._files(), "version": _VERSION}

    def _files(self) -> list[list[Any]]:
        return [[archive.url, archive.size, archive.version] for archive in self._archives]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_archives"}  # folders may be large

    def identity(self) -> dict[str, Any]:
        """Returns the settings; URL, size and version of each archive, number of files and a digest for each folder."""
        return self._identity

    def matches(self, name: str) -> bool:
        return True

    def index(self) -> NameIndex:
        """Opens the index of all names, and builds it if it is not there yet; a known archive is not read again.

        Its `metadata` holds `places` (URLs), their `sizes`, whether they are `folders`, why some of them are `damaged`,
        and the counts `members` and `duplicate_name`.
        """
        store = Store(self._workspace)
        files = self._identity["files"]
        named = self._settings.prefix_archive_name
        stem = f"{self._folder}/{fingerprint({'files': files, 'prefix_archive_name': named, 'version': _VERSION})}"
        try:
            return NameIndex.load(store, stem)
        except MissingError:
            if self._files() != files:
                raise SettingsError(
                    "archives: something in them has changed since the run began; start it again"
                ) from None
            with ThreadPoolExecutor(self._settings.index_threads) as pool:
                parts = list(pool.map(partial(_members, store, self._folder, named), self._archives))
        archive_numbers = [np.full(part.num_rows, number, np.int32) for number, part in enumerate(parts)]
        table = pa.concat_tables(parts).append_column("place", pa.array(np.concatenate(archive_numbers)))
        damaged = [damage(part) for part in parts]
        metadata = {
            "damaged": [why for why in damaged if why],
            "places": [file[0] for file in files],
            "sizes": [file[1] for file in files],
            "folders": [archive.table is not None for archive in self._archives],
        }
        NameIndex.build(table, {**metadata, "members": table.num_rows}).save(store, stem)
        return NameIndex.load(store, stem)

    def open(self, max_bytes: int) -> Finder:
        return partial(find_images, self.index(), Store(self._workspace), self._settings, max_bytes)


def find_images(
    index: NameIndex, store: Store, settings: ArchivesSettings, max_bytes: int, names: Sequence[str]
) -> Iterator[tuple[int, ImageRef]]:
    """Finds images as the `Finder` of archives. A few MiB are held at a time, and what is larger alone."""
    requested = _lookup_names(names, settings)
    rows = index.find(requested)
    missing = _missing(index.metadata["damaged"])
    for position in np.flatnonzero(rows < 0).tolist():
        yield position, ImageRef(reason="ambiguous_image") if rows[position] == AMBIGUOUS else missing
    positions = np.flatnonzero(rows >= 0)
    members = index.table.take(pa.array(rows[positions]))
    readable = []
    for position, first in zip(positions.tolist(), members.to_pylist(), strict=True):
        member = _disambiguate(index, requested[position], int(rows[position]), first)
        if member is None:
            yield position, ImageRef(reason="ambiguous_image", detail=f"{first['name']} is in several archives")
        elif reason := _reject_reason(member, max_bytes):
            yield position, ImageRef(reason=reason, detail=f"{member['name']}: {member['size']} bytes")
        else:
            readable.append((member["place"], member["offset"], position, member))
    readable.sort(key=lambda one: one[:3])
    for block in _blocks([(position, member) for _, _, position, member in readable]):
        yield from _read(index, store, block)


def _disambiguate(index: NameIndex, requested: str, row: int, first: dict[str, Any]) -> dict[str, Any] | None:
    """Chooses among the members of one name by the folders that `requested` has beside it; None: they do not decide.

    Where `requested` has no such folders it is the first, and `repeated` says that there are others.
    """
    others = index.others(row)
    if not others.num_rows:
        return first
    by_archive = {first["place"]: first}
    for other in others.to_pylist():
        by_archive.setdefault(other["place"], other)
    if len(by_archive) == 1 or not requested.endswith(f"/{first['name']}"):
        return {**first, "repeated": len(by_archive) > 1}
    for folder in reversed(requested.removesuffix(f"/{first['name']}").split("/")):
        by_archive = {at: one for at, one in by_archive.items() if folder in _folders(index.metadata["places"][at])}
        if len(by_archive) < 2:  # none: what stands above that folder, such as `images`, tells of no set
            break
    return next(iter(by_archive.values())) if len(by_archive) == 1 else None


def _folders(url: str) -> set[str]:
    """Returns the name of an archive, with and without its ending, and the folders that it lies in."""
    path = PurePosixPath(url)
    return set(normalize_names(pa.array([f"{path.parent}/{path.stem}/{path.name}"]))[0].as_py().split("/"))


def _missing(damaged: Sequence[str]) -> ImageRef:
    """Returns the result for a name that is in no archive."""
    if not damaged:
        return ImageRef(reason="missing_image")
    more = f" and {len(damaged) - _MAX_NAMED} more" if len(damaged) > _MAX_NAMED else ""
    return ImageRef(reason="damaged_archive", detail=f"it may be in {'; '.join(damaged[:_MAX_NAMED])}{more}")


def _lookup_names(names: Sequence[str], settings: ArchivesSettings) -> list[str]:
    """Puts names in the form in which they are looked up."""
    prefixed = (settings.add_prefix + name.removeprefix(settings.strip_prefix) for name in names)
    return normalize_names(pa.array(prefixed, pa.large_string())).to_pylist()


def _reject_reason(member: dict[str, Any], max_bytes: int) -> str:
    """Returns why a member is not read; "" where it is."""
    if member["method"] in (DIRECT, STORED, DEFLATED):
        return "too_large" if max(member["size"], member["packed"]) > max_bytes else ""
    return _UNREADABLE.get(member["method"], "unsupported_compression")


_Request = tuple[int, dict[str, Any]]


def _blocks(requests: list[_Request]) -> Iterator[list[_Request]]:
    """Cuts requests into blocks of a bounded number and size."""
    block: list[_Request] = []
    remaining = READ_AHEAD_BYTES
    for request in requests:
        if block and (len(block) == READ_AHEAD_ITEMS or remaining < request[1]["packed"]):
            yield block
            block, remaining = [], READ_AHEAD_BYTES
        block.append(request)
        remaining -= request[1]["packed"]
    if block:
        yield block


def _read(index: NameIndex, store: Store, block: list[_Request]) -> Iterator[tuple[int, ImageRef]]:
    """Reads the images of a block together."""
    urls = [_url(index, member) for _, member in block]
    offsets = [member["offset"] for _, member in block]
    zipped = [at for at, (_, member) in enumerate(block) if member["method"] != DIRECT]
    for at, offset in zip(zipped, data_offsets(store, [(urls[at], offsets[at]) for at in zipped]), strict=True):
        _, member = block[at]
        is_inside = offset + member["packed"] <= index.metadata["sizes"][member["place"]]
        offsets[at] = offset if is_inside else -1
    ranges = [
        (url, offset, member["packed"] if offset >= 0 else 0)
        for url, offset, (_, member) in zip(urls, offsets, block, strict=True)
    ]
    for (position, member), (url, offset, _), data in zip(block, ranges, store.read_ranges(ranges), strict=True):
        if offset < 0:
            yield position, ImageRef(reason="corrupt_member", detail=f"{member['name']}: not where the directory says")
        elif member["method"] == STORED and zlib.crc32(data) != member["crc"]:
            yield position, ImageRef(reason="corrupt_member", detail=f"{member['name']}: other bytes than were put in")
        elif member["method"] != DEFLATED:
            yield position, ImageRef(data, (url, offset), repeated=member.get("repeated", False))
        elif (content := inflate(data, member["size"], member["crc"])) is None:
            yield position, ImageRef(reason="corrupt_member", detail=f"{member['name']}: cannot be inflated")
        else:
            yield position, ImageRef(content, repeated=member.get("repeated", False))


def _url(index: NameIndex, member: dict[str, Any]) -> str:
    """Returns the file in which the bytes of a member lie: its archive, or the loose file itself."""
    archive = index.metadata["places"][member["place"]]
    return f"{archive}/{member['raw'] or member['name']}" if index.metadata["folders"][member["place"]] else archive


def _members(store: Store, folder: str, prefix_archive_name: bool, archive: Archive) -> pa.Table:
    """Lists the MEMBERS of an archive, from the workspace if it was read before."""
    table = _cached_members(store, folder, archive)
    if archive.table is not None or not prefix_archive_name:
        return table
    stem = f"{PurePosixPath(archive.url).stem}/"
    names, separator = table.column("name"), pa.scalar("", pa.large_string())
    below = pc.binary_join_element_wise(pa.scalar(stem, pa.large_string()), names, separator)
    names = pc.if_else(pc.starts_with(names, stem), names, below)
    return table.set_column(0, MEMBERS.field("name"), normalize_names(names))


def _cached_members(store: Store, folder: str, archive: Archive) -> pa.Table:
    """Lists the MEMBERS of an archive, and keeps them in the workspace."""
    if archive.table is not None:
        return archive.table
    key = fingerprint({"archive": [archive.url, archive.size, archive.version], "version": _VERSION})
    path = f"{folder}/archive.{key}.arrow"
    try:
        return read_arrow(store, path)
    except MissingError:
        table = members(archive)
        write_arrow(store, path, table)
        return table
