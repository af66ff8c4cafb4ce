"""The search for near items against one that compares everything with everything."""

from __future__ import annotations

import numpy as np

from mining.item_search import ItemBlock, near_items
from tests.helpers.vector_worlds import Pool, ids_of, split_anyhow, unit_vectors

MIN_COSINE = 0.6
Listed = list[tuple[float, tuple[int, int]]]


def crowded(random: np.random.Generator) -> Pool:
    """A pool of families: some items are near to one another, some are equal, one item is there twice."""
    centres = unit_vectors(random, 20, 24).astype(np.float64)
    noise = 0.5 * random.standard_normal((120, 24)) / np.sqrt(24)
    members = centres[random.integers(0, 20, 120)] + noise * random.integers(0, 3, (120, 1))
    vectors = (members / np.linalg.norm(members, axis=1, keepdims=True)).astype(np.float16)
    ids = ids_of(random, 120)
    vectors[7], ids[:, 7] = vectors[30], ids[:, 30]
    return ids, vectors


def plain(queries: Pool, pool: Pool, k: int, min_cosine: float) -> list[Listed]:
    scores = (queries[1].astype(np.float64) @ pool[1].astype(np.float64).T).astype(np.float32)
    ids = [(int(high), int(low)) for high, low in pool[0].T]
    found = []
    for own, line in zip(queries[0].T, scores, strict=True):
        near = {ids[at]: float(line[at]) for at in np.flatnonzero(line >= np.float32(min_cosine))}
        near.pop((int(own[0]), int(own[1])), None)
        found.append(sorted(((cosine, each) for each, cosine in near.items()), key=lambda e: (-e[0], e[1]))[:k])
    return found


def listed(queries: Pool, blocks: list[Pool], k: int, min_cosine: float, memory_bytes: int = 64 << 20) -> list[Listed]:
    parts = [ItemBlock(*block) for block in blocks]
    found = near_items(ItemBlock(*queries), lambda: parts, k, min_cosine, memory_bytes)
    ids = [(int(high), int(low)) for high, low in found.ids.T]
    entries = list(zip(found.cosines.tolist(), ids, strict=True))
    return [entries[a:b] for a, b in zip(found.offsets[:-1].tolist(), found.offsets[1:].tolist(), strict=True)]


def test_all_items_above_the_cosine_are_found_but_the_item_itself() -> None:
    random = np.random.default_rng(0)
    pool = crowded(random)
    for k in (1, 3, 200):
        expected = plain(pool, pool, k, MIN_COSINE)
        assert sum(map(len, expected)) > 100
        for blocks in ([pool], split_anyhow(random, pool, 7)):
            assert listed(pool, blocks, k, MIN_COSINE) == expected, k


def test_queries_of_another_pool_and_little_memory_change_nothing() -> None:
    random = np.random.default_rng(1)
    pool = crowded(random)
    queries = ids_of(random, 30), pool[1][random.integers(0, 120, 30)]
    expected = plain(queries, pool, 50, 0.9)
    assert min(map(len, expected)) >= 1, "another item with the same vector is near"
    assert listed(queries, [pool], 50, 0.9, memory_bytes=1 << 20) == expected
    assert listed(queries, [], 50, 0.9) == [[]] * 30
    assert listed((queries[0][:, :0], queries[1][:0]), [pool], 50, 0.9) == []


def test_the_cosine_is_inclusive() -> None:
    ids = np.array([[1, 2], [0, 0]], np.uint64)
    vectors = np.array([[1, 0], [0.75, 0.6616]], np.float16)
    for min_cosine, expected in ((0.75, [0.75]), (np.nextafter(np.float32(0.75), np.float32(1)), [])):
        found = near_items(ItemBlock(ids, vectors), lambda: [ItemBlock(ids, vectors)], 5, float(min_cosine), 1 << 20)
        assert found.cosines.tolist() == expected * 2
