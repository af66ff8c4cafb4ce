"""The nearest image by hash, as a comparison with every other one finds it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.stage import ITEM_NEIGHBOURS
from filters.image.dedup import Duplicates, DuplicatesSettings
from filters.image.nearest import HAMMING_RADIUS, MIN_COSINE, nearest_by_phash


def rows(hashes: list[int], contents: list[int]) -> pa.Table:
    digests = pa.array([bytes([content]) * 32 for content in contents], pa.binary(32))
    return pa.table({"phash": pa.array(hashes, pa.uint64()), "sha256": digests})


def test_it_is_the_nearest_of_all_others() -> None:
    hashes = np.random.default_rng(0).integers(0, 1 << 63, 300, dtype=np.uint64)
    hashes[7] = hashes[250] ^ np.uint64(0b101)
    table = rows(hashes.tolist(), [number % 256 for number in range(300)])
    table = table.set_column(
        1, "sha256", pa.array([bytes([n % 256, n // 256]) * 16 for n in range(300)], pa.binary(32))
    )
    queries = np.array([7, 250, 12])
    distances, nearest = nearest_by_phash(table, queries)
    differing = np.bitwise_count(hashes[queries][:, None] ^ hashes[None]).astype(int)
    differing[np.arange(3), queries] = 99
    assert distances.tolist() == differing.min(axis=1).tolist() and distances[0] == 2
    assert nearest.tolist() == differing.argmin(axis=1).tolist() and nearest[0] == 250


def test_the_same_bytes_and_useless_hashes_are_not_compared() -> None:
    full = 0x00FF00FF00FF00FF
    distances, nearest = nearest_by_phash(rows([full, full, full ^ 1, 3, 7], [1, 1, 2, 3, 4]), np.arange(5))
    assert np.array_equal(distances, [1, np.nan, 1, np.nan, np.nan], equal_nan=True)
    assert nearest[[0, 2]].tolist() == [2, 0]
    alone, _ = nearest_by_phash(rows([full], [1]), np.array([0]))
    assert np.isnan(alone).all()


def test_cosines_are_those_of_the_neighbours() -> None:
    near = pa.array([[{"item_id": b"a" * 16, "cosine": 0.9}, {"item_id": b"b" * 16, "cosine": 0.5}], None, []])
    assert MIN_COSINE.numbers(pa.table({"neighbours": near})).to_pylist() == [[0.9, 0.5], [], []]


def test_the_cosine_is_a_threshold_where_there_are_vectors() -> None:
    assert Duplicates(DuplicatesSettings()).active_thresholds() == (HAMMING_RADIUS,)
    with_vectors = Duplicates(DuplicatesSettings(), semantic=True, tables={ITEM_NEIGHBOURS})
    assert MIN_COSINE in with_vectors.active_thresholds()
