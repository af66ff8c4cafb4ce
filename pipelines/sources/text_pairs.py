"""Source `text_pairs`: a query, the passages that answer it, and hard negatives, in the forms that public sets have.

A form names the columns of the texts; from there on all are read in the same way. A preset has the files and the form
of a public set of the recipe's first stage. Published negatives are known to hold positives: one that equals a positive
of its row is no negative.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from corpus.sampling import choose_option, derive_seed
from corpus.settings import Settings, SettingsError
from pipelines.sources.column_mapping import Template, require_paths, value_at
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecord, BadRecordError
from pipelines.sources.pair_rows import Side, SourcePair, normalize_side, true_negatives
from pipelines.sources.pair_source import PairDatasetSource, PairReader
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS

_NO_NEGATIVES_FOLDER = "no_in_batch_neg"
_NO_NEGATIVES_KINDS = ("symmetric_class", "symmetric_clustering")

# Names of the columns of pairs and triplets where the settings have none.
QUERIES = ("query", "anchor", "question", "premise", "sentence1")
POSITIVES = ("positive", "answer", "pos", "passage", "hypothesis", "sentence2", "context")
_NEGATIVE = re.compile(r"neg(?:ative)?s?(?:_?([0-9]+))?")


@dataclass(frozen=True)
class Columns:
    """The columns of the parts of a pair; a part whose column is "" or absent in a row is empty."""

    query: str
    positives: str  # one text or a list
    negatives: tuple[str, ...] = ()  # each one text or a list
    instruction: str = ""
    key: str = ""
    required: tuple[str, ...] = ()  # paths that a file must have
    positive_scores: str = ""  # a list of numbers, one for each positive
    negative_scores: str = ""  # the same of negatives
    kind: str = ""  # of the row; for some kinds other rows are no negatives


class FlagEmbeddingFormat(Settings):
    """FlagEmbedding's format, `{"query": str, "pos": [str], "neg": [str], "prompt": str?, "pos_scores": [float]?,
    "neg_scores": [float]?, "type": str?}`.

    Files below a folder whose name ends in no_in_batch_neg, and rows of the types symmetric_class and
    symmetric_clustering, hold pairs that are no negatives of each other.
    """

    kind: Literal["flagembedding"] = Field(description="FlagEmbedding's format of training data.")
    query: str = Field("query", description="The key with the query's text.")
    pos: str = Field("pos", description="The key with the list of positives.")
    neg: str = Field("neg", description="The key with the list of negatives.")
    prompt: str = Field("prompt", description="The key with the query's instruction; empty for none.")
    id: str = Field("id", description="The key with the pair's id in its set; empty for none.")
    pos_scores: str = Field("pos_scores", description="The key with the list of the positives' scores; empty for none.")
    neg_scores: str = Field("neg_scores", description="The key with the list of the negatives' scores; empty for none.")
    type: str = Field("type", description="The key with the type of row, such as symmetric_class; empty for none.")

    def columns(self, present: set[str]) -> Columns:
        """Returns the columns of the parts of a pair."""
        return Columns(
            self.query,
            self.pos,
            (self.neg,),
            self.prompt,
            self.id,
            (self.query, self.pos),
            self.pos_scores,
            self.neg_scores,
            self.type,
        )


class TevatronFormat(Settings):
    """Tevatron's format, `{query_id, query, positive_passages: [{docid, title, text}], negative_passages: [...]}`."""

    kind: Literal["tevatron"] = Field(description="Tevatron's format of queries with their passages.")
    query: str = Field("query", description="The key with the query's text.")
    positives: str = Field("positive_passages", description="The key with the list of positive passages.")
    negatives: str = Field("negative_passages", description="The key with the list of negative passages.")
    passage: str = Field(
        "{title} {text}", description="The template of a passage's text; an empty title leaves no blank."
    )
    id: str = Field("query_id", description="The key with the query's id; empty for none.")

    def columns(self, present: set[str]) -> Columns:
        """Returns the columns of the parts of a pair."""
        return Columns(
            self.query,
            self._of_passages(self.positives),
            (self._of_passages(self.negatives),),
            key=self.id,
            required=(self.query, self.positives),
        )

    def _of_passages(self, name: str) -> str:
        if "{" not in self.passage:
            return f"{name}.{self.passage}"
        return re.sub(r"\{([^{}]+)\}", rf"{{{name}.\1}}", self.passage)


class ColumnsFormat(Settings):
    """Columns of pairs and triplets, as sentence-transformers has them. An empty name is found among the usual ones."""

    kind: Literal["columns"] = Field(description="Columns of pairs and triplets, as in sentence-transformers' sets.")
    query: str = Field(
        "",
        description=f"The column with the query, or a template; empty takes the first present of {', '.join(QUERIES)}.",
    )
    positive: str = Field(
        "",
        description="The column with the positive, or a template; empty takes the first present of "
        f"{', '.join(POSITIVES)}.",
    )
    negatives: tuple[str, ...] | None = Field(
        None,
        description="The columns with negatives; null takes negative, negative_1, negative_2 and so on, by number.",
    )
    instruction: str = Field("", description="The column with the query's instruction; empty for none.")
    id: str = Field("", description="The column with the pair's id in its set; empty for none.")

    def columns(self, present: set[str]) -> Columns:
        """Returns the columns of the parts of a pair. Raises SettingsError where none of a usual name is `present`."""
        query = self.query or _first(QUERIES, present, "query")
        positive = self.positive or _first(POSITIVES, present, "positive")
        negatives = _negatives_among(present) if self.negatives is None else self.negatives
        paths = [path for text in (query, positive, *(self.negatives or ())) for path in Template(text).paths]
        named = [name for name in (self.instruction, self.id) if name]
        return Columns(query, positive, negatives, self.instruction, self.id, (*paths, *named))

    @field_validator("query", "positive")
    @classmethod
    def _templates_parse(cls, text: str) -> str:
        if text:
            Template(text)
        return text


AnyTextFormat = Annotated[FlagEmbeddingFormat | TevatronFormat | ColumnsFormat, Field(discriminator="kind")]


def _first(names: Sequence[str], present: set[str], what: str) -> str:
    """Returns the first of some usual names that is present. Raises SettingsError where none is."""
    name = next((name for name in names if name in present), "")
    if not name:
        columns = ", ".join(sorted(path for path in present if "." not in path))
        raise SettingsError(f"no column is called {', '.join(names)}; say which is the {what}; it has {columns}")
    return name


def _negatives_among(present: set[str]) -> tuple[str, ...]:
    matches = [(int(match[1] or -1), name) for name in present if (match := _NEGATIVE.fullmatch(name))]
    return tuple(name for _, name in sorted(matches))


_HUB = "hf://datasets"
_PAIRS = ColumnsFormat(kind="columns", query="query", positive="answer")
_TRIPLETS = ColumnsFormat(kind="columns", query="anchor", positive="positive", negatives=("negative",))


@dataclass(frozen=True)
class Preset:
    """The files and the format of a public set; to read it takes the extra `hf`."""

    files: tuple[str, ...]
    format: AnyTextFormat
    licence: str = ""


# Above each preset: where its columns are known from. A licence is set only where the set's own card names it.
PRESETS = {
    # Its loading script: query_id, query, positive_passages and negative_passages of {docid, text}; title may lack.
    "msmarco": Preset((f"{_HUB}/Tevatron/msmarco-passage/train.jsonl.gz",), TevatronFormat(kind="tevatron")),
    # The example in its card, and training scripts that read it; the card's list of columns says "question".
    "nq": Preset((f"{_HUB}/sentence-transformers/natural-questions/pair/train-*.parquet",), _PAIRS),
    # Its card.
    "hotpotqa": Preset((f"{_HUB}/sentence-transformers/hotpotqa/triplet/train-*.parquet",), _TRIPLETS),
    # Its card.
    "triviaqa": Preset((f"{_HUB}/sentence-transformers/trivia-qa/pair/train-*.parquet",), _PAIRS),
    # The passage that a question was written about, not the few words that answer it.
    "squad": Preset(
        (f"{_HUB}/rajpurkar/squad/plain_text/train-*.parquet",),
        ColumnsFormat(kind="columns", query="question", positive="context", id="id"),
        "cc-by-sa-4.0",
    ),
    # Its card says query and 52 columns in all, and of the subset beside it also positive: 49 or 50 negatives, which
    # are found by their numbers.
    "fever": Preset(
        (f"{_HUB}/lightonai/nv-embed-supervised/fever/train-*.parquet",),
        ColumnsFormat(kind="columns", query="query", positive="positive"),
    ),
    # Its card.
    "allnli": Preset((f"{_HUB}/sentence-transformers/all-nli/triplet/train-*.parquet",), _TRIPLETS),
}


class TextPairsSource(PairDatasetSource):
    """Settings of a set of texts: where its files lie and their format, or the name of a known set."""

    summary = (
        "FlagEmbedding, Tevatron and column pairs, or a preset: `msmarco`, `nq`, `hotpotqa`, `triviaqa`, "
        "`squad`, `fever`, `allnli`"
    )

    kind: Literal["text_pairs"] = Field(description="A set of pairs of texts.")
    preset: str = Field(
        "",
        description=f"The name of a known set: {', '.join(PRESETS)}; `files` and `format` override its own; "
        "empty for none.",
    )
    files: tuple[str, ...] = Field(
        (),
        description="JSON lines (.gz too), JSON or Parquet files with the pairs: paths, folders, globs or fsspec URLs.",
    )
    format: AnyTextFormat | None = Field(None, description="The format of the files; null takes that of the preset.")
    positives: Literal["each", "one"] = Field(
        "each", description="Whether a row of several positives becomes a pair for each, or for one drawn by the seed."
    )
    max_negatives: int | None = Field(
        16, ge=0, description="The most negatives of a pair, from the first; null takes all."
    )

    @model_validator(mode="after")
    def _is_complete(self) -> TextPairsSource:
        if self.preset and self.preset not in PRESETS:
            raise ValueError(f"no preset {self.preset!r}; there are {', '.join(sorted(PRESETS))}")
        if not self.preset and not (self.files and self.format):
            raise ValueError("say where the files lie and their format, or name a preset")
        return self

    def reader(self) -> TextPairsReader:
        return TextPairsReader(self)


class TextPairsReader(PairReader[TextPairsSource]):
    """The pairs of a set of texts.

    Reasons why a row gives none: no_query, no_positive, bad_text, not_json, not_an_object, line_too_long; a positive
    of several that gives none: empty_positive, duplicate_positive. The notes count the outcomes of negatives, and
    positives that were not drawn.
    """

    def __init__(self, settings: TextPairsSource) -> None:
        super().__init__(settings)
        known = PRESETS.get(settings.preset)
        self._patterns = settings.files or (known.files if known else ())
        self._format: Any = settings.format or (known.format if known else None)
        self._licence = known.licence if known and not settings.licence else ""
        self.text_counts: Counter[str] = Counter()

    def find(self) -> list[FileInfo]:
        return find_files(self._patterns, ROW_ENDINGS, "files", self.not_read, NO_DATA)

    def require(self, present: set[str], file: str) -> None:
        self._columns(present, file)

    def identity(self) -> dict[str, Any]:
        """Returns the identity of any source of pairs, with the form and licence of the preset."""
        return {**super().identity(), "format": self._format.canonical(), "preset_licence": self._licence}

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
                kept = tuple(true_negatives(negatives, positives, self.settings.max_negatives, self.text_counts))
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
            columns = cast(Columns, self._format.columns(present))
        except SettingsError as error:
            raise SettingsError(f"{file}: {error}; name the columns in `format`") from None
        try:
            require_paths(columns.required, present, file)
        except SettingsError as error:
            raise SettingsError(f"{error}; name the columns in `format`") from None
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
            return [distinct[choose_option([side.text for side in distinct], derive_seed(self.settings.seed, query))]]
        for reason, count in (
            ("empty_positive", len(positives) - len(nonempty)),
            ("duplicate_positive", len(nonempty) - len(distinct)),
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
        kind = value_at(row, self._kind) if self._kind else None
        return _NO_NEGATIVES_FOLDER not in file.rpartition("/")[0] and kind not in _NO_NEGATIVES_KINDS


def _sides(template: Template, row: Row) -> list[Side]:
    texts = template.texts(row)
    if isinstance(texts, str):
        return [Side(texts)] if texts else []
    return [Side(text) for text in texts]


def _scored(sides: list[Side], row: Row, path: str) -> list[Side]:
    """Adds to sides the scores that lie at a path, if these are as many: 0 for a value that is no number."""
    scores = value_at(row, path) if path else None
    if not isinstance(scores, list) or len(scores) != len(sides):
        return sides
    return [replace(side, score=_number(score)) for side, score in zip(sides, scores, strict=True)]


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else 0.0
