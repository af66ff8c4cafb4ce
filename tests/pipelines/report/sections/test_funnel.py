"""The flows have the planted counts, and lead to examples."""

from __future__ import annotations

from collections import Counter

from demo.checks.pairs import compare_funnels
from pipelines.report.sections.funnel import funnel_section
from pipelines.report.sections.removed import removed_section
from tests.helpers.html_parts import Part, read_html
from tests.helpers.report_worlds import HOSTILE, ReportedWorld


def flow_funnel(card: Part) -> tuple[int, int, Counter[tuple[str, str]]]:
    """What a flow says: rows, rows that are kept, and removed ones by status and reason."""
    removed: Counter[tuple[str, str]] = Counter()
    for each in (each for reasons in card.all("ul", "reasons") for each in reasons.all("li")):
        status = next(style.removeprefix("is-") for style in each.all("i")[0].styles if style.startswith("is-"))
        removed[status, each.all("span", "name")[0].text] += int(each.all("span", "rows")[0].text.replace(",", ""))
    first, *_, last = card.all("div", "flow-text")
    return number(first), number(last), removed


def number(part: Part) -> int:
    return int(part.all("b")[0].text.replace(",", ""))


def test_each_flow_has_the_planted_counts(reported: ReportedWorld) -> None:
    section = read_html(funnel_section(reported.context))
    cards = {card.all("h3")[0].text.split()[0]: card for card in section.all("section", "card") if card.all("h3")}
    found = {}
    for source, planted in reported.sets.sets.items():
        if planted.funnel["removed"]:
            rows, kept, removed = flow_funnel(cards[source])
            by_status: dict[str, dict[str, int]] = {}
            for (status, reason), n in sorted(removed.items()):
                by_status.setdefault(status, {})[reason] = n
            found[source] = {"rows_in": rows, "kept": kept, "removed": by_status}
        else:
            assert source not in cards
            found[source] = planted.funnel
    assert compare_funnels(reported.sets, found) == []
    rows, kept, removed = flow_funnel(cards["hostile"])
    assert rows == len(HOSTILE) + 1 and rows == kept + removed.total()
    assert flow_funnel(cards["laion"])[0] == 320


def test_the_table_has_all_sources_and_each_reason_has_its_examples(reported: ReportedWorld) -> None:
    section = read_html(funnel_section(reported.context))
    rows = {row[0]: row[1:3] for row in section.all("table")[0].rows()[1:]}
    expected = {name: [f"{each['rows_in']:,}", f"{each['kept']:,}"] for name, each in reported.context.funnels.items()}
    assert rows == expected and set(rows) == set(reported.config.sources)
    anchors = {part.attributes["id"] for part in read_html(removed_section(reported.context)).all("div", "examples")}
    links = {part.attributes["href"].removeprefix("#") for part in section.all("a")}
    assert links == anchors and len(links) > 30
