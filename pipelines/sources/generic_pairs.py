"""Sources `jsonl` and `parquet`: any set of pairs, by a mapping of its columns in the settings.

    kind: parquet
    files: [data/*.parquet]
    query: {text: "{title}: {question}", images: image}
    positive: {text: answers.text.0}
    negatives: [{text: hard_negatives}]
    id: id

How a column is named, see `pipelines.sources.column_mapping`. Where rows name documents of a corpus by their ids:

    positive: {documents: positive_document_ids}
    negatives: [{documents: negative_document_ids}]
    documents: {files: [corpus/*.parquet], id: docid, text: text, images: image}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from corpus.settings import Settings
from pipelines.sources.column_mapping import Template, require_paths, value_at
from pipelines.sources.document_join import DocumentsSettings, ids_at, image_names_at, names_at
from pipelines.sources.document_pairs import DocumentPairReader, DocumentPairSource, NamedPair
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecord, BadRecordError
from pipelines.sources.pair_rows import Side, SourcePair, true_negatives
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS, named_apart


class SideColumns(Settings):
    """The columns of a side: its text, and the names of its images."""

    text: str = Field("", description="The column with the text, or a template of several columns; empty for none.")
    images: tuple[str, ...] = Field(
        (), description="Columns with the names of images, each of one name or a list of names."
    )
    documents: str = Field(
        "", description="The column with the id, or a list of ids, of documents, from which texts and images are taken."
    )

    @field_validator("images", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return ([value] if value else []) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_something(self) -> SideColumns:
        if self.documents and (self.text or self.images):
            raise ValueError("names documents, and a text or images too: these are in the documents")
        if not self.text and not self.images and not self.documents:
            raise ValueError("names neither a text nor images")
        for text in filter(None, (self.text, self.documents)):
            Template(text)
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The columns that are named."""
        templates = [Template(text) for text in (self.text, self.documents) if text]
        return (*(path for template in templates for path in template.paths), *self.images)


class GenericPairsSource(DocumentPairSource):
    """Settings of any set of pairs: its files, and a mapping of their columns."""

    summary = (
        "any other set, by a mapping; `answers.text.0` is a field within a column; with `documents`, "
        "rows name documents of a corpus by their ids"
    )

    kind: Literal["jsonl", "parquet"] = Field(description="The format of the files that are read from folders.")
    files: tuple[str, ...] = Field(
        min_length=1, description="Files with a pair in each row: paths, folders, globs or fsspec URLs."
    )
    query: SideColumns = Field(description="The columns of the query.")
    positive: SideColumns = Field(description="The columns of the positive.")
    negatives: tuple[SideColumns, ...] = Field(
        (), description="The columns of negatives; each entry of a list column is a negative."
    )
    instruction: str = Field(
        "", description="The column with the query's instruction, or a template of several columns; empty for none."
    )
    label: str = Field(
        "", description="The column with the pair's class label, or a template of several columns; empty for none."
    )
    id: str = Field(
        "", description="The column with the pair's id in its set, or a template of several columns; empty for none."
    )
    url: str = Field(
        "",
        description="The column with the URL that the pair is from, or a template of several columns; empty for none.",
    )
    licence_column: str = Field(
        "", description="The column with the pair's licence, or a template of several columns; empty for none."
    )
    documents: DocumentsSettings | None = Field(
        None, description="The corpus of documents that rows name by their ids; null where they name none."
    )

    @field_validator("instruction", "label", "id", "url", "licence_column")
    @classmethod
    def _templates_parse(cls, text: str) -> str:
        if text:
            Template(text)
        return text

    @model_validator(mode="after")
    def _documents_are_there(self) -> GenericPairsSource:
        if self.query.documents:
            raise ValueError("query: a query is in its row, not among the documents")
        names = [side.documents for side in (self.positive, *self.negatives) if side.documents]
        if bool(names) != (self.documents is not None):
            raise ValueError(
                "documents: " + ("no side names any" if not names else f"where are those of {names[0]!r}?")
            )
        if self.documents is not None and not self.positive.documents:
            raise ValueError("positive: where negatives are documents, the positive is one")
        return self

    def reader(self) -> GenericPairsReader:
        return GenericPairsReader(self)

    @property
    def has_labels(self) -> bool:
        return bool(self.label)


# The field of a pair that each of these settings names the column of.
_OTHERS = {"instruction": "instruction", "label": "label", "id": "key", "url": "url", "licence_column": "licence"}


class GenericPairsReader(DocumentPairReader[GenericPairsSource]):
    """The pairs of any set, one for each row; where rows name documents, as of `DocumentPairReader`.

    Reasons why a row gives none: no_query, no_positive, bad_text, bad_images, bad_negatives, not_json, not_an_object,
    line_too_long. The notes count the outcomes of negatives.
    """

    def find(self) -> list[FileInfo]:
        parquet = (".parquet",)
        endings = parquet if self.settings.kind == "parquet" else tuple(e for e in ROW_ENDINGS if e not in parquet)
        return find_files(self.settings.files, endings, "files", self.not_read, NO_DATA)

    def require(self, present: set[str], file: str) -> None:
        require_paths(self._paths, present, file)

    @property
    def _sides(self) -> tuple[SideColumns, ...]:
        return (self.settings.query, self.settings.positive, *self.settings.negatives)

    @property
    def _others(self) -> dict[str, Template]:
        return {field: Template(text) for name, field in _OTHERS.items() if (text := getattr(self.settings, name))}

    @property
    def _paths(self) -> list[str]:
        """The columns that are named."""
        paths = [path for side in self._sides for path in side.paths]
        return paths + [path for template in self._others.values() for path in template.paths]

    @property
    def documents(self) -> DocumentsSettings | None:
        return self.settings.documents

    def columns(self, present: set[str]) -> tuple[Collection[str], Collection[str]]:
        return self._paths, self.settings.query.images

    def named(self, row: Row, file: str, line: int) -> NamedPair:
        """Reads a row that names documents. Raises BadRecordError."""
        query = one_side(self.settings.query, row)
        positives = ids_at(Template(self.settings.positive.documents), row)
        for name, present in (("query", query != Side()), ("positive", positives)):
            if not present:
                raise BadRecordError(f"no_{name}", f"the row names no {name}")
        negatives: list[str] = []
        others: list[Side] = []
        for columns in self.settings.negatives:
            if columns.documents:
                negatives += ids_at(Template(columns.documents), row)
            else:
                others += several_sides(columns, row)
        fields = {name: template.text(row) for name, template in self._others.items()}
        pair = SourcePair(query, Side(), tuple(others), file=file, line=line, **cast(Any, fields))
        return NamedPair(pair, tuple(positives), tuple(negatives))

    def pairs(self) -> Iterator[SourcePair]:
        """Reads the pair of each row. Raises SettingsError for a file without one of the columns."""
        if self.settings.documents is not None:
            yield from super().pairs()
            return
        self.negative_counts = Counter()
        others = self._others
        images = {path for side in self._sides for path in side.images}
        for file, _ in self.readable(named_apart(self.files)):
            for line, row in self.records(file, self._paths, images):
                try:
                    yield self._pair(row, others, file.url, line)
                except BadRecordError as error:
                    self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))

    def _pair(self, row: Row, others: dict[str, Template], file: str, line: int) -> SourcePair:
        query, positive = one_side(self.settings.query, row), one_side(self.settings.positive, row)
        for name, side in (("query", query), ("positive", positive)):
            if side == Side():
                raise BadRecordError(f"no_{name}", f"the {name} has neither a text nor an image")
        candidates = [side for columns in self.settings.negatives for side in several_sides(columns, row)]
        negatives = true_negatives(candidates, [positive], self.settings.max_negatives, self.negative_counts)
        fields = {name: template.text(row) for name, template in others.items()}
        return SourcePair(query, positive, tuple(negatives), file=file, line=line, **cast(Any, fields))


def one_side(columns: SideColumns, row: Row) -> Side:
    """Reads one side of a row. Raises BadRecordError for what is no text or no name."""
    text = Template(columns.text).text(row) if columns.text else ""
    return Side(text, tuple(name for path in columns.images for name in names_at(row, path)))


def several_sides(columns: SideColumns, row: Row) -> list[Side]:
    """Reads the sides of a row's lists, one for each entry. An entry of images may itself be a list.

    Raises BadRecordError for what is no text or no name, and where texts and images are not equally many.
    """
    parts: list[list[Side]] = []
    if columns.text:
        texts = Template(columns.text).texts(row)
        parts.append([Side(text) for text in ([texts] if isinstance(texts, str) and texts else texts)])
    for path in columns.images:
        value = value_at(row, path)
        entries = value if isinstance(value, list) else [value] if value else []
        parts.append([Side("", image_names_at(entry, path)) for entry in entries])
    counts = sorted({len(part) for part in parts})
    if len(counts) > 1:
        raise BadRecordError("bad_negatives", f"{' and '.join(map(str, counts))} entries in {', '.join(columns.paths)}")
    return [
        Side("".join(side.text for side in each), tuple(name for side in each for name in side.images))
        for each in zip(*parts, strict=True)
    ]
