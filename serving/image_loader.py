"""Decoding the images of a shard's rows ahead of the model: one for each row, or all frames of a clip."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from corpus.image.pixel_budget import PixelBudget, UndecodableError, decode_to_budget
from corpus.schema import ITEM_ID_BYTES, PARTS_FIELD
from corpus.stage import ITEMS, Shard
from serving.request import Pixels

FRAME_EXT = "jpg"  # of the parts that are shown; a clip's mp4 lies beside them
NO_FRAMES = "no_frames"

_AHEAD_PER_THREAD = 4  # images that are decoded before they are needed


class ImagePrefetcher:
    """Threads that decode images at the size that a budget gives each. Thread-safe: several shards use them at once."""

    def __init__(self, threads: int, budget: PixelBudget, max_source_pixels: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "decode")
        self._ahead = _AHEAD_PER_THREAD * threads
        self._budget = budget
        self._max_source_pixels = max_source_pixels

    def images(self, shard: Shard) -> Iterator[tuple[int, tuple[Pixels, ...] | str]]:
        """(live row, its images in order, or why there are none).

        Images, not rows, are counted ahead: besides those of the row that is waited for, so many are begun, and those
        of the last row in full.
        """
        waiting: deque[tuple[int, list[Future[Pixels | str]]]] = deque()
        begun = 0
        for row, contents in _contents(shard):
            calls = [self._threads.submit(_decode, data, self._budget, self._max_source_pixels) for data in contents]
            waiting.append((row, calls))
            begun += len(calls)
            while waiting and begun - len(waiting[0][1]) >= self._ahead:
                first, calls = waiting.popleft()
                begun -= len(calls)
                yield first, _all_or_reason(calls)
        while waiting:
            row, calls = waiting.popleft()
            yield row, _all_or_reason(calls)

    def close(self) -> None:
        """Decode no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def content_keys(shard: Shard) -> list[bytes]:
    """The key of each live row's images (16 bytes): the item's id, or a hash of its frames' ids.

    Not the id of an item of parts: that changes with an mp4 beside the frames, which no model sees.
    """
    if not _has_parts(shard):
        return list(shard[ITEMS].column("item_id").to_pylist())
    frames = (
        b"".join(part["item_id"] for part in parts or () if part["ext"] == FRAME_EXT)
        for parts in shard[ITEMS].column(PARTS_FIELD.name).to_pylist()
    )
    return [hashlib.sha256(ids).digest()[:ITEM_ID_BYTES] for ids in frames]


def _has_parts(shard: Shard) -> bool:
    return PARTS_FIELD.name in shard[ITEMS].column_names


def _contents(shard: Shard) -> Iterator[tuple[int, Sequence[bytes]]]:
    """(live row, its encoded images in order)"""
    if _has_parts(shard):
        yield from shard.parts({FRAME_EXT})
    else:
        yield from ((row, [data]) for row, data in shard.contents())


def _all_or_reason(calls: Sequence[Future[Pixels | str]]) -> tuple[Pixels, ...] | str:
    """All images, or why the first of those that can't be decoded can't."""
    decoded: list[Pixels] = []
    for call in calls:
        each = call.result()
        if isinstance(each, str):
            return each
        decoded.append(each)
    return tuple(decoded) or NO_FRAMES


def _decode(data: bytes, budget: PixelBudget, max_source_pixels: int) -> Pixels | str:
    try:
        return decode_to_budget(data, budget, max_source_pixels)
    except UndecodableError as error:
        return error.reason
