"""Source `img2dataset`: tars that img2dataset wrote, taken in where they lie.

A shard there is `00000.tar` (members `<key>.jpg`, `<key>.txt`, `<key>.json`) beside `00000.parquet`, which has a row
for each URL, failed ones included. No image is copied: the items' table points into the tars.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from corpus.images import sniff
from corpus.media import read_contents
from corpus.printable import printable
from corpus.records import Status, id_of_digest
from corpus.settings import Settings, SettingsError
from corpus.stages import ROWS, MapStage, Shard
from corpus.storage import Store
from corpus.tars import index_tar
from pipelines.download import ITEMS_SCHEMA, Stored, items_table

_IMAGE_ENDINGS = {"jpg", "jpeg", "png", "webp"}

Range = tuple[int, int]  # offset and size in a tar


class Img2datasetSource(Settings):
    """Where img2dataset's output lies."""

    kind: Literal["img2dataset"]
    folder: str = Field(description="output folder of img2dataset (format webdataset), or its fsspec URL")
    licence: str = Field("", description="of rows that name none")


class Img2datasetRows:
    """One shard of rows for each tar: `url`, `text`, `licence`, and where img2dataset put the image."""

    def __init__(self, settings: Img2datasetSource) -> None:
        self._settings = settings
        self._store = Store(settings.folder)
        self._parquets = [name for name in self._store.names("") if name.endswith(".parquet")]
        if not self._parquets:
            raise SettingsError(f"{settings.folder}: no .parquet of img2dataset's there (its output_format webdataset)")
        self.counts: dict[str, int] = {"read": 0}

    def identity(self) -> dict[str, Any]:
        """The settings, and name and size of each Parquet file."""
        files = [(name, self._store.size(name)) for name in self._parquets]
        return {**self._settings.canonical(), "files": files}

    def shards(self) -> Iterator[pa.Table]:
        """The rows of each Parquet file. Raises SettingsError for one that img2dataset has not finished."""
        self.counts = {"read": 0}
        for name in self._parquets:
            try:
                with self._store.open(name) as file:
                    table = pq.read_table(file)
            except pa.ArrowInvalid as error:
                raise SettingsError(
                    f"{self._store.full(name)}: no whole Parquet file ({error}). Let img2dataset finish first"
                ) from error
            self.counts["read"] += table.num_rows
            tar = self._store.full(f"{PurePosixPath(name).stem}.tar")
            yield self._rows(table.rename_columns([column.lower() for column in table.column_names]), tar)

    def _rows(self, table: pa.Table, tar: str) -> pa.Table:
        def text(column: str) -> pa.Array:
            if column not in table.column_names:
                return pa.array([""] * table.num_rows, pa.string())
            return pc.fill_null(table.column(column).cast(pa.string()).combine_chunks(), "")

        licences = text("license")
        return pa.table(
            {
                "url": text("url"),
                "text": text("caption"),
                "licence": pc.if_else(pc.equal(licences, ""), self._settings.licence, licences),
                "tar": pa.array([tar] * table.num_rows, pa.string()),
                "key": text("key"),
                "given_status": text("status"),
                "given_error": text("error_message"),
                "given_sha256": text("sha256"),
            }
        )


class IndexTars(MapStage):
    """Notes where each row's image lies in its tar, and the id of its bytes. Reads every byte once, copies none."""

    name = "index"
    version = 2
    reads = (ROWS,)
    schema = ITEMS_SCHEMA

    def __init__(self) -> None:
        super().__init__(Settings())

    def open(self) -> Callable[[Shard], pa.Table]:
        return index_rows


def index_rows(shard: Shard) -> pa.Table:
    """ITEMS_SCHEMA for the live rows. Failed are rows that img2dataset failed, and those without a whole image."""
    rows = shard[ROWS].select(["tar", "key", "given_status", "given_error", "given_sha256"]).to_pylist()
    tars: dict[str, _Tar] = {}
    stored: list[Stored] = []
    lying: list[tuple[int, str, Range]] = []  # place among the rows, and where the image lies
    for place, row in enumerate(rows):
        if row["given_status"] != "success":
            stored.append(refused(row["given_status"], row["given_error"]))
            continue
        tar = row["tar"]
        if tar not in tars:
            tars[tar] = _read_tar(shard.store, tar)
        stored.append(tars[tar].without_image(row["key"]))
        if row["key"] in tars[tar].images:
            lying.append((place, tar, tars[tar].images[row["key"]]))
    locations = pa.table(
        {
            "media": pa.array([tar for _, tar, _ in lying], pa.string()),
            "offset": pa.array([offset for _, _, (offset, _) in lying], pa.int64()),
            "size": pa.array([size for _, _, (_, size) in lying], pa.int64()),
        }
    )
    for at, data in read_contents(shard.store, locations):
        place, tar, (offset, size) = lying[at]
        stored[place] = _judge(data, tar, offset, size, rows[place]["given_sha256"])
    return items_table(stored)


@dataclass(frozen=True)
class _Tar:
    """What is in a tar: where its images lie, by their key; why some can't be used; why it can't be read further."""

    images: dict[str, Range]
    refused: dict[str, Stored]
    fault: str

    def without_image(self, key: str) -> Stored:
        """What a row comes to that has no image in the tar."""
        if key in self.refused:
            return self.refused[key]
        if self.fault:
            return Stored(Status.FAILED, "damaged_archive", detail=f"no image of key {key!r}; {self.fault}")
        return Stored(Status.FAILED, "no_member", detail=f"no image of key {key!r} in the tar")


def _read_tar(store: Store, path: str) -> _Tar:
    index = index_tar(store, path)
    tar = _Tar({}, {}, index.fault)
    for member in index.members.to_pylist():
        key, _, ending = member["name"].rpartition(".")
        if ending.lower() not in _IMAGE_ENDINGS:
            continue
        tar.images.pop(key, None)  # the last one of a name counts, whole or not
        tar.refused.pop(key, None)
        if member["fault"]:
            tar.refused[key] = Stored(Status.FAILED, member["fault"], detail=f"{member['name']}: {member['detail']}")
        else:
            tar.images[key] = (member["offset"], member["size"])
    return tar


def _judge(data: bytes, tar: str, offset: int, size: int, given_sha256: str) -> Stored:
    """What an image that lies in a tar is. `given_sha256` is of the download, "" where img2dataset did not say."""
    header = sniff(data)
    digest = hashlib.sha256(data).digest()
    downloaded = bytes.fromhex(given_sha256) if given_sha256 else digest
    if not header.format:
        return Stored(Status.FAILED, "not_an_image", downloaded_sha256=downloaded)
    if not header.complete:
        return Stored(Status.FAILED, "truncated", downloaded_sha256=downloaded)
    return Stored(
        Status.KEPT,
        "",
        id_of_digest(digest),
        tar,
        offset,
        size,
        header.ext,
        downloaded_sha256=downloaded,
        stored_sha256=digest,
        orientation=header.orientation,
    )


# What img2dataset says when it fails a row (its own words, urllib's and the system's), and our reason for it.
_WORDS = (
    ("disallowed by X-Robots-Tag", "opted_out"),
    ("is not allowed", "refused_scheme"),  # a redirect to file:// and the like
    ("unknown url type: '", "bad_url"),  # has no scheme
    ("unknown url type", "refused_scheme"),
    ("no host given", "bad_url"),
    ("can't contain control characters", "bad_url"),
    ("codec can't encode", "bad_url"),
    ("infinite loop", "redirect_loop"),
    ("timed out", "timeout"),
    ("IncompleteRead", "truncated"),
    ("Connection refused", "connection_failed"),
    ("unreachable", "connection_failed"),
    ("Connection reset", "connection_reset"),
    ("closed connection without response", "connection_reset"),
    ("Name or service not known", "dns_failed"),
    ("No address associated", "dns_failed"),
    ("name resolution", "dns_timeout"),
    ("SSL: ", "tls_failed"),
)
# Images outside the sizes that its user wanted.
_UNWANTED = ("image too small", "image area too large", "aspect ratio too large")


def refused(status: str, error: str) -> Stored:
    """What a row came to that img2dataset failed, its `status` and `error_message` in our words."""
    detail = printable(" ".join(error.split()))
    if status == "failed_to_resize":
        if error in _UNWANTED:
            return Stored(Status.FILTERED, "filtered_by_img2dataset", detail=detail)
        return Stored(Status.FAILED, "undecodable", detail=detail)
    reason = next((reason for words, reason in _WORDS if words in error), "")
    number = error.removeprefix("HTTP Error ")[:3]
    if error.startswith("HTTP Error ") and number.isdigit():
        return Stored(Status.FAILED, reason or f"http_{number}", http_status=int(number), detail=detail)
    if reason == "opted_out":
        return Stored(Status.FILTERED, reason, detail=detail)
    return Stored(Status.FAILED, reason or "download_failed", detail=detail)
