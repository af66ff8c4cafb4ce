"""A flow: bands as wide as rows are many, branches that no name escapes from."""

from __future__ import annotations

import re

from pipelines.report.html.flow import FlowReason, FlowStage, flow_html
from tests.helpers.html_parts import read_html

STAGES = (
    FlowStage("quality", (FlowReason("filtered", "<b>blurred", 30, "x"), FlowReason("duplicate", "same", 20))),
    FlowStage("nothing", ()),
    FlowStage("download", (FlowReason("failed", "gone", 49),)),
)


def test_bands_are_as_wide_as_rows_are_many() -> None:
    flow = read_html(flow_html(100, "<p>100</p>", STAGES, "<p>1</p>"))
    bands = [
        re.findall(r"M0 0H([\d.]+)C.* ([\d.]+) 100H0Z", each.attributes["d"])[0] for each in flow.all("path", "is-kept")
    ]
    assert [(float(a), float(b)) for a, b in bands] == [(760, 760), (760, 380), (380, 7.6), (7.6, 7.6)]
    assert [row.all("p")[0].text for row in flow.all("div", "flow-row")] == ["100", "quality −50", "download −49", "1"]
    assert [path.styles for path in flow.all("path") if path.styles != ["is-kept"]] == [
        ["is-filtered"],
        ["is-duplicate"],
        ["is-failed"],
    ]


def test_reasons_are_text_and_lead_somewhere() -> None:
    flow = read_html(flow_html(100, "", STAGES, ""))
    assert [each.text for each in flow.all("li")] == ["<b>blurred 30", "same 20", "gone 49"]
    assert [each.attributes["href"] for each in flow.all("a")] == ["#x"]


def test_a_source_without_rows_can_be_drawn() -> None:
    assert "NaN" not in flow_html(0, "", (), "") and read_html(flow_html(0, "", (), "")).all("path")
