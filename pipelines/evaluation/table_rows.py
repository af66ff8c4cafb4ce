"""Evaluation set `table_rows`: texts and images in columns of Parquet files and JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.sources.column_mapping import Template, require_paths
from pipelines.sources.document_join import names_at
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.generic_pairs import SideColumns, several_sides
from pipelines.sources.images.settings import SetImages
from pipelines.sources.json_records import BadRecord, BadRecordError
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.pair_source import PairDatasetSource, PairReader
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS, named_apart

QUESTION_LABEL = "question"  # the label of rows whose texts do not stand alone


class TableRowsSource(PairDatasetSource):
    """Settings of a set whose rows have any texts and images, without saying which is the query."""

    summary = "texts and images of rows of Parquet files or JSON lines, in any columns"

    kind: Literal["table_rows"] = Field(description="Columns of Parquet files and JSON lines.")
    files: tuple[str, ...] = Field(min_length=1, description="Files: paths, folders, globs or fsspec URLs.")
    texts: tuple[str, ...] = Field((), description="Columns with texts, each of one or of a list of texts.")
    questions: tuple[str, ...] = Field(
        (),
        description="Columns with questions about the row's images, and with answers: such a text is in other sets "
        "with other images, and counts where the image is the same, too.",
    )
    media: tuple[str, ...] = Field(
        (),
        description="Columns with images: bytes in a Parquet file, or names of files that `images` finds.",
    )
    id: str = Field("", description="The column with the name of the evaluation item; empty: file and row.")

    @model_validator(mode="before")
    @classmethod
    def _images_lie_there(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("media") and values.get("images") is None:
            return {**values, "images": SetImages(parquet={"paths": values.get("files")})}  # type: ignore[arg-type]
        return values

    @model_validator(mode="after")
    def _names_something(self) -> TableRowsSource:
        if not self.texts and not self.questions and not self.media:
            raise ValueError("neither texts nor questions nor media: what is in the rows?")
        for text in filter(None, (*self.texts, *self.questions, self.id)):
            Template(text)
        return self

    def reader(self) -> TableRowsReader:
        return TableRowsReader(self)


class TableRowsReader(PairReader[TableRowsSource]):
    """The rows of tables. A row becomes a pair of its images and, as negatives, its texts; another of its questions.

    The second one has a label, which says of its texts that they do not stand alone.
    """

    def find(self) -> list[FileInfo]:
        return find_files(self.settings.files, ROW_ENDINGS, "files", self.not_read, NO_DATA)

    def require(self, present: set[str], file: str) -> None:
        require_paths(self._paths, present, file)

    @property
    def _paths(self) -> list[str]:
        settings = self.settings
        named = [path for text in settings.texts + settings.questions for path in Template(text).paths]
        return [*named, *settings.media, *(Template(settings.id).paths if settings.id else ())]

    def pairs(self) -> Iterator[SourcePair]:
        """Reads the texts and images of each row. Raises SettingsError for a file without one of the columns."""
        for file, _ in self.readable(named_apart(self.files)):
            for line, row in self.records(file, self._paths, set(self.settings.media)):
                try:
                    yield from self._of_row(row, file, line)
                except BadRecordError as error:
                    self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))

    def _of_row(self, row: Row, file: FileInfo, line: int) -> Iterator[SourcePair]:
        settings = self.settings
        media = Side("", tuple(name for path in settings.media for name in names_at(row, path)))
        key = (Template(settings.id).text(row) if settings.id else "") or f"{file.name}:{line}"
        for columns, label in ((settings.texts, ""), (settings.questions, QUESTION_LABEL)):
            sides = [side for text in columns for side in several_sides(SideColumns(text=text), row) if side.text]
            if sides or (media.images and not label):
                yield SourcePair(media, Side(), tuple(sides), key=key, file=file.url, line=line, label=label)
