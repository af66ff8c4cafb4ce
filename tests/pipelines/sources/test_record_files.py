"""Rows of JSON lines and Parquet: what lies within a column is read as well."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from given_rows import rows_of, texts

from corpus.settings import parse_settings
from pipelines.sources.json_records import Fault
from pipelines.sources.record_files import read_records
from pipelines.sources.text_pairs import TextPairsRows, TextPairsSource
from pipelines.sources.video_files import find_files


def test_only_the_columns_that_are_named_are_read(tmp_path: Path) -> None:
    columns = {"a": [1], "a.b": [2], "a_b": [3], "c": [{"d": [{"e": 4}], "f": 5}], "g": [6]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    (file,) = find_files([str(tmp_path)], (".parquet",), "files")
    faults: list[Fault] = []

    def row(*paths: str) -> dict[str, object]:
        ((line, found),) = read_records(file, faults, paths)
        assert line == 1
        return found

    assert row("a", "g") == {"a": 1, "g": 6}
    assert row("a.b") == {"a": 1, "a.b": 2}, "either may be meant"
    assert row("c.d.e", "nowhere") == {"c": {"d": [{"e": 4}], "f": 5}}
    assert list(read_records(file, faults)) == [(1, {name: values[0] for name, values in columns.items()})]
    assert faults == []


def test_passages_in_parquet_in_the_form_of_tevatron(tmp_path: Path) -> None:
    passages = [{"docid": "1", "title": "Emma", "text": "a novel"}, {"docid": "2", "title": "", "text": "an actress"}]
    columns = {
        "query_id": ["q1"],
        "query": ["who wrote it"],
        "positive_passages": [passages[:1]],
        "negative_passages": [passages[1:]],
    }
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    settings = {"kind": "text_pairs", "files": [str(tmp_path)], "form": {"kind": "tevatron"}}
    (row,) = rows_of(TextPairsRows(parse_settings(settings, TextPairsSource)))
    assert texts(row) == ("who wrote it", "Emma a novel", ["an actress"])
