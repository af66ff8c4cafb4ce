"""Pairs that name documents by their ids: what is joined, and what becomes of ids that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from corpus.settings import SettingsError, parse_settings
from pipelines.sources import document_join, document_pairs
from pipelines.sources.document_join import Documents, DocumentsSettings, NamedIds
from pipelines.sources.generic_pairs import GenericPairsReader, GenericPairsSource
from pipelines.sources.json_records import BadRecords
from pipelines.sources.not_read import NotRead
from tests.helpers.given_rows import images, rows_of, texts, write_lines

MAPPING = """
kind: jsonl
query: {text: question}
positive: {documents: right}
negatives: [{documents: wrong}, {text: spare}]
id: id
documents: {id: did, text: "{title}: {text}", images: pictures}
"""


def source(folder: Path, **settings: Any) -> GenericPairsReader:
    mapping = yaml.safe_load(MAPPING)
    mapping["documents"]["files"] = [str(folder / "corpus")]
    return GenericPairsReader(
        parse_settings({**mapping, "files": [str(folder / "queries")], **settings}, GenericPairsSource)
    )


def write(folder: Path, queries: list[Any], corpus: list[Any]) -> None:
    queries = [{"id": None, "spare": None, **each} if isinstance(each, dict) else each for each in queries]
    for name, records in (("queries", queries), ("corpus", corpus)):
        (folder / name).mkdir(exist_ok=True)
        write_lines(folder / name / "a.jsonl", records)


def document(did: Any, text: str | None = "says so", **more: Any) -> dict[str, Any]:
    return {"did": did, "text": text, "title": None, "pictures": None, **more}


def test_pairs_are_joined_with_their_documents(tmp_path: Path) -> None:
    corpus = [
        document("d1", "one", title="First", pictures=["1.jpg", "1b.jpg"]),
        document(2, "two"),
        document("d3", None, pictures="3.jpg"),
        document("unnamed", "nobody asks for it"),
    ]
    queries = [
        {"id": 7, "question": "what?", "right": ["d1", 2], "wrong": ["d3"], "spare": "none of these"},
        {"id": 8, "question": "which?", "right": 2, "wrong": [], "spare": None},
    ]
    write(tmp_path, queries, corpus)
    rows = source(tmp_path)
    found = rows_of(rows)
    assert [(*texts(row), images(row), row["key"], row["line"]) for row in found] == [
        ("what?", "First: one", ["", "none of these"], ["1.jpg", "1b.jpg", "3.jpg"], "7", 1),
        ("what?", "two", ["", "none of these"], ["3.jpg"], "7", 1),
        ("which?", "two", [], [], "8", 2),
    ]
    assert rows.notes["documents"] == {"kept": 3, "named": 3, "read": 4}


def test_an_id_that_is_no_document_has_a_reason_and_the_rest_stays(tmp_path: Path) -> None:
    corpus = [
        document("good"),
        document("good"),  # again, the same
        document("two faces", "one"),
        document("two faces", "another"),
        document("nothing", None),
        document("same as good"),
        document("other", "no such thing"),
        document("odd", {"no": "text"}),
        {"text": "without an id"},
    ]
    bad = ["gone", "two faces", "nothing", "odd"]
    queries = [
        {"question": "q0", "right": ["good", "same as good", "gone"], "wrong": [*bad, "good", "other", "other"]},
        *({"question": f"q{at}", "right": name, "wrong": []} for at, name in enumerate(bad, 1)),
        {"question": "q5", "right": [], "wrong": []},
        {"question": "", "right": "good", "wrong": []},
        {"question": "q7", "right": {"no": "id"}, "wrong": []},
        "nonsense",
    ]
    write(tmp_path, queries, corpus)
    rows = source(tmp_path)
    (row,) = rows_of(rows)
    assert texts(row) == ("q0", "says so", ["no such thing"])
    assert rows.counts == {
        "read": 11,
        "duplicate_positive": 1,
        "missing_document": 3,  # of the first query one of three, `gone` alone, and one that is no text
        "ambiguous_document": 1,
        "empty_document": 1,
        "no_positive": 1,
        "no_query": 1,
        "bad_text": 1,
        "not_json": 1,
    }
    assert rows.notes["negatives"] == {
        "negative_missing_document": 2,
        "negative_ambiguous_document": 1,
        "negative_empty_document": 1,
        "negative_equals_positive": 1,
        "duplicate_negative": 1,
        "negatives_kept": 1,
    }
    assert rows.notes["documents"] == {
        **{"read": 9, "named": 7, "kept": 5, "repeated": 2},
        **{"ambiguous": 1, "malformed": 1, "without_id": 1},
    }
    messages = "\n".join(rows.notes["faults"])
    assert "a.jsonl, line 2: missing_document: document gone" in messages
    assert "a.jsonl, line 8: bad_text: document odd" in messages


def test_of_several_positives_one_is_drawn_by_seed(tmp_path: Path) -> None:
    queries = [{"question": f"q{at}", "right": ["a", "b", "gone"], "wrong": ["a", "n"]} for at in range(20)]
    queries.append({"question": "none", "right": ["gone", "away"], "wrong": []})
    write(tmp_path, queries, [document(name, name) for name in "abn"])
    drawn = {}
    for seed in (0, 1):
        rows = source(tmp_path, positives="one", seed=seed)
        found = rows_of(rows)
        assert rows.counts == {"read": 21, "missing_document": 1}
        assert all(texts(row)[2] == ["n"] for row in found), "what is a positive of the query is no negative of it"
        drawn[seed] = [row["positive"]["text"] for row in found]
        assert drawn[seed] == [row["positive"]["text"] for row in rows_of(source(tmp_path, positives="one", seed=seed))]
    assert set(drawn[0]) == {"a", "b"} and drawn[0] != drawn[1]


def test_many_documents_come_through_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of the file that holds them, blocks of rows and the gathered ids end in the middle of everything."""
    for module, name, value in (
        (document_join, "_BLOCK", 7),
        (document_join, "_BATCH", 16),
        (document_join, "_MERGE", 20),
        (document_pairs, "_BLOCK", 5),
    ):
        monkeypatch.setattr(module, name, value)
    rng = np.random.default_rng(3)
    corpus = [document(f"d{at}", f"text {at}") for at in rng.permutation(300)]
    named = rng.integers(0, 330, (120, 3))
    queries = [
        {"question": f"q{at}", "right": f"d{ids[0]}", "wrong": [f"d{n}" for n in ids[1:]]}
        for at, ids in enumerate(named)
    ]
    write(tmp_path, queries, corpus)
    rows = source(tmp_path)
    found = rows_of(rows)
    expected = []
    for at, (right, *wrong) in enumerate(named.tolist()):
        if right < 300:
            kept = list(dict.fromkeys(n for n in wrong if n < 300 and n != right))
            expected.append((f"q{at}", f"text {right}", [f"text {n}" for n in kept]))
    assert [texts(row) for row in found] == expected
    assert rows.counts == {"read": 120, "missing_document": int((named[:, 0] >= 300).sum())}
    assert rows.notes["documents"]["kept"] == len({n for n in named.ravel().tolist() if n < 300})


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
