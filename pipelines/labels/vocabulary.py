"""Normalizes the names of labels, and reads the lists of synonyms, kinds and ambiguous names.

The lists lie in YAML files: `synonyms.yaml` beside this module, and one of the user's own with the same keys, which
is added to it and goes before it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import Field

from corpus.settings import Settings, load_settings

SYNONYMS = Path(__file__).with_name("synonyms.yaml")

_PHOTO = re.compile(
    r"^(?:this is |there is )?(?:(?:an?|the|my|one) )?(?:[^\W\d_]+ ){0,2}?(?:photo|photograph|picture|image) of (?=\S)"
)
_KIND = re.compile(r",\s*an?\s+(?:type|kind)\s+of\s+[^,]+$", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:an?|the) (?=\S)")
_SUN_FOLDER = re.compile(r"^/[a-z]/", re.IGNORECASE)  # SUN and Places write /c/church/outdoor
_PLACE = re.compile(r"^(.+) (indoor|outdoor|interior|exterior)$")
_CAPITALS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # between words that are joined: PlayingGuitar
_MIN_JOINED_LETTERS, _SHORT_WORDS = 3, {"In", "Of", "On", "To", "Up"}  # iPod and McLaren are one word each
_SIGNS = re.compile(r"(?<!\w)[-−+<>](?=\d)|(?<=\w)(?:\+\+?|#|%)(?!\w)|(?<=\b[^\W\d])-$")  # -1 is not 1, nor C++ C
_PLURALS = (
    *(("ies", "y"), ("es", ""), ("s", ""), ("men", "man"), ("children", "child"), ("mice", "mouse")),
    *(("geese", "goose"), ("feet", "foot"), ("teeth", "tooth"), ("wolves", "wolf"), ("knives", "knife")),
    *(("leaves", "leaf"), ("shelves", "shelf"), ("loaves", "loaf"), ("calves", "calf")),
)
_WITH_ES = ("s", "x", "z", "ch", "sh", "o")  # what has its plural in es: sites are no sit
_NO_PLURALS = {"arms", "clothes", "glasses", "goods", "lens", "news", "series", "species"}


class LabelNames(Settings):
    """The content of a names file. Names may be written as labels are: case, underscores and articles don't count."""

    synonyms: list[list[str]] = Field(
        [], description="Lists of names of one thing; the first name is the merged label."
    )
    hyponyms: dict[str, list[str]] = Field({}, description="The names of kinds of a thing, by the thing's name.")
    ambiguous: list[str] = Field([], description="Names that different sets use for different things.")
    not_hyponyms: list[str] = Field([], description="Names whose last word misleads: a hot dog is no dog.")
    action_verbs: list[str] = Field([], description="First words of what people do: to ride a bike is no bike.")
    gerund_modifiers: list[str] = Field([], description="Words in -ing that begin the names of things: a dining table.")
    proper_nouns: list[str] = Field(
        [], description="First words of makers' and places' names: a Ford Beetle is no beetle."
    )
    dataset_specific: dict[str, list[str]] = Field(
        {}, description="By a part of a set's name, the names that such sets use for what they mean nowhere else."
    )
    rename: dict[str, dict[str, str]] = Field(
        {},
        description="By a set's name, the merged label of each of its labels, or of label#id where it has a label "
        "twice.",
    )


def load_names(path: str | Path = "", built_in: bool = True) -> LabelNames:
    """Reads the user's file, if any, and after it the built-in one. Raises SettingsError that names file and key."""
    files = [load_settings(each, LabelNames) for each in ([path] if path else []) + ([SYNONYMS] if built_in else [])]
    joined: dict[str, Any] = {"rename": files[0].rename if files else {}}
    for key in ("synonyms", "ambiguous", "not_hyponyms", "action_verbs", "gerund_modifiers", "proper_nouns"):
        joined[key] = [each for names in files for each in getattr(names, key)]
    for key in ("hyponyms", "dataset_specific"):
        lists: dict[str, list[str]] = {}
        for names in files:
            for name, below in getattr(names, key).items():
                lists.setdefault(name, []).extend(below)
        joined[key] = lists
    return LabelNames(**joined)


def normalize_label(label: str) -> str:
    """Removes what does not count in a label: case, punctuation, underscores, articles, "a photo of"; "" if all is.

    Words that are joined by capitals are split. A place that stands last goes first: church/outdoor is the outdoor
    church.
    """
    text = _KIND.sub("", unicodedata.normalize("NFKC", label).strip().rstrip("."))
    text = (
        _SUN_FOLDER.sub("", " ".join(map(_split_capitals, text.split(" "))))
        .casefold()
        .replace("&", " and ")
        .replace("'", "")
        .replace("’", "")
    )
    words = _ARTICLE.sub("", _PHOTO.sub("", _ARTICLE.sub("", _words(text))))
    return _PLACE.sub(r"\2 \1", words)


def _split_capitals(word: str) -> str:
    """Splits a word at its capitals, if each part is long enough to be a word."""
    parts = _CAPITALS.split(word)
    are_words = all(sum(map(str.isalpha, part)) >= _MIN_JOINED_LETTERS or part in _SHORT_WORDS for part in parts)
    return " ".join(parts) if are_words else word


def _words(text: str) -> str:
    """Keeps the words, a space apart: letters, digits, marks on them (vowels, in many scripts), signs that matter."""
    signs = {at for match in _SIGNS.finditer(text) for at in range(*match.span())}
    spaced = "".join(each if at in signs else _word_character(each) for at, each in enumerate(text))
    return " ".join(word for word in spaced.split() if any(map(str.isalnum, word)))


def _word_character(char: str) -> str:
    """Returns the character, nothing for an invisible one (a joiner), or a space for one that separates words."""
    if char.isalnum():
        return char
    category = unicodedata.category(char)
    return char if category in ("Mn", "Mc") else "" if category == "Cf" else " "


def first_synonym(label: str) -> str:
    """Normalizes the first of several names, as ImageNet lists them: "tench, Tinca tinca" is a tench."""
    names = (normalize_label(name) for name in _KIND.sub("", label.strip().rstrip(".")).split(","))
    return next((name for name in names if name), normalize_label(label))


def normalized_names(label: str) -> list[str]:
    """Normalizes each of the names that a label lists, and the label itself; each form once."""
    parts = _KIND.sub("", label.strip().rstrip(".")).split(",")
    return list(dict.fromkeys(filter(None, (normalize_label(name) for name in (*parts, label)))))


def is_other_thing(name: str, set_name: str, names: LabelNames) -> bool:
    """Tells whether sets that are called so use a normalized name for a thing that no other set means by it."""
    letters = "".join(filter(str.isalnum, set_name.casefold()))
    return any(
        part in letters and name in map(normalize_label, listed) for part, listed in names.dataset_specific.items()
    )


def singular(name: str, known: Collection[str]) -> str:
    """Puts the last word of a name in the singular, where English rules give a known name; else leaves the name."""
    if name.split(" ")[-1] in _NO_PLURALS:
        return name
    candidates = [
        name[: -len(ending)] + replacement
        for ending, replacement in _PLURALS
        if name.endswith(ending) and len(name) > 3 and (ending != "es" or name[:-2].endswith(_WITH_ES))
    ]
    return next((each for each in candidates if each in known), name)


def aliases(names: LabelNames) -> dict[str, str]:
    """Maps each name to the first of its group, both normalized. A name of two groups belongs to the first of them."""
    first: dict[str, str] = {}
    for group in names.synonyms:
        forms = [normalize_label(name) for name in group]
        head = next((first[form] for form in forms[:1] if form in first), forms[0] if forms else "")
        for form in forms:
            first.setdefault(form, head)
    return first
