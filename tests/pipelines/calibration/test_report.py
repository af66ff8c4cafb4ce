"""Numbers are written as a settings file has them."""

from __future__ import annotations

import yaml

from pipelines.calibration.report import label, shortened
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
