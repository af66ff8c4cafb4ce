"""The decisions about what evaluation sets have: thresholds, reasons, and sets that are ignored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.stage import LEAKS, PAIRS, VERDICT, Shard
from corpus.storage import Store
from filters.decontamination.decontaminate import (
    Decontaminate,
    DecontaminatePairs,
    DecontaminateSettings,
    decide,
    ignored_sets,
)
from filters.decontamination.evaluation import NEAR_FIELD
from filters.decontamination.pair_leaks import PAIR_LEAKS

Entry = tuple[str, str, str, float]
DEFAULTS = DecontaminateSettings()


def near(*rows: list[Entry]) -> pa.ChunkedArray:
    names = ("set", "name", "way", "value")
    return pa.chunked_array(
        [pa.array([[dict(zip(names, e, strict=True)) for e in row] for row in rows], NEAR_FIELD.type)]
    )


def shard_of(table: str, *rows: list[Entry]) -> Shard:
    empty = pa.table({"status": ["kept"] * len(rows)})
    tables = {VERDICT: empty, PAIRS: empty, table: pa.table({NEAR_FIELD.name: near(*rows)})}
    return Shard("web", "000000", 0, np.arange(len(rows)), tables, Store("."))


def test_each_way_has_its_threshold() -> None:
    cases = {
        ("exact", 1.0): True,
        ("hash", 6.0): True,
        ("hash", 7.0): False,
        ("cosine", 0.95): True,
        ("cosine", 0.949): False,
        ("equal_text", 3.0): True,
        ("equal_text", 2.0): False,
        ("text_coverage", 0.5): True,
        ("text_coverage", 0.49): False,
        ("text_contained", 0.8): True,
        ("text_contained", 0.79): False,
        ("equal_beside", 9.0): False,
    }
    rows = [[("set", "item", way, value)] for way, value in cases]
    found = decide(near(*rows), DEFAULTS, ())
    assert [bool(ways) for ways in found.column("ways").to_pylist()] == list(cases.values())
    without = decide(near(*rows), DecontaminateSettings(min_cosine=None), ())
    assert without.column("ways").to_pylist()[3] is None


def test_the_surest_way_names_the_item_and_all_ways_are_listed() -> None:
    row: list[Entry] = [("b", "b1", "hash", 0.0), ("a", "a1", "cosine", 0.99), ("c", "c1", "exact", 1.0)]
    found = decide(near(row), DEFAULTS, ()).to_pylist()[0]
    assert (found["evaluation_set"], found["evaluation_item"]) == ("c", "c1")
    assert (found["ways"], found["ignored"]) == (["cosine", "exact", "hash"], None)


def test_what_is_ignored_is_named_and_removes_nothing() -> None:
    rows: list[list[Entry]] = [[("a", "a1", "hash", 0.0)], [("a", "a1", "hash", 0.0), ("b", "b1", "hash", 2.0)], []]
    found = decide(near(*rows), DEFAULTS, ["a"]).to_pylist()
    assert [row["evaluation_set"] for row in found] == [None, "b", None]
    assert [row["ignored"] for row in found] == [["a"], ["a"], None]


def test_sets_are_ignored_by_patterns_of_names() -> None:
    sets: dict[str, Any] = {
        name: SimpleNamespace(ignore=each) for name, each in {"a": ("mmeb-*",), "b": ("x",)}.items()
    }
    assert ignored_sets(sets, ["mmeb-docvqa"]) == ["a"]
    assert ignored_sets(sets, ["web", "x"]) == ["b"]
    assert ignored_sets(sets, ["web"]) == []


def test_pairs_have_the_reason_that_their_media_and_texts_give() -> None:
    media, question, text = ("a", "i", "hash", 1.0), ("a", "q", "equal_beside", 5.0), ("a", "t", "equal_text", 5.0)
    rows: list[list[Entry]] = [[media], [media, question], [media, text], [text], [question], []]
    reasons = {
        "remove": ["same_media", "evaluation_pair", "evaluation_pair", "evaluation_text", "", ""],
        "keep": ["", "evaluation_pair", "evaluation_pair", "evaluation_text", "", ""],
    }
    for same_media, expected in reasons.items():
        settings = DecontaminateSettings.model_validate({"same_media": same_media})
        found = DecontaminatePairs(settings).setup()(shard_of(PAIR_LEAKS, *rows))
        assert found.column("reason").to_pylist() == expected
        assert found.column("status").to_pylist() == ["filtered" if reason else "kept" for reason in expected]


def test_images_are_removed_unless_same_media_are_kept() -> None:
    rows: list[list[Entry]] = [[("a", "i", "hash", 1.0)], [("a", "i", "hash", 9.0)]]
    for same_media, expected in (("remove", ["evaluation_media", ""]), ("keep", ["", ""])):
        settings = DecontaminateSettings.model_validate({"same_media": same_media})
        found = Decontaminate(settings).setup()(shard_of(LEAKS, *rows))
        assert found.column("reason").to_pylist() == expected
        assert found.column("evaluation_item").to_pylist() == ["i", None], "what was found is in the table all the same"
