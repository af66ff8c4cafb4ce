"""Rows of JSON and Parquet: what lies within a column is read as well, and what is malformed costs its row."""

from __future__ import annotations

import bz2
import decimal
import gzip
import json
import lzma
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.sources import json_records
from pipelines.sources import records as record_files
from pipelines.sources.files import FileInfo, find_files
from pipelines.sources.json_records import BadRecord
from pipelines.sources.records import read_records
from pipelines.sources.text_pairs import TextPairsReader, TextPairsSource
from tests.helpers.given_rows import rows_of, texts


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


def test_passages_in_parquet_in_the_form_of_tevatron(tmp_path: Path) -> None:
    passages = [{"docid": "1", "title": "Emma", "text": "a novel"}, {"docid": "2", "title": "", "text": "an actress"}]
    columns = {
        "query_id": ["q1"],
        "query": ["who wrote it"],
        "positive_passages": [passages[:1]],
        "negative_passages": [passages[1:]],
    }
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    settings = {"kind": "text_pairs", "files": [str(tmp_path)], "format": {"kind": "tevatron"}}
    (row,) = rows_of(TextPairsReader(parse_settings(settings, TextPairsSource)))
    assert texts(row) == ("who wrote it", "Emma a novel", ["an actress"])


def read(
    path: Path, *columns: str, images: tuple[str, ...] = ()
) -> tuple[list[tuple[int, Any]], list[tuple[int, str]]]:
    """(line, record) of each record, (line, reason) of each fault."""
    (file,) = find_files([str(path)], (), "files")
    bad_records: list[BadRecord] = []
    found = list(read_records(file, bad_records, columns or None, images))
    return found, [(fault.line, fault.reason) for fault in bad_records]


def test_a_record_of_an_array_costs_itself(tmp_path: Path) -> None:
    records = [{"a": number, "b": [{"c": number}]} for number in range(4)]
    pretty = json.dumps(records, indent=2).replace('"a": 1,', '"a": 1')
    (tmp_path / "pretty.json").write_text(pretty)
    assert read(tmp_path / "pretty.json") == ([(2, records[0]), (18, records[2]), (26, records[3])], [(10, "not_json")])
    (tmp_path / "first.json").write_text('[{"a": bad},\n {"a": 1},\n {"a": 2}]')
    assert read(tmp_path / "first.json") == ([(2, {"a": 1}), (3, {"a": 2})], [(1, "not_json")])
    (tmp_path / "lines.json").write_text('{"a": {\n{"a": 1}\n')
    assert read(tmp_path / "lines.json") == ([(2, {"a": 1})], [(1, "not_json")])


def test_where_nothing_more_can_be_read_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('[{"a": 1}, {"a": bad}, {"a": 2}]')
    (file,) = find_files([str(tmp_path)], (".json",), "files")
    bad_records: list[BadRecord] = []
    assert [record for _, record in read_records(file, bad_records)] == [{"a": 1}]
    assert bad_records[0].detail.endswith("nothing after it in the file is read")


@pytest.mark.parametrize("name", ["a.json.gz", "a.jsonl.gz", "named-without.jsonl"])
def test_gzip_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    text = '[{"a": 1},\n{"a": 2}]' if ".json." in name else '{"a": 1}\n{"a": 2}'
    (tmp_path / name).write_bytes(gzip.compress(text.encode()))
    assert read(tmp_path / name) == ([(1, {"a": 1}), (2, {"a": 2})], [])


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.jsonl.xz", lzma.compress(b'{"a": 1}\n'), "compressed with xz"),
        ("a.jsonl.zst", pa.Codec("zstd").compress(b'{"a": 1}\n').to_pybytes(), "compressed with Zstandard"),
        ("a.jsonl.bz2", bz2.compress(b'{"a": 1}\n'), "compressed with bzip2"),
        ("a.jsonl", '{"a": 1}\n'.encode("utf-16"), "in UTF-16"),
        ("a.jsonl", b"PAR1....", "a Parquet file"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n')[:-9], "not a whole gzip file"),
        ("a.parquet", b"PAR1" + b"\x7f" * 90 + b"\x40\0\0\0PAR1", "not a Parquet file that can be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_of_another_kind_are_named(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SettingsError, match=rf"{re.escape(name)}: .*{kind}"):
        read(tmp_path / name)


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


def test_a_file_full_of_malformed_lines_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fields there are is told by the first good records, which may come late or never."""
    (tmp_path / "a.jsonl").write_text("no json\n" * 50 + '{"a": 1}\n')
    (file,) = find_files([str(tmp_path)], (".jsonl",), "files")
    held: list[list[BadRecord]] = []

    def noted(file: FileInfo, bad_records: list[BadRecord]) -> Iterator[tuple[int, dict[str, Any]]]:
        held.append(bad_records)
        return read_records(file, bad_records)

    monkeypatch.setattr(json_records, "MAX_LISTED", 5)
    monkeypatch.setattr(record_files, "read_records", noted)
    assert record_files.paths_in(file) == {"a"} and [len(bad_records) for bad_records in held] == [5]


def test_a_json_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "_MAX_JSON_BYTES", 1 << 20)
    array = b'[{"a": 1}]'
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(array.ljust((1 << 20) + 1)))
    (tmp_path / "b.json").write_bytes(array.ljust((1 << 20) + 1))
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(array.ljust(1 << 20)))
    for file in find_files([str(tmp_path)], (".json", ".json.gz"), "files"):
        if file.name == "c.json.gz":
            assert list(read_records(file, [])) == [(1, {"a": 1})]
        else:
            with pytest.raises(SettingsError, match=rf"{file.name}: a JSON file of over 1,048,576 bytes, unpacked"):
                list(read_records(file, []))


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


def test_folders_give_columns_their_values(tmp_path: Path) -> None:
    folder = tmp_path / "lang=en" / "split=__HIVE_DEFAULT_PARTITION__"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["a"]}), folder / "a.parquet")
    (folder / "b.jsonl").write_text('{"text": "b", "lang": "its own"}\n')
    for name, row in (("a.parquet", {"text": "a", "lang": "en"}), ("b.jsonl", {"text": "b", "lang": "its own"})):
        (file,) = find_files([str(folder / name)], (), "files")
        assert record_files.paths_in(file) >= {"text", "lang", "split"}
        ((_, found),) = read_records(file, [], ["text", "lang"])
        assert found == row


def test_images_are_named_as_far_as_a_row_group_has_them(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": None, "path": "1.png"}, {"bytes": None, "path": "2.png"}, {"bytes": b"3", "path": "3.png"}]
    pq.write_table(pa.table({"image": pa.array(images, kind)}), tmp_path / "a.parquet", row_group_size=2)
    found, _ = read(tmp_path / "a.parquet", "image", images=("image",))
    assert [row["image"] for _, row in found] == ["1.png", "2.png", "a.parquet#row=3"]
