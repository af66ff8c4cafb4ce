"""Pairs that name documents by their ids: what is joined, and what becomes of ids that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError
from pipelines.sources import document_join
from pipelines.sources.document_join import Documents, DocumentsSettings, NamedIds
from pipelines.sources.json_records import BadRecords
from pipelines.sources.not_read import NotRead
from tests.helpers.document_pairs import document, source, write
from tests.helpers.given_rows import images, rows_of, write_lines


def test_images_in_the_parquet_files_of_queries_and_corpus(tmp_path: Path) -> None:
    """Both are called alike, so their images are named by whole paths; those of other names by the files' own."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    shown = pa.array([{"bytes": b"q", "path": None}], image)
    pages = pa.array([{"bytes": b"a", "path": None}, {"bytes": b"b", "path": None}], image)
    for folder in ("queries", "corpus"):
        (tmp_path / folder).mkdir()
    pq.write_table(pa.table({"q": ["x"], "shown": shown, "right": [["p2"]]}), tmp_path / "queries/train-0.parquet")
    pq.write_table(pa.table({"docid": ["p1", "p2"], "image": pages}), tmp_path / "corpus/train-0.parquet")
    settings = {
        "kind": "parquet",
        "query": {"text": "q", "images": "shown"},
        "positive": {"documents": "right"},
        "negatives": [],
        "id": "",
        "documents": {"files": [str(tmp_path / "corpus")], "images": "image"},
    }
    (row,) = rows_of(source(tmp_path, **settings))
    where = str(tmp_path)
    assert images(row) == [
        f"{where}/queries/train-0.parquet#row=1&column=shown",
        f"{where}/corpus/train-0.parquet#row=2",
    ]
    (tmp_path / "corpus/train-0.parquet").rename(tmp_path / "corpus/pages-0.parquet")
    (row,) = rows_of(source(tmp_path, **settings))
    assert images(row) == ["train-0.parquet#row=1&column=shown", "pages-0.parquet#row=2"]


def test_damaged_files_of_a_corpus_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    write(tmp_path, [{"question": "q", "right": "d1", "wrong": []}], [document("d1")])
    (tmp_path / "corpus/b.jsonl.gz").write_bytes(b"\x1f\x8b\x08 damaged")
    rows = source(tmp_path)
    rows.check()
    assert len(rows_of(rows)) == 1 and rows.notes["not_read"]["files"] == {"unreadable_file": 1}
    (tmp_path / "corpus/a.jsonl").unlink()
    with pytest.raises(SettingsError, match=r"b\.jsonl\.gz: not a whole gzip file"):
        rows_of(source(tmp_path))


def test_a_corpus_that_changes_is_another_source(tmp_path: Path) -> None:
    write(tmp_path, [{"question": "q", "right": "d1", "wrong": []}], [document("d1")])
    before = json.dumps(source(tmp_path).identity())
    assert json.dumps(source(tmp_path).identity()) == before
    write_lines(tmp_path / "corpus/a.jsonl", [document("d1", "says something else")])
    assert json.dumps(source(tmp_path).identity()) != before


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"documents": None}, r"documents: where are those of 'right'\?"),
        ({"positive": {"text": "question"}, "negatives": []}, "documents: no side names any"),
        ({"positive": {"text": "question"}}, "positive: where negatives are documents, the positive is one"),
        ({"query": {"documents": "right"}}, "query: a query is in its row"),
        ({"positive": {"documents": "right", "text": "question"}}, "names documents, and a text or images too"),
    ],
)
def test_settings_that_contradict_themselves(tmp_path: Path, changes: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingsError, match=error):
        source(tmp_path, **changes)


def test_a_wrong_column_of_the_corpus_is_named_with_its_file(tmp_path: Path) -> None:
    write(tmp_path, [{"question": "q", "right": "d1", "wrong": []}], [{"docid": "d1", "text": "x", "title": "y"}])
    for read in (lambda rows: rows.check(), rows_of):
        with pytest.raises(SettingsError, match=r"corpus/a\.jsonl: no column 'did'; did you mean 'docid'\?"):
            read(source(tmp_path))


def test_ids_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of `b` is made that of `a`: a corpus that has `a` alone has no `b`."""
    plain = document_join.hash_strings

    def colliding(strings: Any, seed: int = 0) -> Any:
        return plain(pa.array(["a" if each == "b" else each for each in strings.to_pylist()], pa.string()), seed)

    monkeypatch.setattr(document_join, "hash_strings", colliding)
    ids = NamedIds()
    ids.add(["b", "a"])
    file = write_lines(tmp_path / "a.jsonl", [document("a", "of a")])
    settings = DocumentsSettings(files=(str(file),), id="did", text="text")
    documents = Documents(ids.hashes(), str(tmp_path))
    documents.read(settings.find(NotRead()), settings, NotRead(), BadRecords())
    found = documents.find(["a", "b"])
    assert (found["a"].side.text, found["b"].reason) == ("of a", "missing_document")
