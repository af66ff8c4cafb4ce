"""Texts of docstrings and settings stay what they are when a Markdown reader takes them."""

from __future__ import annotations

from pipelines.reference.markdown import code, escaped, prose, table


def test_markup_is_escaped_but_in_code() -> None:
    assert escaped("a < b, 2*3*4, [x], `a*b`") == r"a \< b, 2\*3\*4, \[x\], `a*b`"
    assert escaped("min_side_px and _private or trailing_ end") == r"min_side_px and \_private or trailing\_ end"


def test_code_holds_backticks() -> None:
    assert code("plain") == "`plain`"
    assert code("a `b`") == "`` a `b` ``"


def test_indented_blocks_of_a_docstring_stay_code() -> None:
    docstring = """The *first* line
    goes on.

        images -> pairs   <not escaped>

    The end.
    """
    assert prose(docstring).split("\n\n") == [
        "The \\*first\\* line\ngoes on.",
        "    images -> pairs   <not escaped>",
        "The end.",
    ]
    assert prose(None) == ""


def test_a_table_has_no_empty_columns_and_no_open_pipes() -> None:
    lines = table(("key", "unit", "what"), [("a", "", "x | y"), ("b", "", "over\ntwo lines")])
    assert lines == ["| key | what |", "| --- | --- |", "| a | x \\| y |", "| b | over two lines |", ""]
    assert table(("key",), []) == []
