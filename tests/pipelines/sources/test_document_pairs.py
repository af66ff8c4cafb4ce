"""Pairs that name their documents: every id is joined, or has its reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.sources import document_join, document_pairs
from tests.helpers.document_pairs import document, source, write
from tests.helpers.given_rows import images, rows_of, texts


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
