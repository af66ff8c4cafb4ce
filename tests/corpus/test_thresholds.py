"""Bounds keep what their comparison says, one number at a time and counted over all."""

from __future__ import annotations

import operator

import numpy as np
import pyarrow as pa

from corpus.thresholds import Bound, Threshold
from tests.helpers.cases import cases

NUMBERS = np.array([0.0, 0.5, 0.5, 0.7, 1.0, 3.0])


@cases(
    "bound, compare",
    [
        (Bound.LOWER, operator.ge),
        (Bound.ABOVE, operator.gt),
        (Bound.UPPER, operator.le),
        (Bound.BELOW, operator.lt),
    ],
)
def test_a_bound_keeps_what_its_comparison_says(bound: Bound, compare: operator) -> None:  # type: ignore[valid-type]
    cuts = np.array([-1.0, 0.5, 0.6, 3.0, 4.0])
    expected = [int(compare(NUMBERS, cut).sum()) for cut in cuts]  # type: ignore[misc]
    assert bound.counts(NUMBERS, cuts).tolist() == expected
    assert [int(bound.passes(NUMBERS, cut).sum()) for cut in cuts] == expected
    assert bound.passes(np.array([np.nan]), 0.5).all(), "what was not measured is kept"
    assert bound.keeps_high == bool(compare(2.0, 1.0))  # type: ignore[misc]


def test_a_threshold_takes_its_column_or_computes_the_number() -> None:
    rows = pa.table({"width": [3, 8], "height": [5, 2]})
    given = {"bound": Bound.LOWER, "table": "image_stats", "measures": "a side"}
    plain = Threshold(setting="min_width", columns=("width",), **given)  # type: ignore[arg-type]
    computed = Threshold(
        setting="min_area",
        columns=("width", "height"),
        value=lambda table: pa.array([16, 15]),
        **given,  # type: ignore[arg-type]
    )
    assert plain.numbers(rows).to_pylist() == [3, 8]
    assert computed.numbers(rows).to_pylist() == [16, 15]
