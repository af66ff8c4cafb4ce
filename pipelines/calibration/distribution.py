"""The distribution of a threshold's numbers: where its cut can be moved to, and how many rows each position keeps.

Counts are exact for every position, so what a page shows needs no numbers, only these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpus.arrays import Ints
from corpus.thresholds import Bound, Numbers
from pipelines.calibration.cuts import ThresholdCut
from pipelines.report.axis import multiples, round_numbers, round_step, spaced_ticks

_STOPS = 400  # positions of a cut, about
_BARS = 64
_DIGITS = 3  # significant ones of a position on a logarithmic axis
_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # times a power of ten: positions on a logarithmic axis
_NAMED = (1, 2, 5)  # those that the axis names
_OUTLIERS = 0.001  # of the numbers at either end, may lie beyond a linear axis: the bars at its ends count them
_MIN_SHARE = 1e-6  # of the highest number, where a logarithmic axis begins at the lowest


@dataclass(frozen=True)
class Group:
    """The numbers of one source or dataset, counted."""

    name: str
    measured: int
    kept: Ints  # int64[stops]


@dataclass(frozen=True)
class Bar:
    """The numbers from one position of the cut to another."""

    start: int  # in `Distribution.stops`
    stop: int
    count: int


@dataclass(frozen=True)
class Distribution:
    """The numbers of a cut, counted. The axis is that of `stops`: each is as far from the next as any other."""

    stops: Numbers  # ascending
    is_logarithmic: bool
    current: int  # the position of the settings' value; where it is off, the one that keeps all
    is_off: bool
    kept: Ints  # int64[stops]
    measured: int
    missing: int  # rows without a number: they are kept
    groups: tuple[Group, ...]
    bars: tuple[Bar, ...]

    @property
    def share(self) -> float:
        """The share of the numbers that the settings' value keeps."""
        return self.kept[self.current] / self.measured if self.measured else 1.0

    def place(self, stop: float) -> float:
        """Returns where a position is on the axis, 0 to 1."""
        return stop / max(1, len(self.stops) - 1)

    def ticks(self) -> list[tuple[float, float]]:
        """Returns round numbers on the axis, each with its place, 0 to 1; none too near to the next."""
        low, high = float(self.stops[0]), float(self.stops[-1])
        if len(self.stops) < 2:
            return [(0.0, low)]
        named = round_numbers(low, high, _NAMED) if self.is_logarithmic else multiples(low, high)
        places = np.interp(named, self.stops, np.linspace(0, 1, len(self.stops)))
        found = spaced_ticks(places.tolist(), named.tolist())
        return found if len(found) > 1 else [(0.0, low), (1.0, high)]


def distribution(cut: ThresholdCut, numbers: Numbers, groups: Sequence[str], group: Ints) -> Distribution:
    """Counts numbers (float64[m], NaN: not measured), each of the group (int64[m]) of this place in `groups`."""
    known = ~np.isnan(numbers)
    ascending = np.sort(numbers[known])
    stops = cut_positions(ascending, cut)
    bound = cut.threshold.bound
    current = _position(stops, cut)
    counted = [
        Group(name, int(mask.sum()), bound.counts(np.sort(numbers[mask]), stops))
        for at, name in enumerate(groups)
        if (mask := known & (group == at)).any()
    ]
    return Distribution(
        stops,
        cut.threshold.logarithmic and stops[0] > 0,
        current,
        cut.value is None,
        bound.counts(ascending, stops),
        len(ascending),
        int((~known).sum()),
        tuple(counted),
        tuple(_bars(ascending, stops, bound)),
    )


def _position(stops: Numbers, cut: ThresholdCut) -> int:
    if cut.value is None:
        return 0 if cut.threshold.bound.keeps_high else len(stops) - 1
    return int(np.argmin(np.abs(stops - cut.value)))


def cut_positions(ascending: Numbers, cut: ThresholdCut) -> Numbers:
    """Returns the positions of a cut: round numbers from the lowest to the highest, and the settings' value."""
    values = [] if cut.value is None else [cut.value]
    low, high = _range(ascending, cut)
    low, high = min(low, *values, high), max(high, *values, low)
    is_logarithmic = cut.threshold.logarithmic and high > 0
    stops = _logarithmic(max(low, high * _MIN_SHARE), high) if is_logarithmic else _linear(low, high)
    if cut.is_integer:
        stops = np.round(stops)
    return np.unique(np.concatenate([stops, values, _beyond(stops, ascending, cut)]))


def _beyond(stops: Numbers, ascending: Numbers, cut: ThresholdCut) -> list[float]:
    """Returns a position after the ends: one that keeps all where the cut is off, or nothing of whole numbers."""
    bound, step = cut.threshold.bound, 1.0 if cut.is_integer or len(stops) < 2 else float(stops[1] - stops[0])
    if cut.value is None:
        end = float(stops[0 if bound.keeps_high else -1])
        is_complete = bound.counts(ascending, np.array([end]))[0] == len(ascending)
        return [] if is_complete else [end - step if bound.keeps_high else end + step]
    return [stops[-1] + 1.0] if cut.is_integer and bound is Bound.LOWER else []


def _range(ascending: Numbers, cut: ThresholdCut) -> tuple[float, float]:
    """Returns the lowest and the highest number; on a linear axis without a few outliers."""
    if not len(ascending):
        return 0.0, 1.0
    beyond = 0 if cut.threshold.logarithmic or cut.value is None else math.floor(_OUTLIERS * len(ascending))
    return float(ascending[beyond]), float(ascending[-1 - beyond])


def _linear(low: float, high: float) -> Numbers:
    step = round_step((high - low) / _STOPS or abs(high) / _STOPS or 1 / _STOPS)
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = max(0, -math.floor(math.log10(step)) + 1)
    return np.round(np.arange(first, last + 1) * step, digits)


def _logarithmic(low: float, high: float) -> Numbers:
    spread = np.geomspace(low, high, _STOPS) if high > low else np.array([low])
    digits = 10.0 ** (_DIGITS - 1 - np.floor(np.log10(spread)))
    rounded = np.round(spread * digits) / digits
    rounded[0], rounded[-1] = np.floor(low * digits[0]) / digits[0], np.ceil(high * digits[-1]) / digits[-1]
    return np.unique(np.concatenate([rounded, round_numbers(rounded[0], rounded[-1], _ROUND)]))


def _bars(ascending: Numbers, stops: Numbers, bound: Bound) -> list[Bar]:
    """Counts the numbers between positions; those beyond the ends belong to the bars at the ends."""
    last = len(stops) - 1
    if not last:
        return [Bar(0, 0, len(ascending))]
    # Each has as many positions as any other: else counts of whole numbers would go up and down with these.
    edges = np.append(np.arange(0, last, -(-last // _BARS)), last)
    below = len(ascending) - bound.counts(ascending, stops[edges[1:-1]])
    places = below if bound.keeps_high else len(ascending) - below
    counts = np.diff(np.concatenate([[0], places, [len(ascending)]]))
    return [Bar(int(a), int(b), int(n)) for a, b, n in zip(edges, edges[1:], counts, strict=False)]
