"""The images of pairs' sides, by the ids of their items, wherever in the workspace these lie."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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


class SideImages:
    """Reads and decodes the images of sides, several sides ahead. Thread-safe.

    Where items lie is read once for each pool of item tables, 48 bytes an item, and kept.
    """

    def __init__(self, budget: PixelBudget, max_source_pixels: int, threads: int = 0) -> None:
        self._budget = budget
        self._max_source_pixels = max_source_pixels
        count = threads or min(8, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(count, "decode")
        self._ahead = count * _AHEAD_PER_THREAD
        self._known: tuple[Pool, Locations] | None = None
        self._lock = threading.Lock()

    def read(self, store: Store, pool: Pool, sides: Sequence[Sequence[bytes]]) -> Iterator[tuple[Pixels, ...] | str]:
        """For each side, given by its items' ids: its images in order (none for a side of no items), or why not.

        Reasons: missing_item (no table says where it lies), no_image (items, but no image among them), and those of
        `corpus.image.pixel_budget.decode_to_budget`.
        """
        locations = self._locations(pool)
        calls = (self._threads.submit(self._decode, store, locations, side) if side else None for side in sides)
        waiting: list[Future[tuple[Pixels, ...] | str] | None] = list(islice(calls, self._ahead))
        while waiting:
            call = waiting.pop(0)
            waiting.extend(islice(calls, 1))
            yield () if call is None else call.result()

    def close(self) -> None:
        """Decode no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _locations(self, pool: Pool) -> Locations:
        with self._lock:
            if self._known is None or self._known[0] != pool:
                workspace = Workspace(pool.workspace)
                ids = known_ids(workspace, pool.paths)
                self._known = (pool, read_locations(workspace, pool.paths, ids))
            return self._known[1]

    def _decode(self, store: Store, locations: Locations, side: Sequence[bytes]) -> tuple[Pixels, ...] | str:
        rows = locations.find(split_ids(pa.array(side, ITEM_ID)))
        if (rows < 0).any():
            return MISSING_ITEM
        still = [row for row in rows.tolist() if locations.exts[locations.ext[row]] not in _NO_IMAGES]
        if not still:
            return NO_IMAGE
        ranges = [
            (locations.media_names[locations.media[row]], int(locations.offset[row]), int(locations.size[row]))
            for row in still
        ]
        try:
            return tuple(
                decode_to_budget(data, self._budget, self._max_source_pixels) for data in store.read_ranges(ranges)
            )
        except UndecodableError as error:
            return error.reason


def listed_ids(items: pa.Array) -> list[list[bytes]]:
    """The ids of each side's items, of a column of lists."""
    return [row or [] for row in items.to_pylist()]


def packed_ids(ids: np.ndarray) -> pa.Array:
    """Ids as numbers (uint64[2, n]) as a column of 16 bytes each."""
    data = ids.T.astype(">u8").tobytes()
    return pa.Array.from_buffers(ITEM_ID, ids.shape[1], [None, pa.py_buffer(data)])
