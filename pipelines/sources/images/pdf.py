"""Renders pages of PDFs as images, by PDFium in a process of its own for each PDF, and finds them by their names.

A PDF may be hostile: it may crash the renderer, run for ever, or ask for all memory. So its process has a deadline, a
bound on memory, and pages and pixels that are bounded before any is drawn; what it does costs its own page. A page has
the name `<file>#page=<number>`, counted from 1, as the source `documents` makes it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import Field

from corpus.processes import ChildProcess, Limits
from corpus.settings import Settings, SettingsError, tuning
from corpus.storage import Store, storage_errors
from pipelines.sources.files import FileInfo, find_files, named_in_unicode
from pipelines.sources.images.archive_index import AMBIGUOUS, FileIndex
from pipelines.sources.images.archives import Finder, ImageRef

PDF_ENDINGS = (".pdf",)

_PAGE_NAME = re.compile(r"(?s)(.+)#page=([1-9][0-9]{0,8})")
_WORKER = Path(__file__).with_name("pdf_worker.py")
_MAX_RESTARTS = 3  # of the process, for the pages that remain
_GRACE_S = 1.0
_CHUNK = 2**20
_MAX_HEADER_BYTES = 2**16


class PdfSettings(Settings):
    """Settings of how pages are drawn, and what a PDF may cost."""

    longest_side_px: int = Field(
        1540,
        ge=16,
        le=8192,
        description="The longer side of a rendered page; the shorter one follows from the page's shape.",
    )
    format: Literal["jpeg", "png"] = Field("jpeg", description="The format of rendered pages.")
    jpeg_quality: int = Field(90, ge=1, le=100, description="The JPEG quality of rendered pages.")
    max_aspect_ratio: float = Field(
        20.0, gt=1, description="The largest ratio of a page's longer to its shorter side; pages beyond it fail."
    )
    max_pages: int = Field(10_000, ge=1, description="The most pages of a PDF; one with more fails.")
    max_bytes: int = Field(500_000_000, ge=1, description="The largest PDF; a larger one fails.")
    page_timeout_s: float = tuning(60.0, gt=0, description="The longest time to render one page.")
    pdf_timeout_s: float = tuning(
        600.0, gt=0, description="The longest time to render all pages of a PDF that are requested at once."
    )
    max_memory_bytes: int = tuning(
        2_000_000_000, ge=200_000_000, description="The most memory of the process that renders pages."
    )


class PageError(Exception):
    """A page cannot be rendered.

    Reasons of a PDF: missing_image (no such file), not_a_pdf, broken_pdf, encrypted_pdf (it needs a password),
    empty_pdf, too_many_pages, too_large; of a page: no_page, bad_page_size, broken_page, render_timeout,
    render_out_of_memory and renderer_died (PDFium mostly aborts where memory ends).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Page:
    """A page, counted from 1: its image file's bytes, or why there are none."""

    number: int
    image: bytes = b""
    error: PageError | None = None


def render_pages(source: bytes | str, pages: Sequence[int], settings: PdfSettings) -> Iterator[Page]:
    """Renders the requested pages, in their order; they are counted from 1, ValueError for less.

    A page that kills the renderer or takes too long has its reason, and those after it are still drawn; a PDF that
    does that more often than a few times is given up. Raises SettingsError where pypdfium2 is not installed,
    StorageError where the PDF cannot be read.
    """
    if any(page < 1 for page in pages):
        raise ValueError(f"pages are counted from 1: {min(pages)}")
    with tempfile.TemporaryFile() as scratch:
        try:
            file = _open(source, scratch, settings.max_bytes)
        except PageError as error:
            yield from (Page(page, error=error) for page in pages)
            return
        with file:
            remaining, deadline = list(pages), _Deadline(settings.pdf_timeout_s)
            for _ in range(1 + _MAX_RESTARTS):
                os.lseek(file.fileno(), 0, os.SEEK_SET)  # the process before has read it
                for rendered in _run(file, tuple(remaining), settings, deadline):
                    remaining.pop(0)
                    yield rendered
                if not remaining:
                    return
                if deadline.seconds <= 0:
                    break
        stopped = PageError("renderer_died", "too often")
        if deadline.seconds <= 0:
            stopped = PageError("render_timeout", f"the PDF took {settings.pdf_timeout_s:g} s")
        yield from (Page(page, error=stopped) for page in remaining)


def _open(source: bytes | str, scratch: IO[bytes], max_bytes: int) -> IO[bytes]:
    """Opens a PDF as a file with a descriptor, for a process to read."""
    store = Store(".")
    if isinstance(source, str):
        try:
            size = store.size(source)
        except FileNotFoundError as error:
            raise PageError("missing_image", str(error)) from error
        if size > max_bytes:
            raise PageError("too_large", f"{size} bytes")
        if "://" not in source:
            return store.open(source)
        try:
            source = store.read_bounded(source, max_bytes)
        except ValueError as error:
            raise PageError("too_large", str(error)) from error
    if len(source) > max_bytes:
        raise PageError("too_large", f"{len(source)} bytes")
    with storage_errors(f"{tempfile.gettempdir()}: the temporary file of a PDF"):
        scratch.write(source)
        scratch.flush()
    return scratch


@dataclass
class _Deadline:
    """The time that remains for a PDF: waiting for its pages is taken off."""

    seconds: float


def _run(file: IO[bytes], pages: Sequence[int], settings: PdfSettings, deadline: _Deadline) -> Iterator[Page]:
    """Renders pages in one process, which may end early: then the last page is the one that ended it."""
    request = {
        "pages": list(pages),
        **settings.model_dump(include={"longest_side_px", "format", "jpeg_quality", "max_aspect_ratio", "max_pages"}),
    }
    program = [str(_WORKER), json.dumps(request)]
    limits = Limits(settings.max_memory_bytes, int(settings.page_timeout_s * (len(pages) + 1)) + 1)
    with ChildProcess(program, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, limits=limits) as process:
        responses = _ResponseReader(
            process.output.fileno(), settings.page_timeout_s, deadline, settings.max_memory_bytes
        )
        for page in pages:
            try:
                header, image = responses.next()
            except TimeoutError:
                waited_s = min(settings.page_timeout_s, settings.pdf_timeout_s)
                yield Page(page, error=PageError("render_timeout", f"nothing within {waited_s:g} s"))
                return
            except EOFError:
                yield Page(page, error=PageError("renderer_died", _ending(process)))
                return
            if not header["page"]:  # of the PDF: so of all its pages
                if header["reason"] == "no_renderer":
                    raise SettingsError(f"{header['detail']}: pip install 'rzen-corpus[documents]'")
                error = PageError(header["reason"], header["detail"])
                yield from (Page(each, error=error) for each in pages)
                return
            reason = header.get("reason")
            yield Page(page, image, PageError(reason, header["detail"]) if reason else None)


def _ending(process: ChildProcess) -> str:
    """Describes how a process ended that closed its output, or wrote what is no response."""
    code = process.wait(_GRACE_S)
    if code is None:
        return "it wrote what is no answer"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class _ResponseReader:
    """Reads what a worker writes, each response within a deadline: TimeoutError after it, EOFError at the end.

    EOFError too for what is no response: nothing that comes after it could be read. No image has more bytes than the
    worker has memory (`max_bytes`), whatever it says.
    """

    def __init__(self, descriptor: int, timeout_s: float, deadline: _Deadline, max_bytes: int) -> None:
        self._descriptor, self._timeout_s, self._deadline = descriptor, timeout_s, deadline
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def next(self) -> tuple[dict[str, Any], bytes]:
        """Reads header and content of the next response."""
        started = time.monotonic()
        try:
            return self._read_until(started + min(self._timeout_s, self._deadline.seconds))
        finally:
            self._deadline.seconds -= time.monotonic() - started

    def _read_until(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        while (header_end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_HEADER_BYTES:
                raise EOFError("not an answer")
            self._receive(deadline)
        try:
            header = json.loads(bytes(self._buffer[:header_end]))
            size = int(header.get("size", 0))
        except (ValueError, AttributeError) as error:
            raise EOFError("not an answer") from error
        if not 0 <= size <= self._max_bytes:
            raise EOFError("not an answer")
        while len(self._buffer) < header_end + 1 + size:
            self._receive(deadline)
        content = bytes(self._buffer[header_end + 1 : header_end + 1 + size])
        del self._buffer[: header_end + 1 + size]
        return header, content

    def _receive(self, deadline: float) -> None:
        if not self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        data = os.read(self._descriptor, _CHUNK)
        if not data:
            raise EOFError
        self._buffer += data


class PdfImagesSettings(PdfSettings):
    """Settings of where PDFs lie, and how their pages are drawn."""

    paths: tuple[str, ...] = Field(min_length=1, description="PDF files: paths, folders, globs or fsspec URLs.")


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
        """Returns the settings, and URL, size and version of each file.

        Raises SettingsError where nothing can draw pages.
        """
        if importlib.util.find_spec("pypdfium2") is None:
            raise SettingsError("pages of PDFs: no pypdfium2 here: pip install 'rzen-corpus[documents]'")
        files = dict.fromkeys((file.url, file.size, file.version) for file in self._files)
        return {**self._settings.canonical(), "files": [list(file) for file in files]}

    def matches(self, name: str) -> bool:
        return _PAGE_NAME.fullmatch(name) is not None

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
        matches = [_PAGE_NAME.fullmatch(name) for name in names]
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
