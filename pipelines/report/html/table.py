"""A table as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.report.html.page import escape


@dataclass(frozen=True)
class Column:
    """A column of a table. A `wide` one is left out on narrow screens; cells have its `name` as a class."""

    title: str
    is_number: bool = False
    is_wide: bool = False
    name: str = ""

    @property
    def attribute(self) -> str:
        """The attribute `class` of its cells."""
        names = [*(["number"] if self.is_number else []), *(["wide"] if self.is_wide else []), self.name]
        return f' class="{" ".join(filter(None, names))}"' if any(names) else ""


def table_html(columns: Sequence[Column], rows: Sequence[Sequence[str]], attributes: Sequence[str] = ()) -> str:
    """Returns a table of cells that are HTML already; the first cell of a row is its head.

    `attributes` are those of each row's element, such as `data-cut="3"`.
    """
    heads = "".join(f'<th scope="col"{column.attribute}>{escape(column.title)}</th>' for column in columns)
    lines = [_row(columns, row, attributes[at] if attributes else "") for at, row in enumerate(rows)]
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _row(columns: Sequence[Column], cells: Sequence[str], attributes: str) -> str:
    head, *others = zip(columns, cells, strict=True)
    found = [f'<th scope="row"{head[0].attribute}>{head[1]}</th>']
    found += [f"<td{column.attribute}>{cell}</td>" for column, cell in others]
    return f"<tr {attributes}>{''.join(found)}</tr>" if attributes else f"<tr>{''.join(found)}</tr>"
