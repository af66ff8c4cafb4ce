"""Markdown that the pages of the reference are made of: tables, and prose of docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"(`+[^`]*`+)")
_MARKUP = re.compile(r"([\\*<\[\]])|(?<!\w)(_)|(_)(?!\w)")


def escaped(text: str) -> str:
    """Escapes what Markdown would take for markup, but for code in backticks."""
    parts = _CODE.split(text)
    return "".join(part if at % 2 else _MARKUP.sub(r"\\\g<0>", part) for at, part in enumerate(parts))


def prose(docstring: str | None) -> str:
    """Returns a docstring as Markdown: its indented blocks are code, as they are there."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(docstring or ""))
    return "\n\n".join(block if block.startswith("    ") else escaped(block) for block in blocks)


def code(text: str) -> str:
    """Returns a text as inline code, whatever backticks are in it."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    padding = " " if "`" in text else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a table, without the columns that are empty in all rows; nothing where there are no rows."""
    filled = [tuple(_cell(cell) for cell in row) for row in rows]
    columns = [at for at in range(len(heads)) if at == 0 or any(row[at] for row in filled)]
    if not filled:
        return []
    lines = [tuple(heads), ("---",) * len(heads), *filled]
    return [*(f"| {' | '.join(line[at] for at in columns)} |" for line in lines), ""]


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))
