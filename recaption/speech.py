"""Signs that a sentence is said to somebody instead of about a picture, from a small lexicon of each language.

A caption has no first person, asks nothing, and does not speak of files that don't load or of rules that are broken.
The lexicon (`phrases/speech.yaml`) has words for these parts of meaning; the rules put them together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

_LEXICON = Path(__file__).parent / "phrases" / "speech.yaml"
_WITHOUT_BLANKS = ("zh", "ja", "ko", "th")
_QUESTION = re.compile(r"[?？؟]\W{0,8}$")
_PLEASE = re.compile(r"^\W{0,20}please\s+[a-z]+", re.IGNORECASE)
# Lettering that is quoted without quotation marks: "a mug that says I love you".
_LETTERING = re.compile(
    r"\b(?:says?|saying|reads?|reading|spells?|spelling|written|printed|words?|labell?ed|lettering|slogan|phrase|lyrics"
    r"|inscri\w+)\W+(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)
# Words with which a sentence begins, and which are no name before a number: "First I look", but "World War I".
_OPENINGS = frozenset(
    (
        *("first", "then", "next", "now", "so", "but", "and", "since", "as", "if", "when", "here", "while", "because"),
        *("though", "although", "before", "after", "once", "perhaps", "maybe", "today", "sorry", "unfortunately"),
        *("sadly", "that", "what"),
    )
)
_FILLERS = 2  # words that may stand between two parts of what is said
_WORD = r"\w+(?:'\w+)?"
_SOMETHING = ".{0,80}?"
_MAX_CHARS = 400  # of a sentence: what it is about is said at its beginning
_FILLER_CHARS = 6  # where there are no blanks between words


@dataclass(frozen=True, slots=True)
class _Rules:
    """Patterns of one language."""

    me: re.Pattern[str]
    fails: re.Pattern[str]
    missing_picture: re.Pattern[str]
    broken_rules: re.Pattern[str]


@lru_cache(maxsize=1)
def _lexicon() -> dict[str, dict[str, str]]:
    return yaml.safe_load(_LEXICON.read_text(encoding="utf-8"))


@lru_cache
def _rules(language: str) -> _Rules:
    words = _lexicon()[language]
    if language in _WITHOUT_BLANKS:
        part = {name: f"(?:{pattern})" for name, pattern in words.items()}
        gap, start = f".{{0,{_FILLER_CHARS}}}?", r"^\W{0,20}.{0,8}?"
    else:
        part = {name: rf"(?<![\w\u0300-\u036f])(?:{pattern})(?!\w)" for name, pattern in words.items()}
        gap, start = rf"\W+(?:{_WORD}\W+){{0,{_FILLERS}}}?", rf"^\W{{0,20}}(?:{_WORD}\W+){{0,3}}?"
    orders = (
        ("picture", "fails", "sent"),
        ("fails", "picture", "sent"),
        ("fails", "sent", "picture"),
        ("picture", "sent", "fails"),
    )
    missing = "|".join(start + gap.join(part[name] for name in order) for order in orders)
    broken = f"{start}{part['request']}{_SOMETHING}{part['breaks']}{_SOMETHING}{part['rules']}"
    forbidden = f"{start}{part['fails']}{gap}{part['allowed']}|{start}{part['allowed']}{gap}{part['fails']}"
    if language == "en":  # where signs say that dogs are not allowed
        refused = rf"{start}(?:content|subject|request|{part['picture']})\b"
        forbidden = f"{refused}{_SOMETHING}{part['fails']}{gap}{part['allowed']}"
    broken = f"{broken}|{forbidden}"
    return _Rules(*(re.compile(pattern, re.IGNORECASE) for pattern in (part["me"], part["fails"], missing, broken)))


def _languages(language: str) -> tuple[str, ...]:
    return ("en",) if language in ("", "en") or language not in _lexicon() else ("en", language)


def has_first_person(sentence: str, language: str) -> bool:
    """Whether a sentence without quotations has a first person. `language`: an ISO 639-1 code, "" for any."""
    for each in _languages(language):
        for found in _rules(each).me.finditer(sentence):
            before = sentence[: found.start()]
            if each != "en" or not (_is_numeral(sentence, found) or _LETTERING.search(before)):
                return True
    return False


def _is_numeral(sentence: str, found: re.Match[str]) -> bool:
    """Whether an "I" is no pronoun: in small letters, or after a name, as in World War I."""
    if found[0] == "i":
        return True
    before = sentence[: found.start()].split()[-1:]
    is_name = bool(before) and before[0][:1].isupper() and before[0][-1:].isalpha()
    return found[0] == "I" and is_name and before[0].lower() not in _OPENINGS


def is_question(sentence: str) -> bool:
    """Whether a sentence without quotations asks something, or asks for something."""
    return bool(_QUESTION.search(sentence) or _PLEASE.search(sentence))


def denies(sentence: str, language: str) -> bool:
    """Whether a sentence has a word that says that something is not so, in a language or in English."""
    return any(_rules(each).fails.search(sentence) for each in _languages(language))


def misses_picture(sentence: str, language: str) -> bool:
    """Whether a sentence says that no picture has come, or that it can't be read."""
    sentence = sentence[:_MAX_CHARS]
    return any(_rules(each).missing_picture.search(sentence) for each in _languages(language))


def speaks_of_rules(sentence: str, language: str) -> bool:
    """Whether a sentence says that a request breaks the writer's rules, or that something is not allowed."""
    sentence = sentence[:_MAX_CHARS]
    return any(_rules(each).broken_rules.search(sentence) for each in _languages(language))
