"""The images of pairs' sides, by the ids of their items, wherever in the workspace these lie."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from corpus.image.pixel_budget import PixelBudget, UndecodableError, decode_to_budget
from corpus.item_ids import split_ids
from corpus.item_index import Locations, known_ids, read_locations
from corpus.pool import Pool
from corpus.schema import ITEM_ID
from corpus.storage import Store
from corpus.workspace import Workspace
from serving.request import Pixels

MISSING_ITEM = "missing_item"
NO_IMAGE = "no_image"
_NO_IMAGES = frozenset({"mp4"})  # endings of items that are no images: they lie beside a clip's frames
_AHEAD_PER_THREAD = 4  # sides whose images are read and decoded before they are needed


@dataclass(frozen=True)
class ClipFrames:
    """The frames of a clip that are decoded, and their sizes."""

    budget: PixelBudget
    count: int = 0  # of a clip with more so many, evenly spaced from the first to the last; 0: all


class SideImages:
    """Reads and decodes the images of sides, several sides ahead. Thread-safe.

    Where items lie is read once for each pool of item tables, 48 bytes an item, and kept.
    """

    def __init__(
        self, budget: PixelBudget, max_source_pixels: int, threads: int = 0, clips: ClipFrames | None = None
    ) -> None:
        self._budget = budget
        self._clips = clips or ClipFrames(budget)
        self._max_source_pixels = max_source_pixels
        count = threads or min(8, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(count, "decode")
        self._ahead = count * _AHEAD_PER_THREAD
        self._known: tuple[Pool, Locations] | None = None
        self._lock = threading.Lock()

    def read(
        self, store: Store, pool: Pool, sides: Sequence[Sequence[bytes]], is_clip: Sequence[bool] = ()
    ) -> Iterator[tuple[Pixels, ...] | str]:
        """Yields for each side, by its items' ids, its images in order (none for a side of no items), or why not.

        `is_clip` tells for each side whether its images are frames of a clip; without it none are.

        Reasons: missing_item (no table says where it lies), no_image (items, but no image among them), and those of
        `corpus.image.pixel_budget.decode_to_budget`.
        """
        locations = self._locations(pool)
        calls = (
            self._threads.submit(self._decode, store, locations, side, clip) if side else None
            for side, clip in zip(sides, is_clip or [False] * len(sides), strict=True)
        )
        waiting: list[Future[tuple[Pixels, ...] | str] | None] = list(islice(calls, self._ahead))
        while waiting:
            call = waiting.pop(0)
            waiting.extend(islice(calls, 1))
            yield () if call is None else call.result()

    def close(self) -> None:
        """Stops decoding."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _locations(self, pool: Pool) -> Locations:
        with self._lock:
            if self._known is None or self._known[0] != pool:
                workspace = Workspace(pool.workspace)
                ids = known_ids(workspace, pool.paths)
                self._known = (pool, read_locations(workspace, pool.paths, ids))
            return self._known[1]

    def _decode(
        self, store: Store, locations: Locations, side: Sequence[bytes], is_clip: bool
    ) -> tuple[Pixels, ...] | str:
        rows = locations.find(split_ids(pa.array(side, ITEM_ID)))
        if (rows < 0).any():
            return MISSING_ITEM
        still = [row for row in rows.tolist() if locations.exts[locations.ext[row]] not in _NO_IMAGES]
        if not still:
            return NO_IMAGE
        if is_clip:
            still = evenly_spaced(still, self._clips.count)
        budget = self._clips.budget if is_clip else self._budget
        ranges = [
            (locations.media_names[locations.media[row]], int(locations.offset[row]), int(locations.size[row]))
            for row in still
        ]
        try:
            return tuple(decode_to_budget(data, budget, self._max_source_pixels) for data in store.read_ranges(ranges))
        except UndecodableError as error:
            return error.reason


def evenly_spaced(rows: list[int], count: int) -> list[int]:
    """Chooses so many of the rows, from the first to the last; all where there are no more, or `count` is 0."""
    if not count or len(rows) <= count:
        return rows
    return [rows[place] for place in np.linspace(0, len(rows) - 1, count, dtype=int).tolist()]
