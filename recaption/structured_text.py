"""Data where prose was requested: JSON, tags, key: value, lists that run on in one line."""

from __future__ import annotations

import re

from corpus.text.sentences import without_quotations

_JSON = re.compile(
    r"""^\W{0,3}[{\[]\s*(?:[{\["']|\}|\]|[\w\s]{1,30}:\s)  # begins as an object or a list of strings
    | ["'][\w\s-]{1,40}["']\s*:\s*(?:["'\[{]|-?\d|true\b|false\b|null\b)""",
    re.VERBOSE,
)
_ASSIGNED = re.compile(r"^\w+\s*=\s*[\"'\[{(\d]")
_XML = re.compile(r"<([A-Za-z][\w-]{0,40})(?:\s[^<>]{0,200})?>.*</\1\s*>|^<[A-Za-z][\w-]*(?:\s[^<>]*)?/>", re.DOTALL)
# "Subject: a bridge." again and again. A key has up to three words; times, ratios and addresses have none.
_KEY = r"[^\W\d_][\w /-]{1,28}?\s?[:=]\s?(?=[^\W_]|[\"'\[(])(?!//)"
_KEY_VALUE = re.compile(rf"(?:^|[.;,|\n]\s*|\s-\s){_KEY}|(?<!\w)[A-Z]\w{{2,20}}:\s(?=\w)")
_BEGINS_WITH_KEY = re.compile(rf"\W{{0,3}}{_KEY}")
_MIN_KEYS = 3
_KEY_LINE = re.compile(rf"^\W{{0,4}}{_KEY}.*$")
_TABLE_LINE = re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)
_GROUP = re.compile(r"\[[^\[\]]{1,40}\]|<[^<>]{1,40}>|\([^()]{1,40}\)")
_SCORE = re.compile(r"[^\W\d_][\w ]{1,30}[:=(]\s?(?:0?\.\d+|1\.0+|\d{1,3}\s?%|\d{1,3}\))")
_MIN_SCORES = 3
_HASHTAGS = re.compile(r"(?:^|\s)#\w+")
_INLINE_BULLET = re.compile(r"(?:^|\s)[•‣▪●·]\s")
_INLINE_NUMBER = re.compile(r"(?:^|\s)(\d{1,2})[.)]\s+(?=[^\W\d_])")
_MIN_ITEMS = 3
_TAG_SEPARATOR = re.compile(r"\s*[,|;、，]\s*|\s/\s")
_MIN_TAGS, _MAX_TAG_WORDS = 6, 2
_JOINS = re.compile(r"\b(?:and|or|und|et|y|e|en|och|og|i|a|sowie|with|of|on|in)\b|[.!?]$", re.IGNORECASE)


def is_data(text: str) -> bool:
    """Whether a text of one line is data, not prose. What it quotes doesn't count, save in JSON."""
    if _JSON.search(text) or _ASSIGNED.search(text) or _XML.search(text):
        return True
    plain = without_quotations(text)
    return (
        (_BEGINS_WITH_KEY.match(plain) is not None and len(_KEY_VALUE.findall(plain)) >= _MIN_KEYS)
        or len(_SCORE.findall(plain)) >= _MIN_SCORES
        or len(_HASHTAGS.findall(plain)) >= _MIN_ITEMS
        or len(_INLINE_BULLET.findall(plain)) >= _MIN_ITEMS
        or _is_numbered(plain)
        or _is_groups(plain)
        or _are_tags(plain)
    )


def has_data_lines(text: str) -> bool:
    """Whether a text of several lines is a table, or has a key and a value in each line."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(_TABLE_LINE.findall(text)) > 1:
        return True
    return len(lines) > 1 and all(_KEY_LINE.match(line) for line in lines)


def _is_groups(text: str) -> bool:
    """Whether it is nothing but groups in brackets: "[bridge] [river] [heron]"."""
    return len(_GROUP.findall(text)) >= _MIN_ITEMS and not re.search(r"\w", _GROUP.sub("", text))


def _is_numbered(text: str) -> bool:
    """Whether it is a list with the numbers 1, 2, 3 before its items, the first of them at its beginning."""
    numbers = [int(number) for number in _INLINE_NUMBER.findall(text)]
    return _INLINE_NUMBER.match(text) is not None and numbers[:_MIN_ITEMS] == list(range(1, _MIN_ITEMS + 1))


def _are_tags(text: str) -> bool:
    """Whether it is nothing but short items between separators: "bridge, river, heron, stone, water, outdoors"."""
    tags = _TAG_SEPARATOR.split(text.strip())
    if len(tags) < _MIN_TAGS or _JOINS.search(text):
        return False
    return all(tag and len(tag.split()) <= _MAX_TAG_WORDS and len(tag) <= 30 for tag in tags)
