"""Readers of strangers' Parquet: metadata of image sets, and sets of pairs."""

from __future__ import annotations

import contextlib
import decimal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.settings import SettingsError
from corpus.storage import StorageError
from pipelines.sources.documents import DocumentsReader, DocumentsSource
from pipelines.sources.generic_pairs import GenericPairsReader, GenericPairsSource
from pipelines.sources.laion import LaionReader, LaionSource
from pipelines.sources.mmeb import Mme5Source, MmebReader, MmebSource
from pipelines.sources.text_pairs import TextPairsReader, TextPairsSource

from ..formats import PARQUET
from ..tabular import odd_table
from ..target import Reader, Target
from .archives import parquet_of

_REFUSALS = (SettingsError, StorageError)


def _rows(source: Callable[[str], Any], tables: Iterable[pa.Table], folder: Path) -> Reader:
    """All rows, and the notes, of a source with one file."""
    path = folder / "a.parquet"
    path.write_bytes(b"")

    def read(data: bytes) -> object:
        path.write_bytes(data)
        rows = source(str(path))
        rows.identity()
        with contextlib.suppress(SettingsError):  # which `shards` raises too, where it can't do without
            rows.check()
        count = sum(len(table) for table in rows.shards())
        return count, dict(rows.counts), getattr(rows, "notes", None)

    seeds = [parquet_of(table, **options) for table in tables for options in _LAYOUTS]
    return Reader(read, seeds, _REFUSALS, (*PARQUET, *[odd_table] * 4))


_LAYOUTS: tuple[dict[str, Any], ...] = (
    {"compression": "none"},
    {"compression": "snappy", "row_group_size": 2, "data_page_version": "2.0"},
    {"compression": "zstd", "use_dictionary": False, "write_statistics": False, "store_schema": False},
)


def _laion(folder: Path) -> Reader:
    urls = ["http://example.com/a.jpg", "https://example.com/é.png", "", None]
    plain = {"URL": urls, "TEXT": ["a", "é", None, ""], "WIDTH": [1, 2, None, 2**40], "HEIGHT": [1.0, None, 2.5, 1e300]}
    odd = {
        "url": pa.array(urls, pa.string_view()),
        "caption": pa.array(["a", "b", "a", None]).dictionary_encode(),
        "similarity": pa.array([decimal.Decimal("0.31"), None, decimal.Decimal(1), decimal.Decimal(0)]),
        "punsafe": pa.array([1, 0, None, 200], pa.uint64()),
        "key": pa.array([b"\xff", b"1", None, b""], pa.binary()),
        "nsfw": pa.array([[1], [], None, [2, 3]]),
    }
    text = "similarity > 0.3 and punsafe < 0.5 or width >= 1"
    tables = [pa.table({**plain, "similarity": [0.3, None, 1.0, 0.0], "punsafe": [0.1, 0.2, None, 1.0]}), pa.table(odd)]

    def source(path: str) -> LaionReader:
        return LaionReader(LaionSource(kind="laion", files=(path,), filter=text, sample_rows=3))

    return _rows(source, tables, folder)


def _mapped(folder: Path) -> Reader:
    given: dict[str, Any] = {
        "kind": "parquet",
        "query": {"text": "{title}: {question}"},
        "positive": {"text": "answer.text", "images": "picture"},
        "negatives": [{"text": "others.text"}],
        "label": "label",
        "id": "id",
    }
    tables = [
        pa.table(
            {
                "title": ["a", None, "é"],
                "question": pa.array(["b", "c", ""], pa.large_string()),
                "answer": [{"text": "x"}, {"text": None}, None],
                "picture": [{"bytes": b"\x89PNG", "path": "a.png"}, None, {"bytes": None, "path": "b.png"}],
                "others": [[{"text": "y"}, {"text": "z"}], [], None],
                "label": pa.array(["l", "m", "l"]).dictionary_encode(),
                "id": pa.array([1, 2**62, None]),
            }
        ),
        pa.table(
            {
                "title": pa.array([b"a", b"\xff", None], pa.binary()),
                "question": pa.array([decimal.Decimal("1.5"), None, None]),
                "answer": pa.array([[("text", "x")], None, [("other", "y")]], pa.map_(pa.string(), pa.string())),
                "picture": pa.array(["a.png", None, "b.png"], pa.string_view()),
                "others": pa.array([[{"text": 1}], [], None]),
                "label": pa.array([True, None, False]),
                "id": pa.array([0, -(2**62), None], pa.timestamp("us")),
            }
        ),
    ]
    return _rows(lambda path: GenericPairsReader(GenericPairsSource(files=(path,), **given)), tables, folder)


def _six_fields(lists: bool) -> pa.Table:
    negatives = [["y", ""], ["z"]]
    return pa.table(
        {
            "qry": ["<|image_1|>\nRepresent the given image.", "Find it."],
            "qry_image_path": ["images/a.jpg", None],
            "pos_text": ["a dog", ""],
            "pos_image_path": ["", "images/b.jpg"],
            "neg_text": negatives if lists else [str(each) for each in negatives],
            "neg_image_path": [["", ""], ["images/c.jpg"]] if lists else ["['', '']", "['images/c.jpg']"],
        }
    )


def _mmeb(folder: Path) -> Reader:
    def source(path: str) -> MmebReader:
        return MmebReader(MmebSource(kind="mmeb", subsets={"ImageNet_1K": {"files": [path]}}))

    return _rows(source, [_six_fields(True), _six_fields(False)], folder)


def _mme5(folder: Path) -> Reader:
    def source(path: str) -> MmebReader:
        return MmebReader(Mme5Source(kind="mme5", subsets={"Retrieval": {"files": [path]}}))

    tables = [table.append_column("modality", pa.array(["IT2T", "T2I"])) for table in map(_six_fields, (True, False))]
    return _rows(source, tables, folder)


def _text_pairs(folder: Path) -> Reader:
    passages = [[{"docid": "1", "title": "t", "text": "x"}], [{"docid": None, "title": None, "text": ""}]]
    table = pa.table(
        {
            "query_id": ["1", "2"],
            "query": ["who", "é"],
            "positive_passages": passages,
            "negative_passages": [*passages[::-1]],
        }
    )

    def source(path: str) -> TextPairsReader:
        return TextPairsReader(TextPairsSource(kind="text_pairs", files=(path,), format={"kind": "tevatron"}))

    return _rows(source, [table], folder)


def _documents(folder: Path) -> Reader:
    tables = [
        pa.table(
            {"query": ["a", None], "image": [{"bytes": b"\xff\xd8", "path": "p"}, None], "image_filename": ["a", "b"]}
        ),
        pa.table({"query": ["a", "b"], "pdf": ["a.pdf", ""], "page": pa.array([1, None], pa.int64())}),
        pa.table({"query": ["a", "b"], "pdf": ["a.pdf", "b"], "page": ["1", "é"]}),
    ]
    return _rows(lambda path: DocumentsReader(DocumentsSource(kind="documents", files=(path,))), tables, folder)


TARGETS = (
    Target("tables.laion", 6_000, _laion),
    Target("tables.mapped", 5_000, _mapped),
    Target("tables.mmeb", 4_000, _mmeb),
    Target("tables.mme5", 3_000, _mme5),
    Target("tables.text_pairs", 4_000, _text_pairs),
    Target("tables.documents", 4_000, _documents),
)
