"""Finds texts that are clearly in another language than those requested.

Two rules, each sure of its own:

- By script (`corpus.text.scripts`): the text, or a clause of it outside quotation marks, is in another script; kana in
  what should be Chinese, no kana in what should be Japanese.
- By the classifier of py3langid (naive Bayes over byte n-grams: M. Lui and T. Baldwin, langid.py, ACL 2012), which is
  offline and has its model in its package: another language is `MIN_ODDS` times as probable as the most probable
  requested one (four times that for a short text in English, twice that beside a quotation), with names and
  without. It gives no verdict under `MIN_LETTERS` letters.

What speaks for no language passes: names, labels, formulas, short queries.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from corpus.text.scripts import SCRIPTS, is_in_other_script, letter_weight, script_pattern
from corpus.text.sentences import sentences, without_quotations

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

SCRIPTS_OF = {
    **dict.fromkeys(("en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "pl", "cs", "ro"), ("Latin",)),
    **dict.fromkeys(("hu", "tr", "id", "vi"), ("Latin",)),
    "zh": ("Han",),
    "ja": ("Han", "Kana"),
    "ko": ("Hangul",),
    **dict.fromkeys(("ru", "uk", "bg"), ("Cyrillic",)),
    "el": ("Greek",),
    **dict.fromkeys(("ar", "fa"), ("Arabic",)),
    "he": ("Hebrew",),
    "hi": ("Devanagari",),
    "th": ("Thai",),
}
LANGUAGES = tuple(SCRIPTS_OF)  # ISO 639-1 codes that can be requested
# What a text may be in besides; for what is not among them, the nearest of all these is found instead.
_OTHERS = (
    *("be", "sr", "mk", "kk", "ur", "ps", "mr", "ne"),
    *("sk", "hr", "sl", "lt", "lv", "et", "ca", "sq", "tl", "eu", "is"),
)

MIN_LETTERS = 20  # those of Han, kana and Hangul count three times
MIN_ODDS = 6.0
_SHORT_LETTERS = 32
_SHORT_FACTOR = 4.0  # of English, full of names and loan words
_REST_FACTOR = 2.0  # of what quotations leave
_MIN_SENTENCE_ODDS = 30.0  # of one sentence within a text
_MIN_SENTENCE_LETTERS = 40
_MAX_CHARS = 2000  # of a text that are classified
_MAX_SENTENCES = 40

# Palacio de la Alhambra, Ludwig van Beethoven: small words between those of a name are no language's.
_IN_NAMES = frozenset(
    (
        *(
            "de",
            "di",
            "da",
            "do",
            "du",
            "dos",
            "das",
            "des",
            "del",
            "della",
            "la",
            "las",
            "los",
            "le",
            "les",
            "el",
            "al",
        ),
        *(
            "il",
            "van",
            "von",
            "der",
            "den",
            "zu",
            "y",
            "e",
            "et",
            "und",
            "en",
            "sur",
            "av",
            "och",
            "og",
            "i",
            "of",
            "the",
        ),
        "and",
    )
)
_MIN_LOWER_WORDS = 2
_PERSIAN_WORD = re.compile(r"(?<!\w)(?:در|از|را|است|اين|که|كه|براي|شد|بود)(?!\w)|[پچژگ]")  # of no Arabic sentence
_ARABIC_SIGN = re.compile(r"[ةأإ]|(?<!\w)[وفبكل]?ال\w{3}")  # an article, or letters that Persian rarely has
_ARABIC_KEYBOARD = str.maketrans("يىك", "ییک")  # Persian typed with Arabic letters
_HAN, _KANA = script_pattern(("Han",)), script_pattern(("Kana",))
_MAX_KANA, _MIN_HAN = 0.1, 12


def in_another_language(
    texts: pa.Array | pa.ChunkedArray, languages: Collection[str], max_other_script_share: float = 0.2
) -> np.ndarray:
    """Returns whether each text (no nulls) is clearly in none of some `languages` of LANGUAGES, bool[n].

    `max_other_script_share`: share of letters in another script that a text may have where there are more than 20 of
    them.
    """
    requested = tuple(languages)
    return np.fromiter(
        (is_in_another_language(text, requested, max_other_script_share) for text in texts.to_pylist()),
        bool,
        len(texts),
    )


def is_in_another_language(text: str, languages: Collection[str], max_other_script_share: float = 0.2) -> bool:
    """Returns whether a text is clearly in none of some `languages`, or holds a sentence that is. Quotations don't
    count.
    """
    requested = tuple(languages)
    plain = " ".join(without_quotations(text).split())
    if not any(map(str.isalpha, plain)):
        plain = " ".join(text.split())
    if is_in_other_script(plain, _scripts(requested), max_other_script_share) or _is_other_east_asian(plain, requested):
        return True
    is_rest = len(plain) < len(" ".join(text.split()))
    if _is_classified_elsewhere(plain[:_MAX_CHARS], requested, MIN_ODDS, is_rest):
        return True
    parts = sentences(plain[: 10 * _MAX_CHARS])[:_MAX_SENTENCES]
    return len(parts) > 1 and any(
        letter_weight(part) >= _MIN_SENTENCE_LETTERS and _is_classified_elsewhere(part, requested, _MIN_SENTENCE_ODDS)
        for part in parts
    )


@lru_cache
def _scripts(languages: tuple[str, ...]) -> tuple[str, ...]:
    expected = {script for language in languages for script in SCRIPTS_OF[language]}
    return tuple(script for script in SCRIPTS if script in expected)


def _is_other_east_asian(text: str, languages: tuple[str, ...]) -> bool:
    """Returns whether kana or their absence speak against Chinese or Japanese, the one of them that is requested."""
    if text.isascii() or ("zh" in languages) == ("ja" in languages):
        return False
    han, kana = len(_HAN.findall(text)), len(_KANA.findall(text))
    if "zh" in languages:
        return kana > 2 and kana > _MAX_KANA * (han + kana)
    return kana == 0 and han >= _MIN_HAN


def _is_classified_elsewhere(text: str, languages: tuple[str, ...], min_odds: float, is_rest: bool = False) -> bool:
    """Returns whether the classifier finds another language. `is_rest`: quotations were taken out of the text."""
    letters = letter_weight(text)
    if letters < _SHORT_LETTERS:
        min_odds *= _SHORT_FACTOR if "en" in languages else _REST_FACTOR if is_rest else 1
    if letters < MIN_LETTERS or _odds(text, languages) < min_odds:
        return False
    if text.isupper() or not any(map(str.isupper, text)):
        return True
    unnamed = _without_names(text)
    if sum(word.islower() for word in unnamed) < _MIN_LOWER_WORDS:
        return False
    return _odds(" ".join(unnamed), languages) >= min_odds


def _without_names(text: str) -> list[str]:
    """Returns the words of a text without runs of two or more capitalised ones, those of names."""
    kept: list[str] = []
    run: list[str] = []
    for word in [*text.split(), ""]:
        bare = word.strip("\"'’(),.;:!?")
        if bare[:1].isupper() or (run and bare in _IN_NAMES):
            run.append(word)
            continue
        capitals = [place for place, each in enumerate(run) if each.strip("\"'’(")[:1].isupper()]
        kept += run if len(capitals) == 1 else run[capitals[-1] + 1 :] if capitals else []
        run = []
        kept.append(word)
    return kept[:-1]


def _odds(text: str, languages: tuple[str, ...]) -> float:
    """Returns how many times as probable the most probable other language is as the most probable requested one."""
    if not text.isascii() and _is_persian(text, languages):
        text = text.translate(_ARABIC_KEYBOARD)
    ranked = classifier().rank(text.lower() if text.isupper() else text)
    requested = max(odds for language, odds in ranked if language in languages)
    other = max((odds for language, odds in ranked if language not in languages), default=0.0)
    return other / max(requested, 1e-30)


def _is_persian(text: str, languages: tuple[str, ...]) -> bool:
    """Returns whether Arabic letters may be Persian: a Persian word is among them or, if it is requested, no sign of
    Arabic.
    """
    return bool(_PERSIAN_WORD.search(text)) or ("fa" in languages and not _ARABIC_SIGN.search(text))


@lru_cache(maxsize=1)
def classifier() -> LanguageIdentifier:
    """Loads the classifier, once per process (a second); its probabilities are calibrated for the text's length."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([*LANGUAGES, *_OTHERS])
    return identifier
