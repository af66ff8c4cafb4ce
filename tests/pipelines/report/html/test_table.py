"""Tables have a head for each column and each row."""

from __future__ import annotations

from pipelines.report.html.table import Column, table_html


def test_cells_have_the_classes_of_their_columns() -> None:
    columns = (Column("name <1>"), Column("rows", is_number=True, name="n"), Column("more", is_wide=True))
    text = table_html(columns, [("<b>a</b>", "1", "x"), ("c", "2", "y")], ['data-at="0"', 'data-at="1"'])
    assert text.startswith('<table><thead><tr><th scope="col">name &lt;1&gt;</th>')
    assert '<th scope="col" class="number n">rows</th>' in text and '<th scope="col" class="wide">more</th>' in text
    row = '<tr data-at="0"><th scope="row"><b>a</b></th><td class="number n">1</td><td class="wide">x</td></tr>'
    assert row in text and text.count("<tr") == 3
    assert "<tbody></tbody>" in table_html(columns, [])
