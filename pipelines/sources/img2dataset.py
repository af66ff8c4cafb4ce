"""Source `img2dataset`: tars that img2dataset wrote, taken in where they lie.

A shard there is `00000.tar` (members `<key>.jpg`, `<key>.txt`, `<key>.json`) beside `00000.parquet`, which has a row
for each URL, failed ones included. No image is copied: the items' table points into the tars.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.settings import SettingsError
from corpus.stage import Gives
from pipelines.sources.base import SourceSettings
from pipelines.sources.files import NO_DATA, FileInfo, find_files, named_in_unicode
from pipelines.sources.lenient_casts import Cast, UncastableError, all_failed, cast_leniently, stored_values
from pipelines.sources.not_read import NotRead, UnreadableFileError
from pipelines.sources.parquet_files import column_names, open_parquet, require_single

SHA256_HEX = re.compile("[0-9a-fA-F]{64}")

_PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".tfrecord")  # what may stand in the place of a tar
_CHECK_THREADS = 8
# Name here -> names of the column in such tables; the first that is there counts.
_COLUMNS = {
    "url": ("url",),
    "text": ("caption", "txt"),
    "licence": ("license", "licence"),
    "key": ("key",),
    "download_status": ("status",),
    "download_error": ("error_message",),
    "download_sha256": ("sha256",),
}
_NEEDED = ("url", "text", "licence", "key", "download_status")  # a value that is no text there costs its row
_ROW_COLUMNS = (
    "url",
    "text",
    "licence",
    "tar",
    "tar_bytes",
    "missing",
    "key",
    "download_status",
    "download_error",
    "download_sha256",
)
_IN_THE_TABLE = ("jpg", "png", "webp")  # columns of its output_format parquet


class Img2datasetSource(SourceSettings):
    """Settings of img2dataset's output: where it lies."""

    gives = Gives.IMAGES
    summary = "tars that img2dataset has written, read where they lie"
    in_place = True

    kind: Literal["img2dataset"] = Field(description="Tars that img2dataset has written.")
    folder: str = Field(description="The output folder of img2dataset (format webdataset), or its fsspec URL.")
    licence: str = Field("", description="The licence of rows that name none.")

    def reader(self) -> Img2datasetReader:
        return Img2datasetReader(self)


class Img2datasetReader:
    """The reader of img2dataset's output: one shard of rows for each tar: `url`, `text`, `licence`, and where
    img2dataset put the image.

    counts: `read`, and `bad_text`, rows with a URL, text, key or status that is not UTF-8. Rows whose tar is not there
    stay, for the stage `index` to fail them. The notes name tars without a table and files that could not be read.
    """

    def __init__(self, settings: Img2datasetSource) -> None:
        self._settings = settings
        self._not_read = NotRead()
        self.counts: dict[str, int] = {"read": 0}
        if not self._tables:
            raise SettingsError(f"{settings.folder}: no .parquet of img2dataset's there (its output_format webdataset)")

    @cached_property
    def _present(self) -> dict[str, FileInfo]:
        """All files in the folder and below, by their URLs."""
        files = find_files([self._settings.folder], [""], "folder", self._not_read, NO_DATA, may_lack=True)
        return {file.url: file for file in named_in_unicode(files, self._not_read)}

    @cached_property
    def _tables(self) -> dict[FileInfo, FileInfo | None]:
        """Each Parquet file with its tar, if there is one. Whatever else lies there is noted."""
        tables = [file for file in self._present.values() if file.url.endswith(".parquet")]
        stems = {_stem(table) for table in tables}
        others: dict[str, list[str]] = {}
        for url in self._present:
            packed = next((ending for ending in _PACKED if url.endswith(ending)), "")
            if url.endswith(".tar") and url.removesuffix(".tar") not in stems:
                self._not_read.add_file("orphan_tar", url, "no .parquet beside it says what is in it")
            elif packed:
                self._not_read.add_file(
                    "unsupported_format", url, f"expected is {url.rpartition('/')[2].removesuffix(packed)}.tar"
                )
            elif not url.endswith((".parquet", ".tar", "_stats.json")):
                others.setdefault(PurePosixPath(url).suffix, []).append(url)
        for ending, urls in others.items():
            more = f"and {len(urls) - 1} more that end in {ending or 'nothing'}" if len(urls) > 1 else ""
            self._not_read.add_file("unsupported_extension", urls[0], more, len(urls))
        return {table: self._present.get(f"{_stem(table)}.tar") for table in tables}

    def identity(self) -> dict[str, Any]:
        """Returns the settings, and name and size of each Parquet file and of its tar."""
        files = [(table.name, table.size, tar.size if tar else None) for table, tar in self._tables.items()]
        return {**self._settings.canonical(), "files": files}

    def check(self) -> None:
        """Checks the columns of each table. Raises SettingsError for what `shards` would raise because of them."""
        with ThreadPoolExecutor(_CHECK_THREADS) as pool:
            errors = list(pool.map(_damage, self._tables))
        self._leave_out([error for error in errors if error is not None])

    def shards(self) -> Iterator[pa.Table]:
        """Reads the rows of each Parquet file. Raises SettingsError where none can be read, or one lacks a key."""
        self.counts = {"read": 0}
        self._not_read.values.clear()
        damaged = []
        for table, tar in self._tables.items():
            try:
                with open_parquet(table) as parquet:
                    present = column_names(parquet.schema_arrow, table.url)
                    names = _match(present, table.url)
                    rows = parquet.read([*names.values()])
                    rows = pa.table({column: stored_values(rows.column(name)) for column, name in names.items()})
            except UnreadableFileError as error:
                damaged.append(error)
                continue
            self.counts["read"] += rows.num_rows
            yield self._rows(rows, table, tar.size if tar else None, "" if tar else self._why_missing(table, present))
        self._leave_out(damaged)

    @property
    def notes(self) -> dict[str, Any]:
        """Files and values that were not read, for people."""
        return self._not_read.notes()

    def _leave_out(self, damaged: Sequence[UnreadableFileError]) -> None:
        for error in damaged:
            self._not_read.add_file("unreadable_file", error.url, f"{error.detail}. Let img2dataset finish first")
        if damaged and len(damaged) == len(self._tables):
            raise damaged[0]

    def _why_missing(self, table: FileInfo, present: Collection[str]) -> str:
        """Tells what there is in place of a table's tar."""
        stem = _stem(table)
        packed = [f"{stem}{ending}" for ending in _PACKED if f"{stem}{ending}" in self._present]
        if packed:
            instead = f"; there is {packed[0]}, of which nothing can be read by range"
        elif {*present} & {*_IN_THE_TABLE}:
            instead = "; its images are in the table (output_format parquet), source `parquet` reads these"
        elif any(url.startswith(f"{stem}/") for url in self._present):
            instead = "; its images are files in a folder (output_format files)"
        else:
            instead = ""
        return f"no {stem}.tar{instead}"

    def _rows(self, raw: pa.Table, table: FileInfo, tar_bytes: int | None, missing: str) -> pa.Table:
        bad = np.zeros(raw.num_rows, np.bool_)
        columns = {}
        for name in _COLUMNS:
            cast = self._text(name, raw, table.url)
            columns[name] = pc.fill_null(cast.values, "")
            if cast.failed is None:
                continue
            if name in _NEEDED:
                bad |= cast.failed.to_numpy()
            else:
                self._not_read.add_values(_COLUMNS[name][0], cast.failed_count)
        licences = columns["licence"]
        columns["licence"] = pc.if_else(pc.equal(licences, ""), self._settings.licence, licences)
        columns["download_sha256"] = self._digests(columns["download_sha256"])
        if "download_status" not in raw.column_names:  # as in tables of others that were made of img2dataset's
            columns["download_status"] = pa.repeat(pa.scalar("success"), raw.num_rows)
        for name, value in (("tar", f"{_stem(table)}.tar"), ("missing", missing)):
            columns[name] = pa.repeat(pa.scalar(value, pa.string()), raw.num_rows)
        columns["tar_bytes"] = pa.repeat(
            pa.scalar(tar_bytes, pa.int64()), raw.num_rows
        )  # changes when the tar is downloaded again
        rows = pa.table({name: columns[name] for name in _ROW_COLUMNS})
        if not bad.any():
            return rows
        self.counts["bad_text"] = self.counts.get("bad_text", 0) + int(bad.sum())
        return rows.filter(pa.array(~bad))

    def _text(self, name: str, raw: pa.Table, url: str) -> Cast:
        if name not in raw.column_names:
            return Cast(pa.chunked_array([pa.nulls(raw.num_rows, pa.string())]))
        try:
            return cast_leniently(raw.column(name), pa.string())
        except UncastableError as error:
            if name in _NEEDED:
                raise SettingsError(f"{url}: column {_COLUMNS[name][0]}: {error}") from error
            return all_failed(raw.column(name), pa.string())

    def _digests(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """Keeps SHA-256 in hex; other texts, as "nan" and "None", which some programs write for null, become ""."""
        is_digest = pc.match_substring_regex(texts, f"^{SHA256_HEX.pattern}$")
        self._not_read.add_values("sha256", pc.sum(pc.and_(pc.invert(is_digest), pc.not_equal(texts, ""))).as_py() or 0)
        return pc.if_else(is_digest, texts, "")


def _damage(table: FileInfo) -> UnreadableFileError | None:
    """Tells why a table cannot be read. Raises SettingsError for one that lacks a key, or has a column twice."""
    try:
        with open_parquet(table) as parquet:
            _match(column_names(parquet.schema_arrow, table.url), table.url)
    except UnreadableFileError as error:
        return error
    return None


def _match(present: Sequence[str], url: str) -> dict[str, str]:
    """Matches columns without case: name here -> the table's name. Raises SettingsError for one that is there twice."""
    by_lower: dict[str, str] = {}
    for name in present:
        by_lower.setdefault(name.lower(), name)
    matches = {column: by_lower[name] for column, names in _COLUMNS.items() for name in names[::-1] if name in by_lower}
    for needed in ("url", "key"):
        if needed not in matches:
            raise SettingsError(
                f"{url}: no column {needed!r}, as img2dataset's tables have; there are {', '.join(present)}"
            )
    require_single(present, matches.values(), url, any_case=True)
    return matches


def _stem(table: FileInfo) -> str:
    return table.url.removesuffix(".parquet")
