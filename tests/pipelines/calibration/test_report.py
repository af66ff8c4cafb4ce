"""Numbers are written as a settings file has them."""

from __future__ import annotations

import numpy as np
import yaml

from corpus.thresholds import Bound, Threshold
from pipelines.calibration.cuts import ThresholdCut
from pipelines.calibration.distribution import distribution
from pipelines.calibration.report import CutReport, SampledRow, label, shortened, within_bytes
from pipelines.calibration.samples import Pick
from tests.helpers.cases import cases


@cases(
    "number, expected",
    [
        (0.7, "0.7"),
        (4.0, "4"),
        (128.0, "128"),
        (-0.25, "-0.25"),
        (1e-05, "0.00001"),
        (1234567.0, "1234567"),
        (0.0, "0"),
    ],
)
def test_labels_are_yaml_numbers(number: float, expected: str) -> None:
    assert label(number) == expected
    assert yaml.safe_load(label(number)) == number and not isinstance(yaml.safe_load(label(number)), str)


def test_people_see_four_digits() -> None:
    assert [shortened(number) for number in (0.123456, 12345.6, 0.5, 24.0, 1.5e-7)] == [
        "0.1235",
        "12350",
        "0.5",
        "24",
        "0.00000015",
    ]


def test_samples_next_to_the_cut_stay_when_bytes_are_short() -> None:
    threshold = Threshold(setting="limit", bound=Bound.LOWER, table="t", columns=("c",), measures="m")
    cut = ThresholdCut(threshold, "s", "stages.s", 50.0, True, ())
    numbers = np.arange(100.0)
    rows = tuple(SampledRow(Pick(float(at), 0, at, 0), (), (bytes(1_000),), "a") for at in range(100))
    report = CutReport(cut, distribution(cut, numbers, ["all"], np.zeros(100, np.int64)), rows, 100, 100, True)
    assert within_bytes([report], 100_000, 4)[0].samples == rows
    for max_bytes, count in ((60_000, 54), (20_000, 20), (1, 8)):
        [thinned] = within_bytes([report], max_bytes, 4)
        assert len(thinned.samples) == count
        assert thinned.sides(4) == report.sides(4)
        values = [row.pick.number for row in thinned.samples]
        assert values == sorted(values)
