"""Heights are square roots of counts, and the picture's colours meet at the cut."""

from __future__ import annotations

import numpy as np

from pipelines.report.histogram import KEPT_COLOUR, REMOVED_COLOUR, Histogram, draw_histogram
from tests.helpers.cases import cases

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)


def columns_of(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """The columns of pixels with much of a colour: those of bars, not of labels."""
    return np.flatnonzero((image == np.array(colour)).all(axis=2).sum(axis=0) > 40)


def test_heights_are_roots_of_counts_and_few_are_visible() -> None:
    assert Histogram(EDGES, (0, 25, 100, 1), ()).heights == (0.0, 0.5, 1.0, 0.1)
    assert Histogram(EDGES, (0, 1, 1_000_000, 0), ()).heights[1] == 0.02
    assert Histogram(EDGES, (0, 25, 100, 1), ()).grid == ((1.0, 100), (0.5, 25), (0.0, 0))
    assert Histogram((0.0, 1.0), (0,), ()).heights == (0.0,)


@cases("keeps_high", [True, False])
def test_the_colours_meet_at_the_cut(keeps_high: bool) -> None:
    drawn = draw_histogram(Histogram(EDGES, (90, 90, 90, 90), ((0.5, "1"),), 0.6, "1.2", keeps_high), 800)
    low, high = (REMOVED_COLOUR, KEPT_COLOUR) if keeps_high else (KEPT_COLOUR, REMOVED_COLOUR)
    below, above = columns_of(drawn, low), columns_of(drawn, high)
    axis = 800 - 70 - 35
    assert abs(below.max() - (70 + 0.6 * axis)) < 4 and abs(above.min() - (70 + 0.6 * axis)) < 4
    assert below.max() < above.min()


def test_without_a_cut_all_is_kept() -> None:
    drawn = draw_histogram(Histogram(EDGES, (9, 1, 4, 9), ()), 600)
    assert len(columns_of(drawn, KEPT_COLOUR)) > 200 and not len(columns_of(drawn, REMOVED_COLOUR))
