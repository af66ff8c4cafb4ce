"""A pool in one worker: read once where it fits, and read again where it does not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from corpus.pool import Pool
from mining.kept_pool import KeptPool

PARTS = [np.full(10, number, np.int64) for number in range(4)]  # 320 bytes


def test_a_pool_that_fits_is_read_once_and_another_one_anew() -> None:
    for max_bytes, expected in ((320, ["a", "b"]), (319, ["a", "a", "b"])):
        read: list[str] = []

        def parts(pool: Pool, read: list[str] = read) -> Iterator[np.ndarray]:
            read.append(pool.paths[0])
            return iter(PARTS)

        kept: KeptPool[np.ndarray] = KeptPool(parts, max_bytes)
        for name in ("a", "a", "b"):
            found = list(kept.blocks(Pool("somewhere", (name,))))
            assert [part.tolist() for part in found] == [part.tolist() for part in PARTS]
        assert read == expected


def test_a_pool_that_is_not_read_to_its_end_is_not_kept() -> None:
    kept: KeptPool[np.ndarray] = KeptPool(lambda pool: iter(PARTS), 1 << 20)
    pool = Pool("somewhere", ("a",))
    blocks = kept.blocks(pool)
    assert next(blocks) is PARTS[0]
    blocks.close()
    assert len(list(kept.blocks(pool))) == 4
