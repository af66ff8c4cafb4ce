"""Distributions over one axis: heights are shares, bounds lie where their numbers are."""

from __future__ import annotations

import numpy as np

from pipelines.report.axis import Axis
from pipelines.report.html.overlay import AxisBound, NamedNumbers, overlay_html
from tests.helpers.html_parts import read_html


def test_heights_are_shares_of_each_distribution() -> None:
    axis = Axis(np.array([0.0, 1.0, 2.0]))
    series = [NamedNumbers("<one>", np.array([0.5, 0.6, 0.7, 1.5])), NamedNumbers("two", np.array([1.0]))]
    drawn = read_html(overlay_html(axis, series, [AxisBound("min", 0.5)], "described"))
    first, second = (each.attributes["d"] for each in drawn.all("path") if "rule" not in each.styles)
    assert first == "M0.0 100V25.00H500.0V75.00H1000.0V100Z"
    assert second == "M0.0 100V100.00H500.0V0.00H1000.0V100Z"
    assert [each.text for each in drawn.all("li")] == ["<one> 4", "two 1", "min 0.5"]
    assert [each.attributes["style"] for each in drawn.all("div", "cut-line")] == ["left:25.000%"]
    assert drawn.all("svg")[0].attributes["aria-label"] == "described"
