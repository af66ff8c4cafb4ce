"""Records of Parquet files: only the columns that are named, and values of every type."""

from __future__ import annotations

import decimal
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError
from pipelines.sources.files import find_files
from pipelines.sources.json_records import BadRecord
from pipelines.sources.records import read_records
from tests.helpers.record_files import read


def test_only_the_columns_that_are_named_are_read(tmp_path: Path) -> None:
    columns = {"a": [1], "a.b": [2], "a_b": [3], "c": [{"d": [{"e": 4}], "f": 5}], "g": [6]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    (file,) = find_files([str(tmp_path)], (".parquet",), "files")
    bad_records: list[BadRecord] = []

    def row(*paths: str) -> dict[str, object]:
        ((line, found),) = read_records(file, bad_records, paths)
        assert line == 1
        return found

    assert row("a", "g") == {"a": 1, "g": 6}
    assert row("a.b") == {"a": 1, "a.b": 2}, "either may be meant"
    assert row("c.d.e", "nowhere") == {"c": {"d": [{"e": 4}], "f": 5}}
    assert list(read_records(file, bad_records)) == [(1, {name: values[0] for name, values in columns.items()})]
    assert bad_records == []


def test_text_that_is_stored_as_binary_is_text(tmp_path: Path) -> None:
    columns = {"text": [b"one", b"\xff", None, "vier ä".encode()], "image": [b"x", b"y", None, b"z"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", store_schema=False)
    found, bad_records = read(tmp_path / "a.parquet", "text", "image", images=("image",))
    assert [(line, row["text"], row["image"]) for line, row in found] == [
        (1, "one", "a.parquet#row=1"),
        (3, None, "a.parquet#row=3"),
        (4, "vier ä", "a.parquet#row=4"),
    ]
    assert bad_records == [(2, "bad_text")]


def test_a_date_beyond_those_of_python_costs_its_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"when": pa.array([0, 2**62], pa.timestamp("us"))}), tmp_path / "a.parquet")
    found, bad_records = read(tmp_path / "a.parquet", "when")
    assert [line for line, _ in found] == [1] and bad_records == [(2, "bad_text")]


def test_values_of_every_type_are_those_that_json_has(tmp_path: Path) -> None:
    identity = uuid.UUID(int=7)
    columns = {
        "view": pa.array(["a", None], pa.string_view()),
        "bytes": pa.array([b"a", None], pa.binary_view()),
        "fixed": pa.array([b"abc", None], pa.binary(3)),
        "decimal": pa.array([decimal.Decimal("3.00"), decimal.Decimal("2.50")]),
        "unsigned": pa.array([2**64 - 1, None], pa.uint64()),
        "words": pa.array(["x", "y"]).dictionary_encode(),
        "uuid": pa.array([identity.bytes, None], pa.uuid()),
        "day": pa.array([0, None], pa.date32()),
        "lists": pa.array([[b"a", None], None], pa.list_view(pa.binary())),
        "struct": pa.array([{"b": b"a", "n": [decimal.Decimal("1.5")]}, None]),
        "map": pa.array([[("k", b"v")], None], pa.map_(pa.string(), pa.binary())),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found, bad_records = read(tmp_path / "a.parquet", *columns)
    assert bad_records == [] and [row for _, row in found] == [
        {
            "view": "a",
            "bytes": "a",
            "fixed": "abc",
            "decimal": 3,
            "unsigned": 2**64 - 1,
            "words": "x",
            "uuid": str(identity),
            "day": "1970-01-01",
            "lists": ["a", None],
            "struct": {"b": "a", "n": [1.5]},
            "map": [("k", "v")],
        },
        {**dict.fromkeys(columns), "decimal": 2.5, "words": "y"},
    ]


def test_text_that_is_not_utf_8_costs_its_row_wherever_it_lies(tmp_path: Path) -> None:
    text = pa.array([b"ok", b"\xff", b"ok", b"ok"]).view(pa.string())
    columns = {
        "text": text,
        "list": pa.array([[b"ok"], [b"ok"], [b"\xff"], None], pa.list_(pa.binary())),
        "unread": pa.array([b"\xff"] * 4).view(pa.string()),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    found, bad_records = read(tmp_path / "a.parquet", "text", "list")
    assert found == [(1, {"text": "ok", "list": ["ok"]}), (4, {"text": "ok", "list": None})]
    assert bad_records == [(2, "bad_text"), (3, "bad_text")]


def test_a_column_that_stands_twice_is_an_error_only_where_it_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["text", "more", "more"]), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", "text") == ([(1, {"text": "a"})], [])
    for columns in (("text", "more"), ("more.x",), ()):
        with pytest.raises(SettingsError, match=r"a\.parquet: column 'more' stands there 2 times"):
            read(tmp_path / "a.parquet", *columns)


def test_images_are_named_as_far_as_a_row_group_has_them(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": None, "path": "1.png"}, {"bytes": None, "path": "2.png"}, {"bytes": b"3", "path": "3.png"}]
    pq.write_table(pa.table({"image": pa.array(images, kind)}), tmp_path / "a.parquet", row_group_size=2)
    found, _ = read(tmp_path / "a.parquet", "image", images=("image",))
    assert [row["image"] for _, row in found] == ["1.png", "2.png", "a.parquet#row=3"]
