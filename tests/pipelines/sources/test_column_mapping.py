"""Templates and paths that find a pair's parts in a row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.settings import SettingsError
from pipelines.sources.column_mapping import Template, paths_of_records, paths_of_schema, require_paths
from pipelines.sources.json_records import BadRecordError
from tests.helpers.cases import cases
from tests.helpers.given_rows import rows_of, write_lines
from tests.helpers.mapped_pairs import source


@cases(
    ("template", "expected"),
    [
        ("a", "A"),
        ("o.b", "B"),
        ("l.x", ["1", "2"]),
        ("l.1.x", "2"),
        ("l.9.x", ""),
        ("none.b", ""),
        ("odd.name", "C"),
        ("{a}: {none}", "A"),
        ("{none}: {a}", "A"),
        ("{a} {none}, {o.b}", "A B"),
        ("({a})", "(A)"),
        ("({none})", ""),
        ("{{{a}}}", "{A}"),
        ("{o.b} {l.x}", ["B 1", "B 2"]),
        ("n", "7"),
        ("nan", ""),
        ("{n}: {nan}", "7"),
        ("map.x", "1"),
    ],
)
def test_templates(template: str, expected: str | list[str]) -> None:
    row = {"a": " A ", "o": {"b": "B"}, "l": [{"x": 1}, {"x": 2}], "none": None, "odd.name": "C", "n": 7}
    row |= {"nan": math.nan, "map": [("x", "1"), ("y", "2")]}  # as Arrow gives the entries of a map
    assert Template(template).texts(row) == expected


@pytest.mark.parametrize(
    ("template", "row"),
    [("{a} {b}", {"a": ["1"], "b": ["2", "3"]}), ("a", {"a": [["1"]]}), ("a", {"a": math.inf}), ("a", {"a": True})],
)
def test_templates_that_a_row_does_not_fit(template: str, row: dict[str, Any]) -> None:
    with pytest.raises(BadRecordError):
        Template(template).texts(row)


def test_what_may_be_there_is_no_wrong_column() -> None:
    known = paths_of_records([{"meta": None, "tags": [], "a": {"b": [{"c": 1}]}}])
    require_paths(["meta.title", "tags.0.x", "a.b.c", "a.b.0.c"], known, "f")
    with pytest.raises(SettingsError, match=r"f: no column 'a.b.d'; did you mean 'a.b.c'\?"):
        require_paths(["a.b.d"], known, "f")
    schema = pa.schema([("m", pa.map_(pa.string(), pa.string())), ("l", pa.list_(pa.struct([("x", pa.int64())])))])
    require_paths(["m.any", "l.0.x"], paths_of_schema(schema), "f")


def test_fields_without_end_and_odd_names_cost_no_run(tmp_path: Path) -> None:
    deep = '{"question": "q", "x": ' + '{"a":' * 900 + "1" + "}" * 900 + "}"
    write_lines(tmp_path / "a.jsonl", ['{"question": "q", "answer": "a", "\\ud800": 1}', deep, '{"question": "r"}'])
    mapping = "{kind: jsonl, query: {text: question}, positive: {text: answer}}"
    rows = source(tmp_path, mapping)
    assert [row["line"] for row in rows_of(rows)] == [1] and rows.counts["no_positive"] == 2
    with pytest.raises(SettingsError, match=r"no column 'reply'; .*it has answer, question, .*x.a, .*ud800") as raised:
        rows_of(source(tmp_path, mapping.replace("answer", "reply")))
    assert str(raised.value).encode(), "it can be printed"
