"""Source `documents`: a question and the page that answers it, as an image or as a page of a PDF.

Three forms: Parquet with the pages' images in it (ViDoRe and ColPali: query, image, image_filename, page ...; VisRAG:
query, image, source), any file of queries with the images' names, and queries {pdf, page, query} beside folders of
PDFs. A page is named `<parquet file>#row=<n>`, as its file names it, or `<pdf>#page=<n>`; all counted from 1. Its image
is found by that name: `images` says where.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.sources.column_mapping import Template, require_paths, value_at
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecord, BadRecordError, text_of
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.pair_source import PairDatasetSource, PairReader
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS, named_apart


class DocumentsSource(PairDatasetSource):
    """Settings of a set of documents: where the queries and the pages lie."""

    summary = (
        "queries and pages: images in Parquet (`images: {parquet: ...}`), files, or pages of PDFs "
        "(`images: {pdfs: ...}`, extra `documents`), each drawn in a process with a deadline and a limit "
        "of memory"
    )

    kind: Literal["documents"] = Field(description="A set of queries and pages of documents.")
    image_filter: Literal["quality", "decodable"] = Field(
        "decodable",
        description="Which pages are kept: those that pass the stage quality, without duplicates, or all that can "
        "be decoded.",
    )
    files: tuple[str, ...] = Field(
        min_length=1,
        description="Parquet or JSON-lines files with a query and a page in each row: paths, folders, globs or "
        "fsspec URLs.",
    )
    query: str = Field("query", description="The column with the query, or a template of several columns.")
    image: str = Field(
        "image",
        description="The column with a page's bytes or its image's name; where it is empty, `image_filename` has "
        "the name.",
    )
    image_filename: str = Field(
        "image_filename", description="The column with the file name of a page, which is the pair's id, too."
    )
    pdf: str = Field("pdf", description="The column with a PDF's path or the end of it, in files without images.")
    page: str = Field("page", description="The column with the page's number in its PDF.")
    first_page_number: Literal[0, 1] = Field(1, description="The number that rows give to the first page of a PDF.")
    source: str = Field(
        "source", description="The column with the name of the set that a page is from, in collections of several sets."
    )
    only_sources: tuple[str, ...] = Field((), description="The names of the sets whose rows are read; empty reads all.")

    @model_validator(mode="after")
    def _query_parses(self) -> DocumentsSource:
        Template(self.query)
        return self

    def reader(self) -> DocumentsReader:
        return DocumentsReader(self)


class DocumentsReader(PairReader[DocumentsSource]):
    """The pairs of a set of documents, one for each row: a text, and the name of a page.

    Reasons why a row gives none: no_query (some sets have pages without a query, on purpose), other_source, no_image,
    bad_page, bad_text, not_json, not_an_object, line_too_long.
    """

    def find(self) -> list[FileInfo]:
        return find_files(self.settings.files, ROW_ENDINGS, "files", self.not_read, NO_DATA)

    def require(self, present: set[str], file: str) -> None:
        settings = self.settings
        _, _, needed = self._columns(present)
        sets = [settings.source] if settings.only_sources else []
        require_paths([*Template(settings.query).paths, *needed, *sets], present, file)

    def _columns(self, present: set[str]) -> tuple[list[str], bool, list[str]]:
        """Finds the columns of images, whether PDFs are named instead, and the columns that name a row's page."""
        settings = self.settings
        images = [name for name in (settings.image, settings.image_filename) if name in present]
        in_pdfs = not images and settings.pdf in present
        return images, in_pdfs, [settings.pdf, settings.page] if in_pdfs else images or [settings.image]

    def pairs(self) -> Iterator[SourcePair]:
        """Reads the pair of each row. Raises SettingsError for a file without a column that is needed."""
        settings = self.settings
        query = Template(settings.query)
        for file, present in self.readable(named_apart(self.files)):
            images, in_pdfs, needed = self._columns(present)
            paths = {*query.paths, *needed, settings.source}
            columns = {path if path in present else path.split(".")[0] for path in paths}
            for line, row in self.records(file, columns, images):
                try:
                    pair = self._pair(row, query, in_pdfs)
                except BadRecordError as error:
                    self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))
                else:
                    if isinstance(pair, str):
                        self.counts[pair] = self.counts.get(pair, 0) + 1
                    else:
                        yield replace(pair, file=file.url, line=line)

    def _pair(self, row: Row, query: Template, in_pdfs: bool) -> SourcePair | str:
        """Reads a pair, or the reason why there is none although nothing is wrong."""
        settings = self.settings
        if settings.only_sources and _text_at(row, settings.source) not in settings.only_sources:
            return "other_source"
        text = query.text(row)
        if not text:
            return "no_query"
        if in_pdfs:
            name = _text_at(row, settings.pdf)
            image = (
                f"{name}#page={page_number(value_at(row, settings.page), settings.first_page_number)}" if name else ""
            )
        else:
            image = _text_at(row, settings.image) or _text_at(row, settings.image_filename)
        if not image:
            raise BadRecordError("no_image", f"{settings.pdf if in_pdfs else settings.image!r} names none")
        return SourcePair(Side(text), Side("", (image,)), key=_text_at(row, settings.image_filename))


def _text_at(row: Row, path: str) -> str:
    """Gets a string of a row, "" where it has none."""
    return text_of(value_at(row, path)) if path else ""


def page_number(value: Any, first: int) -> int:
    """Parses the number of a page, counted from 1, from a number or its digits. Raises BadRecordError for all else."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():  # null in another row has made the column one of floats
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < first:
        raise BadRecordError("bad_page", f"{value!r} is no page: the first is {first}")
    return value - first + 1
