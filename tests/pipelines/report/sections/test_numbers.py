"""Histograms of what thresholds decide about: the numbers beyond a bound are those that the stage removed."""

from __future__ import annotations

import re

import numpy as np

from pipelines.report.sections.numbers import numbers_section, plain_histogram
from tests.helpers.html_parts import Part, read_html
from tests.helpers.report_worlds import ReportedWorld


def number(card: Part) -> int:
    return int(card.all("b")[0].text.replace(",", ""))


def test_each_bound_is_drawn_with_what_lies_beyond(reported: ReportedWorld) -> None:
    cards = read_html(numbers_section(reported.context)).all("section", "card")
    found = {
        card.all("div", "histogram")[0].attributes["id"].partition("-")[2].partition("-")[2]: number(card)
        for card in cards
        if card.all("code")
    }
    funnels = reported.context.funnels.values()
    blurred = sum(each["removed"].get("filtered", {}).get("blurred", 0) for each in funnels)
    assert found["stages-quality-min_sharpness"] >= blurred > 0, (
        "a flat image is removed for that, and is not sharp, either"
    )
    small = sum(each["removed"].get("filtered", {}).get("too_small", 0) for each in funnels)
    assert found["stages-quality-min_side_px"] >= small > 0
    assert all(card.all("div", "cut-line") for card in cards if card.all("code"))


def test_scores_that_a_release_has_are_drawn(reported: ReportedWorld) -> None:
    text = read_html(numbers_section(reported.context)).text
    [rows] = re.findall(r"CLIP score of image and text; (\d+) rows of all \d+ shards", text)
    assert 200 < int(rows) <= 320


def test_a_plain_histogram_counts_every_number() -> None:
    for numbers, kind in (
        (np.array([2, 2, 2, 3, 5, 5.0]), {"is_integer": True}),
        (np.random.default_rng(0).normal(size=1_000), {}),
        (np.array([1.0, 10, 100, 100_000]), {"is_logarithmic": True}),
        (np.array([0.25, 0.25]), {}),
    ):
        histogram = plain_histogram(numbers, **kind)
        assert sum(histogram.counts) == len(numbers)
        assert (
            histogram.edges[0] == 0 and histogram.edges[-1] == 1 and len(histogram.edges) == len(histogram.counts) + 1
        )
        assert all(0 <= place <= 1 for place, _ in histogram.ticks) and histogram.ticks
