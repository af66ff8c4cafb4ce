"""A histogram as SVG: bars of the right places and heights, cut in two."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from pipelines.report.histogram import Histogram
from pipelines.report.html.histogram import histogram_html

HISTOGRAM = Histogram((0.0, 0.5, 1.0), (100, 25), ((0.0, "0"), (1.0, "4 > 3")), 0.4, "1.6", True)


def test_bars_lie_where_the_numbers_are() -> None:
    root = ElementTree.fromstring(histogram_html(HISTOGRAM, "name", "what it is"))
    [kept] = [each for each in root.iter("path") if each.get("class") == "kept"]
    bars = re.findall(r"M([\d.]+) 100V([\d.]+)H([\d.]+)V100Z", kept.get("d", ""))
    assert [(float(left), float(top)) for left, top, _ in bars] == [(0.0, 0.0), (500.0, 50.0)]
    assert all(float(left) < float(right) <= 1000 for left, _, right in bars)
    assert [each.text for each in root.iter("span")] == ["100", "25", "0", "0", "4 > 3"]
    assert next(root.iter("svg")).get("aria-label") == "what it is"


def test_the_cut_divides_what_is_kept_from_what_is_removed() -> None:
    for keeps_high in (True, False):
        histogram = Histogram(HISTOGRAM.edges, HISTOGRAM.counts, (), 0.4, "1.6", keeps_high)
        text = histogram_html(histogram, "n", "d")
        rectangles = {
            name: (float(x), float(width))
            for name, x, width in re.findall(r'id="n-(kept|removed)" x="([\d.]+)" y="0" width="([\d.]+)"', text)
        }
        low, high = ("removed", "kept") if keeps_high else ("kept", "removed")
        assert rectangles == {low: (0.0, 400.0), high: (400.0, 600.0)}
        assert 'class="cut-line" style="left:40.000%"' in text
    assert "cut-line" not in histogram_html(Histogram((0.0, 1.0), (3,), ()), "n", "d")
