"""Records of JSON files: a malformed one costs itself, whatever way the file is written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corpus.settings import SettingsError
from pipelines.sources import json_records
from pipelines.sources import records as record_files
from pipelines.sources.files import FileInfo, find_files
from pipelines.sources.json_records import BadRecord
from pipelines.sources.records import read_records
from tests.helpers.record_files import read


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
    monkeypatch.setattr(json_records, "_MAX_JSON_BYTES", 1 << 20)
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
