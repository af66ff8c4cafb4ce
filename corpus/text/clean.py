"""Repairs of single texts that every kind of text needs: mojibake and HTML entities."""

from __future__ import annotations

import html
import re
from html.entities import html5

from ftfy import fix_encoding
from ftfy.badness import is_bad

# A word in capitals, or a letter alone, that ends in Ã or Â before a closing quotation mark is right: “IRMÃ”.
_RIGHT_CAPITAL = re.compile('(?<=[A-ZÀ-ÖØ-Þ“‘«"])[ÂÃ](?=[“”‘’–—…•»])')
_ENTITY = re.compile(r"&(?:amp;)*(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def fix_mojibake(text: str) -> str:
    """The text with UTF-8 that was read in another encoding put right; a text that looks right stays as it is."""
    if text.isascii() or not is_bad(_RIGHT_CAPITAL.sub("A", text)):
        return text
    return fix_encoding(text)


def unescape(text: str) -> str:
    """Entities as the characters that they stand for, however often they were escaped; only those with a semicolon."""
    return _ENTITY.sub(_character, text) if ";" in text else text


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name[0] == "#":
        return html.unescape(f"&{name};")
    return html5.get(f"{name};", match[0])
