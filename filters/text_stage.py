"""Stage `texts`: the texts of given pairs, cleaned; unusable pairs filtered; negatives that are none left out.

Its table has the sides as they are to be used; what the source gave stays as it is in the source's own table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.settings import Settings
from corpus.stages import ROWS, Gives, MapStage, Shard
from corpus.text.clean import TextCleanSettings
from filters.text_judge import TextJudgeSettings
from filters.text_pairs import NEGATIVE_REASONS, clean_pairs, judge_pairs

_SIDE = pa.struct([pa.field("text", pa.string()), pa.field("images", pa.list_(pa.string()))])
_NEGATIVE = pa.struct([*_SIDE, pa.field("score", pa.float32())])


class TextsSettings(Settings):
    """What is done to texts, and which are good enough."""

    clean: TextCleanSettings = TextCleanSettings()
    judge: TextJudgeSettings = TextJudgeSettings()


class Texts(MapStage):
    """Filters pairs for the reasons of `judge_pairs`. The shard's notes count changed pairs and negatives left out."""

    name = "texts"
    reads = (ROWS,)
    settings_key = "texts"
    settings_type = TextsSettings
    over = frozenset({Gives.PAIRS})
    summary = (
        "the texts cleaned (Unicode, mojibake, HTML, control characters); pairs that are unusable "
        "(`judge.languages: [en]` refuses other languages, 30 are known), negatives that are the positive"
    )
    schema = pa.schema(
        [
            pa.field("query", _SIDE),
            pa.field("positive", _SIDE),
            pa.field("negatives", pa.list_(_NEGATIVE)),
            *(pa.field(name, pa.int32()) for name in NEGATIVE_REASONS),  # how many were left out
        ]
    )

    def __init__(self, settings: TextsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._texts

    def _texts(self, shard: Shard) -> pa.Table:
        given = shard[ROWS].select(["query", "positive", "negatives"])
        cleaned, changed = clean_pairs(given, self._settings.clean)
        said = judge_pairs(cleaned, self._settings.judge)
        counts = {name: pc.sum(said.column(name), min_count=0).as_py() for name in NEGATIVE_REASONS}
        shard.metrics["texts"] = {"changed": int(np.count_nonzero(changed)), **counts}
        for side in ("query", "positive"):
            said = said.append_column(side, cleaned.column(side))
        return said
