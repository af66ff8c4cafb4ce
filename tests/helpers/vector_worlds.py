"""Vectors, pools and the plain search that the real ones are held against."""

from __future__ import annotations

import numpy as np

from corpus.search.exact import Neighbours
from corpus.vectors import normalise

Pool = tuple[np.ndarray, np.ndarray]  # ids uint64[2, m], vectors float16[m, d]


def unit_vectors(random: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    if not rows:
        return np.empty((0, dimension), np.float16)
    return normalise(random.standard_normal((rows, dimension)) + 1e-9)


def ids_of(random: np.random.Generator, rows: int) -> np.ndarray:
    return random.integers(0, 2**64, (2, rows), np.uint64)


def pool_of(random: np.random.Generator, rows: int, dimension: int) -> Pool:
    return ids_of(random, rows), unit_vectors(random, rows, dimension)


def split_anyhow(random: np.random.Generator, pool: Pool, parts: int) -> list[Pool]:
    ids, vectors = pool
    cuts = np.sort(random.integers(0, len(vectors) + 1, parts - 1))
    return [(ids[:, part], vectors[part]) for part in np.split(np.arange(len(vectors)), cuts)]


def plain_search(
    queries: np.ndarray, pool: Pool, k: int, excluded: list[set[tuple[int, int]]] | None = None
) -> list[list[tuple[float, tuple[int, int], int]]]:
    """For each query (score, id, position) of its k best, by sorting everything, with Python's exact fractions' order.

    float64 sums of these products are exact (`corpus.search.fast_scores.exact_products`); a test of that module holds
    them against fractions.
    """
    ids, vectors = pool
    scores = (queries.astype(np.float64) @ vectors.astype(np.float64).T).astype(np.float32) + np.float32(0)
    keys = list(zip(ids[0].tolist(), ids[1].tolist(), strict=True))
    found = []
    for row, line in enumerate(scores.tolist()):
        best: dict[tuple[int, int], tuple[float, int]] = {}
        for position, (key, score) in enumerate(zip(keys, line, strict=True)):
            if excluded and key in excluded[row]:
                continue
            if key not in best or score > best[key][0]:
                best[key] = score, position
        order = sorted((-score, key, position) for key, (score, position) in best.items())[:k]
        found.append([(-score, key, position) for score, key, position in order])
    return found


def as_lists(found: Neighbours) -> list[list[tuple[float, tuple[int, int], int]]]:
    """What a search found, as `plain_search` tells it."""
    offsets, ids, scores, positions = found.lists()
    keys = list(zip(ids[0].tolist(), ids[1].tolist(), strict=True))
    entries = list(zip(scores.tolist(), keys, positions.tolist(), strict=True))
    return [entries[first:stop] for first, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]


def as_bytes(found: Neighbours) -> bytes:
    return b"".join(part.tobytes() for part in (found.ids, found.scores, found.positions, found.counts))
