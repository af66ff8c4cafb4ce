"""Shards that fail with one message stand together, until a run finishes them."""

from __future__ import annotations

from dataclasses import replace

from pipelines.report.run_history import LoggedTable, RunHistory
from pipelines.report.sections.failures import failures_section
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_messages_are_listed_with_their_shards(reported: ReportedWorld) -> None:
    tables = [
        LoggedTable("download", "laion", f"{number:06d}", 0, 1.0, 0, "StorageError: <no room>") for number in range(12)
    ]
    tables += [LoggedTable("caption", "laion", "000001", 0, 1.0, 0, "RuntimeError: \x1b[31mred")]
    tables += [LoggedTable("caption", "laion", "000002", 9, 1.0, 0, "")]
    history = RunHistory(tables={(each.stage, each.owner, each.shard): each for each in tables})
    section = read_html(failures_section(replace(reported.context, history=history)))
    rows = section.all("table")[0].rows()[1:]
    assert [row[:2] for row in rows] == [["download", "12"], ["caption", "1"]]
    assert rows[0][2].startswith("StorageError: <no room>") and rows[0][2].endswith("laion/000007 and 4 more")
    assert "\\x1b[31mred" in rows[1][2]
    assert section.all("h3")[0].text == "13 shards failed"


def test_notices_about_sources_are_there(reported: ReportedWorld) -> None:
    section = read_html(failures_section(reported.context))
    assert not section.all("table")
    (line,) = [each.text for each in section.all("li") if each.text.startswith("records: ")]
    assert line.startswith("records: 3 malformed records: bad_text 1, no_positive 1, not_json 1; listed in ")
