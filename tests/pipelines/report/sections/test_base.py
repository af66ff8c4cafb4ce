"""The small pieces of sections."""

from __future__ import annotations

from pipelines.report.sections import SECTIONS
from pipelines.report.sections.base import card, duration, note, number_of, sampled


def test_pieces_are_escaped_and_numbers_have_nouns() -> None:
    assert "<b>" not in card("<b>", "", "<b>") and "<b>" not in note("<b>") and "<i></i>" in card("t", "<i></i>")
    assert [number_of(n, "family", "families") for n in (1, 2_000)] == ["1 family", "2,000 families"]
    assert [duration(each) for each in (0.04, 99.9, 600, 7_200)] == ["0.0 s", "99.9 s", "10 min", "2.0 h"]
    assert sampled("shards", 3, 3) == "all 3 shards" and sampled("shards", 3, 400) == "3 of 400 shards, by lot"


def test_anchors_differ() -> None:
    anchors = [section.anchor for section in SECTIONS]
    assert len(set(anchors)) == len(anchors) > 10
