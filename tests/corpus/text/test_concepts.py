"""Concepts of texts: words, and entries of a list against a plain search for them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.settings import SettingsError
from corpus.text.concepts import concepts_digest, content_words, read_concepts

TEXTS = [
    "A red car, a RED house and the car's owner",
    "",
    None,
    "the of 42 x",
    "golden retriever puppy",
    "das rote Haus",
]


def test_words_without_stop_words_each_once() -> None:
    assert content_words(pa.chunked_array([TEXTS[:2], TEXTS[2:]])).to_pylist() == [
        ["red", "car", "house", "car's", "owner"],
        [],
        [],
        [],
        ["golden", "retriever", "puppy"],
        ["rote", "haus"],
    ]


def test_entries_are_found_where_their_words_follow_each_other(tmp_path: Path) -> None:
    entries = ["Golden Retriever", "retriever", "red", "red house", "house and the car", "New York", "...", "红色"]
    (tmp_path / "list.txt").write_text("\n".join(entries), encoding="utf-8")
    (tmp_path / "list.json").write_text(json.dumps(entries))
    texts = pa.array([*TEXTS, "A new-york night", "York is new", "一辆红色汽车", "house"])
    for name in ("list.txt", "list.json"):
        concepts = read_concepts(str(tmp_path / name))
        assert concepts.names == (*(entry.lower() for entry in entries[:6]), "红 色")
        assert [sorted(found) for found in concepts.match(texts).to_pylist()] == [
            ["red", "red house"],
            [],
            [],
            [],
            ["golden retriever", "retriever"],
            [],
            ["new york"],
            [],
            ["红 色"],
            [],
        ]


def test_a_match_is_that_of_a_plain_search(tmp_path: Path) -> None:
    draw = random.Random(7)
    words = [f"w{number}" for number in range(30)]
    entries = sorted({" ".join(draw.choices(words, k=draw.randint(1, 4))) for _ in range(300)})
    (tmp_path / "list.txt").write_text("\n".join(entries))
    texts = [" ".join(draw.choices(words, k=draw.randint(0, 12))) for _ in range(300)]
    plain = [[entry for entry in entries if f" {entry} " in f" {text} "] for text in texts]
    found = read_concepts(str(tmp_path / "list.txt")).match(pa.array(texts))
    assert [sorted(each) for each in found.to_pylist()] == plain


def test_lists_that_are_none_are_refused(tmp_path: Path) -> None:
    cases = {"a.json": ("{}", "expected a list"), "b.json": ("[1]", "expected a list"), "c.txt": ("...\n", "no entry")}
    for name, (content, message) in cases.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(SettingsError, match=message):
            read_concepts(str(tmp_path / name))
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        concepts_digest(str(tmp_path / "d.txt"))
    one = concepts_digest(str(tmp_path / "c.txt"))
    (tmp_path / "c.txt").write_text("dog\n")
    assert concepts_digest(str(tmp_path / "c.txt")) != one and read_concepts(str(tmp_path / "c.txt")).names == ("dog",)
