"""Thresholds: the settings that decide about rows by a number, and where that number is to be had.

A stage declares its thresholds (`corpus.stage.Stage.thresholds`), and from the declarations alone `rzen-corpus
calibrate` draws, for each, the distribution of its number with the cut in it, and samples on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.float64]
# From the rows of a table, of which some are queries (positions, int64[q]), to the number that compares each query with
# the other row that is nearest to it (float64[q], NaN: there is none), and that row's position (int64[q]).
Nearest = Callable[[pa.Table, npt.NDArray[np.int64]], tuple[Numbers, npt.NDArray[np.int64]]]


class Bound(StrEnum):
    """The side of a threshold that is kept."""

    LOWER = "lower"  # kept: the number is the threshold's value, or more
    ABOVE = "above"  # kept: more than the value
    UPPER = "upper"  # kept: the value, or less
    BELOW = "below"  # kept: less than the value

    @property
    def keeps_high(self) -> bool:
        """Tells whether high numbers are kept."""
        return self in (Bound.LOWER, Bound.ABOVE)

    def passes(self, numbers: Numbers, cut: float) -> npt.NDArray[np.bool_]:
        """Tells which numbers are kept at a cut; one that is not known (NaN) is."""
        kept = {
            Bound.LOWER: numbers >= cut,
            Bound.ABOVE: numbers > cut,
            Bound.UPPER: numbers <= cut,
            Bound.BELOW: numbers < cut,
        }[self]
        return kept | np.isnan(numbers)

    def counts(self, ascending: Numbers, cuts: Numbers) -> npt.NDArray[np.int64]:
        """Counts the numbers (ascending, without NaN) that are kept at each cut."""
        closed = self in (Bound.LOWER, Bound.BELOW)  # what equals the cut lies above it
        below = np.searchsorted(ascending, cuts, side="left" if closed else "right")
        return len(ascending) - below if self.keeps_high else below


class Shows(StrEnum):
    """The content of a row that a person must see in order to judge a threshold."""

    ITEM = "item"  # the image, or the frames of the clip
    TEXT = "text"  # the row's texts
    PAIR = "pair"  # both


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The declaration of a threshold.

    `value` turns the `columns` of a table into one number for each row (null: not measured, which is kept), or into a
    list of numbers, one for each of its candidates (`of_candidates`; null: none that the threshold decides about).
    Without it the only column is the number. `nearest` is for settings that compare rows with each other.
    """

    setting: str  # its key below the stage's settings; dots lead into nested ones: "filter.min_chars"
    bound: Bound
    table: str  # name or role of the table with the columns: one that the stage reads, or a table behind it, or its own
    columns: tuple[str, ...]
    measures: str  # what the number is, for people: "sharpness of the edges"
    unit: str = ""
    reason: str = ""  # of the rows that it removes
    value: Callable[[pa.Table], pa.Array | pa.ChunkedArray] | None = None
    nearest: Nearest | None = None
    shows: Shows = Shows.ITEM
    logarithmic: bool = False  # its numbers are spread over orders of magnitude
    of_candidates: bool = False  # a row has many numbers
    # "column.field" of structs: `item_id`; `pair_id` of pairs whose positives they are; or another, a name of theirs.
    candidate_ids: str = ""
    cost: int = 1  # of a row, beside reading it: so many times fewer rows are looked at
    note: str = ""  # what a person should know of the share that it keeps

    def numbers(self, rows: pa.Table) -> pa.Array | pa.ChunkedArray:
        """Returns the number of each row of a table that has the columns."""
        return rows.column(self.columns[0]) if self.value is None else self.value(rows)
