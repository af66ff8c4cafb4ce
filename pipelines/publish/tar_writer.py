"""Writes one tar of a corpus: media are read by range, a few MiB at a time, ahead of the writing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import IO

from corpus.image.encode import JPEG_QUALITY
from corpus.image.stock_reader import UndecodableError
from corpus.media import READ_AHEAD_BYTES, READ_AHEAD_ITEMS, TarWriter
from corpus.storage import Store, storage_errors
from pipelines.publish.checkpoint import Tar
from pipelines.publish.images import rewrite_image
from pipelines.publish.mixture import PublishError

# Bytes of one read from a local disk, which stay in the processor's cache until they are hashed and written.
_LOCAL_READ_AHEAD_BYTES = 1 << 20
_FLUSH_BYTES = 16 << 20  # between two flushes of a local file: a single one, at the end, would take long


@dataclass
class Sample:
    """A sample to write: its key, its `json` member, and the locations of its media."""

    key: str
    json: bytes
    ranges: list[tuple[str, int, int]]  # path, offset and size, in the order of the fields
    rewrite: dict[int, int] = field(default_factory=dict)  # number of a range -> pHash, of images to re-encode


def write_tar(
    media: Store,
    corpus: Store,
    path: str,
    samples: list[Sample],
    fields: Sequence[str],
    jpeg_quality: int = JPEG_QUALITY,
    check: Callable[[], None] | None = None,
) -> Tar:
    """Writes the samples to a tar at `path`, atomically; `fields` are the names of each sample's media.

    `jpeg_quality` is for images that are re-encoded; raises PublishError where one can't be. `check` is called before
    the tar gets its name; where it raises, no tar is published.
    """
    with (
        corpus.writer(path) as file,
        ThreadPoolExecutor(1) as reader,
        _Flusher(file, corpus.full(path), corpus.is_local) as flusher,
    ):
        digesting = _DigestingWriter(file)
        tar = TarWriter(digesting)  # type: ignore[arg-type]
        remote = not media.is_local or any("://" in place[0] for sample in samples for place in sample.ranges)
        batches = list(_batches(samples, READ_AHEAD_BYTES if remote else _LOCAL_READ_AHEAD_BYTES))
        contents = reader.submit(_read, media, batches[0], jpeg_quality)
        for batch, following in zip_longest(batches, batches[1:]):
            members = iter(contents.result())
            if following is not None:
                contents = reader.submit(_read, media, following, jpeg_quality)
            for sample in batch:
                tar.add(f"{sample.key}.json", sample.json)
                for name, _ in zip(fields, sample.ranges, strict=True):
                    tar.add(f"{sample.key}.{name}", next(members))
            flusher.advance(tar.position)
        tar.close()
        if check is not None:
            check()
    name = path.rpartition("/")[2]
    return Tar(name, len(samples), tar.position, digesting.sha256.hexdigest(), digesting.md5.hexdigest())


def _batches(samples: Sequence[Sample], max_bytes: int) -> Iterator[list[Sample]]:
    """Groups samples whose media are read together."""
    batch: list[Sample] = []
    items = size = 0
    for sample in samples:
        batch.append(sample)
        items += len(sample.ranges)
        size += sum(taken for _, _, taken in sample.ranges)
        if items >= READ_AHEAD_ITEMS or size >= max_bytes:
            yield batch
            batch, items, size = [], 0, 0
    if batch:
        yield batch


def _read(media: Store, batch: Sequence[Sample], jpeg_quality: int) -> list[bytes]:
    contents = media.read_ranges([place for sample in batch for place in sample.ranges])
    first = 0
    for sample in batch:
        for number, phash in sample.rewrite.items():
            path, offset, _ = sample.ranges[number]
            try:
                contents[first + number] = rewrite_image(contents[first + number], phash, jpeg_quality)
            except UndecodableError as error:
                raise PublishError(
                    f"{path}: the image at byte {offset} was inspected, but can't be decoded: {error}"
                ) from error
        first += len(sample.ranges)
    return contents


class _DigestingWriter:
    """A file that is hashed while it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.md5.update(data)
        return self._file.write(data)


class _Flusher:
    """The flusher of a local file: it writes the file to the disk in the background."""

    def __init__(self, file: IO[bytes], path: str, needed: bool) -> None:
        self._file = file
        self._path = path
        self._pool = ThreadPoolExecutor(1) if needed else None
        self._running: Future[None] | None = None
        self._flushed = 0

    def __enter__(self) -> _Flusher:
        return self

    def advance(self, position: int) -> None:
        """Flushes up to `position`, if that is far enough from the last flush."""
        if self._pool is not None and position - self._flushed >= _FLUSH_BYTES:
            self._wait()
            self._file.flush()
            self._running = self._pool.submit(self._sync)
            self._flushed = position

    def __exit__(self, *raised: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        if raised[0] is None:
            self._wait()

    def _sync(self) -> None:
        with storage_errors(self._path):
            os.fsync(self._file.fileno())

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()  # raises the error of a failed flush, once
