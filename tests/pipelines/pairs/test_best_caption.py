"""Of several captions of the same image, the one with the most words is kept, or goes to the copy that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from corpus.schema import item_id
from corpus.settings import parse_settings
from corpus.stage import ITEMS, ROWS, VERDICT, Shard
from corpus.storage import Store
from corpus.workspace import TableKey, Workspace
from pipelines.config import Config
from pipelines.pairs.best_caption import MAX_WORDS, DedupByImage, LongestCaptions, caption_words
from pipelines.plan import Selection
from pipelines.runner import run
from pipelines.sources.pair_rows import Side, SourcePair, pairs_table
from pipelines.status import plan_run
from tests.helpers.whole_runs import Web

A, B, C = (item_id(name.encode()) for name in "abc")
# name -> item, status, representative
IMAGES: dict[str, tuple[bytes, str, bytes | None]] = {
    "a.jpg": (A, "kept", A),
    "a-again.jpg": (B, "duplicate", A),
    "c.jpg": (C, "kept", None),
    "blurred.jpg": (B, "filtered", None),
}


def removed(*shards: Sequence[SourcePair]) -> dict[tuple[int, int], tuple[int, int]]:
    """(shard, row) -> that of the pair which is kept in its place."""
    items, statuses, families = zip(*IMAGES.values(), strict=True)
    side_inputs = {
        ITEMS: pa.table(
            {
                "image": list(IMAGES),
                "item_id": pa.array(items, pa.binary(16)),
                "downloaded_sha256": pa.array([item * 2 for item in items], pa.binary(32)),
            }
        ),
        VERDICT: pa.table(
            {"status": statuses, "reason": [""] * 4, "representative": pa.array(families, pa.binary(16))}
        ),
    }
    stage, emitted = DedupByImage(), []
    for number, pairs in enumerate(shards):
        tables = {ROWS: pairs_table(pairs), "texts": pairs_table(pairs)}
        shard = Shard("s", f"{number:06d}", number, np.arange(len(pairs)), tables, Store("/"), side_inputs=side_inputs)
        emitted.append(stage.map(shard))
    said = stage.finalize(stage.reduce(pa.concat_tables(emitted))).to_pylist()
    assert all((row["status"], row["reason"]) == ("filtered", "same_image") for row in said)
    return {divmod(row["row_address"], 1 << 32): divmod(row["representative"], 1 << 32) for row in said}


def caption(text: str, image: str) -> SourcePair:
    return SourcePair(Side(text), Side("", (image,)))


def test_the_longer_text_stays_wherever_its_copy_lies() -> None:
    first = [caption("a dog", "a.jpg"), caption("something else", "c.jpg"), caption("dog", "a-again.jpg")]
    second = [caption("a brown dog on a beach", "a-again.jpg")]
    assert removed(first, second) == {(0, 0): (1, 0), (0, 2): (1, 0)}
    assert removed(second, first) == {(1, 0): (0, 0), (1, 2): (0, 0)}


def test_of_equal_ones_the_first_stays() -> None:
    assert removed([caption("one two", "a.jpg")], [caption("two one", "a.jpg")]) == {(1, 0): (0, 0)}
    long, longer = "word " * MAX_WORDS, "word " * (MAX_WORDS + 9)
    assert removed([caption(long, "a.jpg"), caption(longer, "a.jpg")]) == {(0, 1): (0, 0)}


@pytest.mark.parametrize(
    "other",
    [
        SourcePair(Side("redder", ("c.jpg",)), Side("", ("a.jpg",))),  # an image may be in many triplets
        SourcePair(Side("what"), Side("a text beside it", ("a.jpg",))),
        SourcePair(Side("what"), Side("", ("a.jpg", "c.jpg"))),
        SourcePair(Side("", ("a.jpg",)), Side("a dog")),
        SourcePair(Side("a long text of an image that was removed"), Side("", ("blurred.jpg",))),
    ],
)
def test_pairs_of_another_form_are_left_alone(other: SourcePair) -> None:
    assert removed([caption("a dog", "a.jpg"), other, other]) == {}


def test_words_are_counted_in_all_scripts() -> None:
    texts = ["", "two words", " IMG_2034-final.jpg ", "a\u3000b\u00a0c", "一只狗在海滩上", "la playa"]
    assert caption_words(pa.array(texts)).to_pylist() == [0, 2, 1, 3, 7, 2]
    assert removed([caption("狗", "a.jpg"), caption("一只狗在海滩上", "a.jpg")]) == {(0, 0): (0, 1)}


Row = tuple[str, bytes, str, bytes | None]  # text, item, status, representative


def best(*shards: list[Row]) -> dict[tuple[int, int], str]:
    """(shard, row) -> its new text."""
    stage, emitted = LongestCaptions(), []
    for number, rows in enumerate(shards):
        texts, items, statuses, families = zip(*rows, strict=True)
        tables = {
            ROWS: pa.table({"text": pa.array(texts, pa.string())}),
            ITEMS: pa.table({"item_id": pa.array(items, pa.binary(16))}),
            VERDICT: pa.table({"status": statuses, "representative": pa.array(families, pa.binary(16))}),
        }
        emitted.append(stage.map(Shard("s", f"{number:06d}", number, np.arange(len(rows)), tables, Store("/"))))
    said = stage.finalize(stage.reduce(pa.concat_tables(emitted))).to_pylist()
    assert all((row["status"], row["reason"]) == ("kept", "") for row in said)
    return {(row["row_address"] >> 32, row["row_address"] & 0xFFFFFFFF): row["text"] for row in said}


def test_the_kept_copy_gets_the_text_with_the_most_words() -> None:
    first: list[Row] = [
        ("IMG_1", A, "kept", A),
        ("a dog runs", B, "duplicate", A),
        ("alone and long, in no family", C, "kept", None),
        ("of a copy that was filtered: it does not count at all", B, "filtered", A),
    ]
    second: list[Row] = [("a small brown dog runs on a beach", B, "duplicate", A)]
    assert best(first, second) == {(0, 0): "a small brown dog runs on a beach"}
    assert best(second, first) == {(1, 0): "a small brown dog runs on a beach"}


def test_noise_is_no_better_than_a_short_caption_however_long_it_is() -> None:
    noise = "shoes, nike, running shoes, cheap shoes, sale, men, sneakers, discount shoes, outlet, online shop"
    rows: list[Row] = [
        ("a shoe", A, "kept", A),
        (noise, B, "duplicate", A),
        ("Click here to view large image", C, "duplicate", A),
    ]
    assert best(rows) == {}
    assert best([(noise, A, "kept", A), ("a shoe", B, "duplicate", A)]) == {(0, 0): "a shoe"}


def test_of_equal_texts_its_own_stays() -> None:
    rows: list[Row] = [("two words", B, "duplicate", A), ("own words", A, "kept", A), ("x", C, "duplicate", A)]
    assert best(rows) == {}


def test_in_a_run_it_changes_texts_and_no_row(web: Web, tmp_path: Path) -> None:
    home = tmp_path / "home"
    config = parse_settings(
        web.settings(home, {"datasets": {"laion": {"longest_caption_per_duplicate": True}}}), Config
    )
    assert run(config, Selection(), Console(quiet=True)).failed == []
    texts: dict[str, dict[bytes, set[str]]] = {"kept": {}, "all": {}}
    changed = 0
    workspace = Workspace(config.workspace)
    planned = plan_run(config, Selection())
    rows_of = dict(planned.indexes["laion"].shards)
    items = {p.task.shard: p.task.output for p in planned.table("download", "laion")}
    said = {p.task.shard: p.task.output for p in planned.table("longest_captions", "laion")}
    for p in planned.table("duplicates", "laion"):
        shard = p.task.shard
        rows = workspace.read_table(TableKey("tables", "laion", ROWS).path(shard, rows_of[shard]), ["text"]).to_pylist()
        judged = workspace.read_table(p.task.output).to_pylist()
        found = workspace.read_table(items[shard], ["item_id"]).to_pylist()
        new = workspace.read_table(said[shard]).to_pylist()
        for row, end, item, better in zip(rows, judged, found, new, strict=True):
            assert (better["status"], better["reason"]) == (end["status"], end["reason"])
            family = end["representative"]
            if end["status"] in ("kept", "duplicate") and family is not None:
                texts["all"].setdefault(family, set()).add(row["text"].strip())
            if end["status"] == "kept" and family is not None:
                assert item["item_id"] == family
                texts["kept"].setdefault(family, set()).add(better["text"] or row["text"].strip())
                changed += better["text"] is not None
    assert changed > 0
    for family, (text,) in texts["kept"].items():
        assert len(text.split()) == max(len(other.split()) for other in texts["all"][family])
