"""The stage `leaks` finds for each item the nearest media of the evaluation sets: numbers, no decision.

The thresholds are in `filters.decontamination.decontaminate`, so that changing one compares nothing again. Each item
is compared with each medium: there is no index that could miss one, and comparing two hashes takes about a nanosecond.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import one_array
from corpus.hashing import Hashes
from corpus.item_ids import split_ids
from corpus.pool import Pool, PoolRead, PoolScope
from corpus.schema import ITEM_ID
from corpus.settings import Settings
from corpus.stage import EVALUATION_INDEX, ITEM_VECTORS, ITEMS, LEAKS, VERDICT, Gives, MapStage, Shard, SourceInfo
from filters.decontamination.evaluation import (
    EXACT,
    HASH,
    NEAR_FIELD,
    EvaluationMedia,
    entries_of,
    near_lists,
    read_media,
    usable_hashes,
)
from filters.decontamination.vector_leaks import EvaluationVectors, near_vectors, read_vectors

MAX_DISTANCE = 12  # bits; what differs in more is not listed: among a million media every picture has such a neighbour
_IMAGE_STATS = "image_stats"
_DISTANCES_AT_ONCE = 1 << 17  # what stays in a core's cache


class LeaksSettings(Settings):
    """Settings of the stages `leaks` and `pair_leaks`: how items and texts are held against evaluation sets."""

    clip_frames: int = Field(
        2,
        ge=1,
        le=8,
        description="How many hashed frames of a clip must be near to the same evaluation item: its distance is that "
        "of the frame so many places down; of a clip with fewer, of its last.",
    )
    ngram_words: int = Field(8, ge=3, le=20, description="Words of an n-gram; characters in scripts without blanks.")
    min_ngram_text_words: int = Field(
        12, ge=3, description="The fewest words of texts, and of evaluation texts, that are compared by their n-grams."
    )


class Leaks(MapStage):
    """The nearest medium of each evaluation set, for each item that is kept so far, as far as one is near at all.

    An image has one hash, a clip one for each of some frames spread over it. Media of the same bytes are found by their
    ids, whatever their hashes are worth. Images that have vectors are compared by these, too.
    """

    name = LEAKS
    reads: tuple[str, ...] = (ITEMS, VERDICT)
    optional_reads = (_IMAGE_STATS, ITEM_VECTORS)
    pools: tuple[PoolRead, ...] = (PoolRead(EVALUATION_INDEX, PoolScope.EVALUATION),)
    settings_key = LEAKS
    settings_type = LeaksSettings
    over = frozenset(Gives)
    filters_rows = False
    summary = "the nearest media of the evaluation sets, where there are such sets"
    schema = pa.schema([pa.field("ids", pa.list_(ITEM_ID)), NEAR_FIELD])  # ids: by which pairs may name the item

    def __init__(self, settings: LeaksSettings, of_images: bool, has_vectors: bool = False) -> None:
        super().__init__(settings)
        self._clip_frames = settings.clip_frames
        measured = (_IMAGE_STATS, *((ITEM_VECTORS,) if has_vectors else ())) if of_images else ()
        self.reads = (ITEMS, VERDICT, *measured)
        if ITEM_VECTORS in self.reads:
            self.pools = (*type(self).pools, PoolRead(ITEM_VECTORS, PoolScope.EVALUATION))

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and bool(source.evaluation) and {ITEMS, VERDICT} <= source.tables

    @classmethod
    def create(cls, source: SourceInfo) -> Leaks:
        return cls(cls.settings_of(source), _IMAGE_STATS in source.tables, ITEM_VECTORS in source.tables)

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {} if _IMAGE_STATS in self.reads else {"clip_frames": self._clip_frames}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _Leaks(self._clip_frames)


class _Leaks:
    """The function of the stage in one worker, which keeps the evaluation sets for the next shard. Thread-safe."""

    def __init__(self, clip_frames: int) -> None:
        self._clip_frames = clip_frames
        self._kept: tuple[Mapping[str, Pool], EvaluationMedia, EvaluationVectors | None] | None = None
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        media, vectors = self._media(shard.pools)
        hashes, counts = _hashes(shard)
        found = [
            _equal_items(split_ids(shard[ITEMS].column("item_id")), media),
            _near_hashes(hashes, counts, media, self._clip_frames),
        ]
        if vectors is not None:
            found.append(near_vectors(shard[ITEM_VECTORS], vectors))
        rows, entries = zip(*found, strict=True)
        near = near_lists(np.concatenate(rows), pa.concat_tables(entries), len(shard))
        return pa.table({"ids": _ids(shard[ITEMS]), NEAR_FIELD.name: near})

    def _media(self, pools: Mapping[str, Pool]) -> tuple[EvaluationMedia, EvaluationVectors | None]:
        with self._lock:
            if self._kept is None or self._kept[0] != pools:
                media = read_media(pools[EVALUATION_INDEX])
                vectors = read_vectors(pools[ITEM_VECTORS], media) if ITEM_VECTORS in pools else None
                self._kept = (pools, media, vectors)
            return self._kept[1:]


def _ids(items: pa.Table) -> pa.Array:
    """Returns by which ids pairs name each item: its own, or those of a clip's parts."""
    item_ids = one_array(items.column("item_id"))
    if "parts" not in items.column_names:
        return pa.ListArray.from_arrays(pa.array(np.arange(len(item_ids) + 1, dtype=np.int32)), item_ids)
    parts = one_array(items.column("parts"))
    lengths = pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pc.struct_field(parts.flatten(), "item_id"))


def _hashes(shard: Shard) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Returns the usable hashes of a shard's items, one item after the other, and how many each has, int64[n]."""
    if _IMAGE_STATS in shard.tables:
        stats = shard[_IMAGE_STATS]
        usable = usable_hashes(stats)
        hashes = pc.fill_null(stats.column("phash"), 0).to_numpy()
        return hashes[usable], usable.astype(np.int64)
    lists = one_array(shard[ITEMS].column("hashes"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lists.flatten().to_numpy(), counts


def _equal_items(ids: npt.NDArray[np.uint64], media: EvaluationMedia) -> tuple[npt.NDArray[np.int64], pa.Table]:
    """Returns the entries of items whose bytes an evaluation set has, one for each set, and their rows."""
    starts, stops = (np.searchsorted(media.ids[0], ids[0], side) for side in ("left", "right"))
    found: dict[tuple[int, int], int] = {}
    for row in np.flatnonzero(stops > starts).tolist():
        for at in range(starts[row], stops[row]):
            if media.ids[1, at] == ids[1, row]:
                found.setdefault((row, int(media.id_sets[at])), at)
    rows = np.array([row for row, _ in found], np.int64)
    sets = [media.id_set_names[number] for _, number in found]
    return rows, entries_of(sets, [media.id_names[at] for at in found.values()], EXACT, np.ones(len(found)))


def _near_hashes(
    hashes: Hashes, counts: npt.NDArray[np.int64], media: EvaluationMedia, clip_frames: int
) -> tuple[npt.NDArray[np.int64], pa.Table]:
    """Returns for each item (`counts` of the hashes each) and set the nearest medium, and the item of each."""
    rows: list[int] = []
    sets: list[str] = []
    names: list[str] = []
    values: list[int] = []
    bounds = [*media.set_starts.tolist(), len(media.names)]
    for items, distances in _distances(hashes, counts, media, clip_frames):
        nearest = np.minimum.reduceat(distances, media.set_starts, axis=1)
        for place, number in np.argwhere(nearest <= MAX_DISTANCE).tolist():
            of_set = distances[place, bounds[number] : bounds[number + 1]]
            rows.append(int(items[place]))
            sets.append(media.sets[number])
            names.append(media.names[bounds[number] + int(of_set.argmin())])
            values.append(int(nearest[place, number]))
    return np.array(rows, np.int64), entries_of(sets, names, HASH, np.array(values, np.float32))


def _distances(
    hashes: Hashes, counts: npt.NDArray[np.int64], media: EvaluationMedia, clip_frames: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]]:
    """Yields some items that have hashes, and the distances of each from all evaluation items, uint8[rows, e]."""
    items = np.flatnonzero(counts)
    if not len(media.hashes) or not len(items):
        return
    counts = counts[items]
    stops = np.cumsum(counts)
    group = stops * len(media.hashes) // _DISTANCES_AT_ONCE
    for block in np.split(np.arange(len(items)), np.flatnonzero(np.diff(group)) + 1):
        first = stops[block[0]] - counts[block[0]]
        some = hashes[first : stops[block[-1]]]
        distances = np.bitwise_count(some[:, None] ^ media.hashes)
        if media.has_videos:
            distances = np.minimum.reduceat(distances, media.item_starts, axis=1)
        yield items[block], _of_items(distances, counts[block], clip_frames)


def _of_items(
    distances: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64], clip_frames: int
) -> npt.NDArray[np.uint8]:
    """Returns the distance of each item from each evaluation item: of its frames' distances the `clip_frames`th
    smallest.
    """
    if (counts == 1).all():
        return distances
    parts = np.split(distances, np.cumsum(counts)[:-1])
    places = [min(clip_frames, len(part)) - 1 for part in parts]
    return np.stack([np.partition(part, at, axis=0)[at] for part, at in zip(parts, places, strict=True)])
