"""The function of the stages `item_vectors` and `clip_vectors` in one worker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import pyarrow as pa

from corpus.arrays import Places
from corpus.image.pixel_budget import PixelBudget, UndecodableError, decode_to_budget
from corpus.item_ids import join_id
from corpus.schema import FRAME_EXT, ITEM_ID, PARTS_FIELD
from corpus.stage import ITEM_VECTORS, ITEMS, ROWS, Shard
from corpus.text.keys import side_ids
from corpus.vectors import packed_column
from mining.settings import ItemVectorSettings
from mining.side_vectors import SideImage, SideVectors, VectorRows
from mining.sides import VectorSide
from serving.request import Pixels
from serving.side_images import NO_IMAGE, evenly_spaced

_AHEAD_PER_THREAD = 4  # items that are read and decoded before they are needed


class ItemVectorsWorker:
    """The function of the stages in one worker. Thread-safe. The first item without a known vector loads the model."""

    def __init__(self, settings: ItemVectorSettings) -> None:
        assert settings.encoder is not None
        self._settings = settings
        self._encoder = settings.encoder.encoder()
        self._instruction = settings.instruction if self._encoder.reads_instructions else ""
        self._vectors = SideVectors(self._encoder)
        self._threads = settings.decode_threads or min(8, os.cpu_count() or 1)
        self._decoders = ThreadPoolExecutor(self._threads, "decode")

    def __call__(self, shard: Shard) -> pa.Table:
        """Computes the vectors of a shard's items, with the columns of `mining.item_vectors.item_vectors_schema`."""
        of_clips = PARTS_FIELD.name in shard[ITEMS].column_names
        contents = _frame_ids(shard) if of_clips else [(item,) for item in shard[ITEMS].column("item_id").to_pylist()]
        first: dict[tuple[bytes, ...], int] = {}  # the first row of each different content
        for row, ids in enumerate(contents):
            first.setdefault(ids, row)
        place_of = {ids: place for place, ids in enumerate(first)}
        rows = np.fromiter(first.values(), np.int64, len(first))
        is_clip = of_clips and self._encoder.distinguishes_clips
        sides = [VectorSide(ids, "", self._instruction, is_clip, self._settings.mirror) for ids in first]

        def read(places: Places) -> Iterator[tuple[int, SideImage]]:
            part = shard.take(rows[places])
            images = self._clips(part) if of_clips else self._images(part)
            return ((int(places[place]), view) for place, found in images for view in self._views(found))

        found = self._vectors.find(shard.store, sides, read, self._names(shard, sides, rows))
        shard.metrics[ITEM_VECTORS] = found.counts()
        return _table(shard, found, np.fromiter((place_of[ids] for ids in contents), np.int64, len(contents)))

    def close(self) -> None:
        """Stops decoding, and the model, if it was started."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._vectors.close()

    def _names(self, shard: Shard, sides: Sequence[VectorSide], rows: Places) -> list[tuple[str, ...]] | None:
        """Returns the names by which existing vectors of the sides are found; None for an encoder that computes."""
        named_by = self._encoder.named_by
        if named_by is None:
            return None
        if named_by == "item":
            ids = shard[ITEMS].column("item_id").take(pa.array(rows)).to_pylist()
            return [(item.hex(),) for item in ids]
        if named_by == "side":
            texts, items = pa.array([""] * len(sides)), pa.array([list(s.items) for s in sides], pa.list_(ITEM_ID))
            found = side_ids(pa.StructArray.from_arrays([texts, items], ["text", "items"]))
            return [(join_id(each).hex(),) for each in found.T]
        table = shard.tables.get(ROWS, shard[ITEMS])
        if "url" not in table.column_names:
            return [()] * len(sides)
        urls = table.column("url").take(pa.array(rows)).to_pylist()
        return [(url,) if url else () for url in urls]

    def _images(self, shard: Shard) -> Iterator[tuple[int, SideImage]]:
        """Reads and decodes images, some ahead; yields them with their rows, in the order in which they lie."""
        return self._ahead((row, (data,), self._encoder.budget) for row, data in shard.contents())

    def _clips(self, shard: Shard) -> Iterator[tuple[int, SideImage]]:
        """Reads and decodes the frames of clips that the encoder looks at."""
        clips = self._encoder.clip_frames
        return self._ahead(
            (row, [frames[place] for place in evenly_spaced(list(range(len(frames))), clips.count)], clips.budget)
            for row, frames in shard.parts((FRAME_EXT,))
        )

    def _ahead(self, work: Iterator[tuple[int, Sequence[bytes], PixelBudget]]) -> Iterator[tuple[int, SideImage]]:
        calls = ((row, self._decoders.submit(self._decode, data, budget)) for row, data, budget in work)
        waiting: list[tuple[int, Future[SideImage]]] = list(islice(calls, self._threads * _AHEAD_PER_THREAD))
        while waiting:
            row, call = waiting.pop(0)
            waiting.extend(islice(calls, 1))
            yield row, call.result()

    def _views(self, images: SideImage) -> Iterator[SideImage]:
        """Yields the images of an item and, where vectors are means of both, their mirror images."""
        yield images
        if self._settings.mirror and not isinstance(images, str):
            yield tuple(np.ascontiguousarray(pixels[:, ::-1]) for pixels in images)

    def _decode(self, contents: Sequence[bytes], budget: PixelBudget) -> SideImage:
        if not contents:
            return NO_IMAGE
        try:
            return tuple[Pixels, ...](
                decode_to_budget(data, budget, self._settings.max_source_pixels) for data in contents
            )
        except UndecodableError as error:
            return error.reason


def _frame_ids(shard: Shard) -> list[tuple[bytes, ...]]:
    """Returns the ids of the frames of each clip: what a side of a pair has of it."""
    lists = shard[ITEMS].column(PARTS_FIELD.name).to_pylist()
    return [tuple(part["item_id"] for part in parts or () if part["ext"] == FRAME_EXT) for parts in lists]


def _table(shard: Shard, found: VectorRows, places: Places) -> pa.Table:
    """Builds the table of all rows from the vectors of the different items."""
    valid = found.valid
    return pa.table(
        {
            "item_id": shard[ITEMS].column("item_id"),
            "vector": packed_column(found.vectors[places], valid[places]),
            "vector_reason": pa.array(found.reasons, pa.string()).take(pa.array(places)),
            "key": pa.array(found.keys, pa.binary(16), mask=~valid).take(pa.array(places)),
        }
    )
