"""Rules by which texts are unusable: thresholds on the statistics of `corpus.text.statistics`.

The defaults of AltTextRules are those of DataComp's basic filter where it has one (more than two words and five
characters; S. Y. Gadre et al., DataComp, 2023); a threshold that is not set removes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpus.arrays import one_array
from corpus.settings import Settings
from corpus.text.forms import Form
from corpus.text.language import LANGUAGES, in_another_language
from corpus.text.statistics import text_statistics

WRONG_LANGUAGE = "wrong_language"
_MAX_KEYWORD_WORDS = 3.0  # of an item of a list of keywords, on average
_REPEATED_SHARE = 0.1  # of one word, from which a list repeats its keywords
_MAX_STOP_WORDS = (0.35, 0.1)  # share of them in a list that repeats its keywords, and in another: sentences have more


class TextFilterSettings(Settings):
    """Settings of the filter of texts. Characters are Unicode's; a word is a character in scripts without blanks."""

    forms: tuple[Form, ...] = Field(
        (),
        description="The forms of texts that are filtered, each a reason: file_name (IMG_1234.jpg), date_only, "
        "number_only, placeholder (click to enlarge). Only whole texts have one.",
    )
    max_url_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="The largest share of a text's characters that URLs, host names and e-mail addresses may have; "
        "above it the pair is filtered (mostly_url).",
    )
    min_chars: int = Field(
        1,
        ge=1,
        description="The shortest text in characters; answers and labels may well have one; below it the pair is "
        "filtered (too_short).",
    )
    max_chars: int = Field(
        20_000, ge=1, description="The longest text in characters; above it the pair is filtered (too_long)."
    )
    min_words: int = Field(
        0, ge=0, description="The fewest words of a text; below them the pair is filtered (too_few_words)."
    )
    max_words: int | None = Field(
        None, ge=1, description="The most words of a text; above them the pair is filtered (too_many_words)."
    )
    min_alnum_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="The share of letters and digits among a text's characters, blanks aside; below it the pair "
        "is filtered (mostly_symbols).",
    )
    min_unique_ngram_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="The share of different ones among a text's word 3-grams, if it has 20 or more; below it the "
        "pair is filtered (repetitive).",
    )
    min_unique_short_ngram_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The same of texts that have 8 to 19 3-grams; 0 removes none.",
    )
    max_top_word_share: float = Field(
        1.0,
        ge=0,
        le=1,
        description="The largest share of a text's words that one content word may have, if it comes three times; "
        "above it the pair is filtered (keyword_stuffing).",
    )
    max_keywords: int | None = Field(
        None,
        ge=1,
        description="The most items of a list of keywords (items of at most three words, no articles or prepositions "
        "among them); above them the pair is filtered (keyword_stuffing).",
    )
    languages: tuple[str, ...] = Field(
        (),
        description="The languages of texts, ISO 639-1 codes; a text that is clearly in none of them, or has a "
        "sentence that is, is filtered (wrong_language); an empty list allows any.",
    )

    @field_validator("languages")
    @classmethod
    def _are_known(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(languages) - set(LANGUAGES)):
            raise ValueError(f"no such languages: {', '.join(unknown)}; known: {', '.join(LANGUAGES)}")
        return languages


class AltTextRules(TextFilterSettings):
    """Settings of the filter of texts that pages have for images: stricter than for questions, answers and labels."""

    forms: tuple[Form, ...] = Field(tuple(Form), description=TextFilterSettings.model_fields["forms"].description)
    max_url_share: float = Field(
        0.5, ge=0, le=1, description=TextFilterSettings.model_fields["max_url_share"].description
    )
    min_chars: int = Field(
        6, ge=1, description="The shortest text in characters; below it the pair is filtered (too_short)."
    )
    min_words: int = Field(3, ge=0, description=TextFilterSettings.model_fields["min_words"].description)
    min_alnum_share: float = Field(
        0.5, ge=0, le=1, description=TextFilterSettings.model_fields["min_alnum_share"].description
    )
    min_unique_ngram_share: float = Field(
        0.5, ge=0, le=1, description=TextFilterSettings.model_fields["min_unique_ngram_share"].description
    )
    min_unique_short_ngram_share: float = Field(
        0.5, ge=0, le=1, description=TextFilterSettings.model_fields["min_unique_short_ngram_share"].description
    )
    max_top_word_share: float = Field(
        0.4, ge=0, le=1, description=TextFilterSettings.model_fields["max_top_word_share"].description
    )
    max_keywords: int | None = Field(6, ge=1, description=TextFilterSettings.model_fields["max_keywords"].description)


Statistics = Mapping[str, np.ndarray]  # of TEXT_STATISTICS, by name


@dataclass(frozen=True)
class TextRule:
    """A rule: its reason, the statistics that it reads, whether settings have it, and which texts break it, bool[n]."""

    reason: str
    reads: tuple[str, ...]
    is_set: Callable[[Any], bool]
    breaks: Callable[[Statistics, Any], np.ndarray]


def _form_rule(form: Form) -> TextRule:
    return TextRule(str(form), ("form",), lambda s: form in s.forms, lambda c, s: c["form"] == str(form))


def _is_stuffed(columns: Statistics, settings: TextFilterSettings) -> np.ndarray:
    stuffed = columns["top_word_share"] > np.float32(settings.max_top_word_share)
    if settings.max_keywords is None:
        return stuffed
    is_list = columns["list_items"] > settings.max_keywords
    is_list &= columns["list_item_words"] <= _MAX_KEYWORD_WORDS
    limit = np.where(columns["top_word_share"] > _REPEATED_SHARE, *_MAX_STOP_WORDS)
    return stuffed | (is_list & (columns["stop_word_share"] < limit))


# In the order in which a text gets its reason: what says most about it first.
TEXT_RULES: tuple[TextRule, ...] = (
    TextRule("empty_text", ("chars",), lambda s: True, lambda c, s: c["chars"] == 0),
    *map(_form_rule, Form),
    TextRule(
        "mostly_url",
        ("url_share",),
        lambda s: s.max_url_share < 1,
        lambda c, s: c["url_share"] > np.float32(s.max_url_share),
    ),
    TextRule("too_short", ("chars",), lambda s: s.min_chars > 1, lambda c, s: c["chars"] < s.min_chars),
    TextRule("too_long", ("chars",), lambda s: True, lambda c, s: c["chars"] > s.max_chars),
    TextRule(
        "mostly_symbols",
        ("alnum_share",),
        lambda s: s.min_alnum_share > 0,
        lambda c, s: c["alnum_share"] < np.float32(s.min_alnum_share),
    ),
    TextRule("too_few_words", ("words",), lambda s: s.min_words > 0, lambda c, s: c["words"] < s.min_words),
    TextRule("too_many_words", ("words",), lambda s: s.max_words is not None, lambda c, s: c["words"] > s.max_words),
    TextRule(
        "repetitive",
        ("ngram_share", "short_ngram_share"),
        lambda s: s.min_unique_ngram_share > 0 or s.min_unique_short_ngram_share > 0,
        lambda c, s: (
            (c["ngram_share"] < np.float32(s.min_unique_ngram_share))
            | (c["short_ngram_share"] < np.float32(s.min_unique_short_ngram_share))
        ),
    ),
    TextRule(
        "keyword_stuffing",
        ("top_word_share", "list_items", "list_item_words", "stop_word_share"),
        lambda s: s.max_top_word_share < 1 or s.max_keywords is not None,
        _is_stuffed,
    ),
)


# The reasons of texts that no threshold removes, and what each means.
TEXT_REASONS = {
    "empty_text": "there is no text",
    str(Form.FILE_NAME): "the name of a file, or a camera's number of a picture",
    str(Form.DATE): "a date, a time, or both",
    str(Form.NUMBER): "numbers alone",
    str(Form.PLACEHOLDER): "what pages have where nobody wrote a text",
    WRONG_LANGUAGE: "in none of the languages that `languages` names",
}


def text_reasons(texts: pa.Array | pa.ChunkedArray, settings: TextFilterSettings) -> pa.Array:
    """Returns the first rule that each text breaks, "" for none: string[n]. Null is an empty text.

    The reasons are those of TEXT_RULES, then wrong_language.
    """
    texts = pc.fill_null(one_array(texts), "")
    names = dict.fromkeys(name for rule in TEXT_RULES if rule.is_set(settings) for name in rule.reads)
    broken = broken_rules(text_statistics(texts, list(names)), settings)
    reasons = first_broken(broken, len(texts))
    if settings.languages:
        remaining = np.flatnonzero(reasons == "")
        foreign = in_another_language(texts.take(pa.array(remaining)), settings.languages)
        reasons[remaining[foreign]] = WRONG_LANGUAGE
    return pa.array(reasons, pa.string())


def broken_rules(
    statistics: pa.Table | pa.StructArray, settings: TextFilterSettings, rules: Sequence[TextRule] = TEXT_RULES
) -> dict[str, np.ndarray]:
    """Returns for each rule that the settings have which texts break it, bool[n]: by their statistics (no nulls)."""
    columns: dict[str, np.ndarray] = {}
    for rule in rules:
        for name in rule.reads if rule.is_set(settings) else ():
            columns.setdefault(name, _numpy(statistics, name))
    return {rule.reason: rule.breaks(columns, settings) for rule in rules if rule.is_set(settings)}


def first_broken(broken: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Returns the first rule that each of n texts breaks, "" for none: objects[n]."""
    reasons = np.full(n, "", dtype=object)
    for reason, breaks in broken.items():
        reasons[(reasons == "") & breaks] = reason
    return reasons


def _numpy(statistics: pa.Table | pa.StructArray, name: str) -> np.ndarray:
    column = statistics.column(name) if isinstance(statistics, pa.Table) else pc.struct_field(statistics, name)
    return column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
