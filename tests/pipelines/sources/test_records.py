"""Rows of JSON and Parquet: what lies within a column is read as well, and what is malformed costs its row."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.sources import records as record_files
from pipelines.sources.files import find_files
from pipelines.sources.records import read_records
from pipelines.sources.text_pairs import TextPairsReader, TextPairsSource
from tests.helpers.given_rows import rows_of, texts
from tests.helpers.record_files import read


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
