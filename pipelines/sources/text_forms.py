"""Forms in which public sets of texts come: the columns of a query, its positives and its negatives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator

from corpus.settings import Settings, SettingsError
from pipelines.sources.column_mapping import Template

# Names of the columns of pairs and triplets where the settings have none.
QUERIES = ("query", "anchor", "question", "premise", "sentence1")
POSITIVES = ("positive", "answer", "pos", "passage", "hypothesis", "sentence2", "context")
_NEGATIVE = re.compile(r"neg(?:ative)?s?(?:_?([0-9]+))?")


@dataclass(frozen=True)
class Columns:
    """The columns of the parts of a pair. Those that are "" or absent in a row are empty."""

    query: str
    positives: str  # one text or a list
    negatives: tuple[str, ...] = ()  # each one text or a list
    instruction: str = ""
    key: str = ""
    required: tuple[str, ...] = ()  # paths that a file must have
    positive_scores: str = ""  # a list of numbers, one for each positive
    negative_scores: str = ""  # the same of negatives
    kind: str = ""  # of the row; for some kinds other rows are no negatives


class FlagEmbeddingForm(Settings):
    """`{"query": str, "pos": [str], "neg": [str], "prompt": str?, "pos_scores": [float]?, "neg_scores": [float]?,
    "type": str?}`.

    Files below a folder whose name ends in no_in_batch_neg, and rows of the types symmetric_class and
    symmetric_clustering, hold pairs that are no negatives of each other.
    """

    kind: Literal["flagembedding"]
    query: str = "query"
    pos: str = "pos"
    neg: str = "neg"
    prompt: str = Field("prompt", description="becomes the instruction; empty: none")
    key: str = "id"
    pos_scores: str = Field("pos_scores", description="a score for each positive; empty: none")
    neg_scores: str = Field("neg_scores", description="the same of negatives")
    type: str = Field("type", description="what kind of row it is; empty: none")

    def columns(self, present: set[str]) -> Columns:
        """Maps the parts of a pair to columns."""
        return Columns(
            self.query,
            self.pos,
            (self.neg,),
            self.prompt,
            self.key,
            (self.query, self.pos),
            self.pos_scores,
            self.neg_scores,
            self.type,
        )


class TevatronForm(Settings):
    """`{query_id, query, positive_passages: [{docid, title, text}], negative_passages: [...]}`."""

    kind: Literal["tevatron"]
    query: str = "query"
    positives: str = "positive_passages"
    negatives: str = "negative_passages"
    passage: str = Field("{title} {text}", description="template of a passage; an empty title leaves no blank")
    key: str = "query_id"

    def columns(self, present: set[str]) -> Columns:
        """Maps the parts of a pair to columns."""
        return Columns(
            self.query,
            self._of_passages(self.positives),
            (self._of_passages(self.negatives),),
            key=self.key,
            required=(self.query, self.positives),
        )

    def _of_passages(self, name: str) -> str:
        if "{" not in self.passage:
            return f"{name}.{self.passage}"
        return re.sub(r"\{([^{}]+)\}", rf"{{{name}.\1}}", self.passage)


class ColumnsForm(Settings):
    """Columns of pairs and triplets, as sentence-transformers has them. An empty name is found among the usual ones."""

    kind: Literal["columns"]
    query: str = Field("", description=f"column or template; empty: the first of {', '.join(QUERIES)}")
    positive: str = Field("", description=f"column or template; empty: the first of {', '.join(POSITIVES)}")
    negatives: tuple[str, ...] | None = Field(None, description="null: negative, negative_1, negative_2 ... by number")
    instruction: str = ""
    key: str = ""

    def columns(self, present: set[str]) -> Columns:
        """Maps the parts of a pair to columns. Raises SettingsError where no usual name is among those `present`."""
        query = self.query or _first(QUERIES, present, "query")
        positive = self.positive or _first(POSITIVES, present, "positive")
        negatives = _negatives_among(present) if self.negatives is None else self.negatives
        paths = [path for text in (query, positive, *(self.negatives or ())) for path in Template(text).paths]
        named = [name for name in (self.instruction, self.key) if name]
        return Columns(query, positive, negatives, self.instruction, self.key, (*paths, *named))

    @field_validator("query", "positive")
    @classmethod
    def _templates_parse(cls, text: str) -> str:
        if text:
            Template(text)
        return text


AnyTextForm = Annotated[FlagEmbeddingForm | TevatronForm | ColumnsForm, Field(discriminator="kind")]


def _first(names: Sequence[str], present: set[str], what: str) -> str:
    """The first of some usual names that is present. Raises SettingsError where none is."""
    name = next((name for name in names if name in present), "")
    if not name:
        columns = ", ".join(sorted(path for path in present if "." not in path))
        raise SettingsError(f"no column is called {', '.join(names)}; say which is the {what}; it has {columns}")
    return name


def _negatives_among(present: set[str]) -> tuple[str, ...]:
    matches = [(int(match[1] or -1), name) for name in present if (match := _NEGATIVE.fullmatch(name))]
    return tuple(name for _, name in sorted(matches))
