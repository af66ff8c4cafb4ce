"""An axis of a histogram: from which number to which it goes, in which bins it counts, and where it has labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpus.arrays import Ints
from corpus.thresholds import Numbers

_BINS = 48
_TICKS = 5
_NAMED = (1, 2, 5)  # times a power of ten: the numbers that a logarithmic axis names
_TICK_DISTANCE = 0.13  # of the axis, between two labels
_OUTLIERS = 0.001  # of the numbers at either end, may lie beyond a linear axis: the bins at its ends count them


def round_step(step: float) -> float:
    """Returns the next number up that is 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def round_numbers(low: float, high: float, factors: Sequence[float]) -> Numbers:
    """Returns the numbers between two that an axis over orders of magnitude names."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = np.array([round(factor * 10.0**power, 9) for power in powers for factor in factors])
    return found[(found >= low) & (found <= high)]


def multiples(low: float, high: float, ticks: int = _TICKS) -> Numbers:
    """Returns the multiples of a round step between two numbers: a handful."""
    step = round_step((high - low) / ticks)
    return np.round(np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step, 12)


def spaced_ticks(places: Sequence[float], numbers: Sequence[float]) -> list[tuple[float, float]]:
    """Returns those of some labels, each with its place from 0 to 1, that do not run into the one before."""
    found: list[tuple[float, float]] = []
    for place, number in zip(places, numbers, strict=True):
        if not found or place - found[-1][0] >= _TICK_DISTANCE:
            found.append((place, number))
    return found


@dataclass(frozen=True)
class Axis:
    """An axis with the edges of its bins, ascending: one more than bins. Numbers beyond it belong to its end bins."""

    edges: Numbers
    is_logarithmic: bool = False
    is_integer: bool = False

    def places(self, numbers: Numbers) -> Numbers:
        """Returns where numbers are on the axis, 0 to 1."""
        low, high = self._scaled(self.edges[[0, -1]])
        return np.clip((self._scaled(np.asarray(numbers, np.float64)) - low) / ((high - low) or 1.0), 0, 1)

    def counts(self, numbers: Numbers) -> Ints:
        """Counts numbers (without NaN) in each bin: int64[bins]."""
        inside = np.clip(numbers, self.edges[0], np.nextafter(self.edges[-1], -math.inf))
        return np.histogram(inside, self.edges)[0].astype(np.int64)

    def ticks(self) -> list[tuple[float, str]]:
        """Returns round numbers on the axis as labels, each with its place, 0 to 1."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        named = round_numbers(low, high, _NAMED) if self.is_logarithmic else multiples(low, high)
        if self.is_integer:
            named = np.unique(np.ceil(named))
            named = named[named < high]
        shift = 0.5 if self.is_integer and not self.is_logarithmic else 0.0  # the middle of a bin of one whole number
        places = self.places(named + shift).tolist()
        return [(place, f"{number:,.6g}") for place, number in spaced_ticks(places, named.tolist())]

    def _scaled(self, numbers: Numbers) -> Numbers:
        return np.log(np.maximum(numbers, self.edges[0])) if self.is_logarithmic else numbers


def axis_of(
    numbers: Numbers, include: Sequence[float] = (), is_logarithmic: bool = False, is_integer: bool = False
) -> Axis:
    """Returns an axis for numbers (without NaN) and for some others that must be on it.

    Over whole numbers a bin has as many of them as any other, or one each; a logarithmic axis needs numbers above 0.
    """
    ascending = np.sort(np.asarray(numbers, np.float64))
    beyond = 0 if is_logarithmic else math.floor(_OUTLIERS * len(ascending))
    outer = [float(ascending[beyond]), float(ascending[-1 - beyond])] if len(ascending) else [0.0, 1.0]
    low, high = min(*outer, *include), max(*outer, *include)
    if is_logarithmic:
        return Axis(_logarithmic_edges(low, high, is_integer), True, is_integer)
    if is_integer:
        width = max(1, math.ceil((high - low + 1) / _BINS))
        start = math.floor(low / width) * width
        return Axis(np.arange(start, high + width + 0.5, width, dtype=np.float64), False, True)
    step = round_step((high - low) / _BINS or abs(high) / _BINS or 1 / _BINS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(np.arange(first, max(last, first + 1) + 1).astype(np.float64) * step)


def _logarithmic_edges(low: float, high: float, is_integer: bool) -> Numbers:
    if is_integer:
        low, high = math.floor(low), math.floor(high) + 1
    edges = np.geomspace(low, high if high > low else 2 * low, _BINS + 1)
    if is_integer:
        edges = np.unique(np.round(edges))
    return edges
