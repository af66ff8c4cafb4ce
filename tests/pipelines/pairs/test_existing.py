"""Pairs that a set gives: nothing of them is lost, and an image stands for all its duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.bisection import run_rows
from corpus.schema import PAIR_SCHEMA, Task, item_id, table_schema
from corpus.stage import ITEMS, ROWS, VERDICT, Shard
from corpus.storage import Store
from pipelines.pairs.existing import ExistingPairs, ExistingPairSettings, existing_pairs
from pipelines.sources.pair_rows import Side, SourcePair, pairs_table

A, B, C, D = (item_id(name.encode()) for name in "abcd")
# name -> item, status, reason, representative
IMAGES: dict[str, tuple[bytes | None, str, str, bytes | None]] = {
    "a.jpg": (A, "kept", "", None),
    "a-again.jpg": (D, "duplicate", "near_duplicate", A),
    "b.jpg": (B, "kept", "", None),
    "c.jpg": (C, "filtered", "blurred", None),
    "gone.jpg": (None, "failed", "missing_image", None),
}


def image_tables() -> dict[str, pa.Table]:
    """The tables of the images that the pairs may name."""
    names = list(IMAGES)
    items, statuses, reasons, stand_ins = zip(*IMAGES.values(), strict=True)
    digests = [None if item is None else item + bytes(16) for item in items]
    return {
        ITEMS: pa.table(
            {
                "image": names,
                "item_id": pa.array(items, pa.binary(16)),
                "downloaded_sha256": pa.array(digests, pa.binary(32)),
            }
        ),
        VERDICT: pa.table(
            {"representative": pa.array(stand_ins, pa.binary(16)), "status": statuses, "reason": reasons}
        ),
    }


def made(pairs: Sequence[SourcePair], **settings: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows that the stage makes of pairs, and its notes."""
    chosen = ExistingPairSettings(**{"kind": "existing_pairs", "source": "s", "task": Task.IMAGE_RETRIEVAL, **settings})
    rows = {ROWS: pairs_table(pairs), "texts": pairs_table(pairs)}
    shard = Shard("s", "000000", 0, np.arange(len(pairs)), rows, Store("/"), side_inputs=image_tables())
    table = ExistingPairs("d", chosen, images=True).setup()(shard)
    assert table.cast(table_schema(PAIR_SCHEMA)).num_rows == len(pairs)
    return table.to_pylist(), shard.metrics["pairs"]


def triple(query: str = "a.jpg", positive: str = "b.jpg", negatives: Sequence[str] = (), text: str = "t") -> SourcePair:
    return SourcePair(Side(text, (query,)), Side("", (positive,)), tuple(Side("", (name,)) for name in negatives))


def test_a_pair_as_it_is_given() -> None:
    pair = SourcePair(
        Side(" redder ", ("a.jpg",)),
        Side("", ("b.jpg",)),
        (Side("", ("a.jpg",)), Side("other words", ("a.jpg",))),
        instruction="Find it.",
        label="dog",
        url="http://example.org/1",
        licence="CC0",
    )
    (row,), notes = made([pair], query_instruction="Q", positive_instruction="P")
    assert row["query"] == {"instruction": "Q", "text": "redder", "items": [A], "clip": None}
    assert row["positive"] == {"instruction": "P", "text": "", "items": [B], "clip": None}
    assert [(n["items"], n["text"], n["origin"]) for n in row["negatives"]] == [
        ([A], "", "given"),  # the query's own image, on purpose
        ([A], "other words", "given"),
    ]
    assert (row["label"], row["source_url"], row["licence"]) == ("dog", "http://example.org/1", "CC0")
    assert row["source_sha256"] == B + bytes(16)
    assert (row["status"], row["reason"], notes) == ("kept", "", {"negatives_kept": 2})
    (own,), _ = made([pair], query_instruction="Q", use_source_instruction=True)
    assert own["query"]["instruction"] == "Find it."
    (both,), _ = made(
        [replace(pair, positive_instruction="Say it: ")], positive_instruction="P", use_source_instruction=True
    )
    assert both["positive"]["instruction"] == "Say it: "
    assert own["positive"]["instruction"] == "", "what the settings say, where the set says nothing"
    assert (own["positive_score"], own["in_batch_negatives"]) == (0.0, True)
    (marked,), _ = made([replace(pair, positive_score=0.5, in_batch_negatives=False)])
    assert (marked["positive_score"], marked["in_batch_negatives"]) == (0.5, False)


def test_a_duplicate_is_replaced_and_the_same_pair_is_one() -> None:
    rows, _ = made([triple("a.jpg"), triple("a-again.jpg"), triple("a.jpg", text="u")])
    assert [row["query"]["items"] for row in rows] == [[A]] * 3
    assert rows[0]["pair_id"] == rows[1]["pair_id"] != rows[2]["pair_id"]


@pytest.mark.parametrize(
    ("pair", "status", "reason"),
    [
        (triple("gone.jpg"), "failed", "query_missing_image"),
        (triple(positive="c.jpg"), "filtered", "positive_blurred"),
        (SourcePair(Side(" "), Side("x")), "filtered", "empty_query"),
        (SourcePair(Side("x"), Side("")), "filtered", "empty_positive"),
        (triple("a.jpg", "a-again.jpg", text=""), "filtered", "query_equals_positive"),
        (triple("a.jpg", "a-again.jpg"), "filtered", "positive_is_query_image"),
    ],
)
def test_what_cannot_be_a_pair_says_why(pair: SourcePair, status: str, reason: str) -> None:
    (row, good), _ = made([pair, triple()])
    assert (row["status"], row["reason"], row["pair_id"]) == (status, reason, None)
    assert good["status"] == "kept"


def test_a_text_about_the_image_of_the_query_is_no_copy_of_it() -> None:
    answer = SourcePair(Side("what is it?", ("a.jpg",)), Side("a dog", ("a-again.jpg",)))
    assert [row["status"] for row in made([answer, SourcePair(Side("x"), Side("y"))])[0]] == ["kept", "kept"]


def test_negatives_that_are_none_are_counted() -> None:
    given = ["b.jpg", "c.jpg", "a.jpg", "a-again.jpg", "gone.jpg"]
    (row,), notes = made([triple(negatives=given)])
    assert [negative["items"] for negative in row["negatives"]] == [[A]]
    assert notes == {
        "negative_equals_positive": 1,
        "negative_blurred": 1,
        "negatives_kept": 1,
        "duplicate_negative": 1,
        "negative_missing_image": 1,
    }
    (strict,), _ = made([triple(negatives=given)], on_missing_image="drop_pair")
    assert (strict["status"], strict["reason"]) == ("filtered", "negative_blurred")
    words = tuple(Side(f"no {number}") for number in range(5))
    (few,), notes = made([SourcePair(Side("q"), Side("p"), words)], max_negatives=2)
    assert [negative["text"] for negative in few["negatives"]] == ["no 0", "no 1"]
    assert notes == {"negatives_kept": 2, "negatives_over_limit": 3}


def test_a_copy_of_the_positive_is_no_negative() -> None:
    for positive, copy in (("a.jpg", "a-again.jpg"), ("a-again.jpg", "a.jpg")):
        (row,), notes = made([triple("b.jpg", positive, ["b.jpg", copy])])
        assert [negative["items"] for negative in row["negatives"]] == [[B]]
        assert notes == {"negatives_kept": 1, "negative_equals_positive": 1}


def test_negatives_have_as_many_images_as_the_positive() -> None:
    """Else samples of one dataset had different fields, and such negatives are told apart by their form alone."""
    mixed = (Side("words"), Side("", ("a.jpg",)), Side("both", ("a.jpg",)), Side("", ("a.jpg", "b.jpg")))
    (image,), notes = made([SourcePair(Side("q"), Side("", ("b.jpg",)), mixed)])
    assert [(n["items"], n["text"]) for n in image["negatives"]] == [([A], ""), ([A], "both")]
    assert notes == {"negatives_kept": 2, "negative_modality_mismatch": 2}
    (text,), notes = made([SourcePair(Side("q"), Side("p"), mixed)])
    assert [(n["items"], n["text"]) for n in text["negatives"]] == [([], "words")]
    assert notes == {"negatives_kept": 1, "negative_modality_mismatch": 3}


def test_text_alone_needs_no_tables_of_images() -> None:
    stage = ExistingPairs(
        "d", ExistingPairSettings(kind="existing_pairs", source="s", task=Task.TEXT_RETRIEVAL), images=False
    )
    assert (stage.reads, stage.side_inputs) == ((ROWS, "texts", "text_duplicates"), ())
    told = SourcePair(Side("q&amp;"), Side("p"), licence="CC0")
    rows = {ROWS: pairs_table([told]), "texts": pairs_table([SourcePair(Side("q"), Side("p"))])}
    (row,) = stage.setup()(Shard("s", "000000", 0, np.arange(1), rows, Store("/"))).to_pylist()
    assert (row["query"]["text"], row["positive"]["text"], row["source_sha256"]) == ("q", "p", None)
    assert row["licence"] == "CC0"


def test_a_row_that_raises_costs_itself_and_the_shard_is_written() -> None:
    pairs = [triple(text=text) for text in ("one", "breaks", "three")]
    rows = pairs_table(pairs)
    rows = rows.set_column(rows.column_names.index("url"), "url", pa.array([f"https://a/{n}" for n in range(3)]))
    settings = ExistingPairSettings(kind="existing_pairs", source="s", task=Task.IMAGE_RETRIEVAL)
    shard = Shard("s", "000000", 0, np.arange(3), {ROWS: rows, "texts": rows}, Store("/"), side_inputs=image_tables())

    def break_one(part: Shard) -> pa.Table:
        if any(query["text"] == "breaks" for query in part["texts"].column("query").to_pylist()):
            raise ValueError("planted")
        return existing_pairs(part, "d", settings)

    table = run_rows(ExistingPairs("d", settings, images=True), break_one, shard)
    assert table.schema == table_schema(PAIR_SCHEMA)
    assert table.column("reason").to_pylist() == ["", "error:ValueError", ""]
    failed = {name: value for name, value in table.to_pylist()[1].items() if value is not None}
    assert failed == {"source_url": "https://a/1", "licence": "", "status": "failed", "reason": "error:ValueError"}


def test_an_image_that_no_row_tells_of_is_a_reason() -> None:
    rows, _ = made([triple(positive="never.jpg")])
    assert (rows[0]["status"], rows[0]["reason"]) == ("failed", "positive_image_failed")
