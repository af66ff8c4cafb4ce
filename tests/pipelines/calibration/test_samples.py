"""Samples lie next to the cut on both sides, and around other positions of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from corpus.thresholds import Bound, Threshold
from pipelines.calibration.cuts import ThresholdCut
from pipelines.calibration.distribution import distribution
from pipelines.calibration.rows import Measured
from pipelines.calibration.samples import Pick, choose_samples, keep_near
from tests.helpers.cases import cases

NEAR_CUT = 5


def chosen(numbers: np.ndarray, bound: Bound, value: float, seed: int = 0) -> tuple[list[Pick], Any, ThresholdCut]:
    threshold = Threshold(setting="limit", bound=bound, table="t", columns=("c",), measures="m")
    cut = ThresholdCut(threshold, "s", "stages.s", value, False, ())
    zeros = np.zeros(len(numbers), np.int64)
    found = distribution(cut, numbers, ["all"], zeros)
    node = SimpleNamespace(table_key=SimpleNamespace(owner="source"))
    sample: Any = SimpleNamespace(parts=(SimpleNamespace(node=node, shard="000000", rows=7 * np.arange(len(numbers))),))
    measured = Measured(numbers, zeros, np.arange(len(numbers)), zeros)
    return choose_samples(cut, sample, measured, found, seed, NEAR_CUT), found, cut


@cases("bound", list(Bound))
def test_those_next_to_the_cut_are_among_them(bound: Bound) -> None:
    numbers = np.random.default_rng(5).normal(0, 1, 4_000)
    numbers[::50] = np.nan
    picks, found, cut = chosen(numbers, bound, 0.5)
    kept = keep_near(picks, cut, found, NEAR_CUT)
    ascending = np.sort(numbers[~np.isnan(numbers)])
    boundary = int((ascending < 0.5).sum())
    expected = ascending[boundary - NEAR_CUT : boundary + NEAR_CUT].tolist()
    values = [pick.number for pick in kept]
    assert set(expected) <= set(values) and values == sorted(values)
    assert len(expected) < len(values) <= 2 * NEAR_CUT + 4 * 12
    assert min(values) < -1.5 and max(values) > 1.5, "the cut can be moved to where there are samples"
    assert all(numbers[pick.row] == pick.number for pick in picks)


def test_of_equal_numbers_the_seed_decides() -> None:
    numbers = np.repeat([0.0, 1.0], 2_000)
    first, again, other = ([pick.row for pick in chosen(numbers, Bound.LOWER, 1.0, seed)[0]] for seed in (0, 0, 1))
    assert first == again != other
    assert {row < 2_000 for row in first} == {True, False}
    assert max(np.diff(sorted(first))) > 20, "not one after the other"


def test_fewer_rows_than_asked_for() -> None:
    picks, found, cut = chosen(np.array([0.2, 0.9]), Bound.UPPER, 0.5)
    assert [pick.number for pick in keep_near(picks, cut, found, NEAR_CUT)] == [0.2, 0.9]
