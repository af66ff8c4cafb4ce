"""The stage `pair_leaks`: which texts of a pair stand alone, and what its media are near to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.schema import ITEM_ID, PAIR_SCHEMA, item_id
from corpus.stage import EVALUATION_INDEX, LEAKS, PAIRS, Shard
from corpus.storage import Store
from filters.decontamination.evaluation import EVALUATION_SCHEMA, NEAR_FIELD
from filters.decontamination.leaks import LeaksSettings
from filters.decontamination.pair_leaks import PairLeaks, pair_texts
from tests.filters.decontamination.test_leaks import pool_of
from tests.helpers.small_worlds import image_pair

ONE, OTHER, FRAME = (item_id(name) for name in (b"one", b"other", b"frame"))


def side(text: str = "", *items: bytes, **more: Any) -> dict[str, Any]:
    return {"instruction": "", "text": text, "items": list(items), **more}


def negative(text: str = "", *items: bytes) -> dict[str, Any]:
    return side(text, *items, score=0.0, origin="given")


def pairs(*rows: dict[str, Any]) -> pa.Table:
    made = [image_pair("set", str(number), ONE, **row) for number, row in enumerate(rows)]
    return pa.Table.from_pylist(made, PAIR_SCHEMA)


def test_a_text_stands_alone_unless_it_is_a_question_an_answer_or_a_label() -> None:
    table = pairs(
        {"query": side("a caption"), "positive": side("", ONE), "negatives": []},
        {"query": side("a question", ONE), "positive": side("its answer"), "negatives": [negative("a wrong one")]},
        {"query": side("", ONE), "positive": side("a caption"), "negatives": [negative("of another image")]},
        {"query": side("", ONE), "positive": side("golden retriever dog"), "label": "golden retriever dog"},
        {"query": side("a query"), "positive": side("a passage"), "negatives": []},
    )
    row, texts, alone = pair_texts(table)
    assert {
        (at, text): flag for at, text, flag in zip(row.tolist(), texts.to_pylist(), alone.tolist(), strict=True)
    } == {
        (0, "a caption"): True,
        (1, "a question"): False,
        (1, "its answer"): False,
        (1, "a wrong one"): False,
        (2, "a caption"): True,
        (2, "of another image"): True,
        (3, "golden retriever dog"): False,
        (4, "a query"): True,
        (4, "a passage"): False,
    }


def test_media_of_all_sides_are_looked_up_and_the_nearest_counts(tmp_path: Path) -> None:
    entry = {"set": "bench", "way": "hash"}
    near = [
        {"ids": [ONE], "near": [{**entry, "name": "far", "value": 5.0}]},
        {
            "ids": [FRAME, OTHER],
            "near": [{**entry, "name": "near", "value": 2.0}, {**entry, "set": "b", "name": "x", "value": 0.0}],
        },
        {"ids": [item_id(b"clean")], "near": []},
    ]
    leaks = pa.Table.from_pylist(near, pa.schema([pa.field("ids", pa.list_(ITEM_ID)), NEAR_FIELD]))
    pools = {
        LEAKS: pool_of(tmp_path, "leaks", leaks.slice(0, 1), leaks.slice(1)),
        EVALUATION_INDEX: pool_of(tmp_path, "index", EVALUATION_SCHEMA.empty_table()),
    }
    table = pairs(
        {"query": side("", ONE), "positive": side("", OTHER), "negatives": []},
        {"query": side("t"), "positive": side("p"), "negatives": [negative("", FRAME)]},
        {"query": side("t"), "positive": side("", item_id(b"clean")), "negatives": []},
    )
    shard = Shard("web", "000000", 0, np.arange(3), {PAIRS: table}, Store(tmp_path), pools=pools)
    found = PairLeaks(LeaksSettings()).setup()(shard).column(NEAR_FIELD.name).to_pylist()
    both = [("b", "x", "hash", 0.0), ("bench", "near", "hash", 2.0)]
    assert [[tuple(each.values()) for each in row] for row in found] == [both, both, []]
