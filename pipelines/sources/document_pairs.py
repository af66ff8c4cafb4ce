"""What sources share whose pairs name documents by their ids: two passes over the queries, one over the corpus."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import Field

from pipelines.sources.document_join import Document, Documents, DocumentsSettings, Hashes, NamedIds
from pipelines.sources.found_files import FoundFile, named_in_unicode
from pipelines.sources.json_records import Fault, Faults, Malformed
from pipelines.sources.not_read import UnreadableFileError
from pipelines.sources.pair_rows import GivenPair, Side
from pipelines.sources.pair_sampling import PairRows, PairSource
from pipelines.sources.parquet_records import Row
from pipelines.sources.record_files import named_apart, read_records
from pipelines.sources.true_negatives import true_negatives

_BLOCK = 1024  # rows whose documents are looked up together
_TEMPORARY = "rzen-corpus-"


class DocumentPairSource(PairSource):
    """What a source may be told whose pairs name documents."""

    positives: Literal["each", "one"] = Field(
        "each", description="of rows that name several documents: a pair for each positive, or for one drawn by seed"
    )
    most_negatives: int | None = Field(16, ge=0, description="of a pair, from the first; null: all")


@dataclass(frozen=True)
class NamedPair:
    """What a row says before its documents are known."""

    pair: GivenPair  # without a positive; its negatives are those that are no documents
    positives: tuple[str, ...]  # ids
    negatives: tuple[str, ...] = ()  # ids


P = TypeVar("P", bound=DocumentPairSource)
_Read = tuple[str, int, NamedPair]


class DocumentPairRows(PairRows[P]):
    """The pairs of a set that names documents.

    Reasons why a positive gives no pair: missing_document, ambiguous_document, empty_document (`Document`),
    repeated_positive; of a row: no_query, no_positive. The notes count what became of negatives, of which those that
    are no document are left out and the others stay, and what the corpus had.
    """

    def __init__(self, settings: P) -> None:
        super().__init__(settings)
        self.told: Counter[str] = Counter()
        self._document_faults = Faults()
        self._document_counts: Counter[str] = Counter()

    @property
    @abstractmethod
    def documents(self) -> DocumentsSettings | None:
        """The corpus that is joined; None: the set has none, and `pairs` is the source's own."""

    @abstractmethod
    def columns(self, present: set[str]) -> tuple[Collection[str], Collection[str]]:
        """Of a file with these paths, the columns that are read, and those of them in which images may lie."""

    @abstractmethod
    def named(self, row: Row, file: str, line: int) -> NamedPair:
        """What a row says. Raises Malformed."""

    def of_document(self, pair: GivenPair, document: Document) -> GivenPair:
        """The pair of a query and one of its positives."""
        return replace(pair, positive=document.side)

    @cached_property
    def document_files(self) -> list[FoundFile]:
        """The files of the corpus."""
        if self.documents is None:
            return []
        found = named_in_unicode(self.documents.find(self.not_read), self.not_read)
        return list({file.url: file for file in found}.values())

    def identity(self) -> dict[str, Any]:
        """As of every source of pairs, and of the files of the corpus."""
        files = [(found.url, found.size, found.version) for found in self.document_files]
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

    def pairs(self) -> Iterator[GivenPair]:
        """The pairs of each row, in the files' order. Raises SettingsError for a file without a needed column."""
        self.told, self._document_faults = Counter(), Faults()
        every = named_apart([*self.files, *self.document_files])  # images of both are found by the files' names
        queries, corpus = every[: len(self.files)], every[len(self.files) :]
        assert self.documents is not None
        self._require(self.documents)
        with tempfile.TemporaryDirectory(prefix=_TEMPORARY) as folder:
            documents = Documents(self._named_ids(queries), folder)
            documents.read(corpus, self.documents, self.not_read, self._document_faults)
            self._document_counts = documents.counts
            rows = self._rows(queries)
            while block := list(itertools.islice(rows, _BLOCK)):
                found = documents.find([each for *_, row in block for each in (*row.positives, *row.negatives)])
                for url, line, row in block:
                    yield from self._joined(url, line, row, found)

    def _named_ids(self, files: Sequence[FoundFile]) -> Hashes:
        """The first pass: nothing of what is lost is counted, since the second pass does."""
        ids = NamedIds()
        for file, present in self.readable(files):
            columns, images = self.columns(present)
            try:
                for line, record in read_records(file, Faults(), columns, images):
                    if self.settings.lines is not None and line > self.settings.lines:
                        break
                    try:
                        row = self.named(record, file.url, line)
                    except Malformed:
                        continue
                    ids.add((*row.positives, *row.negatives))
            except UnreadableFileError:
                continue
        return ids.hashes()

    def _rows(self, files: Sequence[FoundFile]) -> Iterator[_Read]:
        for file, present in self.readable(files):
            columns, images = self.columns(present)
            for line, record in self.records(file, columns, images):
                try:
                    yield file.url, line, self.named(record, file.url, line)
                except Malformed as error:
                    self.faults.append(Fault(file.url, line, error.reason, error.detail))

    def _joined(self, file: str, line: int, row: NamedPair, found: dict[str, Document]) -> Iterator[GivenPair]:
        positives = [(name, found[name]) for name in row.positives]
        there = [document for _, document in positives if not document.reason]
        lost = [(document.reason, name) for name, document in positives if document.reason]
        if self.settings.positives == "one" and there:
            self.told["positives_not_drawn"] += len(there) - 1
            for reason, _ in lost:
                self.told[f"positive_{reason}"] += 1
            lost, chosen = [], [min(there, key=lambda document: _draw(self.settings.seed, row.pair.query, document))]
        else:
            chosen = list({document.side: document for document in reversed(there)}.values())[::-1]
            if len(chosen) < len(there):
                self.counts["repeated_positive"] = self.counts.get("repeated_positive", 0) + len(there) - len(chosen)
        for reason, name in lost[:1] if self.settings.positives == "one" else lost:
            self.faults.append(Fault(file, line, reason, f"document {name}"))
        negatives = [*self._negatives(row, found), *row.pair.negatives]
        kept = tuple(true_negatives(negatives, [each.side for each in there], self.settings.most_negatives, self.told))
        for document in chosen:
            yield self.of_document(replace(row.pair, negatives=kept), document)

    def _negatives(self, row: NamedPair, found: dict[str, Document]) -> Iterator[Side]:
        for name in row.negatives:
            if found[name].reason:
                self.told[f"negative_{found[name].reason}"] += 1
            else:
                yield found[name].side

    @property
    def notes(self) -> dict[str, Any]:
        """Rows that are malformed, what became of negatives, and what the corpus had, for people."""
        notes = super().notes
        if self._document_faults:
            notes["faults"] = [*notes.get("faults", []), *map(str, self._document_faults)]
        if counts := +self._document_counts:
            notes["documents"] = dict(sorted(counts.items()))
        return {**notes, **({"negatives": dict(sorted(self.told.items()))} if self.told else {})}


def _draw(seed: int, query: Side, document: Document) -> bytes:
    parts = [query.text, *query.images, "", document.side.text, *document.side.images]
    return hashlib.blake2b(f"{seed}\n{parts!r}".encode(), digest_size=8).digest()
