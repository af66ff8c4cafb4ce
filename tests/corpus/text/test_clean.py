"""Cleaning of texts: what is put right, what is left alone, and that a second time changes nothing."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text.clean import (
    TextCleanSettings,
    clean_characters,
    clean_text,
    clean_texts,
    needs_cleaning_mask,
    one_line,
)
from tests.helpers.cases import cases

ALL = TextCleanSettings()

PUT_RIGHT = {
    "decomposed e\u0301": "decomposed é",
    "cafÃ© and itâ€™s": "café and it’s",
    "zero\u200bwidth, soft\xadhyphen, \ufeffmark, nul\0": "zerowidth, softhyphen, mark, nul",
    " tab\there,  two blanks,\xa0\u3000odd ones ": "tab here, two blanks, odd ones",
    "one\r\ntwo \n three\n\n\n\nfour\u2028five": "one\ntwo\nthree\n\nfour\nfive",
    "<b>bold</b> &amp; &#8217;quoted&#39;": "bold & ’quoted'",
    "escaped twice &amp;amp;lt; 3": "escaped twice < 3",
    "first<br/>second<BR>third": "first\nsecond\nthird",
    "<p>one<p>two <a href='x'>link</a>": "one\ntwo link",
    '<img src="a.png" alt="a > b"> <!-- hidden -->caption': '<img src="a.png" alt="a > b"> caption',
    "<script>var a = '<b>';</script>text<style type='x'>p {}</style>": "text",
    "a\u200cb, می\u200cخواهم": "ab, می\u200cخواهم",
    "\uf0b7 private use, \ufdd0none, \ufffcobject": "private use, none, object",
    "hidden\U000e0041\U000e0042 tags, flags 🏴\U000e0067\U000e0062\U000e0065\U000e007f": (
        "hidden tags, flags 🏴\U000e0067\U000e0062\U000e0065\U000e007f"
    ),
    "x &lt; y `a  &lt; b`": "x < y `a  &lt; b`",
    "<div>\n```\nif a  < b:\n    <b>\n```\n</div>": "```\nif a  < b:\n    <b>\n```",
    "<a title=`code` href='x'>kept</a>": "<a title=`code` href='x'>kept</a>",
}
LEFT_ALONE = [
    "",
    "a < b && c > d",
    "AT&T; R&D and &c.",
    "std::vector<int> v; map<string, List<T>>",
    "a<b>c is a comparison, <p> an expectation",
    "a <b and c> d",
    "What does the <div> tag do, and </div>?",
    "In HTML, &nbsp; is a blank and <b>x</b> is bold",
    "see <http://example.org/?a=1&copy=2> or <me@example.org>",
    "Zürich – “naïve” café… 30 €",
    "一行\n两行",
    "👩\u200d👩\u200d👧 ❤\ufe0f",
]


@cases("text", PUT_RIGHT)
def test_what_is_wrong_is_put_right(text):
    assert clean_text(text, ALL) == PUT_RIGHT[text]


@cases("text", LEFT_ALONE)
def test_what_only_looks_wrong_is_left_alone(text):
    assert clean_text(text, ALL) == text


def test_a_column_is_cleaned_as_its_texts_are_and_says_what_changed():
    texts = [*PUT_RIGHT, None, *LEFT_ALONE]
    expected = [*PUT_RIGHT.values(), None, *LEFT_ALONE]
    for kind in (pa.string(), pa.large_string()):
        column = pa.array(["in front", *texts, "behind"], kind).slice(1, len(texts))
        cleaned, changed = clean_texts(column, ALL)
        assert cleaned.type == kind
        assert cleaned.to_pylist() == expected
        assert changed.tolist() == [before != after for before, after in zip(texts, expected, strict=True)]
        again, changed = clean_texts(cleaned, ALL)
        assert again.equals(cleaned) and not changed.any()


def test_chunks_and_empty_columns():
    cleaned, changed = clean_texts(pa.chunked_array([["a "], [], ["b", None]], pa.string()), ALL)
    assert cleaned.to_pylist() == ["a", "b", None] and changed.tolist() == [True, False, False]
    cleaned, changed = clean_texts(pa.array([], pa.string()), ALL)
    assert len(cleaned) == len(changed) == 0
    assert clean_texts(pa.array([None, None], pa.string()), ALL)[0].to_pylist() == [None, None]


def test_what_is_not_asked_for_is_not_done():
    plain = TextCleanSettings(html=False, mojibake=False)
    cleaned, changed = clean_texts(pa.array(["<b>x</b> &amp; cafÃ©", "a  b"]), plain)
    assert cleaned.to_pylist() == ["<b>x</b> &amp; cafÃ©", "a b"] and changed.tolist() == [False, True]


MARKUP = ["<b>", "</b>", "<p>", "<br>", "<", ">", "&", "&amp;", "amp;", "lt;", "#39;", "<!--", "-->", "<a href='", "'>"]
MARKUP += ["<script>", "</script>", "html", "`", "```"]
CHARACTERS = ["\n", " ", "  ", "a", "\0", "\u200d", "\u200b", "é", "e\u0301", "Ã", "©", "\xa0", "â€™", "\x80", "\u212a"]
SNIPPETS = st.sampled_from([*MARKUP, *CHARACTERS, "中", "в", "Ђ"])
TEXTS = st.one_of(st.lists(SNIPPETS, max_size=12).map("".join), st.text(max_size=20))


@settings(max_examples=600, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_a_second_time_changes_nothing_and_no_text_slips_by(texts):
    column = pa.array(texts)
    cleaned, changed = clean_texts(column, ALL)
    assert cleaned.to_pylist() == [clean_text(text, ALL) for text in texts]
    assert changed.tolist() == [before != after for before, after in zip(texts, cleaned.to_pylist(), strict=True)]
    again, changed = clean_texts(cleaned, ALL)
    assert again.equals(cleaned) and not changed.any()


def test_texts_that_need_nothing_are_not_looked_at_one_by_one():
    fine = pa.array(
        [f"{text} {number}" for number in range(50) for text in ("plain text", "Zürich – “naïve”", "中文。")]
    )
    assert not needs_cleaning_mask(fine, ALL).any()
    assert np.flatnonzero(needs_cleaning_mask(pa.concat_arrays([fine, pa.array(["a  b"])]), ALL)).tolist() == [150]


def test_hostile_texts_come_to_an_end():
    for text in (
        "<" * 9999 + "b></b>" * 9999,
        "<!--" * 20000,
        "<script>" * 9999,
        "&amp;" * 20000 + "lt;",
        " \n" * 50000,
    ):
        cleaned = clean_text(text, ALL)
        assert clean_text(cleaned, ALL) == cleaned
    for text in ("<a" + " b" * 20000, "<a " + "b = " * 20000, "`" * 50000, "<a b='" * 9999, "â€™" * 20000 + "Ã"):
        assert len(clean_text(text, ALL)) <= len(text)


LINES = {
    "  a\n\tb\u2028c\u00a0 d ": "a b c d",
    "e\u0301": "é",
    "a\x00b\u200bc\ufeff\u202e\ue000": "abc",
    "e\u200b\u0301": "é",
    "👩\u200d🚀": "👩\u200d🚀",
    "lone \ud800 surrogate": "lone surrogate",
}


def test_one_line_has_clean_characters_and_single_blanks():
    assert {text: one_line(text) for text in LINES} == LINES


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec=None)))
def test_cleaning_characters_again_changes_nothing_and_gives_text_that_can_be_written(text):
    assert clean_characters(clean_characters(text)) == clean_characters(text)
    assert one_line(one_line(text)) == one_line(text)
    one_line(text).encode()


def test_every_line_end_is_the_same_to_columns_and_to_single_texts():
    characters_only = TextCleanSettings(
        mojibake=False, html=False
    )  # the repair of mojibake takes U+0085 for a byte: "…"
    for end in ("\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"):
        assert clean_characters(f"a{end}b") == clean_text(f"a{end}b", characters_only) == "a\nb"
