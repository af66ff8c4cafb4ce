"""An axis counts every number once, in bins that lie where the numbers are."""

from __future__ import annotations

import numpy as np

from pipelines.report.axis import axis_of, spaced_ticks


def test_every_number_is_counted_in_its_bin() -> None:
    chance = np.random.default_rng(1)
    for numbers, options in (
        (chance.normal(size=5_000), {}),
        (chance.integers(1, 4, 100).astype(float), {"is_integer": True}),
        (chance.integers(0, 5_000, 1_000).astype(float), {"is_integer": True}),
        (np.exp(chance.normal(size=1_000) * 3), {"is_logarithmic": True}),
        (np.floor(np.exp(chance.uniform(0, 9, 1_000))), {"is_logarithmic": True, "is_integer": True}),
        (np.zeros(3), {}),
        (np.zeros(0), {}),
    ):
        axis = axis_of(numbers, **options)
        counts = axis.counts(numbers)
        assert counts.sum() == len(numbers) and len(counts) == len(axis.edges) - 1 <= 100, options
        assert (np.diff(axis.edges) > 0).all(), options
        inner = slice(1, -1)  # the bins at the ends have what lies beyond, too
        expected = [((numbers >= a) & (numbers < b)).sum() for a, b in zip(axis.edges, axis.edges[1:], strict=False)]
        assert counts[inner].tolist() == [int(n) for n in expected[inner]], options
        places = axis.places(axis.edges)
        assert places[0] == 0 and places[-1] == 1 and (np.diff(places) > 0).all(), options


def test_each_whole_number_has_a_bin_of_its_own() -> None:
    axis = axis_of(np.array([2.0, 3, 3, 7]), is_integer=True)
    assert axis.counts(np.array([2.0, 3, 3, 7])).tolist() == [1, 2, 0, 0, 0, 1]
    assert all(label == str(int(label)) for _, label in axis.ticks())


def test_what_must_be_on_the_axis_is() -> None:
    axis = axis_of(np.array([0.4, 0.5]), include=(0.95,))
    assert axis.edges[-1] >= 0.95 and 0 < axis.places(np.array([0.94]))[0] <= 1


def test_labels_do_not_run_into_each_other() -> None:
    assert spaced_ticks([0.0, 0.05, 0.2, 0.3, 0.5], [0, 1, 2, 3, 4]) == [(0.0, 0), (0.2, 2), (0.5, 4)]
