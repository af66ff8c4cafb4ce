"""Source `text_pairs`: a query, the passages that answer it, and hard negatives, in the forms that public sets have.

A form names the columns of the texts; from there on all are read in the same way. Published negatives are known to
hold positives: one that equals a positive of its row is no negative.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from pydantic import Field, model_validator

from corpus.sampling import choose, derive_seed
from corpus.settings import SettingsError
from pipelines.sources.column_mapping import Template, look_up, require_paths
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecord, BadRecordError
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.pair_source import PairDatasetSource, PairReader
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS
from pipelines.sources.text_forms import AnyTextForm, Columns
from pipelines.sources.text_presets import PRESETS
from pipelines.sources.true_negatives import normalize_side, true_negatives

_NO_NEGATIVES_FOLDER = "no_in_batch_neg"
_NO_NEGATIVES_KINDS = ("symmetric_class", "symmetric_clustering")


class TextPairsSource(PairDatasetSource):
    """Settings of a set of texts: where its files lie and their form, or the name of a known set."""

    summary = (
        "FlagEmbedding, Tevatron and column pairs, or a preset: `msmarco`, `nq`, `hotpotqa`, `triviaqa`, "
        "`squad`, `fever`, `allnli`"
    )

    kind: Literal["text_pairs"]
    preset: str = Field("", description="one of pipelines.sources.text_presets; files and form replace what it says")
    files: tuple[str, ...] = Field((), description="JSON lines (.gz too), JSON, Parquet: paths, folders, globs, URLs")
    form: AnyTextForm | None = None
    positives: Literal["each", "one"] = Field("each", description="a pair for each positive, or for one drawn by seed")
    most_negatives: int | None = Field(16, ge=0, description="of a pair, from the first; null: all")

    @model_validator(mode="after")
    def _is_complete(self) -> TextPairsSource:
        if self.preset and self.preset not in PRESETS:
            raise ValueError(f"no preset {self.preset!r}; there are {', '.join(sorted(PRESETS))}")
        if not self.preset and not (self.files and self.form):
            raise ValueError("say where the files lie and their form, or name a preset")
        return self

    def reader(self) -> TextPairsReader:
        return TextPairsReader(self)


class TextPairsReader(PairReader[TextPairsSource]):
    """The pairs of a set of texts.

    Reasons why a row gives none: no_query, no_positive, bad_text, not_json, not_an_object, line_too_long; a positive
    of several that gives none: empty_positive, repeated_positive. The notes count the outcomes of negatives, and
    positives that were not drawn.
    """

    def __init__(self, settings: TextPairsSource) -> None:
        super().__init__(settings)
        known = PRESETS.get(settings.preset)
        self._patterns = settings.files or (known.files if known else ())
        self._form: Any = settings.form or (known.form if known else None)
        self._licence = known.licence if known and not settings.licence else ""
        self.text_counts: Counter[str] = Counter()

    def find(self) -> list[FileInfo]:
        return find_files(self._patterns, ROW_ENDINGS, "files", self.not_read, NO_DATA)

    def require(self, present: set[str], file: str) -> None:
        self._columns(present, file)

    def identity(self) -> dict[str, Any]:
        """The identity of any source of pairs, with the form and licence of the preset."""
        return {**super().identity(), "form": self._form.canonical(), "preset_licence": self._licence}

    def pairs(self) -> Iterator[SourcePair]:
        """Reads the pairs of each row, in the files' order."""
        self.text_counts = Counter()
        for file, present in self.readable():
            reader = _RowReader(self._columns(present, file.url))
            for line, row in self.records(file, reader.paths):
                try:
                    query, positives, negatives, instruction, key = reader.read(row)
                    in_batch = reader.in_batch_negatives(row, file.url)
                    chosen = self._choose_positives(query, positives)
                except BadRecordError as error:
                    self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))
                    continue
                kept = tuple(true_negatives(negatives, positives, self.settings.most_negatives, self.text_counts))
                for positive in chosen:
                    yield SourcePair(
                        *(Side(query), positive, kept, instruction, "", key, file.url, line),
                        licence=self._licence,
                        positive_score=positive.score,
                        in_batch_negatives=in_batch,
                    )

    def _columns(self, present: set[str], file: str) -> Columns:
        """Maps the parts of a pair to a file's columns. Raises SettingsError, which names the setting."""
        try:
            columns = cast(Columns, self._form.columns(present))
        except SettingsError as error:
            raise SettingsError(f"{file}: {error}; name the columns in `form`") from None
        try:
            require_paths(columns.required, present, file)
        except SettingsError as error:
            raise SettingsError(f"{error}; name the columns in `form`") from None
        return columns

    def _choose_positives(self, query: str, positives: Sequence[Side]) -> Sequence[Side]:
        """Chooses the positives that become pairs. Raises BadRecordError where there is no pair in the row."""
        if not query:
            raise BadRecordError("no_query", "the query is empty")
        nonempty = [side for side in positives if side.text]
        if not nonempty:
            raise BadRecordError("no_positive", "no positive, or only empty ones")
        distinct = list({normalize_side(side): side for side in reversed(nonempty)}.values())[::-1]
        if self.settings.positives == "one":
            self.text_counts["positives_not_drawn"] += len(positives) - 1
            return [distinct[choose([side.text for side in distinct], derive_seed(self.settings.seed, query))]]
        for reason, count in (
            ("empty_positive", len(positives) - len(nonempty)),
            ("repeated_positive", len(nonempty) - len(distinct)),
        ):
            if count:
                self.counts[reason] = self.counts.get(reason, 0) + count
        return distinct

    @property
    def notes(self) -> dict[str, Any]:
        """Rows that are malformed, and outcomes of positives and negatives, for people."""
        return {**super().notes, **({"texts": dict(sorted(self.text_counts.items()))} if self.text_counts else {})}


class _RowReader:
    """Reads the parts of a pair from a row's columns."""

    def __init__(self, columns: Columns) -> None:
        self._query, self._positives = Template(columns.query), Template(columns.positives)
        self._negatives = [Template(text) for text in columns.negatives]
        self._others = [Template(text) if text else None for text in (columns.instruction, columns.key)]
        self._scores = (columns.positive_scores, columns.negative_scores)
        self._kind = columns.kind

    @property
    def paths(self) -> set[str]:
        """The columns that are needed."""
        templates = [self._query, self._positives, *self._negatives, *filter(None, self._others)]
        return {path for each in templates for path in each.paths} | {*filter(None, (*self._scores, self._kind))}

    def read(self, row: Row) -> tuple[str, list[Side], list[Side], str, str]:
        """Reads query, positives, negatives, instruction, key. Raises BadRecordError for what is no text."""
        negatives = [side for template in self._negatives for side in _sides(template, row)]
        instruction, key = (template.text(row) if template else "" for template in self._others)
        positive_scores, negative_scores = self._scores
        positives = _scored(_sides(self._positives, row), row, positive_scores)
        return self._query.text(row), positives, _scored(negatives, row, negative_scores), instruction, key

    def in_batch_negatives(self, row: Row, file: str) -> bool:
        """Tells whether the positives of other rows are negatives of this one."""
        kind = look_up(row, self._kind) if self._kind else None
        return _NO_NEGATIVES_FOLDER not in file.rpartition("/")[0] and kind not in _NO_NEGATIVES_KINDS


def _sides(template: Template, row: Row) -> list[Side]:
    texts = template.texts(row)
    if isinstance(texts, str):
        return [Side(texts)] if texts else []
    return [Side(text) for text in texts]


def _scored(sides: list[Side], row: Row, path: str) -> list[Side]:
    """Adds to sides the scores that lie at a path, if these are as many: 0 for a value that is no number."""
    scores = look_up(row, path) if path else None
    if not isinstance(scores, list) or len(scores) != len(sides):
        return sides
    return [replace(side, score=_number(score)) for side, score in zip(sides, scores, strict=True)]


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else 0.0
