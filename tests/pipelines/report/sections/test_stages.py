"""Times and rows are those of the runs' logs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from pipelines.report.sections.stages import byte_size, stages_section
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_rows_of_each_stage_are_those_of_the_log(reported: ReportedWorld) -> None:
    [log] = Path(reported.config.workspace).glob("runs/*.jsonl")
    rows: Counter[str] = Counter()
    shards: Counter[str] = Counter()
    for line in map(json.loads, log.read_text().splitlines()):
        if "shard" in line:
            rows[line["stage"]] += line["rows"]
            shards[line["stage"]] += 1
    stages, periods, slowest, runs = read_html(stages_section(reported.context)).all("table")
    found = {row[0]: row[1:3] for row in stages.rows()[1:]}
    assert found == {name: [f"{shards[name]:,}", f"{rows[name]:,}"] for name in rows}
    assert {row[0]: row[1] for row in periods.rows()[1:]} == {name: f"{shards[name]:,}" for name in rows}
    assert len(slowest.rows()) == 9
    assert [row[0] for row in runs.rows()[1:]] == [log.stem]


def test_sizes_have_units() -> None:
    assert [byte_size(each) for each in (0, 999, 1_200_000, 5e14)] == ["0 B", "999 B", "1.2 MB", "500 TB"]
