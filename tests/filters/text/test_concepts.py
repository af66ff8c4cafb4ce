"""The stage `concepts`: of both texts of a pair, by words or by a list."""

from __future__ import annotations

from pathlib import Path

from corpus.bisection import run_rows
from filters.text.concepts import Concepts, DatasetBalance
from tests.helpers.pair_texts import caption_pairs, shard_of

PAIRS = caption_pairs(["a dog and a dog", ("which animal is it", "a brown dog"), ""])


def concepts(settings: DatasetBalance) -> list[list[str]]:
    stage = Concepts(settings)
    found = run_rows(stage, stage.setup(), shard_of(PAIRS))
    assert found.column("status").to_pylist() == ["kept"] * 3
    return found.column("concepts").to_pylist()


def test_words_of_both_texts() -> None:
    assert concepts(DatasetBalance(max_pairs_per_concept=1)) == [["dog"], ["animal", "brown", "dog"], []]


def test_entries_of_a_list_and_the_cap_is_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("brown dog\nanimal\nit a\n")
    one, other = (DatasetBalance(concepts=str(file), max_pairs_per_concept=cap) for cap in (1, 2))
    assert concepts(one) == [[], ["animal", "brown dog"], []]
    assert Concepts(one).fingerprint_inputs() == Concepts(other).fingerprint_inputs()
    before = Concepts(one).fingerprint_inputs()
    file.write_text("brown dog\n")
    assert Concepts(one).fingerprint_inputs() != before
