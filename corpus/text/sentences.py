"""Words, quotations and sentences of a caption, by rules of their typography."""

from __future__ import annotations

import itertools
import re

# A word, its apostrophes and hyphens included. Scripts that don't put spaces between words: each character is one.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+(?:['’-][^\W_]+)*")

# A mark after a digit is inches; an apostrophe inside a word, or before a decade, is none of a quotation's. Each
# alternative starts with its character, so that the search skips all others.
_QUOTED = re.compile(
    r""""(?<!\d")[^"]*" | “[^“”]*” | „[^„“”]*[“”] | «[^«»]*» | 「[^「」]*」 | 『[^『』]*』
    | ‘(?<!\w‘)(?:[^‘’]|(?<=\w)’(?=\w)){1,300}’
    | '(?<![\w']')(?![\s'])(?!\d\ds)(?:[^']|(?<=\w)'(?=\w)){1,300}(?<!\s)'(?!\w)""",
    re.VERBOSE,
)
_OPENING = re.compile(r""""(?<!\d")|[“„«「『‘]|'(?<![\w']')(?![\s'])(?!\d\ds)""")
_END = re.compile(r"""[.!?…]+["”’')\]»]*(?=\s|$)|[。！？][」』”]*""")
_ABBREVIATIONS = (
    " approx apr aug ave avg blvd bros ca capt cf co col corp dec dept dr ed eds est excl feb fig figs ft gen gov hon "
    "hwy inc incl jan jr jul jun lt ltd mar max messrs min mr mrs ms mt no nos nov oct op pp pres prof rd rep rev sen "
    "sep sept sgt sr st ste tel univ viz vol vs "
)
_LAST_TOKEN = re.compile(r"[\w.]*$")
_INITIALS = re.compile(r"[^\W\d]|(?:\w\.)+\w|(?:\w+\.)+[a-z]", re.IGNORECASE)  # J., U.S., Ph.D.


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def without_quotations(text: str) -> str:
    """The text without what it quotes, such as lettering in the picture."""
    return _QUOTED.sub(" ", text)


def sentences(text: str) -> list[str]:
    """The sentences of a text of one line; what comes after the last one's end is one, too."""
    ends = [0, *_ends(_mask(text)), len(text)]
    pieces = [text[start:stop].strip() for start, stop in itertools.pairwise(ends)]
    return [piece for piece in pieces if piece]


def cut_back(text: str) -> str:
    """A text that was cut off, up to its last full sentence; "" if it has none.

    A full stop inside a quotation or brackets that are still open ends nothing. One after a number at the very end,
    where more digits may have been to come, does if there is no other.
    """
    unclosed = _OPENING.search(_QUOTED.sub(lambda found: "q" * len(found[0]), text))
    whole = _mask(text)[: unclosed.start() if unclosed else None]
    ends = [end for end in _ends(whole) if whole.count("(", 0, end) <= whole.count(")", 0, end)]
    if len(ends) > 1 and ends[-1] == len(text) and text[-2:-1].isdigit():
        ends.pop()
    return text[: ends[-1]] if ends else ""


def _mask(text: str) -> str:
    """The text, as long as it was, without the inside of its quotations; how they end is kept."""
    return _QUOTED.sub(lambda found: _masked(found[0]), text)


def _masked(quotation: str) -> str:
    kept = 2 if quotation[-2:-1] in (".", "!", "?", "…") else 0
    return "q" * (len(quotation) - kept) + quotation[len(quotation) - kept :]


def _ends(text: str) -> list[int]:
    """Where sentences end: the places after their last characters."""
    return [found.end() for found in _END.finditer(text) if _is_end(text, found)]


def _is_end(text: str, found: re.Match[str]) -> bool:
    following = text[found.end() : found.end() + 2].strip()[:1]
    if following.islower():
        return False
    if not found[0].startswith(".") or found[0].startswith(".."):
        return True
    token = _LAST_TOKEN.search(text, max(0, found.start() - 16), found.start())
    before = token[0] if token else ""
    return f" {before.lower()} " not in _ABBREVIATIONS and not _INITIALS.fullmatch(before)
