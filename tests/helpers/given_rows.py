"""What sources of given pairs yield, for the tests of several of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.sources.pair_rows import PAIR_ROWS
from pipelines.sources.pair_source import PairReader


def write_lines(path: Path, records: Iterable[Any]) -> Path:
    """JSON lines; a string is a line as it is."""
    lines = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def rows_of(source: PairReader[Any]) -> list[dict[str, Any]]:
    """All rows; asserts their schema, and that the counts add up."""
    tables = list(source.shards())
    assert all(table.schema == PAIR_ROWS for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    assert source.counts["read"] == len(rows) + sum(n for name, n in source.counts.items() if name != "read")
    return rows


def texts(row: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Query, positive and negatives of a row of texts."""
    return row["query"]["text"], row["positive"]["text"], [side["text"] for side in row["negatives"]]


def images(row: dict[str, Any]) -> list[str]:
    """All names of images of a row, the query's first."""
    return [name for side in (row["query"], row["positive"], *row["negatives"]) for name in side["images"]]
