"""Reads images that lie inside Parquet files, named `<file>#row=<number>` or `<file>#row=<number>&column=<column>`.

One of a list of images has `&at=<place>` after that, counted from 0. Rows are counted from 1, as
`pipelines.sources.records` does, which makes such names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from corpus.bisection import ShardError
from corpus.settings import Settings, SettingsError
from pipelines.sources.files import NO_DATA, FileInfo, find_files, named_in_unicode
from pipelines.sources.images.archive_index import AMBIGUOUS, FileIndex
from pipelines.sources.images.archives import Finder, ImageRef
from pipelines.sources.lenient_casts import is_list
from pipelines.sources.not_read import UnreadableFileError
from pipelines.sources.parquet_files import column_names, open_parquet, require_single
from pipelines.sources.parquet_records import holds_images, holds_lists, image_leaf

_NAME = re.compile(r"(?s)(.+)#row=([0-9]{1,15})(?:&column=(.+?))?(?:&at=([0-9]{1,9}))?")
_BATCH_ROWS = 16  # decoded at once: images are large
_MISSING = ImageRef(reason="missing_image")

# (row, counted from 0; place in the row's list, -1: it is none; position among the names), in ascending order
_Requests = list[tuple[int, int, int]]


class ParquetImagesSettings(Settings):
    """Settings of images in Parquet files."""

    paths: tuple[str, ...] = Field(
        min_length=1, description="Parquet files with images: paths, folders, globs or fsspec URLs."
    )
    column: str = Field(
        "image",
        description="The column of the images whose names give none: binary, or a struct with a field `bytes`, as "
        "in Hugging Face `datasets`.",
    )


class ParquetImages:
    """The resolver of images in Parquet files; `FileIndex` finds a file by its name.

    Reasons: missing_image (no such file, column or row, or nothing in it), ambiguous_image (several files are called
    so), too_large, damaged_archive (the file can't be read, or not so far).
    """

    def __init__(self, settings: ParquetImagesSettings) -> None:
        self._settings = settings

    @cached_property
    def _files(self) -> list[FileInfo]:
        files = find_files(self._settings.paths, [".parquet"], "parquet images", hidden=NO_DATA)
        return named_in_unicode(files)  # no row can name the others

    def identity(self) -> dict[str, Any]:
        """Returns the settings, and URL, size and version of each file."""
        files = dict.fromkeys((file.url, file.size, file.version) for file in self._files)
        return {**self._settings.canonical(), "files": [list(file) for file in files]}

    def matches(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    def open(self, max_bytes: int) -> Finder:
        return _ParquetFinder(FileIndex.build(self._files), self._settings.column, max_bytes).find


@dataclass(frozen=True)
class _ParquetFinder:
    """The finder of images in Parquet files."""

    index: FileIndex
    column: str
    max_bytes: int

    def find(self, names: Sequence[str]) -> Iterator[tuple[int, ImageRef]]:
        """Finds images by their names: each file is opened once, and only the row groups that are needed are read."""
        matches = [_NAME.fullmatch(name) for name in names]
        files = self.index.find([match[1] if match else "" for match in matches]).tolist()
        requests: dict[tuple[int, str], _Requests] = {}
        for position, (file, match) in enumerate(zip(files, matches, strict=True)):
            if match is None or file < 0 or not int(match[2]):
                yield position, ImageRef(reason="ambiguous_image") if file == AMBIGUOUS else _MISSING
            else:
                requests.setdefault((file, match[3] or self.column), []).append(
                    (int(match[2]) - 1, int(match[4] or -1), position)
                )
        for (file, column), rows in sorted(requests.items()):
            yield from self._in_file(self.index.urls[file], column, sorted(rows))

    def _in_file(self, url: str, column: str, requests: _Requests) -> Iterator[tuple[int, ImageRef]]:
        """Reads the images of one file.

        Raises ShardError for a file that has the column twice, StorageError where it cannot be read.
        """
        pending = dict.fromkeys(position for *_, position in requests)
        try:
            for position, image in self._by_groups(url, column, requests):
                del pending[position]
                yield position, image
        except UnreadableFileError as error:
            yield from ((position, ImageRef(reason="damaged_archive", detail=str(error))) for position in pending)
        except SettingsError as error:
            raise ShardError(str(error)) from error

    def _by_groups(self, url: str, column: str, requests: _Requests) -> Iterator[tuple[int, ImageRef]]:
        """Reads the images of one file, a row group at a time."""
        with open_parquet(url) as file:
            leaf = _leaf(file, column, url)
            if not leaf:
                yield from ((position, _MISSING) for *_, position in requests)
                return
            sizes = [max(0, file.metadata.row_group(number).num_rows) for number in range(file.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            bounds = np.searchsorted([row for row, *_ in requests], starts)
            for group, start in enumerate(starts[:-1].tolist()):
                in_group = requests[bounds[group] : bounds[group + 1]]
                if in_group:
                    yield from self._in_group(file, group, leaf, [(row - start, *rest) for row, *rest in in_group])
            yield from ((position, _MISSING) for *_, position in requests[bounds[-1] :])

    def _in_group(
        self, file: pq.ParquetFile, group: int, leaf: str, requests: _Requests
    ) -> Iterator[tuple[int, ImageRef]]:
        remaining = requests[::-1]
        first = 0
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[leaf], use_threads=False):
            column = batch.column(0)
            while remaining and remaining[-1][0] < first + batch.num_rows:
                row, at, position = remaining.pop()
                yield position, self._checked(_image(column[row - first], at))
            if not remaining:
                return
            first += batch.num_rows
        yield from ((position, _MISSING) for *_, position in remaining)  # of fewer rows than the footer claims

    def _checked(self, data: bytes | None) -> ImageRef:
        """Returns the image of some bytes, if there are any and not too many."""
        if not data:
            return _MISSING
        return (
            ImageRef(reason="too_large", detail=f"{len(data)} bytes") if len(data) > self.max_bytes else ImageRef(data)
        )


def _image(value: pa.Scalar, at: int) -> bytes | None:
    """Gets the bytes of a value, or of the entry `at` of its list; None where there is none."""
    if is_list(value.type) != (at >= 0) or not value.is_valid:
        return None
    if at >= 0:
        if at >= len(value):
            return None
        value = value[at]
    if pa.types.is_struct(value.type):
        return value["bytes"].as_py() if value.is_valid else None
    return value.as_py()


def _leaf(file: pq.ParquetFile, column: str, url: str) -> str:
    """Finds the leaf column that holds the images of a column; "" for one that holds none, or is not there.

    Raises SettingsError for a column that is there twice.
    """
    schema = file.schema_arrow
    present = column_names(schema, url)
    if column in present:
        require_single(present, [column], url)
        name = column
    else:
        require_single(present, [column], url, any_case=True)
        name = next((each for each in present if each.lower() == column.lower()), "")
    kind = schema.field(name).type if name else pa.null()
    if holds_lists(kind):
        return image_leaf(file, name) or name
    if not holds_images(kind):
        return ""
    return f"{name}.bytes" if pa.types.is_struct(kind) else name
