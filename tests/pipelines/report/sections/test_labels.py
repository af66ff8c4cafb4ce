"""Labels that mean the same stand in one row."""

from __future__ import annotations

from pipelines.report.sections.labels import labels_section
from pipelines.summaries import label_summary
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_merged_labels_are_those_of_the_summary(reported: ReportedWorld) -> None:
    section = read_html(labels_section(reported.context))
    lines = list(label_summary(reported.config))
    assert section.all("p")[0].text.startswith(lines[0].replace(" are ", " are "))
    rows = {row[0]: row[1] for row in section.all("table")[0].rows()[1:]}
    merged = dict(line.split(" = ") for line in lines if " = " in line)
    assert {name: row for name, row in rows.items() if name in merged} == {
        name: " ".join(each.replace(";", "") for each in members.split()) for name, members in merged.items()
    }
    assert len(merged) >= 2
