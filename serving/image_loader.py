"""The image loader decodes images ahead of the model: the one of each row of a shard, or all frames of a clip."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from corpus.image.decode import Pixels
from corpus.image.pixel_budget import PixelBudget, UndecodableError, decode_to_budget
from corpus.schema import FRAME_EXT, ITEM_ID_BYTES, PARTS_FIELD
from corpus.stage import ITEMS, Shard

NO_FRAMES = "no_frames"

_AHEAD_PER_THREAD = 4  # images decoded before they are needed


class ImagePrefetcher:
    """A pool of threads that decode images at the size that a pixel budget allows. Thread-safe: shards share it."""

    def __init__(self, threads: int, budget: PixelBudget, max_source_pixels: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "decode")
        self._max_ahead = _AHEAD_PER_THREAD * threads
        self._budget = budget
        self._max_source_pixels = max_source_pixels

    def images(self, shard: Shard) -> Iterator[tuple[int, tuple[Pixels, ...] | str]]:
        """Yields (live row, its images in order or the reason why there are none), in the order of rows.

        The limit of what is decoded ahead counts images, not rows: at most `_AHEAD_PER_THREAD` a thread besides those
        of the row that comes next, and always whole rows.
        """
        waiting: deque[tuple[int, list[Future[Pixels | str]]]] = deque()
        submitted = 0
        for row, contents in _contents(shard):
            calls = [self._threads.submit(_decode, data, self._budget, self._max_source_pixels) for data in contents]
            waiting.append((row, calls))
            submitted += len(calls)
            while waiting and submitted - len(waiting[0][1]) >= self._max_ahead:
                first, calls = waiting.popleft()
                submitted -= len(calls)
                yield first, _all_or_reason(calls)
        while waiting:
            row, calls = waiting.popleft()
            yield row, _all_or_reason(calls)

    def close(self) -> None:
        """Ends the threads; images that are not decoded yet are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def content_keys(shard: Shard) -> list[bytes]:
    """Returns a key of each live row's images (16 bytes): the item's id or, for a clip, a hash of its frames' ids.

    The id of a clip itself would change with the mp4 beside its frames, which no model sees.
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
    """Yields (live row, its encoded images in order)."""
    if _has_parts(shard):
        yield from shard.parts({FRAME_EXT})
    else:
        yield from ((row, [data]) for row, data in shard.contents())


def _all_or_reason(calls: Sequence[Future[Pixels | str]]) -> tuple[Pixels, ...] | str:
    """Waits for the images of a row; returns them all, or the reason of the first that can't be decoded."""
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
