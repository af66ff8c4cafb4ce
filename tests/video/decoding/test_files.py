"""Part of a stored file as a file: every read gives the bytes that lie there, in few requests."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest

from corpus.storage import MissingError, Store
from video.decoding.files import BLOCK_BYTES, FileView, RangeFile

CONTENT = np.random.default_rng(0).bytes(3 * BLOCK_BYTES + 1000)
OFFSET, SIZE = 700, 2 * BLOCK_BYTES + 900


class CountingStore(Store):
    """Records the ranges that are read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.requested: list[tuple[str, int, int]] = []

    def read_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        self.requested += ranges
        return super().read_ranges(ranges)


def stored(url: str) -> CountingStore:
    store = CountingStore(url)
    store.publish("media.tar", CONTENT)
    return store


def test_reads_are_those_of_the_bytes_themselves(store_url: str) -> None:
    file = io.BufferedReader(RangeFile(stored(store_url), "media.tar", OFFSET, SIZE))
    inside = io.BytesIO(CONTENT[OFFSET : OFFSET + SIZE])
    rng = np.random.default_rng(1)
    for place, length in zip(
        rng.integers(0, SIZE + 10, 60).tolist(), rng.integers(0, 300_000, 60).tolist(), strict=True
    ):
        assert file.seek(place) == inside.seek(place) == file.tell()
        assert file.read(length) == inside.read(length)
    assert file.seek(-5, io.SEEK_END) == SIZE - 5
    assert file.read() == CONTENT[OFFSET + SIZE - 5 : OFFSET + SIZE]
    assert file.read(1) == b""


def test_small_reads_in_order_cost_one_request_a_block(tmp_path: object) -> None:
    store = stored(str(tmp_path))
    file = RangeFile(store, "media.tar", OFFSET, SIZE)
    taken = 0
    while piece := file.read(10_000):
        taken += len(piece)
    assert taken == SIZE
    assert store.requested == [
        ("media.tar", OFFSET, BLOCK_BYTES),
        ("media.tar", OFFSET + BLOCK_BYTES, BLOCK_BYTES),
        ("media.tar", OFFSET + 2 * BLOCK_BYTES, 900),
    ]
    file.seek(0)
    assert file.read(10) == CONTENT[OFFSET : OFFSET + 10]
    assert len(store.requested) == 3  # the blocks are kept


def test_a_file_without_a_size_goes_to_its_end(tmp_path: object) -> None:
    file = RangeFile(stored(str(tmp_path)), "media.tar", OFFSET)
    assert file.seek(0, io.SEEK_END) == len(CONTENT) - OFFSET
    with pytest.raises(ValueError, match="position -1 is negative"):
        file.seek(-1)


def test_what_is_not_there_is_missing(tmp_path: object) -> None:
    with pytest.raises(MissingError):
        RangeFile(Store(str(tmp_path)), "nothing.tar", 0, 10).read(1)


def test_a_view_reads_an_open_file_from_a_position_of_its_own() -> None:
    """Whoever reads the file itself goes on where they were."""
    content = bytes(range(200))
    file = io.BytesIO(content)
    file.seek(50)
    view = FileView(file)
    assert (view.read(10), view.tell(), file.tell()) == (content[:10], 10, 50)
    assert (view.seek(-5, io.SEEK_END), view.read(), view.read(1)) == (195, content[195:], b"")
    assert (view.seek(-3, io.SEEK_CUR), view.seek(7), view.read(2)) == (197, 7, content[7:9])
    assert file.read(1) == content[50:51]
    with pytest.raises(ValueError, match="is negative"):
        view.seek(-1)
