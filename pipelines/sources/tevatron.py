"""Source `tevatron`: Tevatron's newer sets, whose queries name documents of a corpus of its own.

A query: `{query_id, query_text, query_image, positive_document_ids: [str], negative_document_ids: [str]}`; a document:
`{docid, text, image}`. What a file has not is absent (Tevatron's data loader asks for each). Documents of nothing but a
video or a sound are empty here. The older form, with passages in the rows, is `text_pairs` with the form `tevatron`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.sources.column_mapping import Template, require_paths
from pipelines.sources.document_join import DocumentsSettings, ids_at, names_at
from pipelines.sources.document_pairs import DocumentPairReader, DocumentPairSource, NamedPair
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecordError
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS

_HUB = "hf://datasets/Tevatron"
_POSITIVES, _NEGATIVES = "positive_document_ids", "negative_document_ids"
_TEXTS = ("query_text", "query")  # the first that a file has
_IMAGE = "query_image"


@dataclass(frozen=True)
class TevatronSet:
    """A set and its corpus in the collection "tevatron-v2-data". `images`: its documents are pages."""

    queries: str
    corpus: str
    images: bool


TEVATRON_SETS = {
    "colpali": TevatronSet("colpali", "colpali-corpus", True),
    "pixmo-docs": TevatronSet("pixmo-docs", "pixmo-docs-corpus", True),
    "wiki-ss-nq": TevatronSet("wiki-ss-nq-new", "wiki-ss-corpus-new", True),
    "msmarco-passage": TevatronSet("msmarco-passage-new", "msmarco-passage-corpus-new", False),
}


class TevatronSource(DocumentPairSource):
    """Settings of Tevatron's sets: where queries and documents lie, or the name of a known set."""

    summary = (
        "Tevatron's newer sets, queries joined with a corpus of passages or pages; presets `colpali`, `pixmo-docs`, "
        "`wiki-ss-nq`, `msmarco-passage`"
    )

    kind: Literal["tevatron"] = Field(description="Tevatron's sets of queries and a corpus.")
    preset: str = Field(
        "",
        description=f"The name of a known set: {', '.join(TEVATRON_SETS)}; `files` and `corpus` override its own; "
        "empty for none.",
    )
    files: tuple[str, ...] = Field((), description="Files with the queries: paths, folders, globs or fsspec URLs.")
    corpus: tuple[str, ...] = Field((), description="Files with the documents: paths, folders, globs or fsspec URLs.")

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("preset"):
            return values
        if values["preset"] not in TEVATRON_SETS:
            raise ValueError(f"no preset {values['preset']!r}; there are {', '.join(sorted(TEVATRON_SETS))}")
        known = TEVATRON_SETS[values["preset"]]
        filled = {"files": _train(known.queries), "corpus": _train(known.corpus), **values}
        return {**({"images": {"parquet": {"paths": filled["corpus"]}}} if known.images else {}), **filled}

    @model_validator(mode="after")
    def _is_complete(self) -> TevatronSource:
        if not self.files or not self.corpus:
            raise ValueError("say where the files of the queries and of the corpus lie, or name a preset")
        return self

    def reader(self) -> TevatronReader:
        return TevatronReader(self)


def _train(name: str) -> list[str]:
    return [f"{_HUB}/{name}/data/train-*.parquet"]


class TevatronReader(DocumentPairReader[TevatronSource]):
    """The pairs of the queries, as of `DocumentPairReader`."""

    def find(self) -> list[FileInfo]:
        return find_files(self.settings.files, ROW_ENDINGS, "files", self.not_read, NO_DATA)

    def require(self, present: set[str], file: str) -> None:
        query = next((name for name in (*_TEXTS, _IMAGE) if name in present), _TEXTS[0])
        require_paths((query, _POSITIVES), present, file)

    @property
    def documents(self) -> DocumentsSettings:
        return DocumentsSettings(
            files=self.settings.corpus, id="docid", text="text", images=("image",), optional=("text", "image")
        )

    def columns(self, present: set[str]) -> tuple[Collection[str], Collection[str]]:
        return ("query_id", *_TEXTS, _IMAGE, _POSITIVES, _NEGATIVES), (_IMAGE,)

    def named(self, row: Row, file: str, line: int) -> NamedPair:
        texts = (Template(name).text(row) for name in _TEXTS)
        query = Side(next(filter(None, texts), ""), names_at(row, _IMAGE))
        if query == Side():
            raise BadRecordError("no_query", f"none of {', '.join((*_TEXTS, _IMAGE))} holds anything")
        positives = ids_at(Template(_POSITIVES), row)
        if not positives:
            raise BadRecordError("no_positive", f"{_POSITIVES} names none")
        pair = SourcePair(query, Side(), key=Template("query_id").text(row), file=file, line=line)
        return NamedPair(pair, tuple(positives), tuple(ids_at(Template(_NEGATIVES), row)))
