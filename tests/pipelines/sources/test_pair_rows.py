"""Pairs as rows of a table, and negatives that are none of their row's positives."""

from __future__ import annotations

from collections import Counter

import pytest

from pipelines.sources.pair_rows import PAIR_ROWS, Side, SourcePair, normalize_side, pairs_table, true_negatives


def test_a_table_has_every_pair_with_all_of_its_parts() -> None:
    pairs = [
        SourcePair(Side("q", ("a.jpg", "b.jpg")), Side("p"), (Side("n", score=0.5), Side("", ("c.jpg",))), label="cat"),
        SourcePair(Side(""), Side("", ("d.jpg",)), key="7", file="f", line=3, in_batch_negatives=False),
    ]
    table = pairs_table(pairs)
    first, second = table.to_pylist()
    assert table.schema == PAIR_ROWS
    assert first["query"] == {"text": "q", "images": ["a.jpg", "b.jpg"]} and first["label"] == "cat"
    assert first["negatives"] == [
        {"text": "n", "images": [], "score": 0.5},
        {"text": "", "images": ["c.jpg"], "score": 0.0},
    ]
    assert second["positive"] == {"text": "", "images": ["d.jpg"]} and second["negatives"] == []
    assert (second["key"], second["file"], second["line"], second["in_batch_negatives"]) == ("7", "f", 3, False)
    assert pairs_table([]).schema == PAIR_ROWS


@pytest.mark.parametrize("limit", [None, 2])
def test_negatives_are_told_from_positives_repeats_and_nothing(limit: int | None) -> None:
    positives = [Side("A  dog.")]
    negatives = [Side("a cat"), Side(""), Side("A dog."), Side("a cat"), Side("a cat", ("1.jpg",)), Side("a cow")]
    counts: Counter[str] = Counter()
    kept = list(true_negatives(negatives, positives, limit, counts))
    expected = [negatives[0], negatives[4], negatives[5]]
    assert kept == expected[:limit]
    over = {"negatives_over_limit": 1} if limit else {}
    others = {"empty_negative": 1, "negative_equals_positive": 1, "duplicate_negative": 1}
    assert counts == {"negatives_kept": len(kept), **others, **over}


def test_beside_several_positives_texts_are_compared_as_they_will_be_cleaned() -> None:
    counts: Counter[str] = Counter()
    positives = [Side("fish &amp; chips"), Side("soup")]
    assert list(true_negatives([Side("fish & chips"), Side("rice")], positives, None, counts)) == [Side("rice")]
    assert counts == {"negative_equals_positive": 1, "negatives_kept": 1}


def test_scores_do_not_tell_sides_apart() -> None:
    assert normalize_side(Side("Tea ", score=0.1)) == normalize_side(Side("Tea", score=0.9))
    assert normalize_side(Side("Tea")) != normalize_side(Side("Tea", ("1.jpg",)))
