"""The bounds of mining as thresholds of candidates: what each cuts is in the table of the stage `neighbours`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.thresholds import Bound, Shows, Threshold

_NEIGHBOURS = "neighbours"
_COLUMNS = (_NEIGHBOURS, "positive_score", "positive_rank")
_NOTE = (
    "Of the candidates that a search found near a query, its own positive left out. A pair needs only a few of them: a "
    "bound that keeps a small share may leave enough."
)

Value = Callable[[np.ndarray, np.ndarray], np.ndarray]  # from scores and those of the own positives, float64[m]


def mining_thresholds(by_positive: bool) -> tuple[Threshold, ...]:
    """Returns the thresholds of candidates that are ranked by their score with the query, or with the positive."""
    score = "positive_similarity" if by_positive else "score"
    side = "positive" if by_positive else "query"

    def of_scores(setting: str, bound: Bound, measures: str, value: Value) -> Threshold:
        return _threshold(setting, bound, measures, lambda rows: _numbers(rows, score, value, by_positive))

    def of_field(setting: str, bound: Bound, measures: str, field: str) -> Threshold:
        return _threshold(
            setting, bound, measures, lambda rows: _numbers(rows, field, lambda found, _: found, by_positive)
        )

    return (
        of_field("min_score", Bound.LOWER, f"score of a candidate with the {side}", score),
        of_field("max_score", Bound.UPPER, f"score of a candidate with the {side}", score),
        of_scores("perc_pos", Bound.UPPER, "share of the positive's score that a candidate has", _share),
        of_scores("absolute_margin", Bound.LOWER, "how far a candidate's score is below the positive's", _margin),
        of_scores("relative_margin", Bound.LOWER, "the same as a share of the positive's score", _relative_margin),
        of_field(
            "max_positive_similarity",
            Bound.UPPER,
            "similarity of a candidate with a positive of the query",
            "highest_positive_similarity",
        ),
        of_field(
            "max_query_similarity",
            Bound.UPPER,
            "similarity of the query with one that has the candidate as its positive (-1: not compared)",
            "query_similarity",
        ),
    )


def _threshold(setting: str, bound: Bound, measures: str, value: Callable[[pa.Table], pa.Array]) -> Threshold:
    return Threshold(
        setting=setting,
        bound=bound,
        table=_NEIGHBOURS,
        columns=_COLUMNS,
        value=value,
        measures=measures,
        shows=Shows.PAIR,
        of_candidates=True,
        candidate_ids=f"{_NEIGHBOURS}.pair_id",
        cost=50,
        note=_NOTE,
    )


def _numbers(rows: pa.Table, field: str, value: Value, by_positive: bool) -> pa.Array:
    """Returns a number for each neighbour of each row, null for the row's own positive: list<double>[n]."""
    lists = one_array(rows.column(_NEIGHBOURS))
    lists = pc.if_else(lists.is_valid(), lists, pa.scalar([], lists.type))
    counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    entries = lists.flatten()
    found = pc.fill_null(entries.field(field).cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
    reference = _column(rows, "positive_score", np.nan) if not by_positive else np.ones(len(rows))
    numbers = value(found, np.repeat(reference, counts))
    offsets = np.append(0, np.cumsum(counts))
    rank = _column(rows, "positive_rank", -1).astype(np.int64)
    numbers = np.array(numbers)
    ranked = np.flatnonzero((rank >= 0) & (rank < counts))
    numbers[offsets[ranked] + rank[ranked]] = np.nan
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(numbers, mask=np.isnan(numbers)))


def _column(rows: pa.Table, name: str, absent: float) -> np.ndarray:
    return pc.fill_null(rows.column(name).cast(pa.float64()), absent).to_numpy(zero_copy_only=False)


def _share(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return 1 - _relative_margin(scores, reference)


def _margin(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return reference - scores


def _relative_margin(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(reference == 0, np.nan, (reference - scores) / np.abs(reference))
