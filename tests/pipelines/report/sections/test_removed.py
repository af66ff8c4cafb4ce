"""Examples of removed rows have the reason under which they are shown."""

from __future__ import annotations

from pipelines.report.sections.removed import removed_section
from tests.helpers.html_parts import Part, read_html
from tests.helpers.report_worlds import ReportedWorld


def reasons_of(reported: ReportedWorld, source: str) -> dict[str, Part]:
    section = read_html(removed_section(reported.context))
    [card] = [each for each in section.all("section", "removed") if each.all("h3")[0].text.split()[0] == source]
    return {each.all("code")[0].text: each for each in card.all("details")}


def test_counts_are_those_of_the_funnel(reported: ReportedWorld) -> None:
    for source, funnel in reported.context.funnels.items():
        if funnel["removed"]:
            found = {name: int(each.all("span", "rows")[0].text) for name, each in reasons_of(reported, source).items()}
            assert found == {name: n for reasons in funnel["removed"].values() for name, n in reasons.items()}, source


def test_examples_have_the_image_the_text_and_where_it_comes_from(reported: ReportedWorld) -> None:
    reasons = reasons_of(reported, "laion")
    count = int(reasons["blurred"].all("span", "rows")[0].text)
    figures = reasons["blurred"].all("figure")
    assert len(figures) == min(6, count) > 0
    assert all(figure.all("img") and figure.all("p")[0].text for figure in figures)
    assert all("/images/" in figure.all("figcaption")[0].text for figure in figures)
    assert not reasons["http_404"].all("img")
    assert all("/status/404/" in figure.all("figcaption")[0].text for figure in reasons["http_404"].all("figure"))


def test_malformed_records_are_listed_with_file_and_line(reported: ReportedWorld) -> None:
    [line] = reasons_of(reported, "records")["not_json"].all("li")
    assert "records.jsonl, line 19: not_json" in line.text


def test_clips_show_their_frames(reported: ReportedWorld) -> None:
    [figure] = reasons_of(reported, "films")["static"].all("figure")
    assert len(figure.all("img")) == 3
