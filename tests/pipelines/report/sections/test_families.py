"""Families are the rows with the same representative."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from pipelines.report.sections.families import families_section, read_families
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_sizes_are_those_of_the_tables(reported: ReportedWorld) -> None:
    for stage in ("duplicates", "groups", "text_duplicates"):
        paths = sorted(Path(reported.config.workspace).glob(f"tables/*/{stage}/*.parquet"))
        representatives = Counter(
            each
            for path in paths
            for each in pq.read_table(path).column("representative").to_pylist()
            if each is not None
        )
        expected = sorted(n for n in representatives.values() if n > 1)
        families = read_families(reported.context, stage)
        assert sorted(families.sizes.tolist()) == expected != [], stage
        for family in range(len(families.sizes)):
            members = families.members(family)
            assert [kept for _, kept in members] == [True] + [False] * (len(members) - 1), stage


def test_each_family_has_one_that_is_kept(reported: ReportedWorld) -> None:
    section = read_html(families_section(reported.context))
    cards = [card for card in section.all("section", "card") if "member" in card.all("h3")[0].text]
    assert len(cards) > 8
    for card in cards:
        verdicts = [figure.attributes["data-verdict"] for figure in card.all("figure")]
        assert verdicts[0] == "kept" and set(verdicts[1:]) == {"removed"}
    assert any(card.all("img") for card in cards) and any(card.all("p") for card in cards)
