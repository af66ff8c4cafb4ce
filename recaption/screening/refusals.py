"""Detects refusals: the model can't or won't describe an image, got none, or says what it is.

A caption is about the image, in the third person. So a refusal is recognized by its meaning, not by its wording: a
speaker (I, we, my guidelines, as an AI) who can't, won't or may not; an image that is missing or broken; a request to
send it again. The languages are those of `corpus.text.language.LANGUAGES`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from corpus.text.sentences import sentences, without_quotations
from recaption.screening.speech import (
    cites_rules,
    english_patterns,
    has_first_person,
    has_negation,
    reports_failure,
    reports_missing_image,
)

_PHRASES = Path(__file__).parent / "phrases" / "refusals.yaml"
_FIRST_SENTENCES = 3  # sentences at the beginning
_BARE = str.maketrans(dict.fromkeys('.,;:!?()[]"“”„«»…', " "))


@dataclass(frozen=True, slots=True)
class _Phrases:
    """The refusals of a language. `cues` are words of which each refusal has one; without any they are unknown."""

    pattern: re.Pattern[str]
    cues: frozenset[str]


@lru_cache(maxsize=1)
def _other_languages() -> tuple[_Phrases, ...]:
    listed = yaml.safe_load(_PHRASES.read_text(encoding="utf-8"))
    return tuple(
        _Phrases(re.compile("|".join(entry["patterns"]), re.IGNORECASE), frozenset(entry.get("cues", "").split()))
        for entry in listed.values()
    )


def is_refusal(text: str, language: str = "en") -> bool:
    """Returns whether a text of one line begins with a refusal, or says that there is no image.

    Quotations are lettering in the image, and don't count. `language`: of the captions, "" for any.
    """
    plain = without_quotations(text[:1500]).replace("’", "'").strip()
    beginning = sentences(plain)[:_FIRST_SENTENCES]
    if not beginning:
        return False
    tokens = frozenset(" ".join(beginning).lower().translate(_BARE).split())
    in_first = english_patterns("refusals_in_first_sentence")
    if in_first.search(beginning[0]) or any(map(english_patterns("refusals").search, beginning)):
        return True
    for sentence in beginning:
        if any(check(sentence, language) for check in (reports_missing_image, cites_rules, reports_failure)):
            return True
        if has_first_person(sentence, language) and has_negation(sentence, language):
            return True
    for phrases in _other_languages():
        possible = not tokens.isdisjoint(phrases.cues) if phrases.cues else not text.isascii()
        if possible and any(map(phrases.pattern.search, beginning)):
            return True
    return False
