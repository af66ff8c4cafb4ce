"""The stage `text_stats`: numbers about both sides of pairs, tokens and languages where they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.bisection import run_rows
from corpus.settings import SettingsError
from filters.text.pair_stats import TextStats, TextStatsSettings
from tests.helpers.pair_texts import caption_pairs, shard_of

TEXTS = ["A dog runs on the beach", ("What is it?", "It is a dog that runs along the beach"), "A dog runs on the beach"]


def test_both_texts_are_measured_and_a_side_without_one_is_null() -> None:
    stage = TextStats(TextStatsSettings())
    found = run_rows(stage, stage.setup(), shard_of(caption_pairs(TEXTS))).to_pylist()
    assert [row["query_text"]["words"] for row in found] == [6, 3, 6]
    assert [row["positive_text"] and row["positive_text"]["chars"] for row in found] == [None, 37, None]
    assert found[0]["query_text"] == found[2]["query_text"]
    assert {found[0]["query_text"][name] for name in ("tokens", "language", "language_score")} == {None}
    assert [row["status"] for row in found] == ["kept"] * 3, "it has no thresholds"


def test_languages_have_scores_and_short_texts_none() -> None:
    stage = TextStats(TextStatsSettings(language_identifier="py3langid"))
    texts = [
        "A small dog runs along the sandy beach in the evening light",
        "Ein kleiner Hund läuft am Abend über den sandigen Strand",
        "Hund",
    ]
    found = run_rows(stage, stage.setup(), shard_of(caption_pairs(texts))).column("query_text").to_pylist()
    assert [row["language"] for row in found] == ["en", "de", ""]
    assert all(row["language_score"] > 0.9 for row in found[:2]) and found[2]["language_score"] is None


def test_a_tokenizer_that_is_not_there_stops_a_run_before_it_begins(tmp_path: Path) -> None:
    stage = TextStats(TextStatsSettings(tokenizer=str(tmp_path / "tokenizer.json")))
    with pytest.raises(SettingsError, match=r"tokenizer: .*tokenizer.json: cannot be read: No such file"):
        stage.fingerprint_inputs()
    (tmp_path / "tokenizer.json").write_text("{}")
    one = stage.fingerprint_inputs()
    (tmp_path / "tokenizer.json").write_text("{ }")
    assert stage.fingerprint_inputs() != one, "another tokenizer under the same name"
