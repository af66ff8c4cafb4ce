"""Which stage removed rows, and where some of them lie."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipelines.report.removals import divided, removed_rows, source_removals
from tests.helpers.report_worlds import ReportedWorld


@given(st.integers(0, 10_000), st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 500), min_size=1))
def test_a_number_is_divided_without_a_rest(number: int, shares: dict[str, int]) -> None:
    found = divided(number, Counter(shares))
    assert sum(found.values()) == number
    total = sum(shares.values())
    assert all(abs(found[name] - number * share / total) < 1 for name, share in shares.items())


def test_each_reason_has_its_stage_and_all_rows_of_the_funnel(reported: ReportedWorld) -> None:
    stages: dict[tuple[str, str], set[str]] = {}
    for source, funnel in reported.context.funnels.items():
        removals = source_removals(reported.context, source)
        totals: Counter[tuple[str, str]] = Counter()
        for each in removals:
            totals[each.status, each.reason] += each.rows
            stages.setdefault((source, each.reason), set()).add(each.stage)
        expected = {(status, name): n for status, reasons in funnel["removed"].items() for name, n in reasons.items()}
        assert dict(totals) == expected, source
    for source, reason, stage in (
        ("laion", "filtered_by_expression", "rows"),
        ("laion", "http_404", "download"),
        ("laion", "blurred", "quality"),
        ("laion", "near_duplicate", "duplicates"),
        ("films", "http_410", "download"),
        ("films", "truncated", "clips"),
        ("films", "near_duplicate_sibling", "groups"),
        ("passages", "no_positive", "rows"),
        ("passages", "mostly_symbols", "texts"),
        ("passages", "near_pair", "text_duplicates"),
        ("megapairs", "positive_missing_image", "pairs"),
        ("tars", "no_member", "index"),
    ):
        assert stages[source, reason] == {stage}, (source, reason)


def test_examples_are_rows_with_the_reason(reported: ReportedWorld) -> None:
    workspace = reported.context.workspace
    paths = {(id(t.node), t.task.shard): path for path, t in reported.context.tables_by_path().items()}
    for source in ("laion", "films", "passages"):
        for (status, reason), places in removed_rows(reported.context, source, 3).items():
            assert 0 < len(places) <= 3
            for place in places:
                row = workspace.read_table(paths[id(place.node), place.shard], ["status", "reason"]).to_pylist()[
                    place.row
                ]
                assert (row["status"], row["reason"]) == (status, reason)
