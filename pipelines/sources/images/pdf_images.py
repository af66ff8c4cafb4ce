"""Reads images that are pages of PDFs, named `<file>#page=<number>`, counted from 1.

The source `documents` makes such names.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import Field

from corpus.settings import SettingsError
from pipelines.sources.files import FileInfo, find_files, named_in_unicode
from pipelines.sources.images.archive_index import AMBIGUOUS, FileIndex
from pipelines.sources.images.archives import Finder, ImageRef
from pipelines.sources.images.pdf import PdfSettings, render_pages

_NAME = re.compile(r"(?s)(.+)#page=([1-9][0-9]{0,8})")
PDF_ENDINGS = (".pdf",)


class PdfImagesSettings(PdfSettings):
    """Settings of where PDFs lie, and how their pages are drawn."""

    paths: tuple[str, ...] = Field(min_length=1, description="PDFs, folders of them, globs, fsspec URLs")


class PdfImages:
    """The resolver of pages of PDFs; `FileIndex` finds a PDF by its name, with or without `.pdf`.

    Reasons: missing_image (no such file), ambiguous_image (several files are called so), too_large, and those of
    `PageError`.
    """

    def __init__(self, settings: PdfImagesSettings) -> None:
        self._settings = settings

    @cached_property
    def _files(self) -> list[FileInfo]:
        files = find_files(self._settings.paths, PDF_ENDINGS, "pdfs")
        return named_in_unicode(files)  # no row can name the others

    def identity(self) -> dict[str, Any]:
        """The settings, and URL, size and version of each file. Raises SettingsError where nothing can draw pages."""
        if importlib.util.find_spec("pypdfium2") is None:
            raise SettingsError("pages of PDFs: no pypdfium2 here: pip install 'rzen-corpus[documents]'")
        files = dict.fromkeys((file.url, file.size, file.version) for file in self._files)
        return {**self._settings.canonical(), "files": [list(file) for file in files]}

    def matches(self, name: str) -> bool:
        return _NAME.fullmatch(name) is not None

    def open(self, max_bytes: int) -> Finder:
        return _PdfFinder(FileIndex.build(self._files), self._settings, max_bytes).find


@dataclass(frozen=True)
class _PdfFinder:
    """The finder of pages of PDFs."""

    index: FileIndex
    settings: PdfSettings
    max_bytes: int

    def find(self, names: Sequence[str]) -> Iterator[tuple[int, ImageRef]]:
        """Finds pages by their names: each PDF is opened once, and its pages are drawn in their order."""
        matches = [_NAME.fullmatch(name) for name in names]
        files = [match[1] if match else "" for match in matches]
        rows = self.index.find(files)
        unresolved = rows < 0
        rows[unresolved] = [
            row if row == AMBIGUOUS else other
            for row, other in zip(
                rows[unresolved].tolist(),
                self.index.find(
                    [f"{file}.pdf" for file, retry in zip(files, unresolved, strict=True) if retry]
                ).tolist(),
                strict=True,
            )
        ]
        requests: dict[int, list[tuple[int, int]]] = {}
        for position, (row, match) in enumerate(zip(rows.tolist(), matches, strict=True)):
            if row < 0 or match is None:
                yield position, ImageRef(reason="ambiguous_image" if row == AMBIGUOUS else "missing_image")
            else:
                requests.setdefault(row, []).append((int(match[2]), position))
        for row, pages in sorted(requests.items()):
            pages.sort()
            drawn = render_pages(self.index.urls[row], [page for page, _ in pages], self.settings)
            for (_, position), page in zip(pages, drawn, strict=True):
                if page.error:
                    yield position, ImageRef(reason=page.error.reason, detail=page.error.detail)
                elif len(page.image) > self.max_bytes:
                    yield position, ImageRef(reason="too_large", detail=f"{len(page.image)} bytes")
                else:
                    yield position, ImageRef(page.image)
