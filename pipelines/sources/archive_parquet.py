"""Images that lie inside Parquet files, named `<file>#row=<number>` or `<file>#row=<number>&column=<column>`.

One of a list of images has `&at=<place>` after that, counted from 0. Rows are counted from 1, as
`pipelines.sources.record_files` does, which makes such names.
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

from corpus.settings import Settings, SettingsError
from corpus.work import ShardError
from pipelines.sources.archive_index import AMBIGUOUS, FileIndex
from pipelines.sources.archives import Find, Found
from pipelines.sources.found_files import NO_DATA, FoundFile, find_files, named_in_unicode
from pipelines.sources.lenient_casts import is_list
from pipelines.sources.not_read import UnreadableFileError
from pipelines.sources.parquet_files import column_names, open_parquet, require_single
from pipelines.sources.parquet_records import holds_images, holds_lists, image_leaf

_NAME = re.compile(r"(?s)(.+)#row=([0-9]{1,15})(?:&column=(.+?))?(?:&at=([0-9]{1,9}))?")
_BATCH_ROWS = 16  # decoded at once: images are large
_NOT_THERE = Found(reason="missing_image")

# (row, counted from 0; place in the row's list, -1: it is none; position among the names), in ascending order
_Wanted = list[tuple[int, int, int]]


class ParquetImagesSettings(Settings):
    """Parquet files that hold images."""

    paths: tuple[str, ...] = Field(min_length=1, description="paths, folders, globs, fsspec URLs")
    column: str = Field(
        "image",
        description="of names without one: binary, or a struct with a field `bytes`, as Hugging Face `datasets` has it",
    )


class ParquetImages:
    """The resolver of images in Parquet files; how a file is found by its name, see `FileIndex`.

    Reasons: missing_image (no such file, column or row, or nothing in it), ambiguous_image (several files are called
    so), too_large, damaged_archive (the file can't be read, or not so far).
    """

    def __init__(self, settings: ParquetImagesSettings) -> None:
        self._settings = settings

    @cached_property
    def _files(self) -> list[FoundFile]:
        found = find_files(self._settings.paths, [".parquet"], "parquet images", hidden=NO_DATA)
        return named_in_unicode(found)  # no row can name the others

    def identity(self) -> dict[str, Any]:
        """The settings, and URL, size and version of each file."""
        files = dict.fromkeys((file.url, file.size, file.version) for file in self._files)
        return {**self._settings.canonical(), "files": [list(file) for file in files]}

    def claims(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    def open(self, max_bytes: int) -> Find:
        return _Files(FileIndex.build(self._files), self._settings.column, max_bytes).find


@dataclass(frozen=True)
class _Files:
    index: FileIndex
    column: str
    max_bytes: int

    def find(self, names: Sequence[str]) -> Iterator[tuple[int, Found]]:
        """The `Find` of Parquet files: each is opened once, and of its row groups only those that are asked for."""
        asked = [_NAME.fullmatch(name) for name in names]
        files = self.index.find([match[1] if match else "" for match in asked]).tolist()
        wanted: dict[tuple[int, str], _Wanted] = {}
        for position, (file, match) in enumerate(zip(files, asked, strict=True)):
            if match is None or file < 0 or not int(match[2]):
                yield position, Found(reason="ambiguous_image") if file == AMBIGUOUS else _NOT_THERE
            else:
                wanted.setdefault((file, match[3] or self.column), []).append(
                    (int(match[2]) - 1, int(match[4] or -1), position)
                )
        for (file, column), rows in sorted(wanted.items()):
            yield from self._in_file(self.index.urls[file], column, sorted(rows))

    def _in_file(self, url: str, column: str, wanted: _Wanted) -> Iterator[tuple[int, Found]]:
        """Raises ShardError for a file that has the column twice, StorageError where it cannot be read."""
        waiting = dict.fromkeys(position for *_, position in wanted)
        try:
            for position, found in self._looked_up(url, column, wanted):
                del waiting[position]
                yield position, found
        except UnreadableFileError as error:
            yield from ((position, Found(reason="damaged_archive", detail=str(error))) for position in waiting)
        except SettingsError as error:
            raise ShardError(str(error)) from error

    def _looked_up(self, url: str, column: str, wanted: _Wanted) -> Iterator[tuple[int, Found]]:
        with open_parquet(url) as file:
            leaf = _leaf(file, column, url)
            if not leaf:
                yield from ((position, _NOT_THERE) for *_, position in wanted)
                return
            sizes = [max(0, file.metadata.row_group(number).num_rows) for number in range(file.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            bounds = np.searchsorted([row for row, *_ in wanted], starts)
            for group, start in enumerate(starts[:-1].tolist()):
                inside = wanted[bounds[group] : bounds[group + 1]]
                if inside:
                    yield from self._in_group(file, group, leaf, [(row - start, *rest) for row, *rest in inside])
            yield from ((position, _NOT_THERE) for *_, position in wanted[bounds[-1] :])

    def _in_group(self, file: pq.ParquetFile, group: int, leaf: str, wanted: _Wanted) -> Iterator[tuple[int, Found]]:
        ahead = wanted[::-1]
        first = 0
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[leaf], use_threads=False):
            column = batch.column(0)
            while ahead and ahead[-1][0] < first + batch.num_rows:
                row, at, position = ahead.pop()
                yield position, self._judged(_image(column[row - first], at))
            if not ahead:
                return
            first += batch.num_rows
        yield from ((position, _NOT_THERE) for *_, position in ahead)  # of fewer rows than the footer claims

    def _judged(self, data: bytes | None) -> Found:
        if not data:
            return _NOT_THERE
        return Found(reason="too_large", detail=f"{len(data)} bytes") if len(data) > self.max_bytes else Found(data)


def _image(value: pa.Scalar, at: int) -> bytes | None:
    """The bytes of a value, or of the entry `at` of its list; None where there is no such thing."""
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
    """What is read of a column to get its images; "" for one that holds none, or is not there.

    Raises SettingsError for one that is there twice.
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
