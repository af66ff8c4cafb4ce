"""The stage `heads` scores images by small networks on their vectors: how aesthetic, unsafe or watermarked they are.

The networks are the user's files (`filters.image.mlp_head`), made for one encoder: the stage `item_vectors` must have
used it. Where the metadata of a source has such a score, as LAION's releases do (`aesthetic`, `punsafe`, `pwatermark`),
that one is taken and nothing is computed; a column says which it is. Nothing is removed here: the thresholds are in
`filters.image.head_filter`, so that changing one computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import one_array
from corpus.bisection import ShardError
from corpus.settings import Settings, SettingsError
from corpus.stage import ITEM_VECTORS, ROWS, Gives, MapStage, Shard, SourceInfo, SourcePlug
from corpus.vectors import column_valid, column_vectors
from filters.image.mlp_head import Head, HeadSettings

HEADS = "heads"
HEAD_SCORES = {
    "aesthetic": "aesthetic",
    "unsafe": "punsafe",
    "watermark": "pwatermark",
}  # and the columns of ROWS with such
FROM_SOURCE, FROM_HEAD = "source", "head"


class HeadsSettings(Settings):
    """Settings of the stage `heads`: the network of each score."""

    aesthetic: HeadSettings | None = Field(
        None, description="The network whose output is how aesthetic an image is, such as LAION's, 1 to 10."
    )
    unsafe: HeadSettings | None = Field(
        None, description="The network whose output is how sure it is that an image is not safe for work, 0 to 1."
    )
    watermark: HeadSettings | None = Field(
        None, description="The network whose output is how sure it is that an image has a watermark, 0 to 1."
    )

    @property
    def chosen(self) -> dict[str, HeadSettings]:
        """The networks that are set, by the names of their scores."""
        return {name: head for name in HEAD_SCORES if (head := getattr(self, name)) is not None}


class Heads(MapStage):
    """The stage that scores images by the metadata of their source, or by networks on their vectors.

    A score is null where the source has none and the image has no vector, or no network is set.
    """

    name = HEADS
    reads: tuple[str, ...] = ("quality",)
    optional_reads = (ROWS, ITEM_VECTORS)  # of pairs, ROWS are no rows of images
    settings_key = HEADS
    settings_type = HeadsSettings
    over = frozenset({Gives.IMAGES, Gives.PAIRS})
    filters_rows = False
    summary = (
        "how aesthetic, unsafe and watermarked the image is: by the source's metadata, or by networks on its vector"
    )
    schema = pa.schema(
        [
            field
            for name in HEAD_SCORES
            for field in (pa.field(name, pa.float32()), pa.field(f"{name}_from", pa.string()))  # source, head; null
        ]
    )

    def __init__(
        self, settings: HeadsSettings, tables: Collection[str] = (ROWS, ITEM_VECTORS), dimension: int | None = None
    ) -> None:
        """Takes which of `optional_reads` the source has, and the numbers of a vector where they are known."""
        super().__init__(settings)
        self._dimension = dimension
        self._chosen = settings.chosen if ITEM_VECTORS in tables else {}
        with_vectors = (ITEM_VECTORS,) if self._chosen else ()
        self.reads = (*type(self).reads, *((ROWS,) if ROWS in tables else ()), *with_vectors)

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        if not (super().applies_to(source) and source.plug.has_images and source.plug.filters_images):
            return False
        computed = bool(cls.settings_of(source).chosen) and ITEM_VECTORS in source.tables
        return computed or (source.plug.gives is Gives.IMAGES and bool(source.stages.head_filter.limits))

    @classmethod
    def create(cls, source: SourceInfo) -> Heads:
        tables = source.tables if source.plug.gives is Gives.IMAGES else source.tables - {ROWS}
        encoder = source.stages.item_vectors.encoder
        return cls(cls.settings_of(source), tables, encoder.encoder().dimension if encoder else None)

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        for name in stages.heads.chosen:
            if stages.item_vectors.encoder is None:
                yield (
                    f"stages.heads.{name}: images have no vectors: set an encoder in stages.item_vectors, that which "
                    "the network was trained on"
                )

    def fingerprint_inputs(self) -> dict[str, Any]:
        """Returns what scores depend on. Raises SettingsError for a network that is not there, or takes other vectors
        than the encoder makes: before these are computed.
        """
        identities = {}
        for name, head in self._chosen.items():
            try:
                identities[name] = head.identity()
                if self._dimension and not head.needs_torch:  # which need not be installed where a run is planned
                    _check_dimension(head.load(), self._dimension)
            except SettingsError as error:
                raise SettingsError(f"stages.heads.{name}: {error}") from error
        return {"heads": identities}

    def setup(self) -> Callable[[Shard], pa.Table]:
        heads: dict[str, Head] = {}

        def score(shard: Shard) -> pa.Table:
            if not heads:  # here, where an error is the shard's
                heads.update({name: _loaded(name, head) for name, head in self._chosen.items()})
            return score_images(shard, heads)

        return score


def _loaded(name: str, settings: HeadSettings) -> Head:
    try:
        return settings.load()
    except SettingsError as error:
        raise ShardError(f"stages.heads.{name}: {error}") from error


def _check_dimension(head: Head, dimension: int) -> None:
    if head.dimension != dimension:
        raise SettingsError(
            f"the network takes vectors of {head.dimension} numbers, those of item_vectors have {dimension}: set the "
            "encoder that it was trained on in stages.item_vectors"
        )


def score_images(shard: Shard, heads: Mapping[str, Head]) -> pa.Table:
    """Returns the scores of a shard's images. Raises ShardError for a head that takes other vectors than there are."""
    columns: dict[str, pa.Array] = {}
    for name, source_column in HEAD_SCORES.items():
        stored = _stored(shard, source_column)
        computed = _computed(shard[ITEM_VECTORS], heads[name], name) if name in heads else _no_scores(shard)
        columns[name] = pc.coalesce(stored, computed)
        origin = pc.if_else(pc.is_valid(computed), FROM_HEAD, pa.scalar(None, pa.string()))
        columns[f"{name}_from"] = pc.if_else(pc.is_valid(stored), FROM_SOURCE, origin)
    return pa.table(columns)


def _stored(shard: Shard, column: str) -> pa.Array:
    """Returns the finite scores that a source's rows have, null for others."""
    if ROWS not in shard.tables or column not in shard[ROWS].column_names:
        return _no_scores(shard)
    stored = one_array(shard[ROWS].column(column)).cast(pa.float32())
    return pc.if_else(pc.is_finite(stored), stored, pa.scalar(None, pa.float32()))


def _no_scores(shard: Shard) -> pa.Array:
    return pa.nulls(len(shard), pa.float32())


def _computed(table: pa.Table, head: Head, name: str) -> pa.Array:
    """Returns the head's score of each row that has a vector, null for others."""
    column = table.column("vector")
    vectors, valid = column_vectors(column), column_valid(column)
    if len(vectors):
        try:
            _check_dimension(head, vectors.shape[1])
        except SettingsError as error:
            raise ShardError(f"stages.heads.{name}: {error}") from error
    scores = np.zeros(len(valid), np.float32)
    scores[valid] = head.scores(vectors[valid])
    return pa.array(scores, mask=~(valid & np.isfinite(scores)))
