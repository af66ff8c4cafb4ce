"""Stage `embed`, over the pairs of a dataset: a vector of each side, and of each hard negative that a pair came with.

Vectors are normalised float16. Sides that are equal (items, text, instruction) have one vector, whatever pair they
stand in, and one that a table of any dataset in the workspace has is not computed again. A side without one has the
reason why: nothing is removed here, `neighbours` leaves such pairs out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from corpus.pool import PoolRead, PoolScope
from corpus.schema import ITEM_ID, Task
from corpus.stage import ITEMS, PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo
from corpus.vectors import packed_type
from mining.settings import EmbedSettings
from mining.sides import PAIR_ROLES

EMBED = "embed"


def embed_schema(dimension: int) -> pa.Schema:
    """Returns the columns of the stage's tables: per side its id, its vector or why there is none; the
    same of negatives.
    """
    vector = packed_type(dimension)
    columns = [
        field
        for role in PAIR_ROLES
        for field in (
            pa.field(f"{role}_id", ITEM_ID),
            pa.field(f"{role}_vector", vector),
            pa.field(f"{role}_reason", pa.string()),
            pa.field(f"{role}_key", pa.binary(16)),  # by which the vector is found again; null: there is none
        )
    ]
    lists = {"negative_ids": ITEM_ID, "negative_vectors": vector, "negative_keys": ITEM_ID}
    columns += [pa.field(name, pa.list_(kind)) for name, kind in lists.items()]
    return pa.schema([pa.field("pair_id", ITEM_ID), *columns])


class Embed(MapStage):
    """The vectors of a dataset's sides, for the datasets whose hard negatives are mined."""

    name = EMBED
    reads = (PAIRS,)
    pools = (PoolRead(ITEMS, PoolScope.SOURCES, fingerprinted=False),)
    settings_key = EMBED
    settings_type = EmbedSettings
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    optional_reads = (PAIR_VERDICT,)
    summary = "the vectors of its query, its positive and the negatives that it came with, or why there is none"

    def __init__(self, settings: EmbedSettings, task: Task | None = None) -> None:
        super().__init__(settings)
        encoder = settings.encoder.encoder()
        self._settings = settings
        self._overrides = settings.overrides(task) if encoder.reads_instructions else {}
        self.schema = embed_schema(encoder.dimension)
        self.resources = encoder.resources

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in source.stages.negatives.datasets

    @classmethod
    def create(cls, source: SourceInfo) -> Embed:
        return cls(cls.settings_of(source), source.datasets[0].task)

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {
            "producer": self._settings.encoder.encoder().producer,
            "instructions": self._overrides,
            "max_source_pixels": self._settings.max_source_pixels,
        }

    def setup(self) -> Callable[[Shard], pa.Table]:
        from mining.embed_worker import EmbedWorker

        return EmbedWorker(self._settings, self._overrides)
