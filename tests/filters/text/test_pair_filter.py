"""The stage `text_filter` on planted pairs: by numbers of `text_stats` and `text_counts` alone."""

from __future__ import annotations

import pytest

from corpus.settings import SettingsError, parse_settings
from filters.text.pair_rules import PairTextSettings
from filters.text.pair_stats import TextStatsSettings
from pipelines.config import Config
from tests.helpers.pair_texts import caption_pairs, filtered

GOOD = "A red car stands in front of a house"
GERMAN = "Ein rotes Auto steht vor einem kleinen Haus am Rand der Stadt"


def test_noise_of_originals_is_removed_and_generated_captions_stay() -> None:
    texts = [GOOD, "IMG_1234.jpg", "generated/IMG_1234.jpg", "Photo of it", ("What is it?", "5"), "2019-01-01"]
    reasons, metrics = filtered(caption_pairs(texts), PairTextSettings())
    assert reasons == ["", "file_name", "", "", "number_only", "date_only"]
    removed = {name: n for name, n in metrics.items() if name.startswith("removed/")}
    assert removed == {"removed/file_name": 1, "removed/number_only": 1, "removed/date_only": 1}
    assert metrics["pairs"] == 6 and metrics["alone/too_few_words"] == 1, "whatever the other rules find"
    reasons, _ = filtered(caption_pairs(texts), PairTextSettings(sides=["query"], origins=["original", "generated"]))
    assert reasons == ["", "file_name", "file_name", "", "", "date_only"]


def test_what_comes_too_often_is_boilerplate_and_of_equal_captions_some_stay() -> None:
    texts = [*(f"Photo {n} of 12 of the house" for n in range(5)), *["generated/a plain white wall"] * 4, GOOD, GOOD]
    settings = PairTextSettings(max_rows_per_template=4, max_rows_per_text=2)
    reasons, metrics = filtered(caption_pairs(texts), settings)
    assert reasons[:5] == ["boilerplate"] * 5 and reasons[9:] == ["", ""]
    assert sorted(reasons[5:9]) == ["", "", "repeated_text", "repeated_text"]
    assert metrics["removed/repeated_text"] == 2 and metrics["alone/boilerplate"] == 5
    assert filtered(caption_pairs(texts), PairTextSettings(max_rows_per_template=None))[0] == [""] * 11


def test_languages_by_rule_or_by_score() -> None:
    texts = [GOOD, GERMAN, "Haus am See"]
    assert filtered(caption_pairs(texts), PairTextSettings(languages=["en"]))[0] == ["", "wrong_language", ""]
    stats = TextStatsSettings(language_identifier="py3langid")
    settings = PairTextSettings(languages=["en"], min_language_score=0.5)
    assert filtered(caption_pairs(texts), settings, stats)[0] == ["", "wrong_language", ""]
    settings = PairTextSettings(languages=["de"], min_language_score=0.5)
    assert filtered(caption_pairs(texts), settings, stats)[0] == ["wrong_language", "", ""]


def test_settings_that_need_others_say_so() -> None:
    cases = {
        ("max_tokens", 77): "max_tokens: nothing counts tokens: set stages.text_stats.tokenizer",
        ("min_language_score", 0.5): "min_language_score: of which languages",
    }
    base = {
        "workspace": "w",
        "sources": {"s": {"kind": "laion", "files": ["x.parquet"]}},
        "datasets": {"d": {"source": "s"}},
    }
    for (name, value), message in cases.items():
        stages = {"text_filter": {"datasets": {"d": {name: value}}}}
        with pytest.raises(SettingsError, match=message):
            parse_settings({**base, "stages": stages}, Config)
    with pytest.raises(SettingsError, match="no dataset 'other'"):
        parse_settings({**base, "stages": {"text_filter": {"datasets": {"other": {}}}}}, Config)
