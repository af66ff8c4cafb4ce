"""Scripts of the letters of a text, and clauses in another script than that of the text.

Scripts are told apart by code points. A character of Han, kana, Hangul, Thai and the like stands for a syllable or a
word, so it weighs as much as `DENSE_WEIGHT` letters of an alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache

from corpus.text.sentences import sentences

DENSE_WEIGHT = 3
# Ranges of a character class. Combining marks are no letters to `re`, so Indic and Thai ranges hold theirs.
SCRIPTS = {
    "Latin": "A-Za-zªºÀ-ÖØ-öø-ɏʰ-˿ᴀ-ᶿḀ-ỿⅠ-ↈＡ-Ｚａ-ｚ\U0001d400-\U0001d7ff",  # the last: letters of formulas
    "Cyrillic": "\u0400-\u052f\u1c80-\u1c8f\u2de0-\u2dff\ua640-\ua69f",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc",
    "Hebrew": "\u0590-\u05ff\ufb1d-\ufb4f",
    "Devanagari": "\u0900-\u097f\ua8e0-\ua8ff",
    "Thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
    "Hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3",
    "Han": "\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003134f",
    "Kana": "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f",
}
_DENSE = ("Han", "Kana", "Hangul")
_SYLLABLES = re.compile(f"[{SCRIPTS['Han']}{SCRIPTS['Kana']}]")
_NO_BLANKS = re.compile(f"[{SCRIPTS['Thai']}\u0e81-\u0edf\u1000-\u109f\u1780-\u17d3]")  # Thai, Lao, Burmese, Khmer
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile("[A-Za-z]")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[!-~]+|[\w.+-]{1,64}@[A-Za-z\d-]+(?:\.[A-Za-z\d-]+)+", re.ASCII
)  # of no language
_SENTENCE_END = re.compile(r"[.!?。！？।؟]\W{0,8}$")
_CLAUSE_MARK = re.compile(r"[，。！？；][^\W\d_]|[^\W\d_][，。！？；]")  # as Chinese and Japanese sentences have

# How long a piece in another script must be to be a clause and no name.
_CLAUSE_CHARS = 12  # of Han and kana; the names of a ministry or a film have up to eleven
_CLAUSE_CHARS_WITH_MARK = 6
_CLAUSE_THAI = 25
_CLAUSE_WORDS = 4  # of Cyrillic and Greek, `_CLAUSE_LOWER` of them without a capital
_CLAUSE_LOWER = 3
_CLAUSE_CASELESS_WORDS = 5  # of Arabic, Hebrew, Devanagari, Hangul
_CLAUSE_LATIN_WORDS, _CLAUSE_LATIN_LOWER = 6, 4  # in a text of another script, where titles in Latin are common
_SENTENCE_WORDS, _SENTENCE_CHARS = 3, 5  # of a whole sentence between others, its end mark included
_MIXED_PIECES = 3
_MIN_WEIGHT = 4  # of letters, for a verdict by script
_MIN_SHARE_LETTERS = 20


@lru_cache
def script_pattern(scripts: tuple[str, ...]) -> re.Pattern[str]:
    """Returns a pattern of a letter of any of some SCRIPTS."""
    return re.compile(f"[{''.join(SCRIPTS[script] for script in scripts)}]")


@lru_cache
def _foreign_letter(scripts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?=[^\W\d_])[^{''.join(SCRIPTS[script] for script in scripts)}]")


def letter_counts(text: str, scripts: tuple[str, ...]) -> tuple[int, int]:
    """Returns how many letters a text has in some SCRIPTS, and in others; characters, unweighted."""
    if text.isascii() and "Latin" in scripts:
        return len(_LETTER.findall(text)), 0
    foreign = len(_foreign_letter(scripts).findall(text))
    return len(_LETTER.findall(text)) - foreign, foreign


def letter_weight(text: str) -> int:
    """Returns how many letters a text has, dense ones weighted."""
    letters = len(_LETTER.findall(text))
    if text.isascii():
        return letters
    return letters + (DENSE_WEIGHT - 1) * len(script_pattern(_DENSE).findall(text))


def is_in_other_script(text: str, scripts: tuple[str, ...], max_other: float) -> bool:
    """Returns whether a text without quotations is in other scripts than some SCRIPTS: all of it, a clause, or many
    words.

    `max_other`: share of letters in other scripts, those of names with a capital aside, that is fine where there are
    more than 20 of them.
    """
    if text.isascii() and "Latin" in scripts:
        return False
    text = _ADDRESS.sub(" ", text)
    in_script, other = letter_counts(text, scripts)
    if not other:
        return False
    if "Latin" in scripts:
        if other > max(max_other, 0.5) * (in_script + other):
            return _weighted(text, scripts, other) >= _MIN_WEIGHT
        unnamed = _unnamed(text, scripts)
        if unnamed > _MIN_SHARE_LETTERS and unnamed > max_other * (in_script + other):
            return True
    elif not in_script or _script_weight(in_script, scripts) < _unnamed(text, scripts):
        return True
    return any(map(_is_clause, _pieces(text, scripts))) or _is_mixed(text, scripts) or _has_sentence(text, scripts)


def _unnamed(text: str, scripts: tuple[str, ...]) -> int:
    """Returns how many letters of other scripts a text has in words that don't begin with a capital, as names do."""
    return sum(letter_counts(word, scripts)[1] for word in text.split() if not word.strip("\"'(")[:1].isupper())


def _weighted(text: str, scripts: tuple[str, ...], other: int) -> int:
    dense = tuple(script for script in _DENSE if script not in scripts)
    return other + (DENSE_WEIGHT - 1) * len(script_pattern(dense).findall(text)) if dense else other


def _script_weight(in_script: int, scripts: Collection[str]) -> int:
    return in_script * (DENSE_WEIGHT if "Han" in scripts or "Hangul" in scripts else 1)


def _pieces(text: str, scripts: tuple[str, ...]) -> Iterator[str]:
    """Yields what stands between letters of the text's own scripts, where it holds letters of others."""
    for piece in script_pattern(scripts).split(text):
        if _LETTER.search(piece):
            yield piece


def _is_clause(piece: str) -> bool:
    syllables = len(_SYLLABLES.findall(piece))
    if syllables:
        return syllables >= _CLAUSE_CHARS or (
            syllables >= _CLAUSE_CHARS_WITH_MARK and _CLAUSE_MARK.search(piece) is not None
        )
    if _NO_BLANKS.search(piece):
        return len(_NO_BLANKS.findall(piece)) >= _CLAUSE_THAI
    words = _words(piece)
    lower = sum(word.islower() and len(word) > 1 for word in words)
    if not lower and not any(map(str.isupper, piece)):  # a script without capitals
        return len(words) >= _CLAUSE_CASELESS_WORDS or (
            len(words) >= _CLAUSE_WORDS and _SENTENCE_END.search(piece) is not None
        )
    if _LATIN.search(piece):
        return len(words) >= _CLAUSE_LATIN_WORDS and lower >= _CLAUSE_LATIN_LOWER
    return len(words) >= _CLAUSE_WORDS and lower >= _CLAUSE_LOWER


def _words(piece: str) -> list[str]:
    return [word for word in piece.split() if _LETTER.search(word)]


def _has_sentence(text: str, scripts: tuple[str, ...]) -> bool:
    """Returns whether a sentence between others has no letter of the text's own scripts."""
    in_script = script_pattern(scripts)
    for sentence in sentences(text)[:50]:
        if in_script.search(sentence) or not _LETTER.search(sentence) or not _SENTENCE_END.search(sentence):
            continue
        if len(_words(sentence)) >= _SENTENCE_WORDS or len(_SYLLABLES.findall(sentence)) >= _SENTENCE_CHARS:
            return True
    return False


@lru_cache
def _foreign_word(scripts: tuple[str, ...]) -> re.Pattern[str]:
    """Returns a pattern of words of another script after a short word of the text's own, as an article
    is, and before one of its own.
    """
    in_script = "".join(SCRIPTS[script] for script in scripts)
    foreign = rf"(?:(?=[^\W\d_])[^{in_script}])"
    return re.compile(rf"(?<![{in_script}])[{in_script}]{{1,3}} {foreign}{{2,}}(?: {foreign}+)*(?=\W)")


def _is_mixed(text: str, scripts: tuple[str, ...]) -> bool:
    """Returns whether words of another script repeatedly stand for a text's own words: "a 蓝色 dress on a 街道"."""
    found = _foreign_word(scripts).findall(text) if "Latin" in scripts else []
    return sum(not piece.split()[1][:1].isupper() for piece in found) >= _MIXED_PIECES
