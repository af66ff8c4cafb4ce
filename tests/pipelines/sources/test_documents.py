"""Queries and the pages that answer them, in the public forms; and their pages found again by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.sources.documents import DocumentsReader, DocumentsSource
from pipelines.sources.images.parquet import ParquetImages, ParquetImagesSettings
from pipelines.sources.images.pdf import PdfImages, PdfImagesSettings
from tests.helpers.given_rows import images, rows_of, write_lines
from tests.helpers.small_pdfs import three_pages, write

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def source(folder: Path, **settings: Any) -> DocumentsReader:
    return DocumentsReader(parse_settings({"kind": "documents", "files": [str(folder)], **settings}, DocumentsSource))


def colpali(path: Path) -> None:
    """As its card says: the columns that matter, and some that don't; images in the file, `page` a string."""
    columns = {
        "image": pa.array([{"bytes": b"one", "path": None}, {"bytes": b"two", "path": "2.jpg"}] * 2, IMAGE),
        "image_filename": ["images/1810.10511_1.jpg", "data/doc.pdf", "x.jpg", "y.jpg"],
        "query": ["What is shown?", None, " ", "Which year?"],
        "answer": ["B", None, None, "1995"],
        "source": ["arxiv_qa", "pdf", "pdf", "pdf"],
        "options": ["['A. x']", None, None, None],
        "page": ["", "7", "8", "9"],
        "model": ["gpt4V"] * 4,
    }
    pq.write_table(pa.table(columns), path, row_group_size=3)


def test_colpali_names_pages_by_their_rows(tmp_path: Path) -> None:
    colpali(tmp_path / "train-00000.parquet")
    rows = source(tmp_path, licence="mit")
    found = rows_of(rows)
    assert [(row["query"]["text"], images(row), row["key"], row["line"]) for row in found] == [
        ("What is shown?", ["train-00000.parquet#row=1"], "images/1810.10511_1.jpg", 1),
        ("Which year?", ["train-00000.parquet#row=4"], "y.jpg", 4),
    ]
    assert all(row["positive"]["text"] == "" and row["licence"] == "mit" for row in found)
    assert rows.counts == {"read": 4, "no_query": 2} and not rows.bad_records
    resolver = ParquetImages(ParquetImagesSettings(paths=(str(tmp_path),)))
    assert [one.data for _, one in resolver.open(100)([name for row in found for name in images(row)])] == [
        b"one",
        b"two",
    ]


def test_visrag_and_only_some_of_its_sources(tmp_path: Path) -> None:
    columns = {
        "query": ["a", "b", "c"],
        "image": pa.array([b"1", b"2", b"3"], pa.binary()),
        "source": ["ArxivQA", "ChartQA", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert [images(row) for row in rows_of(source(tmp_path))] == [[f"a.parquet#row={n}"] for n in (1, 2, 3)]
    rows = source(tmp_path, only_sources=["ChartQA"])
    assert [row["query"]["text"] for row in rows_of(rows)] == ["b"] and rows.counts["other_source"] == 2


def test_images_beside_the_file(tmp_path: Path) -> None:
    image = pa.array([{"bytes": None, "path": "pages/1.png"}, {"bytes": None, "path": None}, None], IMAGE)
    columns = {"query": ["a", "b", "c"], "image": image, "image_filename": ["x.png", "y.png", None]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    write_lines(tmp_path / "b.jsonl", [{"query": "d", "image": "z.png"}, {"query": "e", "image": 5}, {"query": "f"}])
    rows = source(tmp_path)
    assert [images(row) for row in rows_of(rows)] == [["pages/1.png"], ["y.png"], ["z.png"]]
    assert [(Path(fault.file).name, fault.line, fault.reason) for fault in rows.bad_records] == [
        ("a.parquet", 3, "no_image"),
        ("b.jsonl", 2, "bad_text"),
        ("b.jsonl", 3, "no_image"),
    ]


def test_pages_of_pdfs(tmp_path: Path) -> None:
    write(tmp_path / "pdfs" / "2023" / "report.pdf", three_pages())
    queries = [
        {"pdf": "2023/report.pdf", "page": 1, "query": "first?", "answer": "x"},
        {"pdf": "2023/report.pdf", "page": "3", "query": "third?"},
        {"pdf": "2023/report.pdf", "page": 2.0, "query": "second?"},
        {"pdf": "2023/report.pdf", "page": 4, "query": "too far?"},
        {"pdf": "2023/report.pdf", "page": 0, "query": "before the first"},
        {"pdf": "2023/report.pdf", "page": True, "query": "x"},
        {"pdf": "2023/report.pdf", "page": "iv", "query": "x"},
        {"pdf": "2023/report.pdf", "page": None, "query": "x"},
        {"pdf": "2023/report.pdf", "page": 1.5, "query": "x"},
        {"pdf": "", "page": 1, "query": "x"},
        {"pdf": "2023/report.pdf", "page": 1, "query": ""},
    ]
    write_lines(tmp_path / "queries.jsonl", queries)
    rows = source(tmp_path / "queries.jsonl")
    found = rows_of(rows)
    assert [images(row) for row in found] == [[f"2023/report.pdf#page={n}"] for n in (1, 3, 2, 4)]
    assert rows.counts == {"read": 11, "bad_page": 5, "no_image": 1, "no_query": 1}
    counted_from_0 = source(tmp_path / "queries.jsonl", first_page_number=0)
    assert [images(row) for row in rows_of(counted_from_0)][-1] == ["2023/report.pdf#page=1"]
    resolver = PdfImages(PdfImagesSettings(paths=(str(tmp_path / "pdfs"),), longest_side_px=64))
    pages = dict(resolver.open(10**6)([images(row)[0] for row in found]))
    assert [pages[at].reason for at in range(4)] == ["", "", "", "no_page"]


def test_wrong_columns(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"queries": "a", "image": "b"}])
    with pytest.raises(SettingsError, match=r"a\.jsonl: no column 'query'; did you mean 'queries'\? it has image, qu"):
        rows_of(source(tmp_path))
    write_lines(tmp_path / "a.jsonl", [{"query": "a", "img": "b"}])
    with pytest.raises(SettingsError, match=r"a\.jsonl: no column 'image'; did you mean 'img'\?"):
        rows_of(source(tmp_path))
    assert [images(row) for row in rows_of(source(tmp_path, image="img"))] == [["b"]]
    write_lines(tmp_path / "a.jsonl", [{"query": "a", "pdf": "b"}])
    with pytest.raises(SettingsError, match=r"a\.jsonl: no column 'page'"):
        rows_of(source(tmp_path))
    with pytest.raises(SettingsError, match=r"no column 'source'"):
        write_lines(tmp_path / "a.jsonl", [{"query": "a", "image": "b"}])
        rows_of(source(tmp_path, only_sources=["x"]))
