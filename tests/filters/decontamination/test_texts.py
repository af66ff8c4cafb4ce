"""Texts held against those of evaluation sets: equal ones, and ones that share n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.pool import Pool
from corpus.workspace import Workspace
from filters.decontamination.evaluation import EVALUATION_SCHEMA
from filters.decontamination.texts import EvaluationTexts, equal_texts, long_ngrams, overlapping_texts, read_texts

WORDS = [f"word{number}" for number in range(60)]


def text(start: int, stop: int) -> str:
    return " ".join(WORDS[start:stop])


def known_texts(folder: Path, rows: Sequence[tuple[str, str, str, bool]]) -> EvaluationTexts:
    """The texts of sets: (set, name, text, whether it stands alone)."""
    entries = [dict(zip(("set", "name", "text", "alone"), row, strict=True)) for row in rows]
    table = pa.Table.from_pylist(entries, EVALUATION_SCHEMA)
    workspace = Workspace(folder)
    workspace.write_table("one.parquet", table, {})
    return read_texts(Pool(workspace.store.url, ("one.parquet",)), 8, 12)


def found(texts: Sequence[str], known: EvaluationTexts, alone: bool = True) -> list[set[tuple[str, str, str, float]]]:
    """Of each text (set, name, way, value)."""
    column = pa.array(texts, pa.string())
    results: list[set[tuple[str, str, str, float]]] = [set() for _ in texts]
    parts = [
        *equal_texts(column, np.full(len(texts), alone), known),
        *overlapping_texts(long_ngrams(column, 8, 12), known),
    ]
    for rows, entries in parts:
        for row, entry in zip(rows.tolist(), entries.to_pylist(), strict=True):
            results[row].add((entry["set"], entry["name"], entry["way"], round(entry["value"], 2)))
    return results


def test_equal_texts_are_found_in_each_set_whatever_case_and_punctuation(tmp_path: Path) -> None:
    rows = [
        ("a", "1", "Who painted the Night Watch?", True),
        ("a", "2", "who painted the night watch", True),
        ("b", "3", "who  painted the night watch.", True),
        ("b", "4", "What is the man doing?", False),
    ]
    known = known_texts(tmp_path, rows)
    assert found(["WHO painted the night watch", "what is the man doing", "who painted the night"], known) == [
        {("a", "1", "equal_text", 5.0), ("b", "3", "equal_text", 5.0)},
        {("b", "4", "equal_beside", 5.0)},
        set(),
    ]
    assert found(["WHO painted the night watch"], known, alone=False)[0] == {
        ("a", "1", "equal_beside", 5.0),
        ("b", "3", "equal_beside", 5.0),
    }


def test_of_equal_texts_of_a_set_one_that_stands_alone_counts(tmp_path: Path) -> None:
    rows = [("a", "question", "on the left side", False), ("a", "caption", "On the left side.", True)]
    assert found(["on the left side"], known_texts(tmp_path, rows)) == [{("a", "caption", "equal_text", 4.0)}]


def test_shares_of_ngrams_are_of_either_text(tmp_path: Path) -> None:
    known = known_texts(tmp_path, [("a", "passage", text(0, 27), True), ("a", "short", text(40, 51), True)])
    longer = f"as we heard {text(0, 27)} and that is all there is to tell about it"
    excerpt = text(5, 20)
    half = f"{text(0, 17)} but then it goes on in quite another way"
    little = f"{text(0, 9)} but then it goes on in quite another way"
    one, other, third, fourth, fifth = found([longer, excerpt, half, little, text(40, 51)], known)
    assert ("a", "passage", "text_coverage", 1.0) in one
    assert other == {("a", "passage", "text_coverage", 0.4), ("a", "passage", "text_contained", 1.0)}
    assert ("a", "passage", "text_coverage", 0.5) in third
    assert fourth == set()
    assert fifth == {("a", "short", "equal_text", 11.0)}, "texts of fewer than 12 words are compared as a whole only"


def test_no_clean_text_is_found_among_many(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def drawn() -> str:
        return " ".join(WORDS[at] for at in rng.integers(0, 60, 30))

    passages = [drawn() for _ in range(300)]
    known = known_texts(tmp_path, [("a", str(at), each, True) for at, each in enumerate(passages)])
    planted = [f"so it is said that {each}" for each in passages[:100]]
    results = found([*planted, *(drawn() for _ in range(300))], known)
    hits = [any(entry[2:] == ("text_coverage", 1.0) for entry in each) for each in results]
    assert hits == [True] * 100 + [False] * 300
    assert all(not each for each in results[100:])
