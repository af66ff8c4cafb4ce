"""Models that go round in circles, and models that say their prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from corpus.text.sentences import words

_ECHO = 4  # words of the n-grams by which a prompt is recognised
_MOST_OF_CAPTION = 0.6
_PHRASE = 5  # words of the n-grams that count as said again
_LONG_WORD = 30  # characters
_SYLLABLES = re.compile(r"(\w{1,8}?)\1{9,}")
_LONG = 6  # words from which a phrase is more than a pattern that a picture may have


def loops(said: Sequence[str], repeats: int) -> bool:
    """Whether a phrase follows on itself: `repeats` times, one time less if it is long, one or two more if it has two
    words or one. In one pass: where three words came before, the same distance back for as long as the loop lasts.
    """
    last: dict[tuple[str, str, str], int] = {}
    period, streak = 0, 0
    for place, three in enumerate(zip(said, said[1:], said[2:], strict=False)):
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


def said_again(said: Sequence[str]) -> float:
    """The share of the words that are part of five words in a row which came before."""
    covered = 0
    seen: set[tuple[str, ...]] = set()
    until = 0  # all words before it that are covered have been counted
    for place, phrase in enumerate(zip(*(said[shift:] for shift in range(_PHRASE)), strict=False)):
        if phrase in seen:
            covered += place + _PHRASE - max(place, until)
            until = place + _PHRASE
        seen.add(phrase)
    return covered / max(1, len(said))


def has_looping_word(said: Sequence[str]) -> bool:
    """Whether a very long word is the same few characters again and again: hahahaha..."""
    longest = max(map(len, said), default=0)
    return longest >= _LONG_WORD and any(len(word) >= _LONG_WORD and _SYLLABLES.search(word) for word in said)


def echoes(said: Sequence[str], prompt: str, run: int) -> bool:
    """Whether a caption says its prompt: `run` words of it in a row, or fewer if they are most of the caption.

    A shorter prompt is echoed by all of its words. Words that both just happen to use don't count: runs of fewer than
    four never do.
    """
    known, length = _ngrams(prompt)
    longest = streak = 0
    for four in zip(*(said[shift:] for shift in range(_ECHO)), strict=False):
        streak = streak + 1 if four in known else 0
        longest = max(longest, streak)
    if not longest:
        return False
    longest += _ECHO - 1
    return longest >= min(run, length) or longest >= _MOST_OF_CAPTION * len(said)


@lru_cache(maxsize=256)
def _ngrams(prompt: str) -> tuple[frozenset[tuple[str, ...]], int]:
    asked = words(prompt)
    return frozenset(zip(*(asked[shift:] for shift in range(_ECHO)), strict=False)), len(asked)
