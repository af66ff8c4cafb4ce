"""What every backend of fast scores must hold: its bounds, and what it tells of a block of scores."""

from __future__ import annotations

import numpy as np

from corpus.search.fast_scores import FastScores, exact_products
from corpus.vectors import normalise


def operands(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Queries and vectors of a pool: as they come, without cancellation, with much of it, tiny ones and long ones."""
    random = np.random.default_rng(seed)
    drawn = normalise(random.standard_normal((20, 300))), normalise(random.standard_normal((50, 300)))
    positive = normalise(np.abs(drawn[0].astype(np.float32))), normalise(np.abs(drawn[1].astype(np.float32)))
    # 2 049 numbers that are rounded the same way by bfloat16: their errors add up.
    aligned = normalise(np.full((3, 2049), 1.0) + 2.0**-9), normalise(np.full((5, 2049), 1.0) + 2.0**-9)
    turned = np.concatenate([drawn[0][:, :150], -drawn[0][:, :150]], axis=1)
    cancelling = turned, np.concatenate([turned[:, :150], turned[:, :150]], axis=1)
    tiny = drawn[0] * np.float16(2.0**-12), drawn[1] * np.float16(2.0**-12)
    long = drawn[0] * np.float16(4.9), drawn[1] * np.float16(4.9)
    few = normalise(random.standard_normal((9, 1))), normalise(random.standard_normal((9, 1)))
    names = ("drawn", "positive", "aligned", "cancelling", "tiny", "long", "few")
    return dict(zip(names, (drawn, positive, aligned, cancelling, tiny, long, few), strict=True))


def assert_bounds_hold(fast: FastScores) -> None:
    """Exact scores, rounded, lie within the bounds around the fast ones."""
    wrong = []
    for seed in range(5):
        for name, (queries, pool) in operands(seed).items():
            left, right = fast.operand(queries), fast.operand(pool)
            block = fast.scores(left, 1, len(queries), right)
            lowest = np.full(len(queries) - 1, np.finfo(np.float32).min, np.float32)
            found = fast.reaching(block, lowest, None)
            assert found is not None
            values = found[2].reshape(len(queries) - 1, -1).astype(np.float64)
            exact = exact_products(queries, pool)[1:].astype(np.float32)
            bound = fast.error(left, 1, len(queries), right)[:, None] + fast.relative_error * np.abs(values)
            if not (np.abs(values - exact) <= bound).all():
                wrong.append((name, seed, float((np.abs(values - exact) - bound).max())))
    assert wrong == []


def assert_blocks_are_told_right(fast: FastScores) -> None:
    """Thresholds, counts, k-th largest and pairs that are dropped are those of the scores as numbers."""
    random = np.random.default_rng(1)
    queries, pool = normalise(random.standard_normal((6, 32))), normalise(random.standard_normal((40, 32)))
    block = fast.scores(fast.operand(queries), 0, 6, fast.operand(pool))
    lowest = np.full(6, np.finfo(np.float32).min, np.float32)
    found = fast.reaching(block, lowest, None)
    assert found is not None and [len(part) for part in found] == [240] * 3
    values = found[2].reshape(6, 40)
    assert np.array_equal(found[0], np.repeat(np.arange(6), 40)) and np.array_equal(found[1], np.tile(np.arange(40), 6))
    for k in (1, 7, 40):
        assert np.array_equal(fast.kth(block, k, None), np.sort(values, axis=1)[:, -k])
    columns = np.array([1, 2, 3, 5, 8, 13])
    assert np.array_equal(fast.kth(block, 2, columns), np.sort(values[:, columns], axis=1)[:, -2])
    for threshold in (np.sort(values, axis=1)[:, -9], -np.abs(values[:, 0]), np.full(6, np.inf, np.float32)):
        reached = values >= threshold[:, None]
        assert np.array_equal(fast.counts(block, threshold), reached.sum(axis=1))
        assert fast.reaching(block, threshold, int(reached.sum()) - 1) is None
        found = fast.reaching(block, threshold, int(reached.sum()))
        assert found is not None
        assert np.array_equal(np.stack(found[:2]), np.stack(np.nonzero(reached)))
        assert np.array_equal(found[2], values[reached])
    fast.drop(block, np.array([0, 5]), np.array([3, 39]))
    assert fast.counts(block, lowest).tolist() == [39, 40, 40, 40, 40, 39]
    gathered = pool[random.integers(0, 40, (6, 11))]
    products = fast.exact(queries, gathered)
    assert np.array_equal(products, np.stack([exact_products(queries[[row]], gathered[row])[0] for row in range(6)]))
