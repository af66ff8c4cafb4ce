"""The stage `concepts`, over the pairs of a dataset: the concepts that the texts of each pair name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.settings import Settings
from corpus.stage import PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo
from corpus.text.concepts import concepts_digest, content_words, read_concepts
from filters.text.pair_stats import SIDES, side_texts

CONCEPTS = "concepts"


class DatasetBalance(Settings):
    """Settings of the balance of concepts in one dataset."""

    concepts: str = Field(
        "",
        description="The list of concepts: a text file with one a line, or a JSON list such as MetaCLIP's metadata; "
        "empty takes every word that is no stop word.",
    )
    max_pairs_per_concept: int = Field(
        ge=1,
        description="The cap t: a concept of n pairs, if n is larger, draws each of them with the probability t / n; a "
        "pair that none of its concepts draws is removed (concept_cap).",
    )
    min_pairs_per_concept: int = Field(
        1,
        ge=1,
        description="The fewest pairs of a concept: rarer ones, such as misspelt words, count for nothing.",
    )
    keep_unmatched: bool = Field(
        True, description="Whether pairs without any concept stay; else they are removed, too."
    )
    seed: int = Field(0, ge=0, description="The seed of the draws, each of which depends on the pair's id.")


class ConceptBalanceSettings(Settings):
    """Settings of the balance of concepts."""

    datasets: dict[str, DatasetBalance] = Field({}, description="The datasets that are balanced, each by its own cap.")


class Concepts(MapStage):
    """The concepts that the query's text and the positive's text name, each once."""

    name = CONCEPTS
    reads = (PAIRS,)
    optional_reads = (PAIR_VERDICT,)
    settings_key = "concept_balance"
    settings_type = ConceptBalanceSettings
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = "the concepts that its texts name: entries of a list, or all words that are no stop words"
    schema = pa.schema([pa.field(CONCEPTS, pa.list_(pa.string()))])

    def __init__(self, settings: DatasetBalance) -> None:
        super().__init__(settings)
        self._file = settings.concepts

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in source.stages.concept_balance.datasets

    @classmethod
    def create(cls, source: SourceInfo) -> Concepts:
        return cls(cls.settings_of(source).datasets[source.dataset])

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {CONCEPTS: concepts_digest(self._file) if self._file else ""}

    def setup(self) -> Callable[[Shard], pa.Table]:
        find = read_concepts(self._file).match if self._file else content_words
        return lambda shard: pa.table({CONCEPTS: find(_pair_texts(shard[PAIRS]))})


def _pair_texts(pairs: pa.Table) -> pa.Array:
    """Returns both texts of each pair in one, with a sign between them that no entry goes across."""
    return pc.binary_join_element_wise(*(side_texts(pairs.column(side)) for side in SIDES), " 0 ")
