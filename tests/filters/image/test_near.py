"""Who stands for whom is the same in rounds over components and one row after the other."""

from __future__ import annotations

import numpy as np
import pytest

import filters.image.near
from corpus.arrays import Places
from corpus.union_find import components
from filters.image.near import NearImages

ROWS, RADIUS, PDQ_RADIUS = 600, 4, 31


def world(seed: int, with_pdq: bool) -> tuple[NearImages, Places, np.ndarray]:
    """Rows that crowd together by pHash, PDQ or vectors, some without either; the relation as a matrix."""
    rng = np.random.default_rng(seed)
    item = rng.integers(0, ROWS * 2 // 3, ROWS)  # several rows of an item, which have all in common
    low = rng.integers(0, 2**14, ROWS, dtype=np.uint64)[item]
    hashes = np.where(rng.random(ROWS)[item] < 0.8, low | np.uint64(0xFFFF << 40), np.uint64(0))
    pdq = np.zeros((ROWS, 4), np.uint64)
    if with_pdq:
        pdq[:, 0] = rng.integers(1, 2**63, ROWS, dtype=np.uint64)[item]
        pdq[rng.random(ROWS)[item] < 0.3] = 0
    ids = np.stack([item.astype(np.uint64), item.astype(np.uint64) * np.uint64(7)])
    one, other = rng.integers(0, ROWS * 2 // 3, (2, 300))
    pairs = tuple(np.stack([each.astype(np.uint64), each.astype(np.uint64) * np.uint64(7)]) for each in (one, other))
    images = NearImages(hashes, RADIUS, ids, (pairs[0], pairs[1]), pdq if with_pdq else None, PDQ_RADIUS)
    near = item[:, None] == item
    near |= (np.bitwise_count(hashes[:, None] ^ hashes) <= RADIUS) & (hashes[:, None] != 0) & (hashes != 0)
    apart = np.bitwise_count(pdq[:, None] ^ pdq).sum(axis=2)
    near |= (apart <= PDQ_RADIUS) & pdq.any(axis=1)[:, None] & pdq.any(axis=1)
    linked = set(zip(one.tolist(), other.tolist(), strict=True)) | set(zip(other.tolist(), one.tolist(), strict=True))
    near |= np.array([[(a, b) in linked for b in item.tolist()] for a in item.tolist()])
    return images, item, near


def by_hand(order: Places, near: np.ndarray) -> Places:
    found = np.arange(len(order))
    kept: list[int] = []
    for row in order.tolist():
        found[row] = next((each for each in kept if near[each, row]), row)
        kept += [row] if found[row] == row else []
    return found


@pytest.mark.parametrize("with_pdq", [False, True])
@pytest.mark.parametrize("largest", [0, 40, 10**9])
def test_representatives_are_those_of_brute_force(
    monkeypatch: pytest.MonkeyPatch, largest: int, with_pdq: bool
) -> None:
    monkeypatch.setattr(filters.image.near, "_MAX_ROUNDS_ROWS", largest)
    for seed in range(3):
        images, _, near = world(seed, with_pdq)
        component = components(ROWS, *np.nonzero(near))
        merit = np.random.default_rng(seed).permutation(ROWS)
        order = np.lexsort((merit, component))
        found = images.representatives(component, order)
        expected = by_hand(order, near)
        np.testing.assert_array_equal(found, expected)
        kept = np.count_nonzero(found == np.arange(ROWS))
        assert 20 < kept < ROWS - 200 and np.bincount(component).max() > 40
