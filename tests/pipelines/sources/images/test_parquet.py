"""Images that lie in Parquet files, alone or in lists."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from corpus.settings import parse_settings
from pipelines.sources.generic_pairs import GenericPairsReader, GenericPairsSource
from pipelines.sources.images.parquet import ParquetImages, ParquetImagesSettings
from tests.helpers.given_rows import images, rows_of, write_lines
from tests.helpers.mapped_pairs import source


def test_parquet_with_images_in_it(tmp_path: Path) -> None:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "question": pa.array(["a", "b", "c"]),
        "image": pa.array([{"bytes": b"1", "path": "1.jpg"}, {"bytes": b"2", "path": None}, None], image),
        "second": pa.array([b"3", b"4", None], pa.binary()),
        "outside": pa.array([{"bytes": None, "path": f"{n}.jpg"} for n in range(3)], image),
        "answers": pa.array([{"text": ["x", "y"]}, {"text": []}, {"text": None}]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=2)
    mapping = """{kind: parquet, query: {text: question, images: [image, second, outside]},
    positive: {text: "{answers.text.0} {question}"}}"""
    found = rows_of(source(tmp_path, mapping))
    assert [images(row) for row in found] == [
        ["a.parquet#row=1", "a.parquet#row=1&column=second", "0.jpg"],
        ["a.parquet#row=2", "a.parquet#row=2&column=second", "1.jpg"],
        ["2.jpg"],  # nothing in its row group
    ]
    assert [row["positive"]["text"] for row in found] == ["x a", "b", "c"]


def test_files_in_which_images_lie_are_not_said_to_be_left_out(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"q": "a", "p": "x.jpg"}])
    for name in ("x.jpg", "b.tar", "c.csv"):
        (tmp_path / name).write_bytes(b"x")
    mapping = "{kind: jsonl, query: {text: q}, positive: {images: p}}"
    for where, files in ((None, 3), ({"archives": {"paths": [str(tmp_path)]}}, 1)):
        found = source(tmp_path, mapping, images=where)
        assert len(rows_of(found)) == 1 and found.notes["not_read"]["files"] == {"unsupported_extension": files}


@pytest.mark.parametrize("plain", [False, True])
def test_lists_of_images_in_parquet_are_read_in_their_order(tmp_path: Path, plain: bool) -> None:
    """As sets of pages have them: `images: list<struct<bytes, path>>`, of one or two; or a list of the bytes alone."""
    pages = [[b"page 0", b"page 1"], [b"page 2"], None, []]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [rows and [{"bytes": data, "path": None} for data in rows] for rows in pages]
    images = pa.array(pages if plain else rows, pa.list_(pa.binary() if plain else struct))
    texts = pa.array([[{"user": f"q{n}"}, {"user": "more"}] for n in range(4)])
    file = tmp_path / "train-0.parquet"
    pq.write_table(pa.table({"images": images, "texts": texts}), file, row_group_size=3)
    settings = f"{{kind: parquet, files: ['{file}'], query: {{text: texts.0.user}}, positive: {{images: %s}}}}"
    reader = GenericPairsReader(parse_settings(yaml.safe_load(settings % "images"), GenericPairsSource))
    found = rows_of(reader)
    assert [(row["query"]["text"], len(row["positive"]["images"])) for row in found] == [("q0", 2), ("q1", 1)]
    assert reader.counts == {"read": 4, "no_positive": 2}
    names = [name for row in found for name in row["positive"]["images"]]
    resolver = ParquetImages(ParquetImagesSettings(paths=(str(file),)))
    got = dict(resolver.open(1 << 20)([*names, f"{names[0]}9", names[0].rpartition("&")[0]]))
    assert [got[at].data for at in range(3)] == [b"page 0", b"page 1", b"page 2"]
    assert [got[at].reason for at in (3, 4)] == ["missing_image"] * 2
    first = rows_of(GenericPairsReader(parse_settings(yaml.safe_load(settings % "images.0"), GenericPairsSource)))
    assert [row["positive"]["images"] for row in first] == [[names[0]], [names[2]]]
