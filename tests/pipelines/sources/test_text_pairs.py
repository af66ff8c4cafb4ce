"""Sets of texts in the forms in which they are published, with the traps of each."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.sources import json_records
from pipelines.sources.text_pairs import PRESETS, TextPairsReader, TextPairsSource
from tests.helpers.given_rows import rows_of, texts, write_lines

FLAG = [
    {
        "query": "who wrote Emma",
        "pos": ["Jane Austen wrote Emma.", " ", "jane austen wrote emma. "],
        "neg": ["Emma Stone is an actress.", "JANE AUSTEN WROTE EMMA.", "Emma Stone is an actress. ", ""],
        "prompt": "Find the answer.",
    },
    {"query": "capital of France", "pos": ["Paris.", "It is Paris."], "neg": ["It is paris.", "Lyon."]},
    {"query": "", "pos": ["nobody asked"], "neg": []},
    {"query": "nobody answers", "pos": [], "neg": ["x"]},
    {"query": "no list", "pos": {"text": "x"}},
    '{"query": "cut off',
    ["query", "pos"],
    '{"query": "half a letter \\ud800", "pos": ["x"]}',
    {"query": "one string", "pos": "counts as one", "neg": None},
]


def source(tmp_path: Path, **settings: Any) -> TextPairsReader:
    values = {"kind": "text_pairs", "files": [str(tmp_path)], **settings}
    return TextPairsReader(parse_settings(values, TextPairsSource))


def test_flagembedding_gives_a_pair_for_each_positive(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", FLAG)
    rows = source(tmp_path, format={"kind": "flagembedding"}, licence="CC0")
    found = rows_of(rows)
    assert [texts(row) for row in found] == [
        ("who wrote Emma", "Jane Austen wrote Emma.", ["Emma Stone is an actress."]),
        ("capital of France", "Paris.", ["Lyon."]),
        ("capital of France", "It is Paris.", ["Lyon."]),
        ("one string", "counts as one", []),
    ]
    assert [row["instruction"] for row in found] == ["Find the answer.", "", "", ""]
    assert [(row["file"], row["line"], row["licence"]) for row in found[-1:]] == [(str(path), 9, "CC0")]
    assert rows.counts == {
        "read": 12,
        "empty_positive": 1,
        "duplicate_positive": 1,
        "no_query": 1,
        "no_positive": 1,
        "bad_text": 2,
        "not_json": 1,
        "not_an_object": 1,
    }
    assert rows.notes["texts"] == {
        "empty_negative": 1,
        "negative_equals_positive": 2,
        "duplicate_negative": 1,
        "negatives_kept": 2,
    }
    assert [(fault.line, fault.reason) for fault in rows.bad_records] == [
        (3, "no_query"),
        (4, "no_positive"),
        (5, "bad_text"),
        (6, "not_json"),
        (7, "not_an_object"),
        (8, "bad_text"),
    ]


def test_no_negative_is_another_positive_of_the_row_however_it_is_written(tmp_path: Path) -> None:
    negatives = ["&#111;ne", "<b>Two</b>.", "caf\u00c3\u00a9", "\u200bone", "three"]
    write_lines(tmp_path / "a.jsonl", [{"query": "q", "pos": ["one", "two", "caf\u00e9"], "neg": negatives}])
    rows = source(tmp_path, format={"kind": "flagembedding"})
    assert [texts(row)[1:] for row in rows_of(rows)] == [(text, ["three"]) for text in ("one", "two", "caf\u00e9")]
    assert rows.notes["texts"] == {"negative_equals_positive": 4, "negatives_kept": 1}


def test_one_positive_is_drawn_by_seed(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "a.jsonl", [{"query": f"q{n}", "pos": ["a", "b", "c"], "neg": ["C ", "d"]} for n in range(60)]
    )
    form = {"kind": "flagembedding"}
    rows = source(tmp_path, format=form, positives="one")
    found = rows_of(rows)
    drawn = [row["positive"]["text"] for row in found]
    assert len(drawn) == 60 and all(drawn.count(text) > 8 for text in "abc")
    assert drawn == [row["positive"]["text"] for row in rows_of(source(tmp_path, format=form, positives="one"))]
    assert drawn != [row["positive"]["text"] for row in rows_of(source(tmp_path, format=form, positives="one", seed=1))]
    assert {text for row in found for text in texts(row)[2]} == {"d"}  # not one that another draw would have taken
    assert rows.notes["texts"]["positives_not_drawn"] == 120


def test_tevatron_joins_titles_where_there_are_some(tmp_path: Path) -> None:
    record = {
        "query_id": 17,
        "query": "what is rust",
        "positive_passages": [{"docid": "1", "title": "Rust", "text": "An oxide."}],
        "negative_passages": [
            {"docid": "2", "title": "", "text": "A game."},
            {"docid": "3", "text": "A film."},
            {"docid": "1", "title": "rust", "text": "an oxide."},
        ],
    }
    bare = {"query_id": "18", "query": "and dust", "positive_passages": [{"docid": "4", "text": "Small."}]}
    data = write_lines(tmp_path / "plain", [record, bare]).read_bytes()
    (tmp_path / "plain").unlink()
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(data))
    rows = source(tmp_path, format={"kind": "tevatron"})
    found = rows_of(rows)
    assert [texts(row) for row in found] == [
        ("what is rust", "Rust An oxide.", ["A game.", "A film."]),
        ("and dust", "Small.", []),
    ]
    assert [row["key"] for row in found] == ["17", "18"]
    assert rows.notes["texts"] == {"negative_equals_positive": 1, "negatives_kept": 2}
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(data)[:-9])
    with pytest.raises(SettingsError, match=r"train\.jsonl\.gz: not a whole gzip file"):
        rows_of(source(tmp_path, format={"kind": "tevatron"}))


def test_columns_of_pairs_and_triplets_are_found_by_their_usual_names(tmp_path: Path) -> None:
    triplets = {"anchor": ["a", "b"], "positive": ["p", "q"], "negative_10": ["n", "N"], "negative_2": ["m", "m"]}
    pq.write_table(pa.table(triplets), tmp_path / "triplets.parquet")
    write_lines(tmp_path / "pairs.jsonl", [{"answer": "yes", "query": "really?"}])
    found = rows_of(source(tmp_path, format={"kind": "columns"}))
    assert [texts(row) for row in found] == [
        ("really?", "yes", []),
        ("a", "p", ["m", "n"]),
        ("b", "q", ["m", "N"]),
    ]
    assert [row["line"] for row in found] == [1, 1, 2]
    with pytest.raises(SettingsError, match=r"pairs\.jsonl: no column 'querry'; did you mean 'query'\? it has answer"):
        rows_of(source(tmp_path, format={"kind": "columns", "query": "querry"}))
    write_lines(tmp_path / "pairs.jsonl", [{"utterance": "a", "reply": "b"}])
    with pytest.raises(SettingsError, match=r"pairs\.jsonl: no column is called query.*it has reply, utterance"):
        rows_of(source(tmp_path, format={"kind": "columns"}))


def test_squad_asks_for_passages(tmp_path: Path) -> None:
    row = {
        "id": "5",
        "title": "Oxygen",
        "context": "It is a gas.",
        "question": "What is it?",
        "answers": {"text": ["gas"]},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train-0.parquet")
    rows = source(tmp_path, preset="squad")
    assert [(texts(row), row["key"], row["licence"]) for row in rows_of(rows)] == [
        (("What is it?", "It is a gas.", []), "5", "cc-by-sa-4.0")
    ]
    assert rows.identity()["format"]["positive"] == "context"
    form = {"kind": "columns", "query": "question", "positive": "{title}: {context}"}
    (found,) = rows_of(source(tmp_path, preset="squad", format=form, licence="mine"))
    assert texts(found)[1] == "Oxygen: It is a gas." and found["licence"] == "mine"


_PASSAGE = {"docid": "1", "text": "yes"}
# One row of each set, with the columns that its card or its loading script names.
PUBLISHED: dict[str, dict[str, Any]] = {
    "msmarco": {
        "query_id": "7",
        "query": "really?",
        "positive_passages": [_PASSAGE],
        "negative_passages": [{**_PASSAGE, "text": "no"}],
    },
    "nq": {"query": "really?", "answer": "yes"},
    "hotpotqa": {"anchor": "really?", "positive": "yes", "negative": "no"},
    "triviaqa": {"query": "really?", "answer": "yes"},
    "squad": {"id": "7", "title": "t", "context": "yes", "question": "really?", "answers": {"text": ["y"]}},
    "fever": {"query": "really?", "positive": "yes", **{f"negative_{number}": "no" for number in range(50)}},
    "allnli": {"anchor": "really?", "positive": "yes", "negative": "no"},
}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_read_the_published_columns(tmp_path: Path, name: str) -> None:
    assert all(
        file.startswith("hf://datasets/") and file.endswith((".parquet", ".jsonl.gz")) for file in PRESETS[name].files
    )
    pq.write_table(pa.Table.from_pylist([PUBLISHED[name]]), tmp_path / "train-0.parquet")
    (found,) = rows_of(source(tmp_path, preset=name))
    negatives = [] if name in ("nq", "triviaqa", "squad") else ["no"]
    assert texts(found) == ("really?", "yes", negatives)
    assert found["key"] == ("7" if name in ("msmarco", "squad") else "")


def test_scores_and_the_mark_of_flagembedding_are_kept(tmp_path: Path) -> None:
    rows = [
        {"query": "q", "pos": ["a", "b"], "neg": ["n"], "pos_scores": [0.5, 0.25], "neg_scores": [0.1]},
        {"query": "r", "pos": ["c"], "neg": [], "pos_scores": [0.5, 0.25], "type": "symmetric_class"},
        {"query": "s", "pos": ["d"], "neg": []},
    ]
    form = {"kind": "flagembedding"}
    for folder in ("plain", "set_no_in_batch_neg"):
        (tmp_path / folder).mkdir()
        write_lines(tmp_path / folder / "a.jsonl", rows)
    kept = {
        folder: [
            (row["positive"]["text"], row["positive_score"], row["in_batch_negatives"])
            for row in rows_of(source(tmp_path / folder, format=form))
        ]
        for folder in ("plain", "set_no_in_batch_neg")
    }
    assert kept["plain"] == [("a", 0.5, True), ("b", 0.25, True), ("c", 0.0, False), ("d", 0.0, True)]
    assert not any(marked for _, _, marked in kept["set_no_in_batch_neg"])


@pytest.mark.parametrize("count", [49, 50])
def test_negatives_of_fever_are_found_by_their_numbers(tmp_path: Path, count: int) -> None:
    row = {"query": "really?", "positive": "yes", **{f"negative_{n}": f"no {n}" for n in range(count)}, "id": "3"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "train-0.parquet")
    (found,) = rows_of(source(tmp_path, preset="fever", max_negatives=None))
    assert texts(found) == ("really?", "yes", [f"no {n}" for n in range(count)])


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_that_guesses_wrong_is_told_so(tmp_path: Path, name: str) -> None:
    """Each of its columns is looked for: none is silently left out. The form in the settings replaces the guess."""
    row = PUBLISHED[name]
    for at, column in enumerate(row):
        others = {("renamed" if key == column else key): value for key, value in row.items()}
        path = tmp_path / f"{at}.parquet"
        pq.write_table(pa.Table.from_pylist([others]), path)
        rows = source(path, preset=name)
        numbered = name == "fever" and column.startswith("negative_")  # as many as there are
        if numbered or column in ("title", "answers", "query_id", "negative_passages"):  # not asked for, or may lack
            assert texts(rows_of(rows)[0])[:2] == ("really?", "yes")
            continue
        with pytest.raises(SettingsError) as raised:
            rows_of(rows)
        message = str(raised.value)
        assert message.startswith(f"{path}: no column {column!r}; ") and "renamed" in message.partition("it has")[2]
        assert message.endswith("; name the columns in `format`")
    form = {"kind": "columns", "query": "q", "positive": "p"}
    pq.write_table(pa.table({"q": ["mine?"], "p": ["yes"]}), tmp_path / "mine.parquet")
    assert texts(rows_of(source(tmp_path / "mine.parquet", preset=name, format=form))[0]) == ("mine?", "yes", [])


def test_what_is_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no preset 'msmarko'; there are .*msmarco"):
        parse_settings({"kind": "text_pairs", "preset": "msmarko"}, TextPairsSource)
    with pytest.raises(SettingsError, match="say where the files lie and their format, or name a preset"):
        parse_settings({"kind": "text_pairs", "files": ["x"]}, TextPairsSource)
    write_lines(tmp_path / "a.jsonl", [])
    write_lines(tmp_path / "b.jsonl", ["nonsense", {}, 5])
    rows = source(tmp_path, format={"kind": "columns"})
    assert rows_of(rows) == []
    assert rows.counts == {"read": 3, "not_json": 1, "no_query": 1, "not_an_object": 1}


def test_negatives_are_bounded_and_samples_are_of_the_seed(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "a.jsonl",
        [{"query": f"q{n}", "pos": [f"p{n}"], "neg": [f"n{m}" for m in range(20)]} for n in range(200)],
    )
    form = {"kind": "flagembedding"}
    rows = source(tmp_path, format=form, sample_rows=20, max_negatives=3)
    found = rows_of(rows)
    assert all(texts(row)[2] == ["n0", "n1", "n2"] for row in found) and len(found) == 20
    assert max(row["line"] for row in found) > 40
    assert rows.counts == {"read": 200, "not_sampled": 180, "duplicate_row": 0}
    assert rows.notes["texts"]["negatives_over_limit"] == 200 * 17


def test_a_line_without_end_costs_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "_MAX_LINE_BYTES", 100)
    lines = [{"query": "x" * 500, "pos": ["y"]}, {"query": "short", "pos": ["z"]}]
    write_lines(tmp_path / "a.jsonl", [{"query": "first", "pos": ["z"]}, *lines])
    rows = source(tmp_path, format={"kind": "flagembedding"})
    assert [texts(row)[0] for row in rows_of(rows)] == ["first", "short"]
    assert rows.counts == {"read": 3, "line_too_long": 1}


def test_parquet_that_is_not_unicode_costs_its_row(tmp_path: Path) -> None:
    query = pa.array([b"good", b"bad \xff", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"query": query, "answer": ["a", "b", "c"]}), tmp_path / "a.parquet")
    rows = source(tmp_path, format={"kind": "columns"})
    assert [(texts(row)[0], row["line"]) for row in rows_of(rows)] == [("good", 1), ("fine", 3)]
    assert [(fault.line, fault.reason) for fault in rows.bad_records] == [(2, "bad_text")]
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not")
    with pytest.raises(SettingsError, match=r"a\.parquet: not a Parquet file"):
        rows_of(source(tmp_path, format={"kind": "columns"}))
