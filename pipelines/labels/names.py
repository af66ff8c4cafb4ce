"""What is known about the names of labels: which mean the same, which are kinds of which, which mean several things.

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
_LEAST_JOINED, _SHORT_WORDS = 3, {"In", "Of", "On", "To", "Up"}  # iPod and McLaren are one word each
_SIGNS = re.compile(r"(?<!\w)[-−+<>](?=\d)|(?<=\w)(?:\+\+?|#|%)(?!\w)|(?<=\b[^\W\d])-$")  # -1 is not 1, nor C++ C
_PLURALS = (
    *(("ies", "y"), ("es", ""), ("s", ""), ("men", "man"), ("children", "child"), ("mice", "mouse")),
    *(("geese", "goose"), ("feet", "foot"), ("teeth", "tooth"), ("wolves", "wolf"), ("knives", "knife")),
    *(("leaves", "leaf"), ("shelves", "shelf"), ("loaves", "loaf"), ("calves", "calf")),
)
_WITH_ES = ("s", "x", "z", "ch", "sh", "o")  # what has its plural in es: sites are no sit
_NO_PLURALS = {"arms", "clothes", "glasses", "goods", "lens", "news", "series", "species"}


class LabelNames(Settings):
    """One file of names. All names may be written as labels are: case, underscores and articles don't count."""

    same: list[list[str]] = Field([], description="names of one thing; the first is the merged label")
    kinds: dict[str, list[str]] = Field({}, description="a name, and the names of what are kinds of it")
    several_meanings: list[str] = Field([], description="names that different sets use for different things")
    not_a_kind: list[str] = Field([], description="names whose last word misleads: a hot dog is no dog")
    actions: list[str] = Field([], description="first words of what people do: to ride a bike is no bike")
    things_in_ing: list[str] = Field([], description="words in -ing that begin the names of things: a dining table")
    proper: list[str] = Field([], description="first words of makers' and places' names: a Ford Beetle is no beetle")
    other_things: dict[str, list[str]] = Field(
        {}, description="a part of a set's name -> names that such sets use for what they mean nowhere else"
    )
    rename: dict[str, dict[str, str]] = Field(
        {}, description="set -> label, or label#id where a set has a label twice -> merged label"
    )


def load_names(path: str | Path = "", built_in: bool = True) -> LabelNames:
    """The names of the user's file, if any, before the built-in ones. Raises SettingsError that names file and key."""
    files = [load_settings(each, LabelNames) for each in ([path] if path else []) + ([SYNONYMS] if built_in else [])]
    joined: dict[str, Any] = {"rename": files[0].rename if files else {}}
    for key in ("same", "several_meanings", "not_a_kind", "actions", "things_in_ing", "proper"):
        joined[key] = [each for names in files for each in getattr(names, key)]
    for key in ("kinds", "other_things"):
        lists: dict[str, list[str]] = {}
        for names in files:
            for name, below in getattr(names, key).items():
                lists.setdefault(name, []).extend(below)
        joined[key] = lists
    return LabelNames(**joined)


def plain(label: str) -> str:
    """A label without what does not count: case, punctuation, underscores, articles, "a photo of"; "" for nothing.

    Words that are joined by capitals are words.

    A place that stands last goes first: church/outdoor is the outdoor church.
    """
    text = _KIND.sub("", unicodedata.normalize("NFKC", label).strip().rstrip("."))
    text = (
        _SUN_FOLDER.sub("", " ".join(map(_parted, text.split(" "))))
        .casefold()
        .replace("&", " and ")
        .replace("'", "")
        .replace("’", "")
    )
    words = _ARTICLE.sub("", _PHOTO.sub("", _ARTICLE.sub("", _words(text))))
    return _PLACE.sub(r"\2 \1", words)


def _parted(word: str) -> str:
    """The words that capitals join in one, a space apart, if each is long enough to be one."""
    parts = _CAPITALS.split(word)
    whole = all(sum(map(str.isalpha, part)) >= _LEAST_JOINED or part in _SHORT_WORDS for part in parts)
    return " ".join(parts) if whole else word


def _words(text: str) -> str:
    """The words, a space apart: letters, digits, the marks on them (vowels, in many scripts), and signs that tell."""
    signs = {at for found in _SIGNS.finditer(text) for at in range(*found.span())}
    found = "".join(each if at in signs else _in_word(each) for at, each in enumerate(text))
    return " ".join(word for word in found.split() if any(map(str.isalnum, word)))


def _in_word(char: str) -> str:
    """The character, nothing for one that can't be seen (joiners), a space for one that stands between words."""
    if char.isalnum():
        return char
    category = unicodedata.category(char)
    return char if category in ("Mn", "Mc") else "" if category == "Cf" else " "


def first_name(label: str) -> str:
    """`plain` of the first of several names, as ImageNet lists them: "tench, Tinca tinca" is a tench."""
    names = (plain(name) for name in _KIND.sub("", label.strip().rstrip(".")).split(","))
    return next((name for name in names if name), plain(label))


def all_names(label: str) -> list[str]:
    """`plain` of each of the names that a label lists, and of the label itself, each once."""
    parts = _KIND.sub("", label.strip().rstrip(".")).split(",")
    return list(dict.fromkeys(filter(None, (plain(name) for name in (*parts, label)))))


def is_other_thing(name: str, set_name: str, names: LabelNames) -> bool:
    """Whether sets that are called so use a plain name for a thing that no other set means by it."""
    letters = "".join(filter(str.isalnum, set_name.casefold()))
    return any(part in letters and name in map(plain, listed) for part, listed in names.other_things.items())


def singular(name: str, known: Collection[str]) -> str:
    """The name with its last word in the singular, where English rules give one that is known; else the name itself."""
    if name.split(" ")[-1] in _NO_PLURALS:
        return name
    found = [
        name[: -len(ending)] + one
        for ending, one in _PLURALS
        if name.endswith(ending) and len(name) > 3 and (ending != "es" or name[:-2].endswith(_WITH_ES))
    ]
    return next((each for each in found if each in known), name)


def aliases(names: LabelNames) -> dict[str, str]:
    """Name -> the first of its group, plain. A name of two groups belongs to the first of them."""
    first: dict[str, str] = {}
    for group in names.same:
        forms = [plain(name) for name in group]
        head = next((first[form] for form in forms[:1] if form in first), forms[0] if forms else "")
        for form in forms:
            first.setdefault(form, head)
    return first
