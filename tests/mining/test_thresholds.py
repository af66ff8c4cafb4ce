"""What a bound of mining says is removed is what `choose` removes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mining.choose import Candidates, Reason, Rules, choose
from mining.settings import DatasetMining
from mining.thresholds import mining_thresholds

K, ROWS = 6, 40
BOUNDS = {
    "min_score": (0.2, Reason.BELOW_MIN_SCORE),
    "max_score": (0.7, Reason.ABOVE_MAX_SCORE),
    "perc_pos": (0.9, Reason.ABOVE_RELATIVE),
    "relative_margin": (0.3, Reason.ABOVE_RELATIVE),
    "absolute_margin": (0.2, Reason.ABOVE_ABSOLUTE),
    "max_positive_similarity": (0.6, Reason.SIMILAR_TO_POSITIVE),
    "max_query_similarity": (0.6, Reason.SIMILAR_QUERY),
}


def neighbours(chance: np.random.Generator) -> pa.Table:
    lists = [
        [
            {
                "pair_id": bytes([row, place]) * 8,
                "score": float(score),
                "positive_similarity": float(chance.uniform(0, 1)),
                "highest_positive_similarity": float(chance.uniform(0, 1)),
                "query_similarity": float(chance.uniform(-1, 1)),
            }
            for place, score in enumerate(np.sort(chance.uniform(0, 1, K))[::-1])
        ]
        for row in range(ROWS)
    ]
    positive = pa.array([float(each) for each in chance.uniform(0.3, 1, ROWS)], pa.float32())
    return pa.table(
        {"neighbours": lists, "positive_score": positive, "positive_rank": pa.array([-1] * ROWS, pa.int32())}
    )


def flat(table: pa.Table, name: str) -> np.ndarray:
    return table.column("neighbours").combine_chunks().flatten().field(name).to_numpy().astype(np.float32)


def test_each_agrees_with_the_rule() -> None:
    table = neighbours(np.random.default_rng(0))
    candidates = Candidates(
        np.stack([np.arange(ROWS), np.arange(ROWS)]).astype(np.uint64),
        np.arange(ROWS + 1) * K,
        np.stack([np.arange(ROWS * K), np.arange(ROWS * K)]).astype(np.uint64),
        flat(table, "score"),
        table.column("positive_score").to_numpy(),
        {},
        flat(table, "highest_positive_similarity"),
        flat(table, "query_similarity"),
    )
    off = {"perc_pos": None, "max_positive_similarity": None}
    for threshold in mining_thresholds(by_positive=False):
        value, reason = BOUNDS[threshold.setting]
        rules = Rules(num_negatives=1, range_max=K, **{**off, threshold.setting: value})
        removed = choose(candidates, rules).reasons == reason
        numbers = threshold.numbers(table).flatten().to_numpy()
        assert 0 < removed.sum() < len(removed)
        assert np.array_equal(threshold.bound.passes(numbers, value), ~removed), threshold.setting


def test_the_own_positive_is_no_candidate() -> None:
    table = neighbours(np.random.default_rng(1)).set_column(2, "positive_rank", pa.array([2] * ROWS, pa.int32()))
    for by_positive in (False, True):
        for threshold in mining_thresholds(by_positive):
            assert threshold.setting in DatasetMining.model_fields
            lists = threshold.numbers(table).to_pylist()
            assert all(row[2] is None and row[:2] + row[3:] != [None] * (K - 1) for row in lists)


def test_candidates_of_positives_are_scored_against_one() -> None:
    table = neighbours(np.random.default_rng(2))
    thresholds = {each.setting: each for each in mining_thresholds(by_positive=True)}
    assert np.allclose(thresholds["perc_pos"].numbers(table).flatten(), flat(table, "positive_similarity"))
    assert "positive" in thresholds["min_score"].measures


def test_pairs_without_neighbours() -> None:
    table = neighbours(np.random.default_rng(3)).slice(0, 2)
    lists = pa.chunked_array([pa.array([None, []], table.schema.field(0).type)])
    table = table.set_column(0, "neighbours", lists)
    for threshold in mining_thresholds(by_positive=False):
        assert threshold.numbers(table).to_pylist() == [[], []]
