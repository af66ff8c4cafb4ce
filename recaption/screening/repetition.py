"""Detects captions that repeat themselves, and captions that repeat their prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from corpus.text.words import words

_ECHO_NGRAM = 4  # words of the n-grams by which a prompt is recognized
_MIN_ECHO_SHARE = 0.6
_PHRASE_NGRAM = 5  # words of the n-grams that are compared
_LONG_WORD = 30  # characters
_SYLLABLES = re.compile(r"(\w{1,8}?)\1{9,}")
# Loops of signs, digits and emoji. An ellipsis, a password, a rule or 10,000,000,000 is shorter.
_MARK_LOOP = re.compile(r"((?:(?:[^\w\s]|_)\d{0,3}\s?){1,4}?)\1{11,}|(\d{1,8}?)\2{11,}")
_EMOJI = r"[\u2600-\u27bf\u2b50\U0001f000-\U0001faff]\ufe0f?"
_EMOJI_LOOP = re.compile(rf"((?:{_EMOJI}\s?){{1,4}}?)\1{{5,}}")
_BETWEEN_MARKS = re.compile(r"(?<=[^\w\s])\s+(?=[^\w\s])")
_NUMBER = re.compile(r"(?<![\w.,])\d{1,4}(?![\w])")
_MIN_COUNT_RUN = 25  # consecutive numbers in a row
QUOTED_REPEATS = 40  # of lettering: a wall may read "love love love"
_LONG_PHRASE = 6  # words of a phrase that is more than a pattern in an image


def has_phrase_loop(tokens: Sequence[str], repeats: int) -> bool:
    """Returns whether a phrase is repeated `repeats` times in a row.

    A long phrase may be repeated once less, one of two words or one once or twice more. The algorithm takes one pass:
    within a loop, each three words have the same distance to their last occurrence.
    """
    last: dict[tuple[str, str, str], int] = {}
    period, streak = 0, 0
    for place, three in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False)):
        distance = place - last.get(three, place)
        streak = streak + 1 if distance and distance == period else 1
        period = distance
        last[three] = place
        if period and streak + 2 + period >= period * _min_repeats(period, repeats):
            return True
    return False


def _min_repeats(period: int, repeats: int) -> int:
    if period >= _LONG_PHRASE:
        return max(2, repeats - 1)
    return repeats + max(0, 3 - period)


def repeated_ngram_share(tokens: Sequence[str]) -> float:
    """Returns the share of the words that belong to a five-gram that occurred before."""
    covered = 0
    known: set[tuple[str, ...]] = set()
    until = 0  # end of the words that are counted as covered
    for place, phrase in enumerate(zip(*(tokens[shift:] for shift in range(_PHRASE_NGRAM)), strict=False)):
        if phrase in known:
            covered += place + _PHRASE_NGRAM - max(place, until)
            until = place + _PHRASE_NGRAM
        known.add(phrase)
    return covered / max(1, len(tokens))


def has_looping_word(tokens: Sequence[str]) -> bool:
    """Returns whether a very long word repeats the same few characters: hahahaha..."""
    longest = max(map(len, tokens), default=0)
    return longest >= _LONG_WORD and any(len(word) >= _LONG_WORD and _SYLLABLES.search(word) for word in tokens)


def has_looping_marks(text: str) -> bool:
    """Returns whether signs, digits or emoji of a text without quotations are repeated, or numbers are counted up."""
    joined = _BETWEEN_MARKS.sub("", text)
    return any(_MARK_LOOP.search(each) or _EMOJI_LOOP.search(each) for each in {text, joined}) or _counts_up(text)


def _counts_up(text: str) -> bool:
    """Returns whether a text counts 1 2 3 ... without end."""
    streak, last = 0, -2
    for number in map(int, _NUMBER.findall(text)) if len(text) > 2 * _MIN_COUNT_RUN else ():
        streak = streak + 1 if number == last + 1 else 1
        last = number
        if streak >= _MIN_COUNT_RUN:
            return True
    return False


def echoes_prompt(tokens: Sequence[str], prompt: str, run: int) -> bool:
    """Returns whether a caption repeats its prompt: `run` words of it in a row, or fewer if they are most of the
    caption.

    A shorter prompt is echoed by all of its words. Runs of fewer than four words don't count: they are coincidences.
    """
    known, length = _ngrams(prompt)
    longest = streak = 0
    for four in zip(*(tokens[shift:] for shift in range(_ECHO_NGRAM)), strict=False):
        streak = streak + 1 if four in known else 0
        longest = max(longest, streak)
    if not longest:
        return False
    longest += _ECHO_NGRAM - 1
    return longest >= min(run, length) or longest >= _MIN_ECHO_SHARE * len(tokens)


@lru_cache(maxsize=256)
def _ngrams(prompt: str) -> tuple[frozenset[tuple[str, ...]], int]:
    tokens = words(prompt)
    return frozenset(zip(*(tokens[shift:] for shift in range(_ECHO_NGRAM)), strict=False)), len(tokens)
