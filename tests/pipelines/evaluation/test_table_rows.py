"""Evaluation sets of tables: texts, questions and images of rows, in any columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.evaluation.table_rows import TableRowsSource


def rows(files: Path, **columns: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    reader = TableRowsSource.model_validate({"kind": "table_rows", "files": [str(files)], **columns}).reader()
    reader.check()
    found = [row for table in reader.shards() for row in table.to_pylist()]
    return found, reader.counts


def test_texts_and_questions_are_apart_and_named_by_the_row(tmp_path: Path) -> None:
    lines = [
        {"id": 7, "caption": "a boat", "others": ["a ship", ""], "question": "how many boats", "answers": ["one", "1"]},
        {"id": 8, "caption": ""},
    ]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "[]\n")
    found, counts = rows(tmp_path, texts=["caption", "others"], questions=["question", "answers"], id="id")
    assert [(row["key"], row["label"], [side["text"] for side in row["negatives"]]) for row in found] == [
        ("7", "", ["a boat", "a ship"]),
        ("7", "question", ["how many boats", "one", "1"]),
    ]
    assert counts["not_an_object"] == 1


def test_images_in_a_parquet_file_are_named_by_their_rows(tmp_path: Path) -> None:
    table = pa.table(
        {"page": [{"bytes": b"1", "path": None}, {"bytes": b"2", "path": None}], "q": ["what is it", "why"]}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    found, _ = rows(tmp_path, media=["page"], questions=["q"])
    assert [(row["query"]["images"], row["key"], row["label"]) for row in found] == [
        (["a.parquet#row=1&column=page"], "a.parquet:1", ""),
        (["a.parquet#row=1&column=page"], "a.parquet:1", "question"),
        (["a.parquet#row=2&column=page"], "a.parquet:2", ""),
        (["a.parquet#row=2&column=page"], "a.parquet:2", "question"),
    ]
