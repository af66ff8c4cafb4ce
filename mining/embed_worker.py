"""The function of the stage `embed` in one worker: the vectors of the sides of a shard's pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.arrays import Places
from corpus.item_ids import packed_ids
from corpus.stage import ITEMS, PAIRS, Shard
from corpus.vectors import packed_column
from mining.embed import EMBED
from mining.encoders.base import Encoder
from mining.settings import EmbedSettings
from mining.side_vectors import SideImage, SideVectors, VectorRows
from mining.sides import SideRules, Sides, different_sides, names_of_sides
from serving.side_images import SideImages


class EmbedWorker:
    """The function of the stage in one worker. Thread-safe. The first side without a known vector loads the model.

    `overrides` has the instructions of sides that are not those of the pairs, by role.
    """

    def __init__(self, settings: EmbedSettings, overrides: Mapping[str, str] | None = None) -> None:
        self._encoder: Encoder = settings.encoder.encoder()
        clips = self._encoder.clip_frames
        self._rules = SideRules(
            self._encoder.reads_instructions,
            self._encoder.distinguishes_clips,
            overrides or {},
        )
        self._images = SideImages(self._encoder.budget, settings.max_source_pixels, settings.decode_threads, clips)
        self._vectors = SideVectors(self._encoder)

    def __call__(self, shard: Shard) -> pa.Table:
        """Computes the shard's vectors, with the columns of `mining.embed.embed_schema`."""
        sides = different_sides(shard[PAIRS], self._rules)
        named_by = self._encoder.named_by
        names = None if named_by is None else names_of_sides(sides, shard[PAIRS], named_by)

        def read(places: Places) -> Iterator[tuple[int, SideImage]]:
            chosen = [sides.different[place] for place in places.tolist()]
            items, clips = [side.items for side in chosen], [side.is_clip for side in chosen]
            images = self._images.read(shard.store, shard.pools[ITEMS], items, clips)
            return zip(places.tolist(), images, strict=True)

        found = self._vectors.find(shard.store, sides.different, read, names)
        shard.metrics[EMBED] = found.counts()
        return _table(shard[PAIRS], sides, found)

    def close(self) -> None:
        """Stops the model, if it was started."""
        self._images.close()
        self._vectors.close()


def _table(pairs: pa.Table, sides: Sides, found: VectorRows) -> pa.Table:
    """Builds the columns of the stage's table from the vectors of the different sides."""
    valid, vectors = found.valid, found.vectors
    texts = pa.array(found.reasons, pa.string())
    known_keys = pa.array(found.keys, pa.binary(16), mask=~valid)
    columns: dict[str, Any] = {"pair_id": pairs.column("pair_id")}
    for role, places in sides.places.items():
        columns[f"{role}_id"] = packed_ids(sides.ids[:, places])
        columns[f"{role}_vector"] = packed_column(vectors[places], valid[places])
        columns[f"{role}_reason"] = texts.take(pa.array(places))
        columns[f"{role}_key"] = known_keys.take(pa.array(places))
    offsets = pa.array(np.append(0, np.cumsum(sides.counts)).astype(np.int32))
    negatives = sides.negatives
    lists = {
        "negative_ids": packed_ids(sides.ids[:, negatives]),
        "negative_vectors": packed_column(vectors[negatives], valid[negatives]),
        "negative_keys": known_keys.take(pa.array(negatives)),
    }
    columns |= {name: pa.ListArray.from_arrays(offsets, values) for name, values in lists.items()}
    return pa.table(columns)
