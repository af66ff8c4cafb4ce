"""Judging texts: the empty, the absurdly long, those of symbols or of repetitions, those in another language.

Whole columns at a time. Texts are taken to be clean (`corpus.text.clean`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpus.settings import Settings
from corpus.text.keys import one_array
from corpus.text.language import LANGUAGES, in_another_language
from corpus.text.minhash import shingle_hashes, split_words

_RUN_WORDS = 3
_FEWEST_RUNS = 20  # from which on repetition means something
_FEWEST_CHARS = 2 * _FEWEST_RUNS  # that so many words take, or so many characters without blanks


class TextJudgeSettings(Settings):
    """Which texts are good enough. Characters are Unicode's."""

    min_chars: int = Field(1, ge=1, description="too_short; answers and labels may well have one character")
    max_chars: int = Field(20_000, ge=1, description="too_long_text")
    min_letter_share: float = Field(
        0.3, ge=0, le=1, description="mostly_symbols: letters and digits among what is no blank"
    )
    min_distinct_share: float = Field(
        0.3, ge=0, le=1, description="repetitive_text: different ones among all runs of three words, from 20 on"
    )
    languages: tuple[str, ...] = Field(
        (), description="wrong_language: texts clearly in none of these, or with a sentence that is; none: any"
    )

    @field_validator("languages")
    @classmethod
    def _are_known(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(languages) - set(LANGUAGES)):
            raise ValueError(f"no such languages: {', '.join(unknown)}; known: {', '.join(LANGUAGES)}")
        return languages


def judge_texts(texts: pa.Array | pa.ChunkedArray, settings: TextJudgeSettings) -> pa.Array:
    """The first rule that each text breaks, "" where it breaks none (string[n]): empty_text, too_short, too_long_text,
    mostly_symbols, repetitive_text, wrong_language. Null is an empty text."""
    texts = pc.fill_null(one_array(texts), "")
    chars = pc.utf8_length(texts)
    reasons = np.full(len(texts), "", dtype=object)
    rules = {
        "empty_text": np.asarray(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0)),
        "too_short": np.asarray(pc.less(chars, settings.min_chars)),
        "too_long_text": np.asarray(pc.greater(chars, settings.max_chars)),
    }
    for name, broken in rules.items():
        reasons[(reasons == "") & broken] = name
    for name, judge in (
        ("mostly_symbols", _mostly_symbols),
        ("repetitive_text", _repeats_itself),
        ("wrong_language", _in_another_language),
    ):
        left = np.flatnonzero(reasons == "")
        reasons[left[judge(texts.take(pa.array(left)), settings)]] = name
    return pa.array(reasons, pa.string())


def _mostly_symbols(texts: pa.Array, settings: TextJudgeSettings) -> np.ndarray:
    symbols = pc.replace_substring_regex(texts, r"[\p{L}\p{N}\p{M}]+", "")
    blanks = pc.replace_substring_regex(symbols, r"[^\s\p{Z}]+", "")
    left, blank, chars = (np.asarray(pc.utf8_length(some)) for some in (symbols, blanks, texts))
    return chars - left < settings.min_letter_share * (chars - blank)


def _repeats_itself(texts: pa.Array, settings: TextJudgeSettings) -> np.ndarray:
    repeats = np.zeros(len(texts), dtype=bool)
    long = np.flatnonzero(np.asarray(pc.greater_equal(pc.binary_length(texts), _FEWEST_CHARS)))
    hashes, counts = shingle_hashes(split_words(texts.take(pa.array(long))), _RUN_WORDS)
    rows = np.repeat(np.arange(len(long), dtype=np.uint64), counts)
    runs = np.sort((rows << np.uint64(32)) | (hashes >> np.uint64(32)))
    new = np.append(True, runs[1:] != runs[:-1])[: len(runs)]
    different = np.bincount((runs[new] >> np.uint64(32)).astype(np.int64), minlength=len(long))
    repeats[long] = (counts >= _FEWEST_RUNS) & (different < settings.min_distinct_share * counts)
    return repeats


def _in_another_language(texts: pa.Array, settings: TextJudgeSettings) -> np.ndarray:
    if not settings.languages:
        return np.zeros(len(texts), dtype=bool)
    return in_another_language(texts, settings.languages)
