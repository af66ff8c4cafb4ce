"""Columns of a table have the comments that stand beside them in the code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from filters.image.stats import ImageStats
from pipelines.reference.columns import column_table, descriptions
from video.stages.groups import Groups

CODE = """
import pyarrow as pa

SCHEMA = pa.schema(
    [
        # A comment of its own line belongs to no column.
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),  # pixels * 2, upright
        pa.field(
            "places",
            pa.list_(pa.struct([pa.field("start_s", pa.float64())])),
        ),  # of its parts, "# 1" first
        pa.field("id", pa.binary(16)),
    ]
)
"""


def test_comments_beside_fields_are_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted_columns.py").write_text(CODE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("planted_columns")
    assert descriptions("planted_columns") == {"width": r"pixels \* 2, upright", "places": 'of its parts, "# 1" first'}
    assert column_table(module.SCHEMA, "planted_columns") == [
        "| column | type | what it holds |",
        "| --- | --- | --- |",
        "| `height` | int32 |  |",
        r"| `width` | int32 | pixels \* 2, upright |",
        '| `places` | list of struct (start\\_s) | of its parts, "# 1" first |'.replace("\\_", "_"),
        "| `id` | 16 bytes |  |",
        "",
    ]
    del sys.modules["planted_columns"]


def test_columns_of_imported_schemas_are_described() -> None:
    assert descriptions(ImageStats.__module__)["entropy"].startswith("bits")
    of_groups = descriptions(Groups.__module__)
    assert of_groups["group"].startswith("of clips") and of_groups["duration_s"] == "of the video"
