"""A hint is what is known of an image (its page's words) or of frames (their captions), cleaned for a prompt."""

from __future__ import annotations

import re
import unicodedata

from recaption.special_tokens import remove_special_tokens

MAX_HINT_CHARS = 300
# Joiners and variation selectors next to ASCII, where no writing needs them: they would hide a token or split it.
_IDLE_JOINER = re.compile(
    "(?<![^\x00-\x7f｜▁])[\u034f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]+|[\u200c\u200d]+(?![^\x00-\x7f｜▁])"
)
_JOINERS = "\u200c\u200d"
# Prompts put a hint in double quotation marks: nothing in it may end them, escape one, or open a block of code.
_QUOTATION_MARKS = str.maketrans(dict.fromkeys('"“”„‟«»＂″‶❝❞〝〞〟`', "'") | {"\\": " ", "＼": " "})
# An angle bracket that begins or ends a tag of whatever name; "x < 5" stays.
_TAG_OPENING, _TAG_CLOSING = re.compile(r"[<＜](?=[^\s<>＜＞=\d])"), re.compile(r"(?<=[^\s<>＜＞=\d])[>＞]")


def clean_hint(text: str, max_chars: int = MAX_HINT_CHARS) -> str:
    """A row's text as a prompt may hold it: one line of at most so many characters, cut at a word.

    It has nothing that a chat template would take for the end of a turn or for an image, no invisible character, and no
    double quotation mark or backslash: lettering is quoted with apostrophes instead.
    """
    text = "".join(map(_visible, text[: 10 * max_chars]))
    while (without := remove_special_tokens(_IDLE_JOINER.sub("", text))) != text:
        text = without
    text = _TAG_CLOSING.sub("›", _TAG_OPENING.sub("‹", text.translate(_QUOTATION_MARKS)))
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    cut = text[: max_chars + 1].rpartition(" ")[0]
    return cut or text[:max_chars]


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Cc", "Cs", "Zl", "Zp"):
        return " "
    return "" if category in ("Cf", "Co", "Cn") and char not in _JOINERS else char
