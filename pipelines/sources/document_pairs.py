"""Base of sources whose pairs name documents by their ids: two passes over the queries, one over the corpus."""

from __future__ import annotations

import itertools
import tempfile
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import Field

from corpus.hashing import digest
from corpus.sampling import choose_option, derive_seed
from pipelines.sources.document_join import Document, Documents, DocumentsSettings, Hashes, NamedIds
from pipelines.sources.files import FileInfo, named_in_unicode
from pipelines.sources.json_records import BadRecord, BadRecordError, BadRecords
from pipelines.sources.malformed import malformed_notes
from pipelines.sources.not_read import UnreadableFileError
from pipelines.sources.pair_rows import Side, SourcePair, true_negatives
from pipelines.sources.pair_source import PairDatasetSource, PairReader
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import named_apart, read_records

_BLOCK = 1024  # rows whose documents are looked up together
_TEMPORARY = "rzen-corpus-"


class DocumentPairSource(PairDatasetSource):
    """Settings of a source whose pairs name documents."""

    positives: Literal["each", "one"] = Field(
        "each",
        description="Whether a row that names several positives becomes a pair for each, or for one drawn by the seed.",
    )
    max_negatives: int | None = Field(
        16, ge=0, description="The most negatives of a pair, from the first; null takes all."
    )


@dataclass(frozen=True)
class NamedPair:
    """The pair of a row before its documents are known."""

    pair: SourcePair  # without a positive; its negatives are those that are no documents
    positives: tuple[str, ...]  # ids
    negatives: tuple[str, ...] = ()  # ids


_P = TypeVar("_P", bound=DocumentPairSource)
_ReadRow = tuple[str, int, NamedPair]


class DocumentPairReader(PairReader[_P]):
    """The pairs of a set that names documents.

    Reasons why a positive gives no pair: missing_document, ambiguous_document, empty_document (`Document`),
    duplicate_positive; of a row: no_query, no_positive. The notes count the outcomes of negatives, of which those that
    are no document are left out and the others stay, and the documents of the corpus.
    """

    def __init__(self, settings: _P) -> None:
        super().__init__(settings)
        self.negative_counts: Counter[str] = Counter()
        self._bad_documents = BadRecords()
        self._document_counts: Counter[str] = Counter()

    @property
    @abstractmethod
    def documents(self) -> DocumentsSettings | None:
        """The corpus that is joined; None: the set has none, and the source overrides `pairs`."""

    @abstractmethod
    def columns(self, present: set[str]) -> tuple[Collection[str], Collection[str]]:
        """Chooses the columns of a file with these paths that are read, and those of them in which images may lie."""

    @abstractmethod
    def named(self, row: Row, file: str, line: int) -> NamedPair:
        """Reads a row, without its documents. Raises BadRecordError."""

    def of_document(self, pair: SourcePair, document: Document) -> SourcePair:
        """Makes the pair of a query and one of its positives."""
        return replace(pair, positive=document.side)

    @cached_property
    def document_files(self) -> list[FileInfo]:
        """The files of the corpus."""
        if self.documents is None:
            return []
        files = named_in_unicode(self.documents.find(self.not_read), self.not_read)
        return list({file.url: file for file in files}.values())

    def identity(self) -> dict[str, Any]:
        """Returns the identity of any source of pairs, with the files of the corpus."""
        files = [(file.url, file.size, file.version) for file in self.document_files]
        return {**super().identity(), **({"documents_files": files} if files else {})}

    def check(self) -> None:
        super().check()
        if self.documents is not None:
            self._require(self.documents)

    def _require(self, documents: DocumentsSettings) -> None:
        for file in self.document_files:
            try:
                documents.require(file)
            except UnreadableFileError as error:
                self.not_read.add_file("unreadable_file", error.url, error.detail)

    def pairs(self) -> Iterator[SourcePair]:
        """Reads the pairs of each row, in the files' order. Raises SettingsError for a file without a needed column."""
        self.negative_counts, self._bad_documents = Counter(), BadRecords()
        all_files = named_apart([*self.files, *self.document_files])  # images of both are found by the files' names
        queries, corpus = all_files[: len(self.files)], all_files[len(self.files) :]
        assert self.documents is not None
        self._require(self.documents)
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY) as folder:
            documents = Documents(self._named_ids(queries), folder)
            documents.read(corpus, self.documents, self.not_read, self._bad_documents)
            self._document_counts = documents.counts
            rows = self._rows(queries)
            while block := list(itertools.islice(rows, _BLOCK)):
                by_id = documents.find([each for *_, row in block for each in (*row.positives, *row.negatives)])
                for url, line, row in block:
                    yield from self._join(url, line, row, by_id)

    def _named_ids(self, files: Sequence[FileInfo]) -> Hashes:
        """Collects the ids of all rows. Bad records are not counted here, since the second pass counts them."""
        ids = NamedIds()
        for file, present in self.readable(files):
            columns, images = self.columns(present)
            try:
                for line, record in read_records(file, BadRecords(), columns, images):
                    if self.settings.max_rows_per_file is not None and line > self.settings.max_rows_per_file:
                        break
                    try:
                        row = self.named(record, file.url, line)
                    except BadRecordError:
                        continue
                    ids.add((*row.positives, *row.negatives))
            except UnreadableFileError:
                continue
        return ids.hashes()

    def _rows(self, files: Sequence[FileInfo]) -> Iterator[_ReadRow]:
        for file, present in self.readable(files):
            columns, images = self.columns(present)
            for line, record in self.records(file, columns, images):
                try:
                    yield file.url, line, self.named(record, file.url, line)
                except BadRecordError as error:
                    self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))

    def _join(self, file: str, line: int, row: NamedPair, by_id: dict[str, Document]) -> Iterator[SourcePair]:
        """Makes the pairs of a row, now that its documents are known."""
        positives = [(name, by_id[name]) for name in row.positives]
        present = [document for _, document in positives if not document.reason]
        sides = [document.side for document in present]
        missing = [(document.reason, name) for name, document in positives if document.reason]
        if self.settings.positives == "one" and present:
            self.negative_counts["positives_not_drawn"] += len(present) - 1
            for reason, _ in missing:
                self.negative_counts[f"positive_{reason}"] += 1
            missing = []
            seed = derive_seed(self.settings.seed, row.pair.query.text, *row.pair.query.images)
            chosen = [present[choose_option([digest(side.text, *side.images) for side in sides], seed)]]
        else:
            chosen = list({document.side: document for document in reversed(present)}.values())[::-1]
            if repeated := len(present) - len(chosen):
                self.counts["duplicate_positive"] = self.counts.get("duplicate_positive", 0) + repeated
        for reason, name in missing[:1] if self.settings.positives == "one" else missing:
            self.bad_records.append(BadRecord(file, line, reason, f"document {name}"))
        negatives = [*self._negatives(row, by_id), *row.pair.negatives]
        kept = tuple(true_negatives(negatives, sides, self.settings.max_negatives, self.negative_counts))
        for document in chosen:
            yield self.of_document(replace(row.pair, negatives=kept), document)

    def _negatives(self, row: NamedPair, by_id: dict[str, Document]) -> Iterator[Side]:
        """Yields the negatives of a row that are documents."""
        for name in row.negatives:
            if by_id[name].reason:
                self.negative_counts[f"negative_{by_id[name].reason}"] += 1
            else:
                yield by_id[name].side

    @property
    def notes(self) -> dict[str, Any]:
        """Rows that are malformed, outcomes of negatives, and counts of the corpus, for people."""
        notes = super().notes | malformed_notes(self.bad_records, self._bad_documents)
        if counts := +self._document_counts:
            notes["documents"] = dict(sorted(counts.items()))
        return {**notes, **({"negatives": dict(sorted(self.negative_counts.items()))} if self.negative_counts else {})}
