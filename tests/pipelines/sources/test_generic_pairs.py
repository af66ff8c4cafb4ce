"""Any set of pairs, by a mapping of its columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError
from tests.helpers.given_rows import images, rows_of, texts, write_lines
from tests.helpers.mapped_pairs import MAPPING, source


def record(**more: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "question": "What is it?",
        "photo": "q.jpg",
        "meta": {"title": "Birds", "url": "http://a.example/7", "licence": "CC0"},
        "answers": ["A wren.", "A small wren."],
        "front": "f.jpg",
        "back": ["b1.jpg", "b2.jpg"],
        "wrong": [{"text": "A crow.", "photo": "c.jpg"}, {"text": "A rook.", "photo": None}],
        "spare": "a WREN.",
        "class": 3,
        "task": "Name the bird.",
        **more,
    }


def test_every_part_is_found(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [record()])
    rows = source(tmp_path)
    (row,) = rows_of(rows)
    assert texts(row) == ("Birds: What is it?", "A wren.", ["A crow.", "A rook.", "a WREN."])
    assert images(row) == ["q.jpg", "f.jpg", "b1.jpg", "b2.jpg", "c.jpg"]
    fields = {name: row[name] for name in ("instruction", "label", "key", "url", "licence", "line")}
    assert fields == {
        "instruction": "Name the bird.",
        "label": "3",
        "key": "7",
        "url": "http://a.example/7",
        "licence": "CC0",
        "line": 1,
    }


def test_a_malformed_row_costs_itself(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "a.jsonl",
        [
            record(),
            record(answers=[], front=None, back=[]),
            record(question=None, meta=None, photo=""),
            record(photo=5),
            record(wrong=[{"text": "x", "photo": "y"}, "z"]),
            record(answers=[{"text": "x"}]),
            record(question=["two", "texts"]),
            record(meta="no object"),
            "nonsense",
            record(question="", meta={"title": "Birds", "licence": None}, wrong=[]),
        ],
    )
    rows = source(tmp_path, licence="unknown")
    found = rows_of(rows)
    assert [(row["line"], row["query"]["text"], row["licence"]) for row in found] == [
        (1, "Birds: What is it?", "CC0"),
        (10, "Birds", "unknown"),
    ]
    assert [(fault.line, fault.reason) for fault in rows.bad_records] == [
        (2, "no_positive"),
        (3, "no_query"),
        (4, "bad_images"),
        (5, "bad_text"),
        (6, "bad_text"),
        (7, "bad_text"),
        (8, "bad_text"),
        (9, "not_json"),
    ]
    assert "a.jsonl, line 4: bad_images: photo: expected a string, found int" in rows.notes["faults"][2]


def test_lists_of_negatives_go_together(tmp_path: Path) -> None:
    mapping = "{kind: jsonl, query: {text: q}, positive: {images: p}, negatives: [{text: nt, images: ni}]}"
    good = {"q": "a", "p": "p.jpg", "nt": ["x", ""], "ni": ["p.jpg", "p.jpg"]}
    write_lines(tmp_path / "a.jsonl", [good, {**good, "ni": ["only one"]}])
    rows = source(tmp_path, mapping)
    (row,) = rows_of(rows)
    assert [(side["text"], side["images"]) for side in row["negatives"]] == [("x", ["p.jpg"])]
    assert rows.counts["bad_negatives"] == 1 and rows.notes["negatives"] == {
        "negative_equals_positive": 1,
        "negatives_kept": 1,
    }


def test_what_lies_within_a_column_of_parquet(tmp_path: Path) -> None:
    columns = {
        "asked": pa.array([{"text": "q", "by": "x"}, None]),
        "asked.first": pa.array(["a name with a dot", ""]),
        "passages": pa.array([[{"text": "n1"}, {"text": "n2"}], [{"text": "n3"}]]),
        "answer": pa.array(["a", "b"]),
        "other": pa.array([1, 2]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    mapping = """{kind: parquet, query: {text: "{asked.first} {asked.text}"}, positive: {text: answer},
    negatives: [{text: passages.text}]}"""
    rows = source(tmp_path, mapping)
    (row,) = rows_of(rows)
    assert row["query"]["text"] == "a name with a dot q"
    assert [side["text"] for side in row["negatives"]] == ["n1", "n2"]
    assert rows.counts == {"read": 2, "no_query": 1}


def test_files_that_are_called_alike_are_told_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table({"q": ["a"], "image": pa.array([b"1"], pa.binary())}), tmp_path / folder / "a.parquet")
    mapping = "{kind: parquet, query: {text: q}, positive: {images: image}}"
    both = source(tmp_path, mapping, files=[str(tmp_path / "one"), str(tmp_path / "two")])
    assert [images(row) for row in rows_of(both)] == [
        [f"{tmp_path}/one/a.parquet#row=1"],
        [f"{tmp_path}/two/a.parquet#row=1"],
    ]
    assert [images(row) for row in rows_of(source(tmp_path, mapping))] == [
        ["one/a.parquet#row=1"],
        ["two/a.parquet#row=1"],
    ]


def test_a_wrong_column_is_named_with_its_file(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [record()])
    wrong = MAPPING.replace("meta.title", "meta.titel")
    with pytest.raises(
        SettingsError, match=r"a\.jsonl: no column 'meta.titel'; did you mean 'meta.title'\? it has answers"
    ):
        rows_of(source(tmp_path, wrong))
    pq.write_table(pa.table({"text": ["a"], "reply": ["b"]}), tmp_path / "a.parquet")
    with pytest.raises(SettingsError, match=r"a\.parquet: no column 'zzz'; it has reply, text"):
        rows_of(source(tmp_path, "{kind: parquet, query: {text: zzz}, positive: {text: reply}}"))
    with pytest.raises(SettingsError, match=r"query: names neither a text nor images"):
        source(tmp_path, "{kind: jsonl, query: {}, positive: {text: x}}")
    with pytest.raises(SettingsError, match=r"'\{a!r\}': only names of columns may stand in braces"):
        source(tmp_path, "{kind: jsonl, query: {text: '{a!r}'}, positive: {text: x}}")


def test_damaged_files_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    mapping = "{kind: parquet, query: {text: q}, positive: {text: p}}"
    columns = {"q": [f"question {at}" for at in range(9)], "p": [f"answer {at}" for at in range(9)]}
    for name in ("a", "b", "c"):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet", row_group_size=3, use_dictionary=False)
    cut, torn = tmp_path / "a.parquet", tmp_path / "b.parquet"
    cut.write_bytes(cut.read_bytes()[:-20])
    data = bytearray(torn.read_bytes())
    data[data.index(b"question 6") - 20 : data.index(b"question 6")] = b"\xff" * 20
    torn.write_bytes(data)
    found = source(tmp_path, mapping)
    found.check()
    assert len(rows_of(found)) == 6 + 9
    assert found.counts == {"read": 18, "unreadable_rows": 3}
    lines = found.notes["not_read"]["lines"]
    assert found.notes["not_read"]["files"] == {"unreadable_file": 2}
    assert str(cut) in lines[0] and str(torn) in lines[1] and "6 rows before the damage were read" in lines[1]
    rows_of(found)
    assert found.notes["not_read"]["files"] == {"unreadable_file": 2}, "not counted twice when it is read again"
    for name in ("b", "c"):
        (tmp_path / f"{name}.parquet").unlink()
    for read in (lambda rows: rows.check(), rows_of):
        with pytest.raises(SettingsError, match=r"a\.parquet: not a Parquet file"):
            read(source(tmp_path, mapping))


def test_what_would_stop_a_run_is_found_by_looking_at_columns(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"q": "a", "p": "b"}])
    write_lines(tmp_path / "b.jsonl", [{"q": "a", "positive": "b"}])
    with pytest.raises(SettingsError, match=r"b\.jsonl: no column 'p'"):
        source(tmp_path, "{kind: jsonl, query: {text: q}, positive: {text: p}}").check()
