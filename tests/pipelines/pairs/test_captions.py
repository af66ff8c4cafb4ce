"""Whose text goes with an image: the source's, the captioner's, both, or one of them by seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.execution import MapJob, ShardTask
from corpus.schema import table_schema
from corpus.stage import ITEMS, ROWS, VERDICT
from corpus.workspace import Workspace
from pipelines.download.images import ITEMS_SCHEMA
from pipelines.pairs.image_text import Pairs, PairSettings
from recaption.schema import CAPTION, CAPTION_SCHEMA
from tests.helpers.pair_rows import KEPT, ROWS_SCHEMA, stored_item


def pairs(root: Path, texts: list[str | None], generated: list[str | None], **settings: Any) -> list[dict[str, Any]]:
    """The pairs of images with these original texts and generated captions."""
    workspace = Workspace(root)
    n = len(texts)
    said = [{"caption": each, "caption_model": "vlm", "prompt": "detailed-01", **KEPT} for each in generated]
    tables = {
        ROWS: pa.Table.from_pylist(
            [{"url": f"u{i}", "text": text, **KEPT} for i, text in enumerate(texts)], ROWS_SCHEMA
        ),
        ITEMS: pa.Table.from_pylist([stored_item(number) for number in range(n)], table_schema(ITEMS_SCHEMA)),
        VERDICT: pa.Table.from_pylist([KEPT] * n, table_schema(pa.schema([]))),
        CAPTION: pa.Table.from_pylist(said, table_schema(CAPTION_SCHEMA)),
    }
    for name, table in tables.items():
        workspace.write_table(f"{name}.parquet", table, {})
    stage = Pairs("captions", PairSettings(source="s", **settings))
    inputs = tuple((name, f"{name}.parquet") for name in stage.reads)
    outcome = MapJob(stage, str(root)).open()(ShardTask("captions", "000000", 0, inputs, "pairs.parquet", "m", {}))
    assert outcome.error == ""
    return workspace.read_table("pairs.parquet").to_pylist()


def said(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """(text, origin, reason) of each pair."""
    return [(pair["query"]["text"], pair["caption_origin"], pair["reason"]) for pair in found]


TEXTS = ["a cat", "IMG_1.jpg", None, None]
CAPTIONS = ["A cat sleeps.", None, "A dog runs.", None]


def test_the_original_text_is_the_default_and_reads_no_captions() -> None:
    assert CAPTION not in Pairs("captions", PairSettings(source="s")).reads


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        (
            "original",
            [
                ("A cat sleeps.", "generated", ""),
                ("IMG_1.jpg", "original", ""),
                ("A dog runs.", "generated", ""),
                ("", "original", "no_text"),
            ],
        ),
        (
            "drop",
            [
                ("A cat sleeps.", "generated", ""),
                ("", "generated", "no_caption"),
                ("A dog runs.", "generated", ""),
                ("", "generated", "no_caption"),
            ],
        ),
    ],
)
def test_generated_captions_and_what_happens_without(
    tmp_path: Path, without: str, expected: list[tuple[str, str, str]]
) -> None:
    found = pairs(tmp_path, TEXTS, CAPTIONS, captions="generated", on_missing_caption=without)
    assert said(found) == expected


def test_both_are_kept_side_by_side(tmp_path: Path) -> None:
    found = pairs(tmp_path, TEXTS, CAPTIONS, captions="both")
    assert said(found) == [
        ("a cat", "original", ""),
        ("A cat sleeps.", "generated", ""),
        ("IMG_1.jpg", "original", ""),
        ("", "original", "no_text"),
        ("A dog runs.", "generated", ""),
        ("", "original", "no_text"),
    ]
    assert [(pair["caption_model"], pair["caption_prompt"]) for pair in found[:2]] == [("", ""), ("vlm", "detailed-01")]
    assert found[0]["positive"]["items"] == found[1]["positive"]["items"]
    assert len({pair["pair_id"] for pair in found}) == len(found)


def test_a_mix_is_drawn_by_the_image_alone(tmp_path: Path) -> None:
    n = 250
    originals, captions = [f"text {i}" for i in range(n)], [f"Caption {i}." for i in range(n)]
    found = pairs(tmp_path / "a", originals, captions, captions="mix", generated_share=0.3)
    generated = {i for i, pair in enumerate(found) if pair["caption_origin"] == "generated"}
    assert [pair["query"]["text"] for pair in found] == [
        captions[i] if i in generated else originals[i] for i in range(n)
    ]
    assert 0.2 * n < len(generated) < 0.4 * n
    more = pairs(tmp_path / "b", originals, captions, captions="mix", generated_share=0.6)
    assert generated < {i for i, pair in enumerate(more) if pair["caption_origin"] == "generated"}
    other = pairs(tmp_path / "c", originals, captions, captions="mix", generated_share=0.3, seed=1)
    assert generated != {i for i, pair in enumerate(other) if pair["caption_origin"] == "generated"}


@pytest.mark.parametrize(("share", "origin"), [(0.0, "original"), (1.0, "generated")])
def test_a_mix_of_one(tmp_path: Path, share: float, origin: str) -> None:
    found = pairs(tmp_path, ["a"] * 9, ["B."] * 9, captions="mix", generated_share=share)
    assert {pair["caption_origin"] for pair in found} == {origin}


def test_personal_data_are_masked_in_texts_of_both_origins(tmp_path: Path) -> None:
    texts, generated = ["a flyer of jane@example.org", "a cat"], ["A sign reads a@b.io.", "A cat."]
    found = said(pairs(tmp_path, texts, generated, captions="both", mask={"kinds": ["email"]}))
    assert [text for text, _, _ in found] == ["a flyer of <email>", "A sign reads <email>.", "a cat", "A cat."]
