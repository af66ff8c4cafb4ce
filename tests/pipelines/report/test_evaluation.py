"""The lines about evaluation sets; what is counted is asserted in tests of whole runs."""

from __future__ import annotations

from typing import Any

from pipelines.report.evaluation import evaluation_lines

CHECKED: dict[str, Any] = {
    "media": 1200,
    "texts": 3,
    "unreadable": 0,
    "removed": {},
    "missed_by_hashes": 0,
    "ignored": 0,
}


def test_each_set_has_a_line() -> None:
    found = {**CHECKED, "removed": {"same_media": 5}, "missed_by_hashes": 2, "ignored": 7, "unreadable": 1}
    assert list(evaluation_lines({"a": CHECKED, "b": found}, ["c", "d"])) == [
        "evaluation set a: 1,200 media, 3 texts: nothing removed",
        "evaluation set b: 1,200 media, 3 texts, 1 unreadable: same_media 5, 2 of them missed by hashes alone, "
        "7 ignored",
        "evaluation sets that are not there, and were not checked: c, d",
    ]
    assert list(evaluation_lines({}, [])) == ["not checked against any evaluation set"]
