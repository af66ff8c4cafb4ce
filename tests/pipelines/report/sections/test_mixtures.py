"""Shares are those of the weights in the manifest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from pipelines.report.sections.mixtures import mixtures_section
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_shares_are_those_of_the_manifest(reported: ReportedWorld) -> None:
    cards = read_html(mixtures_section(reported.context)).all("section", "card")
    assert [card.all("h3")[0].text.split()[0] for card in cards] == list(reported.config.mixtures)
    for card, mixture in zip(cards, reported.config.mixtures.values(), strict=True):
        entries = json.loads((Path(mixture.corpus) / "manifest.json").read_text())["datasets"]
        total = sum(entry["weight"] for entry in entries.values())
        rows = {row[0]: row[2:4] for row in card.rows()[1:]}
        assert rows == {
            name: [f"{entry['samples']:,}", f"{entry['weight'] / total:.1%}"] for name, entry in entries.items()
        }
        assert len(card.all("div", "stacked")[0].parts) == len(entries)


def test_what_is_not_published_is_counted_or_said(reported: ReportedWorld, tmp_path: Path) -> None:
    mixture = reported.config.mixtures["sets"].model_copy(update={"corpus": str(tmp_path / "none")})
    config = reported.config.model_copy(update={"mixtures": {"sets": mixture}})
    text = read_html(mixtures_section(replace(reported.context, config=config))).text
    assert "not published yet" in text and "passages" in text
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "manifest.json").write_text("{<script>")
    text = mixtures_section(replace(reported.context, config=config))
    assert "cannot be read" in text and "<script" not in text
