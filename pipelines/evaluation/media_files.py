"""Evaluation set `media_files`: each image in folders, tars and zips, and the text file beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from corpus.storage import Store
from pipelines.sources.files import FileInfo
from pipelines.sources.images.archive_files import DIRECT, Archive, find_archives, members
from pipelines.sources.images.settings import SetImages
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.pair_source import PairDatasetSource, PairReader

_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_TEXTS = (".txt", ".caption")
_READ_AT_ONCE = 256
_MAX_TEXT_BYTES = 1 << 20


class MediaFilesSource(PairDatasetSource):
    """Settings of a set of images in files. A text file of an image's name, as in WebDataset, is its text."""

    summary = "images in folders, tars (WebDataset) and zips, each with the text file beside it, where there is one"

    kind: Literal["media_files"] = Field(description="Images in folders, tars and zips.")
    paths: tuple[str, ...] = Field(
        min_length=1, description="Folders of images or of tars and zips, tars, zips, globs or fsspec URLs."
    )

    @model_validator(mode="before")
    @classmethod
    def _images_lie_there(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("paths") and values.get("images") is None:
            paths = [values["paths"]] if isinstance(values["paths"], str) else values["paths"]
            return {**values, "paths": paths, "images": SetImages(archives={"paths": paths})}
        return values

    def reader(self) -> MediaFilesReader:
        return MediaFilesReader(self)


class MediaFilesReader(PairReader[MediaFilesSource]):
    """The images of folders and archives, each as the query of a row whose positive is the text beside it, if any."""

    def find(self) -> list[FileInfo]:
        """Returns the archives and folders, which stand for the files in them."""
        archives = find_archives(self.settings.paths)
        return [FileInfo(each.url, each.url, each.size, each.version) for each in archives]

    def check(self) -> None:
        """Checks that there is something. Raises SettingsError where there is not."""
        _ = self.files

    def pairs(self) -> Iterator[SourcePair]:
        """Lists the images by name; damaged archives are noted."""
        for archive in find_archives(self.settings.paths):
            table = members(archive).sort_by("name")
            lower = pc.utf8_lower(table.column("name").cast(pa.string()))
            texts = dict(_texts(archive, table.filter(_has_ending(lower, _TEXTS))))
            for name in table.filter(_has_ending(lower, _IMAGES)).column("name").to_pylist():
                text = texts.get(str(PurePosixPath(name).with_suffix("")), "")
                yield SourcePair(Side("", (name,)), Side(text), key=name, file=archive.url)


def _has_ending(names: pa.ChunkedArray, endings: tuple[str, ...]) -> pa.ChunkedArray:
    found = pc.ends_with(names, endings[0])
    for ending in endings[1:]:
        found = pc.or_(found, pc.ends_with(names, ending))
    return found


def _texts(archive: Archive, table: pa.Table) -> Iterator[tuple[str, str]]:
    """Yields (name without its ending, text) of the text files that lie in an archive as they are."""
    is_folder = archive.table is not None
    store = Store(archive.url if is_folder else archive.url.rpartition("/")[0] or "/")
    rows = [row for row in table.to_pylist() if row["method"] == DIRECT and row["size"] <= _MAX_TEXT_BYTES]
    for start in range(0, len(rows), _READ_AT_ONCE):
        some = rows[start : start + _READ_AT_ONCE]
        places = [f"{archive.url}/{row['raw'] or row['name']}" if is_folder else archive.url for row in some]
        ranges = [(place, row["offset"], row["size"]) for place, row in zip(places, some, strict=True)]
        for row, data in zip(some, store.read_ranges(ranges), strict=True):
            yield str(PurePosixPath(row["name"]).with_suffix("")), data.decode("utf-8", "replace").strip()
