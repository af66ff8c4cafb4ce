"""A bar is divided by shares."""

from __future__ import annotations

from pipelines.report.html.stacked import PART_COLOURS, BarPart, colour, stacked_bar_html
from tests.helpers.html_parts import read_html


def test_parts_have_their_shares() -> None:
    bar = read_html(
        stacked_bar_html([BarPart("<a>", 3, "x"), BarPart("b", 0, "y"), BarPart("c", 0.1, "z")], labelled=True)
    )
    [drawn] = bar.all("div", "stacked")
    assert [(part.styles, part.attributes["style"]) for part in drawn.all("div")] == [
        (["x"], "flex-grow:0.96774"),
        (["z"], "flex-grow:0.03226"),
    ]
    assert drawn.attributes["aria-label"] == "<a> 96.8%, c 3.2%"
    assert [each.text for each in drawn.all("span")] == ["<a>"], "what is narrow has no label"
    assert not read_html(stacked_bar_html([])).all("div", "stacked")[0].parts


def test_colours_take_turns() -> None:
    assert colour(0) == colour(PART_COLOURS) == "colour-0"
