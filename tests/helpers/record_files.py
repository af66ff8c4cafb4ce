"""Reads the records of one file as sources do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.sources.files import find_files
from pipelines.sources.json_records import BadRecord
from pipelines.sources.records import read_records


def read(
    path: Path, *columns: str, images: tuple[str, ...] = ()
) -> tuple[list[tuple[int, Any]], list[tuple[int, str]]]:
    """Returns (line, record) of each record, and (line, reason) of each fault."""
    (file,) = find_files([str(path)], (), "files")
    bad_records: list[BadRecord] = []
    found = list(read_records(file, bad_records, columns or None, images))
    return found, [(fault.line, fault.reason) for fault in bad_records]
