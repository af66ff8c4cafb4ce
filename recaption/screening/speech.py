"""Recognizes sentences that address somebody instead of describing an image, by a small lexicon of each language.

A caption has no first and no second person, asks nothing, is not about itself or about its task, and does not mention
files that don't load or rules that are broken. The lexicon (`phrases/speech.yaml` and `frames.yaml`) has words for
these parts of meaning, among them the forms of verbs that show the speaker; rules combine them. The English wordings of
`phrases/english.yaml` are compiled here, too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

_PHRASES = Path(__file__).parent / "phrases"
_LEXICONS = (_PHRASES / "speech.yaml", _PHRASES / "frames.yaml")
_ENGLISH = _PHRASES / "english.yaml"
_NAME = re.compile(r"<([a-z_]+)>")
_WITHOUT_BLANKS = ("zh", "ja", "ko", "th")
_QUESTION = re.compile(r"[?？؟]\W{0,8}$")
_MY = re.compile(r"^\W*My\s+[a-z]")
_PLEASE = re.compile(r"^\W{0,20}please\s+[a-z]+", re.IGNORECASE)
# Lettering that is quoted without quotation marks: "a mug that says I love you".
_LETTERING = re.compile(
    r"\b(?:says?|saying|reads?|reading|spells?|spelling|written|printed|words?|labell?ed|lettering"
    r"|slogan|phrase|lyrics"
    r"|inscri\w+)\W+(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)
# Words that begin a sentence, and so are no name before a numeral: "First I look", but "World War I".
_OPENINGS = frozenset(
    (
        *("first", "then", "next", "now", "so", "but", "and", "since", "as", "if", "when", "here", "while", "because"),
        *("though", "although", "before", "after", "once", "perhaps", "maybe", "today", "sorry", "unfortunately"),
        *("sadly", "that", "what"),
    )
)
_PREFIXES = {"ar": "[وف]?", "he": "[ושה]?"}  # prefixes that are written as one with the next word
_FILLERS = 3  # words that may stand between two parts of a pattern
_WORD = r"\w+(?:'\w+)?"
_SOMETHING = ".{0,80}?"
_MAX_CHARS = 400  # of a sentence, from its beginning
_FILLER_CHARS = 8  # where words are not separated by blanks


# Verbs whose subject may be in an image: lettering and legends "say".
_SAYING = re.compile(
    r"dit\b|dice\b|diz\b|zegt\b|säger\b|siger\b|sier\b|sanoo\b|mówi|říká\b|spune\b|mondja\b|söyl"
    r"|diyor|belirt|mengatakan"
    r"|nói\b|bảo\b|说|写|指出|とのこと|라고|말했|сказано|говор|указано|вказано|казва|λέει|λέν|يقول"
    r"|تقول|تنص|گوید|گفته|אומר"
    r"|कहता|कहा|บอก|ระบุ|sag|lautet|besagt|lyder|szól|írja|luidt|zní|indica|specif|précise|anger",
    re.IGNORECASE,
)
_LONG_FILLERS = 6
_LONG_FILLER_CHARS = 15
_PAUSE = r"(?=\s?[,.!:;，。！、،।…—])"
_EXCLAIMED_WORDS = 4
_NAMES_SOMETHING = re.compile(r"^\W*(?:an?|the|this|these)\s+\w+\s+\w", re.IGNORECASE)  # "This trifle looks delicious!"
_EXCLAMATION = re.compile(r"(?:^|\s)(\S+?)\s?[!！]\W{0,8}$")


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one language."""

    first_person: re.Pattern[str]
    speech_verbs: re.Pattern[str]
    second_person: re.Pattern[str]
    negation: re.Pattern[str]
    missing_image: re.Pattern[str]
    cited_rules: re.Pattern[str]
    failure: re.Pattern[str]
    about_task: re.Pattern[str]
    announcement: re.Pattern[str]
    courtesy: re.Pattern[str]


@lru_cache(maxsize=1)
def _lexicon() -> dict[str, dict[str, str]]:
    read = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in _LEXICONS]
    return {language: {name: words for each in read for name, words in each[language].items()} for language in read[0]}


@lru_cache
def _rules(language: str) -> _Rules:
    words = _lexicon()[language]
    if language in _WITHOUT_BLANKS:
        part = {name: f"(?:{pattern})" for name, pattern in words.items()}
        gap, start = f".{{0,{_FILLER_CHARS}}}?", r"^\W{0,20}.{0,8}?"
        wide = f".{{0,{_LONG_FILLER_CHARS}}}?"
    else:
        before, after = r"(?<![\w\u0300-\u036f\u093a-\u094d])", r"(?![\w\u0900-\u0903\u093a-\u094d])"
        prefix = _PREFIXES.get(language, "")
        part = {name: rf"{before}{prefix}(?:{pattern}){after}" for name, pattern in words.items()}
        gap, start = rf"\W+(?:{_WORD}\W+){{0,{_FILLERS}}}?", rf"^\W{{0,20}}(?:{_WORD}\W+){{0,3}}?"
        wide = rf"\W+(?:{_WORD}\W+){{0,{_LONG_FILLERS}}}?"
    part["picture"] = f"(?:{part['picture']}|{part['pictures']})"
    part["sent"] = f"(?:{part['sent']}|{part['received']})"
    patterns = {
        "first_person": part["me"],
        "speech_verbs": f"{part['says']}|^\\W{{0,20}}{part['must']}",
        "second_person": part["you"],
        "negation": part["fails"],
        "missing_image": _missing_image(part, gap, start),
        "cited_rules": _cited_rules(part, gap, start, language),
        "failure": _failure(part, gap, start, wide),
        "about_task": _about_task(part, gap, start, wide, words, language),
        "announcement": _announcement(part, start, wide, language),
        "courtesy": rf"{_starts(language)}(?:{_any(part, 'courtesy', 'tell', 'wait')}|{part['agrees']}{_PAUSE})",
    }
    return _Rules(**{name: re.compile(pattern, re.IGNORECASE) for name, pattern in patterns.items()})


def _any(part: Mapping[str, str], *names: str) -> str:
    return "|".join(part[name] for name in names)


def _starts(language: str) -> str:
    """Returns a pattern of where a sentence begins; in Thai, which has no full stops, after any blank."""
    return r"(?:^|\s)\W{0,20}" if language == "th" else r"^\W{0,20}"


def _missing_image(part: Mapping[str, str], gap: str, start: str) -> str:
    """Returns a pattern for an image that was not sent, or whose upload failed: the parts in several orders."""
    failing = f"(?:{part['fails']}|{part['trouble']})"
    parts = {"picture": part["picture"], "failing": failing, "sent": part["sent"]}
    orders = (
        ("picture", "failing", "sent"),
        ("failing", "picture", "sent"),
        ("failing", "sent", "picture"),
        ("picture", "sent", "failing"),
    )
    nothing = f"|{start}{part['nothing']}{_SOMETHING}{part['sent']}"
    return "|".join(start + gap.join(parts[name] for name in order) for order in orders) + nothing


def _cited_rules(part: Mapping[str, str], gap: str, start: str, language: str) -> str:
    broken = f"{start}{part['request']}{_SOMETHING}{part['breaks']}{_SOMETHING}{part['rules']}"
    forbidden = f"{start}{part['fails']}{gap}{part['allowed']}|{start}{part['allowed']}{gap}{part['fails']}"
    if language == "en":  # signs may say that dogs are not allowed
        refused = rf"{start}(?:content|subject|request|{part['picture']})\b"
        forbidden = f"{refused}{_SOMETHING}{part['fails']}{gap}{part['allowed']}"
    return f"{broken}|{forbidden}"


def _failure(part: Mapping[str, str], gap: str, start: str, wide: str) -> str:
    """Returns a pattern for a broken file, a rejected request, or something that cannot be processed."""
    names = ("file", "text", "task", "self", "picture", "request")
    subject = "|".join(part[name] for name in names)
    broken = f"{start}{part['file']}{gap}{part['broken']}"
    request = f"(?:{part['task']}|{part['text']}|{part['self']})"
    early = start if wide.startswith(r"\W") else r"^.{0,25}?"
    stopped = f"{early}{request}{wide}{part['broken']}|{start}{part['broken']}{gap}{part['task']}"
    stopped += f"|{start}(?:{part['text']}|{part['task']}){wide}{part['impossible']}"
    none = rf"^\W{{0,20}}(?:\w+\W+){{0,3}}?{part['picture']}(?:\s|は|が|이|가|도)?{part['fails']}\w{{0,4}}\W*$"
    if "negated" in part:
        none += f"|{start}(?:{part['picture']}|{part['file']}){gap}{part['negated']}"
    parts = {"subject": f"(?:{subject})", "fails": part["fails"], "act": part["act"]}
    orders = "|".join(start + gap.join(parts[name] for name in order) for order in itertools.permutations(parts))
    itself = f"{start}{part['self']}{wide}{part['fails']}"
    short, end = r"^\W{0,20}(?:\w+\W+){0,2}?", r"\W*$"
    some = r"\W*(?:\w{1,4}\W+)?" if wide.startswith(r"\W") else ".{0,3}?"
    missing = f"{short}(?:{part['failed']}{some}{part['picture']}|{part['picture']}{some}{part['failed']}){end}"
    unreadable = f"{start}{part['act']}{gap}{part['picture']}{wide}{part['failed']}"
    unreadable += f"|{start}{part['failed']}{gap}{part['act']}{gap}{part['picture']}"
    unreadable += f"|{start}{part['picture']}{gap}{part['act']}{gap}{part['failed']}"
    without = f"{start}{part['fails']}{gap}{part['picture']}{wide}{part['fails']}"
    failure = rf"{short}{part['fails']}{some}{part['act']}{end}"
    return f"{broken}|{stopped}|{orders}|{itself}|{none}|{missing}|{unreadable}|{failure}|{without}"


def _about_task(
    part: Mapping[str, str], gap: str, start: str, wide: str, words: Mapping[str, str], language: str
) -> str:
    """Returns a pattern for a task or instruction that wants something, or a text that ought to be something."""
    ought = "|".join(each for each in _alternatives(words["want"]) if not _SAYING.match(each))
    if language == "en":
        ought = r"(?:should|must|ought|would)\b|(?:needs?|has)\s+to\b"
    return f"{start}{part['user']}|{start}{part['task']}{wide}{part['want']}|{start}{part['text']}{gap}(?:{ought})"


def _alternatives(pattern: str) -> list[str]:
    """Returns the alternatives of a pattern at its outermost level."""
    found, depth = [""], 0
    for char in pattern:
        depth += (char == "(") - (char == ")")
        if char == "|" and not depth:
            found.append("")
        else:
            found[-1] += char
    return found


def _announcement(part: Mapping[str, str], start: str, wide: str, language: str) -> str:
    """Returns a pattern for the announcement of a description."""
    label = "" if language == "en" else rf"|{start}{part['text']}[^:：.]{{0,40}}[:：]"
    opening = r"^\W{0,20}(?:\w+\W+)?" if wide.startswith(r"\W") else r"(?:^|\s)\W{0,20}.{0,3}?"
    itself = f"|{opening}{part['account']}" + (r"(?=\W)" if wide.startswith(r"\W") else "")
    itself += rf"|{part['account']}[^.]{{0,40}}\b\d+\s*{part['counted']}"
    return f"{start}{part['here']}{wide}{part['text']}{label}{itself}"


def _languages(language: str) -> tuple[str, ...]:
    return ("en",) if language in ("", "en") or language not in _lexicon() else ("en", language)


def has_first_person(sentence: str, language: str) -> bool:
    """Returns whether a sentence without quotations has a first person. `language`: an ISO 639-1 code, "" for any."""
    sentence = sentence[: 2 * _MAX_CHARS]
    for each in _languages(language):
        for found in _rules(each).first_person.finditer(sentence):
            before = sentence[: found.start()]
            if each != "en" or not (_is_numeral(sentence, found) or _LETTERING.search(before)):
                return True
        if _rules(each).speech_verbs.search(sentence) or (each == "en" and _MY.match(sentence)):
            return True
    return False


def has_second_person(sentence: str, language: str) -> bool:
    """Returns whether a sentence without quotations addresses its reader; lettering without quotation marks is left
    out.
    """
    sentence = sentence[:_MAX_CHARS]
    for each in _languages(language):
        for found in _rules(each).second_person.finditer(sentence):
            if not _LETTERING.search(sentence[: found.start()]):
                return True
    return False


def is_courtesy(sentence: str, language: str) -> bool:
    """Returns whether a sentence without quotations begins as only talk does, or is an exclamation."""
    sentence = sentence[:_MAX_CHARS]
    if any(_rules(each).courtesy.search(sentence) for each in _languages(language)):
        return True
    found = _EXCLAMATION.search(sentence)
    if found is None or len(sentence.split()) > _EXCLAIMED_WORDS or _NAMES_SOMETHING.match(sentence):
        return False
    return language == "de" or not (found.start(1) > 0 and found[1][:1].isupper())  # Yahoo!


def announces_caption(sentence: str, language: str) -> bool:
    """Returns whether a sentence announces a description."""
    sentence = sentence[:_MAX_CHARS]
    return any(_rules(each).announcement.search(sentence) for each in _languages(language))


def mentions_task(sentence: str, language: str) -> bool:
    """Returns whether a sentence is about the task, or about what the text ought to be."""
    sentence = sentence[:_MAX_CHARS]
    return any(_rules(each).about_task.search(sentence) for each in _languages(language))


def reports_failure(sentence: str, language: str) -> bool:
    """Returns whether a sentence reports, without a speaker, a broken file or a request that can't be fulfilled."""
    sentence = sentence[:_MAX_CHARS]
    return any(_rules(each).failure.search(sentence) for each in _languages(language))


def _is_numeral(sentence: str, found: re.Match[str]) -> bool:
    """Returns whether an "I" is no pronoun: in lower case, or after a name, as in World War I."""
    if found[0] == "i":
        return True
    before = sentence[: found.start()].split()[-1:]
    is_name = bool(before) and before[0][:1].isupper() and before[0][-1:].isalpha()
    return found[0] == "I" and is_name and before[0].lower() not in _OPENINGS


def is_question(sentence: str) -> bool:
    """Returns whether a sentence without quotations is a question or a request."""
    return bool(_QUESTION.search(sentence) or _PLEASE.search(sentence))


def has_negation(sentence: str, language: str) -> bool:
    """Returns whether a sentence has a negation, in a language or in English."""
    return any(_rules(each).negation.search(sentence) for each in _languages(language))


def reports_missing_image(sentence: str, language: str) -> bool:
    """Returns whether a sentence says that there is no image, or that it can't be read."""
    sentence = sentence[:_MAX_CHARS]
    return any(_rules(each).missing_image.search(sentence) for each in _languages(language))


def cites_rules(sentence: str, language: str) -> bool:
    """Returns whether a sentence says that a request breaks the writer's rules, or that something is not allowed."""
    sentence = sentence[:_MAX_CHARS]
    return any(_rules(each).cited_rules.search(sentence) for each in _languages(language))


@lru_cache(maxsize=1)
def _english() -> dict[str, Any]:
    return yaml.safe_load(_ENGLISH.read_text(encoding="utf-8"))


def _expand(pattern: str) -> str:
    """Replaces the names in a pattern by their words, and each blank by any number of blanks."""
    while found := _NAME.search(pattern):
        pattern = pattern.replace(found[0], _english()["words"][found[1]])
    return pattern.replace(" ", r"\s+")


@lru_cache
def english_patterns(section: str) -> re.Pattern[str]:
    """Compiles a section of the English phrases into one pattern, for sentences with straight apostrophes."""
    lists = _english()[section]
    beginnings = "|".join(lists.get("beginnings", ()))
    openings = "|".join(lists.get("openings", ()))
    parts = [rf"^\W*(?:{beginnings})"] if beginnings else []
    parts += [f"<opening>(?:{openings})"] if openings else []
    return re.compile("|".join(map(_expand, [*parts, *lists.get("anywhere", ())])), re.IGNORECASE)
