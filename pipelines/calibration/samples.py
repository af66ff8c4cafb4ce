"""Chooses the rows that a person sees of a threshold: those just above and just below its cut, and some over its axis.

The choice depends on the seed and the rows' addresses alone. Of rows with the same number, which ones are taken is
random under the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpus.arrays import Ints
from corpus.hashing import hash_string, mix64
from pipelines.calibration.cuts import ThresholdCut
from pipelines.calibration.distribution import Distribution
from pipelines.calibration.rows import Measured, SampledRows

NEAR_CUT = 8  # on each side of a cut, that are displayed
SPREAD_STOPS, SPREAD_NEAR = 12, 2  # positions of the cut over the axis, and rows on each side of them
_REPEATS = 3  # rows that are chosen for each that is displayed


@dataclass(frozen=True)
class Pick:
    """A number of a cut that a person is to see, and the row that has it."""

    number: float
    part: int  # in `Sample.parts`
    row: int  # within the part
    place: int  # in the row's list, 0 where it has one number
    other: tuple[int, int] | None = None  # part and row of the row that it is compared with

    @property
    def addresses(self) -> list[tuple[int, int]]:
        """Part and row of the row, and of that which it is compared with."""
        return [(self.part, self.row), *([self.other] if self.other else [])]


def choose_samples(
    cut: ThresholdCut, sample: SampledRows, measured: Measured, found: Distribution, seed: int, near: int
) -> list[Pick]:
    """Returns numbers in ascending order: `near` on each side of the settings' cut, and a few around other positions.

    More are returned than that, so that those of which others show the same can be left out: see `keep_near`.
    """
    known = np.flatnonzero(~np.isnan(measured.numbers))
    ties = _random_numbers(sample, measured, seed)[known]
    order = known[np.lexsort((ties, measured.numbers[known]))]
    places = _near_cuts(measured.numbers[order], cut, found, _REPEATS * near, _REPEATS * SPREAD_NEAR)
    return [_pick(measured, int(order[at])) for at in places]


def keep_near(picks: Sequence[Pick], cut: ThresholdCut, found: Distribution, near: int) -> list[Pick]:
    """Returns those of some picks, in ascending order, that are nearest to the cut and to other positions of it."""
    ascending = np.array([pick.number for pick in picks])
    return [picks[at] for at in _near_cuts(ascending, cut, found, near, SPREAD_NEAR)]


def _near_cuts(ascending: np.ndarray, cut: ThresholdCut, found: Distribution, near: int, spread_near: int) -> list[int]:
    places = set(_around(ascending, cut, float(found.stops[found.current]), near))
    for at in np.linspace(0, len(found.stops) - 1, SPREAD_STOPS).round().astype(int):
        places.update(_around(ascending, cut, float(found.stops[at]), spread_near))
    return sorted(places)


def _around(ascending: np.ndarray, cut: ThresholdCut, value: float, near: int) -> range:
    """Returns the places of the numbers next to a cut, on both sides."""
    kept = int(cut.threshold.bound.counts(ascending, np.array([value]))[0])
    boundary = len(ascending) - kept if cut.threshold.bound.keeps_high else kept
    return range(max(0, boundary - near), min(len(ascending), boundary + near))


def _pick(measured: Measured, at: int) -> Pick:
    other = None if measured.other is None else (int(measured.other[0, at]), int(measured.other[1, at]))
    number, place = float(measured.numbers[at]), int(measured.place[at])
    return Pick(number, int(measured.part[at]), int(measured.row[at]), place, other)


def _random_numbers(sample: SampledRows, measured: Measured, seed: int) -> np.ndarray:
    """Returns a random number for each measured number, by its address: uint64[m]."""
    parts = [hash_string(f"{part.node.table_key.owner}/{part.shard}", seed) for part in sample.parts]
    rows: list[Ints] = [part.rows for part in sample.parts]
    starts = np.concatenate([[0], np.cumsum([len(each) for each in rows])])[:-1]
    row = np.concatenate([*rows, np.zeros(0, np.int64)])[starts[measured.part] + measured.row]
    address = (row.astype(np.uint64) << np.uint64(24)) + measured.place.astype(np.uint64)
    return mix64(np.array(parts, np.uint64)[measured.part] ^ mix64(address))
