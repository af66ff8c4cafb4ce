"""Malformed records are one line for each source, with counts by reason, and a list."""

from __future__ import annotations

import pytest

from pipelines.sources import json_records
from pipelines.sources.json_records import BadRecord, BadRecords
from pipelines.sources.malformed import MalformedRecords, malformed_notes, malformed_records, malformed_text


def bad(*reasons: str) -> BadRecords:
    found = BadRecords()
    for number, reason in enumerate(reasons, 1):
        found.append(BadRecord("a.jsonl", number, reason, "planted"))
    return found


def test_the_line_counts_by_reason_the_most_frequent_first() -> None:
    cases = {
        ("no_text", "not_json", "not_json"): "web: 3 malformed records: not_json 2, no_text 1",
        ("no_text",): "web: 1 malformed record: no_text 1",
        ("b", "a"): "web: 2 malformed records: a 1, b 1",
    }
    for reasons, line in cases.items():
        (found,) = malformed_records("web", malformed_notes(bad(*reasons)), "index.json")
        assert found.summary() == line and found.path == "index.json" and len(found.lines) == len(reasons)
    assert MalformedRecords("web", {}, ("one", "two")).summary() == "web: 2 malformed records", "an earlier version's"


def test_several_lists_of_a_source_are_one() -> None:
    notes = malformed_notes(bad("no_text"), bad("no_text", "not_json"))
    assert notes["fault_counts"] == {"no_text": 2, "not_json": 1} and len(notes["faults"]) == 3
    assert malformed_notes(bad(), bad()) == {} and list(malformed_records("web", {})) == []


def test_counts_are_of_all_and_the_list_says_how_many_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "MAX_LISTED", 1)
    (found,) = malformed_records("web", malformed_notes(bad("no_text", "no_text", "not_json")))
    assert found.summary() == "web: 3 malformed records: no_text 2, not_json 1"
    text = malformed_text([found, MalformedRecords("other", {"a": 1}, ("b.jsonl, line 1: a: x",))])
    assert text.splitlines() == [
        "web: 3 malformed records: no_text 2, not_json 1",
        "  a.jsonl, line 1: no_text: planted",
        "  and 2 more",
        "other: 1 malformed record: a 1",
        "  b.jsonl, line 1: a: x",
    ]
