"""The stage `evaluation_index`: the media and texts of a set, of images, of pairs and of clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from corpus.schema import ITEM_ID, item_id
from corpus.stage import ITEMS, ROWS, Gives, Shard
from corpus.storage import Store
from filters.decontamination.evaluation import EVALUATION_SCHEMA
from pipelines.evaluation.index import EvaluationIndex
from pipelines.sources.pair_rows import Side, SourcePair, pairs_table
from tests.helpers.image_rows import random_hash

HASH, BLANK = random_hash("a picture"), 1
IDS = [item_id(name) for name in (b"a", b"b", b"c")]


def items(**columns: list[Any]) -> dict[str, pa.Table]:
    """Three images: one as it should be, a flat one, and one that could not be decoded."""
    stats = {"phash": pa.array([HASH, BLANK, None], pa.uint64()), "contrast": pa.array([40.0, 1.0, None])}
    stats["status"] = pa.array(["kept", "kept", "failed"])
    table = {"item_id": pa.array(IDS, ITEM_ID), **{name: pa.array(values) for name, values in columns.items()}}
    return {ITEMS: pa.table(table), "image_stats": pa.table(stats)}


def index(stage: EvaluationIndex, tables: dict[str, pa.Table], sides: dict[str, pa.Table] | None = None) -> list[Any]:
    rows = next(iter(tables.values())).num_rows
    shard = Shard("bench", "000000", 0, np.arange(rows), tables, Store("."), side_inputs=sides or {})
    table = stage.setup()(shard)
    assert table.schema == EVALUATION_SCHEMA
    assert set(table.column("set").to_pylist()) <= {"bench"}
    return [tuple(row.values())[1:] for row in table.to_pylist()]


def test_of_images_each_is_listed_and_each_text() -> None:
    rows = pa.table({"url": ["u1", "u2", "u3"], "text": ["a &amp; b", None, "of the lost one"]})
    stage = EvaluationIndex("bench", Gives.IMAGES, True, texts=True, frames=False)
    media = [("u1", IDS[0], HASH, None, None), ("u2", IDS[1], None, None, None), ("u3", None, None, None, None)]
    assert index(stage, {ROWS: rows, **items()}) == [
        *media,
        ("u1", None, None, "a & b", True),
        ("u3", None, None, "of the lost one", True),
    ]
    without = EvaluationIndex("bench", Gives.IMAGES, True, texts=False, frames=False)
    assert index(without, {ROWS: rows, **items()}) == media


def test_of_pairs_the_texts_that_stand_alone_are_marked() -> None:
    pairs = [
        SourcePair(Side("what is it", ("f/1.jpg",)), Side("a cat on a mat"), key="7"),
        SourcePair(Side("a caption"), Side("", ("f/2.jpg",)), file="x/set.jsonl", line=3),
        SourcePair(Side("", ("f/1.jpg",)), Side("a label"), label="a label", key="8"),
        SourcePair(Side("", ("f/1.jpg",)), Side("described"), (Side("not described"),), key="9"),
    ]
    sides = items(image=["f/1.jpg", "f/2.jpg", "g/1.jpg"])
    stage = EvaluationIndex("bench", Gives.PAIRS, True, texts=True, frames=False)
    found = index(stage, {ROWS: pairs_table(pairs)}, sides)
    assert [row[:3] for row in found[:3]] == [
        ("f/1.jpg", IDS[0], HASH),
        ("f/2.jpg", IDS[1], None),
        ("g/1.jpg", None, None),
    ]
    assert [(row[0], row[3], row[4]) for row in found[3:]] == [
        ("7", "what is it", False),
        ("set.jsonl:3", "a caption", True),
        ("7", "a cat on a mat", False),
        ("8", "a label", False),
        ("9", "described", True),
        ("9", "not described", True),
    ]
    frames = EvaluationIndex("bench", Gives.PAIRS, True, texts=False, frames=True)
    assert [row[0] for row in index(frames, {ROWS: pairs_table(pairs)}, sides)] == ["f", "f", "g"]


def test_of_clips_each_hashed_frame_is_listed_under_the_video() -> None:
    clips = pa.table(
        {
            "item_id": pa.array([IDS[0], IDS[1], None], ITEM_ID),
            "url": ["a.mp4", "a.mp4", "b.mp4"],
            "hashes": pa.array([[1, 2], [3], None], pa.list_(pa.uint64())),
            "text": ["a man runs", "", None],
            "status": ["kept", "kept", "failed"],
        }
    )
    stage = EvaluationIndex("bench", Gives.CLIPS, False, texts=True, frames=False)
    assert index(stage, {"clips": clips}) == [
        ("a.mp4", IDS[0], 1, None, None),
        ("a.mp4", IDS[0], 2, None, None),
        ("a.mp4", IDS[1], 3, None, None),
        ("b.mp4", None, None, None, None),
        ("a.mp4", None, None, "a man runs", True),
    ]
