"""Captions stand beside the original texts of the same rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from pipelines.report.sections.captions import captions_section
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def column(reported: ReportedWorld, stage: str, name: str) -> list[str | None]:
    paths = sorted(Path(reported.config.workspace).glob(f"tables/laion/{stage}/*.parquet"))
    return [each for path in paths for each in pq.read_table(path).column(name).to_pylist()]


def test_originals_and_captions_are_those_of_one_row(reported: ReportedWorld) -> None:
    cards = {
        card.all("h3")[0].text: card for card in read_html(captions_section(reported.context)).all("section", "card")
    }
    assert set(cards) == {"laion", "films", "films, windows"}
    pairs = set(zip(column(reported, "rows", "text"), column(reported, "caption", "caption"), strict=True))
    figures = cards["laion"].all("figure")
    assert len(figures) == 7 or len(figures) > 7
    for figure in figures:
        original, generated = (each.text for each in figure.all("p"))
        assert (original, generated) in {(str(a).strip(), b) for a, b in pairs}
        assert figure.all("img")
    captioned = sum(each is not None for each in column(reported, "caption", "caption"))
    assert [each.all("span", "rows")[0].text for each in cards["laion"].all("li")] == [str(captioned)] * 2
