"""Any set of pairs, by a mapping of its columns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from corpus.settings import SettingsError, parse_settings
from pipelines.sources.column_mapping import Template, paths_of_records, paths_of_schema, require_paths
from pipelines.sources.generic_pairs import GenericPairsReader, GenericPairsSource
from pipelines.sources.images.parquet import ParquetImages, ParquetImagesSettings
from pipelines.sources.json_records import BadRecordError
from tests.helpers.cases import cases
from tests.helpers.given_rows import images, rows_of, texts, write_lines

MAPPING = """
kind: jsonl
query: {text: "{meta.title}: {question}", images: photo}
positive: {text: answers.0, images: [front, back]}
negatives:
  - {text: wrong.text, images: wrong.photo}
  - {text: spare}
label: class
id: id
url: meta.url
instruction: task
licence_column: meta.licence
"""


def source(folder: Path, mapping: str = MAPPING, **settings: Any) -> GenericPairsReader:
    return GenericPairsReader(
        parse_settings({**yaml.safe_load(mapping), "files": [str(folder)], **settings}, GenericPairsSource)
    )


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


def test_parquet_with_images_in_it(tmp_path: Path) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "question": pa.array(["a", "b", "c"]),
        "image": pa.array([{"bytes": b"1", "path": "1.jpg"}, {"bytes": b"2", "path": None}, None], image),
        "second": pa.array([b"3", b"4", None], pa.binary()),
        "outside": pa.array([{"bytes": None, "path": f"{n}.jpg"} for n in range(3)], image),
        "answers": pa.array([{"text": ["x", "y"]}, {"text": []}, {"text": None}]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=2)
    mapping = """{kind: parquet, query: {text: question, images: [image, second, outside]},
    positive: {text: "{answers.text.0} {question}"}}"""
    found = rows_of(source(tmp_path, mapping))
    assert [images(row) for row in found] == [
        ["a.parquet#row=1", "a.parquet#row=1&column=second", "0.jpg"],
        ["a.parquet#row=2", "a.parquet#row=2&column=second", "1.jpg"],
        ["2.jpg"],  # nothing in its row group
    ]
    assert [row["positive"]["text"] for row in found] == ["x a", "b", "c"]


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


def test_files_in_which_images_lie_are_not_said_to_be_left_out(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"q": "a", "p": "x.jpg"}])
    for name in ("x.jpg", "b.tar", "c.csv"):
        (tmp_path / name).write_bytes(b"x")
    mapping = "{kind: jsonl, query: {text: q}, positive: {images: p}}"
    for where, files in ((None, 3), ({"archives": {"paths": [str(tmp_path)]}}, 1)):
        found = source(tmp_path, mapping, images=where)
        assert len(rows_of(found)) == 1 and found.notes["not_read"]["files"] == {"unsupported_extension": files}


@pytest.mark.parametrize("plain", [False, True])
def test_lists_of_images_in_parquet_are_read_in_their_order(tmp_path: Path, plain: bool) -> None:
    """As sets of pages have them: `images: list<struct<bytes, path>>`, of one or two; or a list of the bytes alone."""
    pages = [[b"page 0", b"page 1"], [b"page 2"], None, []]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [rows and [{"bytes": data, "path": None} for data in rows] for rows in pages]
    images = pa.array(pages if plain else rows, pa.list_(pa.binary() if plain else struct))
    texts = pa.array([[{"user": f"q{n}"}, {"user": "more"}] for n in range(4)])
    file = tmp_path / "train-0.parquet"
    pq.write_table(pa.table({"images": images, "texts": texts}), file, row_group_size=3)
    settings = f"{{kind: parquet, files: ['{file}'], query: {{text: texts.0.user}}, positive: {{images: %s}}}}"
    reader = GenericPairsReader(parse_settings(yaml.safe_load(settings % "images"), GenericPairsSource))
    found = rows_of(reader)
    assert [(row["query"]["text"], len(row["positive"]["images"])) for row in found] == [("q0", 2), ("q1", 1)]
    assert reader.counts == {"read": 4, "no_positive": 2}
    names = [name for row in found for name in row["positive"]["images"]]
    resolver = ParquetImages(ParquetImagesSettings(paths=(str(file),)))
    got = dict(resolver.open(1 << 20)([*names, f"{names[0]}9", names[0].rpartition("&")[0]]))
    assert [got[at].data for at in range(3)] == [b"page 0", b"page 1", b"page 2"]
    assert [got[at].reason for at in (3, 4)] == ["missing_image"] * 2
    first = rows_of(GenericPairsReader(parse_settings(yaml.safe_load(settings % "images.0"), GenericPairsSource)))
    assert [row["positive"]["images"] for row in first] == [[names[0]], [names[2]]]
