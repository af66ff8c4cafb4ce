"""Orders a dataset without groups or labels so that pairs with an equal query or positive are in different batches.

Sides of which one kind repeats (the passages of questions, the pictures of captions) are spread as labels are. Where
both repeat, the kind with more equal pairs is spread so, and pairs are then exchanged between batches as long as fewer
equal sides meet: a descent, of which each step is drawn by the pairs' own numbers.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from corpus.hashing import GOLDEN, mix64
from pipelines.labels.batch_spread import label_spread_order

Codes = npt.NDArray[np.int64]

_TRIES = 64  # places that are tried for a pair
_ROUNDS = 4
_MASK = 2**64 - 1


def repeated_sides(ids: npt.NDArray[np.uint64]) -> Codes:
    """Numbers equal ids equally; -1 for ids that occur once: int64[n]."""
    _, code, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return np.where(counts[code] > 1, code, -1).astype(np.int64)


def side_spread_order(
    drawn: npt.NDArray[np.uint64], query: Codes, positive: Codes, batch_size: int
) -> npt.NDArray[np.int64] | None:
    """Orders the pairs, for batches of `batch_size`: int64[n]; None where no side repeats.

    `drawn`: a pseudo-random number for each pair. `query`, `positive`: see `repeated_sides`.
    """
    first, second = (query, positive) if _meetings(query) > _meetings(positive) else (positive, query)
    if not (first >= 0).any():
        return None
    order = label_spread_order(drawn, first, batch_size)
    if (second >= 0).any() and len(order) > batch_size:
        _exchange(order, (first, second), batch_size, drawn)
    return order


def equal_in_batch(query: Codes, positive: Codes, batch_size: int) -> int:
    """Counts the pairs that, in this order, share a query or a positive with another pair of their batch."""
    met = np.zeros(len(query), np.bool_)
    for code in (query, positive):
        place = np.flatnonzero(code >= 0)
        batches = -(-len(code) // batch_size)
        _, cell, counts = np.unique(
            code[place] * batches + place // batch_size, return_inverse=True, return_counts=True
        )
        met[place] |= counts[cell] > 1
    return int(met.sum())


def _meetings(code: Codes) -> int:
    """Counts the pairs of pairs with this side in common."""
    counts = np.bincount(code[code >= 0]).astype(np.int64)
    return int((counts * (counts - 1)).sum())


def _exchange(
    order: npt.NDArray[np.int64], kinds: tuple[Codes, Codes], size: int, drawn: npt.NDArray[np.uint64]
) -> None:
    """Exchanges pairs of `order`, in place, while that reduces the equal sides within batches."""
    batches = -(-len(order) // size)
    codes = [kind[order].tolist() for kind in kinds]
    held = [Counter(c * batches + at // size for at, c in enumerate(code) if c >= 0) for code in codes]

    def gain(at: int, other: int) -> int:
        """Returns the number of equal sides within batches that an exchange of the pairs at two places removes."""
        one, two, less = at // size, other // size, 0
        for of, many in zip(codes, held, strict=True):
            moved, replaced = of[at], of[other]
            if moved == replaced:
                continue
            for side, from_batch, to_batch in ((moved, one, two), (replaced, two, one)):
                if side >= 0:
                    less += many[side * batches + from_batch] - 1 - many[side * batches + to_batch]
        return less

    def exchange(at: int, other: int) -> None:
        one, two = at // size, other // size
        for of, many in zip(codes, held, strict=True):
            for side, from_batch, to_batch in ((of[at], one, two), (of[other], two, one)):
                if side >= 0:
                    many[side * batches + from_batch] -= 1
                    many[side * batches + to_batch] += 1
            of[at], of[other] = of[other], of[at]
        order[at], order[other] = order[other], order[at]

    code, count = codes[1], held[1]  # the first kind is as even as it can be: only the other one asks for exchanges
    for step in range(_ROUNDS):
        crowded = [at for at, side in enumerate(code) if side >= 0 and count[side * batches + at // size] > 1]
        if not crowded:
            return
        seeds = mix64(drawn[order[crowded]] ^ np.uint64(step + 1)).tolist()
        for at, seed in zip(crowded, seeds, strict=True):
            tries = (((seed + n * int(GOLDEN)) & _MASK) * len(order) >> 64 for n in range(_TRIES))
            best = next((other for other in tries if other // size != at // size and gain(at, other) > 0), None)
            if best is not None:
                exchange(at, best)
