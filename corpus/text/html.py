"""HTML remains in texts: entities, and tags as distinct from what only looks like them.

Left alone are "a < b", "vector<int>", tags that are no HTML, code between backticks, and texts that mention HTML
("What does the <div> tag do?").
"""

from __future__ import annotations

import html
import re
from collections import Counter
from html.entities import html5

CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)  # as in Markdown; splitting by it leaves code at odd places

_ENTITY = re.compile(r"&(?:amp;)*(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9]{0,15})"
    r"(?P<attributes>(?:\s+[A-Za-z_:@][-\w:.]*(?:\s*=\s*(?:\"[^\"<>\0]*\"|'[^'<>\0]*'|[^\s\"'=<>`\0]+))?)*)\s*/?>"
)
# What is not text. None reaches over its own beginning, so that a text full of beginnings takes no longer.
_UNSEEN = re.compile(
    r"<!--(?:(?!<!--|\0).)*?-->|<!DOCTYPE[^<>\0]*>|<(script|style)\b[^<>\0]*>(?:(?!<\1|\0).)*?</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_MENTIONS_HTML = re.compile(
    r"\b(?:x?html5?|css|xml|jsx|entit(?:y|ies))\b|>\s*(?:tag|element)s?\b|\b(?:tag|element)s?\s*<", re.IGNORECASE
)

_INLINE_NAMES = (
    "a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd mark nobr q s samp small span strike strong sub "
    "sup tt u var"
)
_BLOCK_NAMES = (
    "address article aside blockquote body br caption center dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 "
    "h6 head header hr html iframe img label li main nav noscript ol option p pre section select table tbody td tfoot "
    "th thead title tr ul wbr"
)
_INLINE, _BLOCK = frozenset(_INLINE_NAMES.split()), frozenset(_BLOCK_NAMES.split())
_KNOWN = _INLINE | _BLOCK
_ALONE = frozenset({"br", "hr", "img", "wbr"})  # they never have an end
_END_OPTIONAL = frozenset({"dd", "dt", "li", "option", "p", "td", "th", "tr"})
_NEW_LINE = _BLOCK - {"caption", "img", "label", "option", "td", "th", "wbr"}


def unescape(text: str) -> str:
    """Returns the text with entities as the characters that they stand for, however often they were escaped; only those
    with a semicolon.
    """
    return _ENTITY.sub(_character, text) if ";" in text else text


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name[0] == "#":
        return html.unescape(f"&{name};")
    return html5.get(f"{name};", match[0])


def mentions_html(text: str) -> bool:
    """Returns whether tags and entities may be what the text is about."""
    return _MENTIONS_HTML.search(text) is not None


def strip_tags(text: str) -> str:
    """Returns the text without tags; blocks end a line. No tag reaches over a NUL.

    A tag goes if it has its counterpart, never has one (<br>), or has an attribute with a value. Where one goes, those
    whose end may be left out (<p>, <li>) go too.
    """
    text = _UNSEEN.sub(" ", text)
    found = [match for match in _TAG.finditer(text) if match["name"].lower() in _KNOWN]
    if not found:
        return text
    opened = Counter(match["name"].lower() for match in found if not match["close"])
    closed = Counter(match["name"].lower() for match in found if match["close"])
    sure = {name for name in opened if closed[name] or name in _ALONE}
    sure |= {match["name"].lower() for match in found if "=" in match["attributes"]}
    if sure:
        sure |= _END_OPTIONAL
    return _TAG.sub(lambda match: _instead(match, sure), text)


def _instead(match: re.Match[str], sure: set[str]) -> str:
    name = match["name"].lower()
    if name not in sure or name not in _KNOWN:
        return match[0]
    if name in _INLINE:
        return ""
    return "\n" if name in _NEW_LINE else " "
