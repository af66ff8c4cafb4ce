"""The stage `pairs`: texts of rows and their images become training pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.execution import MapJob, ShardTask
from corpus.schema import PAIR_SCHEMA, pair_id, table_schema
from corpus.stage import ITEMS, ROWS, VERDICT
from corpus.workspace import Workspace
from pipelines.download.images import ITEMS_SCHEMA
from pipelines.pairs.image_text import Pairs, PairSettings
from tests.helpers.pair_rows import KEPT, ROWS_SCHEMA, stored_item

GONE = {"status": "failed", "reason": "http_404"}
DUPLICATE = {"status": "duplicate", "reason": "near"}


def make(
    root: Path, texts: list[str | None], items: list[dict[str, Any]], judged: list[dict[str, Any]], **settings: Any
) -> pa.Table:
    """The pairs that come of these rows, through all that happens around a stage."""
    workspace = Workspace(root)
    rows = [
        {"url": f"http://example.org/{number}", "text": text, "licence": "CC0" if number else None, **KEPT}
        for number, text in enumerate(texts)
    ]
    tables = {
        ROWS: pa.Table.from_pylist(rows, ROWS_SCHEMA),
        ITEMS: pa.Table.from_pylist(items, table_schema(ITEMS_SCHEMA)),
        VERDICT: pa.Table.from_pylist(judged, table_schema(pa.schema([]))),
    }
    for name, table in tables.items():
        workspace.write_table(f"{name}.parquet", table, {})
    stage = Pairs("captions", PairSettings(source="s", **settings))
    inputs = tuple((name, f"{name}.parquet") for name in stage.reads)
    outcome = MapJob(stage, str(root)).open()(ShardTask("captions", "000000", 0, inputs, "pairs.parquet", "m", {}))
    assert outcome.error == ""
    table = workspace.read_table("pairs.parquet")
    assert table.schema == table_schema(PAIR_SCHEMA)
    return table


def test_every_kept_item_with_a_text_becomes_a_pair(tmp_path: Path) -> None:
    items = [stored_item(0), stored_item(1), GONE, stored_item(3), stored_item(4)]
    judged = [KEPT, KEPT, GONE, DUPLICATE, KEPT]
    table = make(tmp_path, ["a cat", "  a dog\n", "never seen", "a cat again", "a bird"], items, judged)
    assert [pair["query"]["text"] for pair in table.to_pylist()] == ["a cat", "a dog", "a bird"]
    first = table.to_pylist()[0]
    assert first == {
        "pair_id": pair_id("captions", "a cat", items[0]["item_id"]),
        "query": {"instruction": "", "text": "a cat", "items": [], "clip": None},
        "positive": {"instruction": "", "text": "", "items": [items[0]["item_id"]], "clip": None},
        "negatives": [],
        "positive_score": 0.0,
        "in_batch_negatives": True,
        "group": "",
        "label": "",
        "caption_origin": "original",
        "caption_model": "",
        "caption_prompt": "",
        "source_url": "http://example.org/0",
        "source_sha256": items[0]["downloaded_sha256"],
        "licence": "",
        "status": "kept",
        "reason": "",
    }
    assert [pair["positive"]["items"] for pair in table.to_pylist()] == [[items[n]["item_id"]] for n in (0, 1, 4)]
    assert [pair["licence"] for pair in table.to_pylist()] == ["", "CC0", "CC0"]
    assert not any(column.null_count for column in table.columns), "nothing is null"


def test_without_a_text_there_is_no_pair(tmp_path: Path) -> None:
    table = make(tmp_path, ["", " \t\n", None, "text"], [stored_item(n) for n in range(4)], [KEPT] * 4)
    judged = list(zip(table.column("status").to_pylist(), table.column("reason").to_pylist(), strict=True))
    assert judged == [("filtered", "no_text")] * 3 + [("kept", "")]


def test_instructions_go_to_their_sides(tmp_path: Path) -> None:
    said = {"query_instruction": "Find it: ", "positive_instruction": "Represent it."}
    (pair,) = make(tmp_path, ["a cat"], [stored_item(0)], [KEPT], **said).to_pylist()
    assert (pair["query"]["instruction"], pair["positive"]["instruction"]) == ("Find it: ", "Represent it.")
    assert pair["pair_id"] == pair_id("captions", "a cat", stored_item(0)["item_id"]), "the same pair, instructed"


def test_a_shard_without_kept_items_has_no_pairs(tmp_path: Path) -> None:
    assert make(tmp_path, ["a", "b"], [GONE, GONE], [GONE, GONE]).num_rows == 0


def test_pairs_of_the_same_text_and_image_are_the_same_and_others_are_not(tmp_path: Path) -> None:
    table = make(tmp_path, ["a", "a", "b", "a"], [*[stored_item(0)] * 3, stored_item(1)], [KEPT] * 4)
    first, again, other_text, other_image = table.column("pair_id").to_pylist()
    assert first == again
    assert len({first, other_text, other_image}) == 3


def test_the_datasets_name_is_part_of_the_fingerprint() -> None:
    settings = PairSettings(source="s")
    assert Pairs("one", settings).fingerprint_inputs() != Pairs("two", settings).fingerprint_inputs()
    assert Pairs("one", settings).fingerprint_inputs() == Pairs("one", PairSettings(source="s")).fingerprint_inputs()
