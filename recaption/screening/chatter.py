"""Detects chatter: sentences of a model to the user, about its own text, or about its thoughts.

A caption is about the image alone: none of its sentences is about the reader's wishes, about the description itself, or
about what the writer is going to do.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml

from corpus.text.sentences import sentences, without_quotations
from recaption.screening.speech import (
    announces_caption,
    english_patterns,
    has_first_person,
    has_second_person,
    is_courtesy,
    is_question,
    mentions_task,
)

_PHRASES = Path(__file__).parent / "phrases" / "talk.yaml"
_THOUGHTS = Path(__file__).parent / "phrases" / "thoughts.yaml"
_FIRST_SENTENCES, _LAST_SENTENCES = 2, 3
_MAX_SENTENCES = 60


@lru_cache(maxsize=1)
def _other_languages() -> re.Pattern[str]:
    listed = yaml.safe_load(_PHRASES.read_text(encoding="utf-8"))
    anywhere = listed.pop("anywhere")
    beginnings = "|".join(phrase for phrases in listed.values() for phrase in phrases)
    return re.compile("|".join([rf"^\W*(?:{beginnings})", *anywhere]), re.IGNORECASE)


@lru_cache(maxsize=1)
def _thoughts_in_other_languages() -> re.Pattern[str]:
    listed = yaml.safe_load(_THOUGHTS.read_text(encoding="utf-8"))
    return re.compile("|".join(phrase for phrases in listed.values() for phrase in phrases), re.IGNORECASE)


def is_talk(sentence: str, language: str = "en") -> bool:
    """Returns whether a sentence addresses the user, or is about the text it belongs to. `language`: "" for any."""
    plain = without_quotations(sentence).replace("’", "'").strip()
    if english_patterns("talk").search(plain) or _other_languages().search(plain):
        return True
    if is_question(plain) or is_courtesy(plain, language) or announces_caption(plain, language):
        return True
    return has_first_person(plain, language) or has_second_person(plain, language)


def cut_talk(text: str, language: str = "en") -> str:
    """Removes sentences to the user from the beginning and end of a text of one line; returns "" if nothing remains."""
    parts = sentences(text)
    first, last = 0, len(parts)
    while first < min(last, _FIRST_SENTENCES) and is_talk(parts[first], language):
        first += 1
    while last > first and len(parts) - last < _LAST_SENTENCES and is_talk(parts[last - 1], language):
        last -= 1
    return text if (first, last) == (0, len(parts)) else " ".join(parts[first:last])


def thinks_aloud(text: str, language: str = "en") -> bool:
    """Returns whether a sentence of a text of one line is about what the writer is about to do, or about its task."""
    english, others = english_patterns("thoughts"), _thoughts_in_other_languages()
    return any(
        english.search(each) or others.search(each) or mentions_task(each, language) for each in _plain_sentences(text)
    )


def has_chatter(text: str, language: str = "en") -> bool:
    """Returns whether a sentence of a text of one line is talk, a thought, a question, or in the first person."""
    return thinks_aloud(text, language) or any(is_talk(each, language) for each in _plain_sentences(text))


def _plain_sentences(text: str) -> list[str]:
    return sentences(without_quotations(text).replace("’", "'"))[:_MAX_SENTENCES]
