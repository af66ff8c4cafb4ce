"""Entities become characters, tags go, and what only looks like either stays."""

from __future__ import annotations

from corpus.text.html import mentions_html, strip_tags, unescape
from tests.helpers.cases import cases


@cases(
    ("text", "expected"),
    [
        ("fish &amp; chips", "fish & chips"),
        ("&amp;amp;lt;", "<"),
        ("&#65;&#x42;&#X43;", "ABC"),
        ("&#128;", "€"),  # as browsers read it, of Windows-1252
        ("&nosuchentity; &; &#; &#xZZ;", "&nosuchentity; &; &#; &#xZZ;"),
        ("a&copy b", "a&copy b"),  # without a semicolon it may be part of an address
        ("&" + "amp;" * 1000 + "lt;", "<"),
    ],
)
def test_entities_are_the_characters_that_they_stand_for(text: str, expected: str) -> None:
    assert unescape(text) == expected


@cases(
    ("text", "expected"),
    [
        ("<b>bold</b> and <i>slanted</i>", "bold and slanted"),
        ("one<br>two<hr/>three", "one\ntwo\nthree"),
        ("<td>1</td><td>2</td>", " 1  2 "),
        ("<p>one<p>two<li>three", "<p>one<p>two<li>three"),  # no sign of HTML but tags whose end may be missing
        ("<p>one<p>two <b>three</b>", "\none\ntwo three"),
        ("<a href='x'>link", "link"),  # an attribute with a value is sign enough
        ("before<!-- a note -->after", "before after"),
        ("<script>if (a < b) { }</script>text", " text"),
        ("<STYLE>p { }</style>text", " text"),
        ("<!DOCTYPE html>text", " text"),
        ("a < b and c > d", "a < b and c > d"),
        ("vector<int> of <T>", "vector<int> of <T>"),
        ("<custom-tag>x</custom-tag>", "<custom-tag>x</custom-tag>"),
        ("<b>one\0</b>", "one\0"),
        ("<b title='x\0y'>one", "<b title='x\0y'>one"),  # code was there: no tag reaches over it
    ],
)
def test_tags_go_and_blocks_end_a_line(text: str, expected: str) -> None:
    assert strip_tags(text) == expected


def test_texts_about_html_are_known() -> None:
    about = ["In HTML5, <b> is bold", "What is an entity?", "the <div> tag", "tags <p>", "CSS", "valid XML"]
    others = ["<b>bold</b>", "an identity", "a stage of <5", "tagged", "the element of surprise"]
    assert [text for text in about if not mentions_html(text)] == []
    assert [text for text in others if mentions_html(text)] == []
