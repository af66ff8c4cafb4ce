"""Queries stand beside their positive and their hard negatives, with scores."""

from __future__ import annotations

from pipelines.report.sections.mining import mining_section
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import HOSTILE, ReportedWorld


def test_positives_and_negatives_are_those_that_were_planted(reported: ReportedWorld) -> None:
    section = read_html(mining_section(reported.context))
    planted: dict[str, set[str]] = {}  # the positives of each query
    for pair in reported.sets.sets["guide"].pairs:
        planted.setdefault(pair.query.text, set()).add(pair.positive.text)
    found = 0
    for card in section.all("section", "pair"):
        roles = [figure.attributes["data-role"] for figure in card.all("figure")]
        assert roles[:2] == ["query", "positive"] and set(roles[2:]) == {"negative"}
        query, positive, *negatives = ([each.text for each in figure.all("p")] for figure in card.all("figure"))
        if query and query[0] in planted:
            found += 1
            assert set(positive) <= planted[query[0]]
            assert not planted[query[0]] & {text for texts in negatives for text in texts}
            scores = [
                float(figure.all("figcaption")[0].text.split()[2].rstrip(",")) for figure in card.all("figure")[2:]
            ]
            assert all(0.53 <= score <= 1 for score in scores)
    assert found == 5


def test_bounds_are_drawn_into_the_similarities(reported: ReportedWorld) -> None:
    section = read_html(mining_section(reported.context))
    cards = {card.all("h3")[0].text: card for card in section.all("section", "card") if card.all("h3")}
    for name, bound, legend in (
        ("guide", "min_score 0.53", {"positives", "mined negatives", "negatives of the source"}),
        ("postcards", "min_score 0.7", {"mined negatives"}),
    ):
        entries = [each.text for each in cards[name].all("li")]
        assert bound in entries and len(cards[name].all("div", "cut-line")) == 1
        assert {" ".join(each.split()[:-1]) for each in entries if each != bound} == legend
    assert "perc_pos" in cards and "max_positive_similarity" in cards


def test_hostile_texts_are_text(reported: ReportedWorld) -> None:
    section = read_html(mining_section(reported.context))
    texts = {" ".join(text.split()) for text in HOSTILE}
    displayed = [part.text for part in section.all("p")]
    assert any(text in texts for text in displayed)
    drawn = {"div", "svg", "path", "rect", "clippath", "figure", "figcaption", "img"}
    written = {"section", "h3", "p", "span", "i", "b", "ul", "li", "code"}
    assert section.tags <= drawn | written
