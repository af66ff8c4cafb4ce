"""A refusal says that the model can't or won't describe a picture, that no picture has come, or what the model is.

A caption speaks of the picture, in the third person. So a refusal is known by what it means, not by its wording: the
speaker (I, we, my guidelines, as an AI) who can't, won't or may not; an image that is missing or broken; a request to
send it again. The languages are those that can be requested (`corpus.text.language.LANGUAGES`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from corpus.text.sentences import sentences, without_quotations
from recaption.screening.speech import (
    denies,
    english_patterns,
    has_first_person,
    misses_picture,
    speaks_of_rules,
    tells_of_failure,
)

_ENGLISH = english_patterns("refusals")
_ENGLISH_FIRST = english_patterns("refusals_in_first_sentence")
_PHRASES = Path(__file__).parent / "phrases" / "refusals.yaml"
_FIRST_SENTENCES = 3  # sentences at the beginning
_BARE = str.maketrans(dict.fromkeys('.,;:!?()[]"“”„«»…', " "))


@dataclass(frozen=True, slots=True)
class _Phrases:
    """A language's refusals; `cues` are words of which each has one, none: unknown."""

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
    """Whether a text of one line begins with a refusal, or says that no image has come.

    What the text quotes is lettering in the picture, and doesn't count. `language`: that captions are in, "" for any.
    """
    plain = without_quotations(text[:1500]).replace("’", "'").strip()
    beginning = sentences(plain)[:_FIRST_SENTENCES]
    if not beginning:
        return False
    tokens = frozenset(" ".join(beginning).lower().translate(_BARE).split())
    if _ENGLISH_FIRST.search(beginning[0]) or any(map(_ENGLISH.search, beginning)):
        return True
    for sentence in beginning:
        if any(check(sentence, language) for check in (misses_picture, speaks_of_rules, tells_of_failure)):
            return True
        if has_first_person(sentence, language) and denies(sentence, language):
            return True
    for phrases in _other_languages():
        possible = not tokens.isdisjoint(phrases.cues) if phrases.cues else not text.isascii()
        if possible and any(map(phrases.pattern.search, beginning)):
            return True
    return False
