"""Tevatron's newer sets: queries that name the documents of another set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.sources.tevatron import TEVATRON_SETS, TevatronReader, TevatronSource
from tests.helpers.cases import cases
from tests.helpers.given_rows import images, rows_of, texts

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def source(folder: Path, **settings: Any) -> TevatronReader:
    where = {"files": [str(folder / "queries")], "corpus": [str(folder / "corpus")]}
    return TevatronReader(parse_settings({"kind": "tevatron", **where, **settings}, TevatronSource))


def write(folder: Path, queries: dict[str, Any], corpus: dict[str, Any]) -> None:
    for name, columns in (("queries", queries), ("corpus", corpus)):
        (folder / name).mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), folder / name / f"{name}-00000-of-00001.parquet")


def test_queries_for_pages(tmp_path: Path) -> None:
    queries = {
        "query_id": ["0", "1"],
        "query_text": ["How many?", None],
        "query_image": pa.array([None, None], IMAGE),
        "positive_document_ids": [["1"], ["0"]],
        "negative_document_ids": [["0", "7"], []],
        "source": ["x", "y"],
    }
    pages = [{"bytes": bytes([at]), "path": None} for at in range(2)]
    write(tmp_path, queries, {"docid": ["0", "1"], "image": pa.array(pages, IMAGE)})
    rows = source(tmp_path)
    (row,) = rows_of(rows)
    assert texts(row) == ("How many?", "", [""]) and row["key"] == "0"
    assert images(row) == [f"corpus-00000-of-00001.parquet#row={at}" for at in (2, 1)]
    assert rows.counts == {"read": 2, "no_query": 1}
    assert rows.notes["negatives"] == {"negative_missing_document": 1, "negatives_kept": 1}


def test_queries_for_passages_and_documents_of_video(tmp_path: Path) -> None:
    """The text of a query may be called `query`; there may be no image; a video is nothing that is read."""
    queries = {"query": ["a", "b"], "positive_document_ids": [["t", "v"], ["v"]]}
    corpus = {"docid": ["t", "v"], "text": ["passage", None], "video": [None, "v.mp4"]}
    write(tmp_path, queries, corpus)
    rows = source(tmp_path)
    assert [texts(row) for row in rows_of(rows)] == [("a", "passage", [])]
    assert rows.counts == {"read": 3, "empty_document": 2}


@cases("name", sorted(TEVATRON_SETS))
def test_presets_say_where_a_set_lies(name: str) -> None:
    settings = parse_settings({"kind": "tevatron", "preset": name}, TevatronSource)
    assert settings.files == (f"hf://datasets/Tevatron/{TEVATRON_SETS[name].queries}/data/train-*.parquet",)
    assert settings.corpus == (f"hf://datasets/Tevatron/{TEVATRON_SETS[name].corpus}/data/train-*.parquet",)
    assert (settings.images is not None) == (name != "msmarco-passage")
    if settings.images is not None:
        assert settings.images.parquet is not None and settings.images.parquet.paths == settings.corpus


def test_what_a_preset_says_can_be_replaced(tmp_path: Path) -> None:
    settings = parse_settings({"kind": "tevatron", "preset": "colpali", "corpus": ["/data/pages"]}, TevatronSource)
    assert settings.images is not None and settings.images.parquet is not None
    assert settings.images.parquet.paths == ("/data/pages",) == settings.corpus
    with pytest.raises(SettingsError, match="no preset 'colpaly'; there are colpali, msmarco-passage"):
        parse_settings({"kind": "tevatron", "preset": "colpaly"}, TevatronSource)
    with pytest.raises(SettingsError, match="of the queries and of the corpus lie, or name a preset"):
        parse_settings({"kind": "tevatron", "files": ["x"]}, TevatronSource)
    write(tmp_path, {"query_id": ["0"], "positive_document_ids": [["0"]]}, {"docid": ["0"], "text": ["t"]})
    with pytest.raises(SettingsError, match=r"queries-.*\.parquet: no column 'query_text'"):
        source(tmp_path).check()
