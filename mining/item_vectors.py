"""Stages `item_vectors` and `clip_vectors`: a vector of each item, whatever pairs it may come to stand in.

Vectors are normalised float16, and null where `vector_reason` says why there is none: nothing is removed here. One that
a table of the workspace has, of an item or of a side of a pair that is that item alone, is not computed again. Later
stages find the table of either stage by its role, ITEM_VECTORS: semantic duplicates, leaks of evaluation sets and
classifiers over embeddings read one vector of each item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa

from corpus.schema import ITEM_ID
from corpus.stage import (
    ITEM_VECTORS,
    ITEMS,
    ROWS,
    VERDICT,
    Gives,
    MapStage,
    Shard,
    SourceInfo,
    SourcePlug,
    unknown_sources,
)
from corpus.vectors import packed_type
from mining.encoders.base import Encoder
from mining.settings import ItemVectorSettings

CLIP_VECTORS = "clip_vectors"
_QUALITY = "quality"


def item_vectors_schema(dimension: int) -> pa.Schema:
    """Returns the columns of the tables: the item, its vector or why there is none, and the key of the vector."""
    return pa.schema(
        [
            pa.field("item_id", ITEM_ID),
            pa.field("vector", packed_type(dimension)),
            pa.field("vector_reason", pa.string()),  # why there is no vector; "" where there is one
            pa.field("key", pa.binary(16)),  # by which the vector is found again; null: there is none
        ]
    )


class ItemVectors(MapStage):
    """The vectors of a source's images, or of the images that its pairs name."""

    name = ITEM_VECTORS
    reads: tuple[str, ...] = (ITEMS, _QUALITY)
    settings_key = ITEM_VECTORS
    settings_type = ItemVectorSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    over_evaluation = True
    optional_reads: ClassVar[tuple[str, ...]] = (ROWS,)
    filters_rows = False
    summary = "a vector of the image, by which semantic duplicates and leaks are found; or why there is none"

    def __init__(self, settings: ItemVectorSettings, reads: tuple[str, ...] | None = None) -> None:
        super().__init__(settings)
        assert settings.encoder is not None, "applies_to asks for one"
        self._settings = settings
        self._encoder: Encoder = settings.encoder.encoder()
        self.reads = reads or type(self).reads
        self.schema = item_vectors_schema(self._encoder.dimension)
        self.resources = self._encoder.resources

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        settings: ItemVectorSettings = cls.settings_of(source)
        named = settings.encoder is not None if source.is_evaluation else settings.names(source.name)
        return super().applies_to(source) and source.plug.has_images and named

    @classmethod
    def create(cls, source: SourceInfo) -> ItemVectors:
        settings: ItemVectorSettings = cls.settings_of(source)
        reads = tuple(name for name in cls.reads if name in source.tables)  # of pages nothing is filtered
        has_urls = source.plug.gives is Gives.IMAGES
        assert settings.encoder is not None
        by_url = settings.encoder.encoder().named_by == "source_url"
        return cls(settings, (*reads, ROWS) if has_urls and by_url else reads)

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        settings: ItemVectorSettings = stages.item_vectors
        if settings.sources != "all":
            known = [name for name, plug in sources.items() if plug.has_images or plug.gives is Gives.CLIPS]
            yield from unknown_sources(
                "stages.item_vectors.sources", settings.sources, known, "source with images or clips"
            )

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {
            "producer": self._encoder.producer,
            "instruction": self._settings.instruction,
            "mirror": self._settings.mirror,
            "max_source_pixels": self._settings.max_source_pixels,
        }

    def setup(self) -> Callable[[Shard], pa.Table]:
        from mining.item_vectors_worker import ItemVectorsWorker

        return ItemVectorsWorker(self._settings)


class ClipVectors(ItemVectors):
    """The vectors of a source's clips, of their frames together."""

    name = CLIP_VECTORS
    reads = (ITEMS, VERDICT)
    over = frozenset({Gives.CLIPS})
    over_evaluation = False
    optional_reads = ()
    roles = (ITEM_VECTORS,)
    summary = "a vector of the clip's frames, by which leaks are found; or why there is none"

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return source.plug.gives in cls.over and cls.settings_of(source).names(source.name)
