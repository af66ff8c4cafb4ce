"""Removes harmless markup around a caption, and detects other markup, with which a text is no caption."""

from __future__ import annotations

import re

from corpus.text.html import unescape
from corpus.text.sentences import without_quotations
from recaption.special_tokens import has_special_token

_LABEL = re.compile(
    r"(?:(?:detailed|brief|short|long|image|picture|photo|english)\s+)*"
    r"(?:caption|description|alt[ -]text|assistant|response|image|picture|photo(?:graph)?)\s*:\s*",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"(?:(?:sure|certainly|absolutely|of\ course|okay|ok)\b[^.:!\n]{0,40}[,.!]\s*)?"
    r"here(?:['’]s|\s+is|\s+are)\b[^.:\n]{0,80}?\b(?:caption|description|summary|paragraph|sentence)s?\b[^.:\n]{0,120}:\s*"
    r"|(?:sure|certainly|absolutely|of\ course)(?:\s+thing)?[!.]\s+",
    re.IGNORECASE,
)
_BULLET = re.compile(r"(?:[-*•‣▪]\s+)+")
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*]+)(?<=\S)\1(?![\w*])")
_INLINE_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_QUOTES = {'"': '"', "“": "”", "„": "“", "‘": "’", "'": "'", "«": "»", "「": "」"}
_OUTER_APOSTROPHE = re.compile(r"(?<!\w)['’]|['’](?!\w)")

# "# A dog" is a heading; "# 1 is painted on a door" and "# is pressed" are prose.
_HEADING = re.compile(r"^\s{0,3}(?:#{2,6}\s+|#\s+(?=[^\W\d_a-zß-ÿ]))")
_HEADING_LINE = re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+\S", re.MULTILINE)
_QUOTED_ENTITY = re.compile(r"""(["“'‘])(&[#\w]{1,32};)(?=["”'’])""")  # lettering in an image
_LIST_LINE = re.compile(r"^[ \t]*(?:[-*+>•‣▪–·]|\d{1,2}[.)])\s+\S", re.MULTILINE)
_FAULTS = re.compile(
    r"""^[ \t]*(?:-{3,}|\*{3,}|_{3,}|={3,})[ \t]*$  # rule
    | ^[ \t]*(?:user|human|assistant|system)[ \t]*:  # the next turn of a conversation
    | ```|^[ \t]*~~~                        # code
    | \|\s*:?-{3,}:?\s*(?:\||$)           # table
    | !?\[[^\[\]\n]{0,200}\]\((?:https?:|www\.|/|\#|data:)[^()\s]*\)  # link
    | (?<!\S)\*\*\w                       # emphasis without an end""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_TAG = re.compile(
    r"</?(?:a|b|i|u|p|br|hr|em|strong|small|sub|sup|span|div|section|article|font|center|h[1-6]|ul|ol|li|dl|dt|dd|table|"
    r"thead|tbody|tr|td|th|img|figure|figcaption|html|head|body|title|code|pre|blockquote|script|style|svg|iframe|button|"
    r"caption|description|answer)(?:\s[^<>]{0,300})?/?>|<!--",
    re.IGNORECASE,
)


def repair(text: str) -> str:
    """Removes preamble, label, emphasis, inline code, entities, and quotes around the whole text.

    Of a text of one line, a bullet and the sign of a heading are removed too. The function is idempotent.
    """
    while (repaired := _repair_once(text)) != text:
        text = repaired
    return text


def _repair_once(text: str) -> str:
    text = text.strip()
    if "&" in text and not _QUOTED_ENTITY.search(text):
        text = unescape(text).strip()
    if "*" in text:
        text = _EMPHASIS.sub(r"\2", text)
    if "`" in text:
        text = _INLINE_CODE.sub(_as_quotation, text)
    for opening in (_PREAMBLE, _LABEL):
        if found := opening.match(text):
            text = text[found.end() :]
    if (bullet := _BULLET.match(text)) and len(_LIST_LINE.findall(text)) < 2:
        text = text[bullet.end() :]
    if "\n" not in text:
        text = _HEADING.sub("", text)
    return _unquoted(text)


def _as_quotation(code: re.Match[str]) -> str:
    return code[1] if '"' in code[1] else f'"{code[1]}"'


def _unquoted(text: str) -> str:
    """Removes quotes around a text, if they are one pair: not of '"Stop" and "Go"'."""
    if len(text) < 2 or _QUOTES.get(text[0]) != text[-1]:
        return text
    inside = text[1:-1]
    if text[0] in "'‘":
        alone = not _OUTER_APOSTROPHE.search(inside)
    else:
        alone = text[0] not in inside and text[-1] not in inside
    return inside if alone else text


def has_markup(text: str) -> bool:
    """Returns whether a repaired text, its lines kept, still has Markdown, HTML or special tokens.

    Tags in quotation marks are lettering in the image.
    """
    if _FAULTS.search(text) or len(_LIST_LINE.findall(text)) > 1:
        return True
    if "\n" in text and _HEADING_LINE.search(text):
        return True
    if has_special_token(text):
        return True
    return "<" in text and _TAG.search(without_quotations(text)) is not None
