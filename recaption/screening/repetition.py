"""The tests for repetition find captions that go round in circles, and captions that repeat their prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from corpus.text.words import words

_ECHO = 4  # words of the n-grams by which a prompt is recognised
_MOST_OF_CAPTION = 0.6
_PHRASE = 5  # words of the n-grams that are compared
_LONG_WORD = 30  # characters
_SYLLABLES = re.compile(r"(\w{1,8}?)\1{9,}")
# Signs, digits and emoji that follow on themselves. An ellipsis, a password, a rule or 10,000,000,000 is shorter.
_MARK_LOOP = re.compile(r"((?:(?:[^\w\s]|_)\d{0,3}\s?){1,4}?)\1{11,}|(\d{1,8}?)\2{11,}")
_EMOJI = r"[\u2600-\u27bf\u2b50\U0001f000-\U0001faff]\ufe0f?"
_EMOJI_LOOP = re.compile(rf"((?:{_EMOJI}\s?){{1,4}}?)\1{{5,}}")
_BETWEEN_MARKS = re.compile(r"(?<=[^\w\s])\s+(?=[^\w\s])")
_NUMBER = re.compile(r"(?<![\w.,])\d{1,4}(?![\w])")
_COUNTED = 25  # numbers in a row, each one more than the last
QUOTED_REPEATS = 40  # of lettering: a wall may well say "love love love"
_LONG = 6  # words from which a phrase is more than a pattern that a picture may have


def has_phrase_loop(tokens: Sequence[str], repeats: int) -> bool:
    """Whether a phrase follows on itself: `repeats` times, one time less if it is long, one or two more if it has two
    words or one. In one pass: where three words came before, the same distance back for as long as the loop lasts.
    """
    last: dict[tuple[str, str, str], int] = {}
    period, streak = 0, 0
    for place, three in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False)):
        distance = place - last.get(three, place)
        streak = streak + 1 if distance and distance == period else 1
        period = distance
        last[three] = place
        if period and streak + 2 + period >= period * _needed(period, repeats):
            return True
    return False


def _needed(period: int, repeats: int) -> int:
    if period >= _LONG:
        return max(2, repeats - 1)
    return repeats + max(0, 3 - period)


def repeated_ngram_share(tokens: Sequence[str]) -> float:
    """The share of the words that are part of five words in a row which came before."""
    covered = 0
    seen: set[tuple[str, ...]] = set()
    until = 0  # all words before it that are covered have been counted
    for place, phrase in enumerate(zip(*(tokens[shift:] for shift in range(_PHRASE)), strict=False)):
        if phrase in seen:
            covered += place + _PHRASE - max(place, until)
            until = place + _PHRASE
        seen.add(phrase)
    return covered / max(1, len(tokens))


def has_looping_word(tokens: Sequence[str]) -> bool:
    """Whether a very long word is the same few characters again and again: hahahaha..."""
    longest = max(map(len, tokens), default=0)
    return longest >= _LONG_WORD and any(len(word) >= _LONG_WORD and _SYLLABLES.search(word) for word in tokens)


def has_looping_marks(text: str) -> bool:
    """Whether signs, digits or emoji of a text without quotations go round in circles, or numbers are counted up."""
    joined = _BETWEEN_MARKS.sub("", text)
    return any(_MARK_LOOP.search(each) or _EMOJI_LOOP.search(each) for each in {text, joined}) or _counts_up(text)


def _counts_up(text: str) -> bool:
    """Whether 1 2 3 ... goes on and on."""
    streak, last = 0, -2
    for number in map(int, _NUMBER.findall(text)) if len(text) > 2 * _COUNTED else ():
        streak = streak + 1 if number == last + 1 else 1
        last = number
        if streak >= _COUNTED:
            return True
    return False


def echoes_prompt(tokens: Sequence[str], prompt: str, run: int) -> bool:
    """Whether a caption repeats its prompt: `run` words of it in a row, or fewer if they are most of the caption.

    A shorter prompt is echoed by all of its words. Words that both just happen to use don't count: runs of fewer than
    four never do.
    """
    known, length = _ngrams(prompt)
    longest = streak = 0
    for four in zip(*(tokens[shift:] for shift in range(_ECHO)), strict=False):
        streak = streak + 1 if four in known else 0
        longest = max(longest, streak)
    if not longest:
        return False
    longest += _ECHO - 1
    return longest >= min(run, length) or longest >= _MOST_OF_CAPTION * len(tokens)


@lru_cache(maxsize=256)
def _ngrams(prompt: str) -> tuple[frozenset[tuple[str, ...]], int]:
    tokens = words(prompt)
    return frozenset(zip(*(tokens[shift:] for shift in range(_ECHO)), strict=False)), len(tokens)
