"""Positions of a cut are round numbers over the whole axis, and each is counted exactly."""

from __future__ import annotations

import numpy as np

from corpus.thresholds import Bound, Threshold
from pipelines.calibration.cuts import ThresholdCut
from pipelines.calibration.distribution import Distribution, cut_positions, distribution
from pipelines.calibration.report import label
from tests.helpers.cases import cases


def cut_of(
    value: float | None, bound: Bound = Bound.LOWER, is_integer: bool = False, logarithmic: bool = False
) -> ThresholdCut:
    threshold = Threshold(
        setting="limit", bound=bound, table="t", columns=("c",), measures="a number", logarithmic=logarithmic
    )
    return ThresholdCut(threshold, "stage", "stages.stage", value, is_integer, ())


def counted(numbers: np.ndarray, cut: ThresholdCut) -> Distribution:
    return distribution(cut, numbers, ["all"], np.zeros(len(numbers), np.int64))


@cases("bound", list(Bound))
def test_every_position_is_counted_as_numpy_counts_it(bound: Bound) -> None:
    numbers = np.random.default_rng(0).gamma(2, 0.7, 5_000).astype(np.float32).astype(np.float64)
    found = counted(numbers, cut_of(0.7, bound))
    assert found.kept.tolist() == [int(bound.passes(numbers, stop).sum()) for stop in found.stops]
    assert found.stops[found.current] == 0.7
    assert found.share == bound.passes(numbers, 0.7).mean()
    assert sum(bar.count for bar in found.bars) == len(numbers), "numbers beyond the axis are in the bars at its ends"
    assert [bar.start for bar in found.bars[1:]] == [bar.stop for bar in found.bars[:-1]]


@cases("bound", list(Bound))
def test_bars_lie_on_the_side_of_the_cut_that_counts_them(bound: Bound) -> None:
    numbers = np.repeat(np.arange(10.0), [5, 1, 9, 3, 0, 2, 8, 8, 1, 4])
    found = counted(numbers, cut_of(4, bound, is_integer=True))
    for position in range(1, len(found.stops) - 1):
        below = sum(bar.count for bar in found.bars if bar.stop <= position)
        kept = len(numbers) - below if bound.keeps_high else below
        assert kept == found.kept[position], f"at {found.stops[position]}"


def test_positions_are_round_and_have_the_settings_value_among_them() -> None:
    numbers = np.sort(np.random.default_rng(1).uniform(0, 5.3, 10_000))
    stops = cut_positions(numbers, cut_of(0.7351))
    assert 0.7351 in stops and 250 < len(stops) < 900
    others = stops[stops != 0.7351]
    assert all(len(label(stop)) <= 5 for stop in others.tolist())
    assert np.array_equal(np.array([float(label(stop)) for stop in stops.tolist()]), stops), "as the page reads them"
    assert stops[0] <= numbers[0] + 0.02 and stops[-1] >= numbers[-1] - 0.02


def test_whole_numbers_over_orders_of_magnitude() -> None:
    numbers = np.sort(np.round(np.random.default_rng(2).lognormal(6, 1.5, 10_000)))
    stops = cut_positions(numbers, cut_of(128, is_integer=True, logarithmic=True))
    assert (stops == np.round(stops)).all() and {100.0, 128.0, 1000.0} <= set(stops.tolist())
    assert (np.diff(stops) > 0).all() and stops[0] <= numbers[0] and stops[-1] > numbers[-1]
    found = counted(numbers, cut_of(128, is_integer=True, logarithmic=True))
    assert found.kept[-1] == 0, "the last position keeps nothing"


def test_a_cut_that_is_off_keeps_all() -> None:
    numbers = np.append(np.linspace(-1, 1, 5_000), [-40.0, 70.0])
    for bound in Bound:
        found = counted(numbers, cut_of(None, bound))
        assert found.is_off and found.current == (0 if bound.keeps_high else len(found.stops) - 1)
        assert found.kept[found.current] == len(numbers)


def test_rows_without_a_number_and_groups_are_counted_apart() -> None:
    numbers = np.array([0.1, np.nan, 0.9, 0.4, np.nan])
    found = distribution(cut_of(0.5), numbers, ["one", "two", "none"], np.array([0, 0, 0, 1, 2]))
    assert (found.measured, found.missing) == (3, 2)
    assert [(group.name, group.measured, int(group.kept[found.current])) for group in found.groups] == [
        ("one", 2, 1),
        ("two", 1, 0),
    ]


def test_one_number_and_no_number() -> None:
    for numbers in (np.array([3.0, 3.0]), np.array([0.0]), np.zeros(0)):
        for logarithmic in (False, True):
            found = counted(numbers, cut_of(None, logarithmic=logarithmic))
            assert found.kept[found.current] == len(numbers)
            assert len(found.ticks()) >= 1 and sum(bar.count for bar in found.bars) == len(numbers)
