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
_END = re.compile(r"""[.!?…।؟۔]+["”’')\]»]*(?=\s|$)|[。！？][」』”]*""")
_ABBREVIATIONS = (
    " approx apr aug ave avg blvd bros ca capt cf co col corp dec dept dr ed eds est excl feb fig figs ft gen gov hon "
    "hwy inc incl jan jr jul jun lt ltd mar max messrs min mr mrs ms mt no nos nov oct op pp pres prof rd rep rev sen "
    "sep sept sgt sr st ste tel univ viz vol vs "
)
# Articles, prepositions and conjunctions after which no sentence or caption ends.
_NEVER_LAST = {
    "en": "a an the of and or with from its their his our into onto between than because while whose as which that is "
    "are was were very",
    "de": "der die das den dem des ein eine einen einem einer eines und oder sowie von im am beim vom zum zur",
    "fr": "le la les un une des du de d et ou avec dans au aux leur leurs son ses",
    "es": "el la los las un una unos unas de del y e o con en por para su sus al que",
    "it": "il lo la i gli le un uno una di del della dei delle e o con in nel nella al alla per",
    "pt": "o a os as um uma uns umas de do da dos das e ou com em no na nos nas por para seu sua",
    "nl": "de het een van en of met",
    "sv": "en ett och eller med av",
    "da": "en et og eller med af",
    "no": "en et ei og eller med av",
    "fi": "ja tai sekä",
    "pl": "i oraz lub w z na do od przez",
    "cs": "a nebo v z na do od s",
    "ro": "un o de cu și sau în la pe",
    "hu": "a az egy és vagy",
    "tr": "ve bir",
    "id": "dan atau di dari dengan yang sebuah seorang",
    "vi": "và của với một các những",
    "ru": "и или в на с из от до под над за к у по",
    "uk": "і й та або в у на з із від до за",
    "bg": "и или в на с със от до",
    "el": "και ή ο η το οι τα του της των με σε στο στη στην",
    "ar": "و في من على إلى",
    "fa": "و در از به با که یک",
    "he": "של את עם על",
    "hi": "के का की में और एक",
}
_NEVER_LAST_IN = {language: frozenset(listed.split()) for language, listed in _NEVER_LAST.items()}
_GOES_ON = re.compile(r"[,;:(\[{/&+=–—、，；：（・-]$")
_CLOSED = re.compile(r"""[.!?…。！？।؟۔]["”’')\]»」』]{0,8}$""")
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
    whole = _mask(text)[: _unclosed(text)]
    ends = [end for end in _ends(whole) if whole.count("(", 0, end) <= whole.count(")", 0, end)]
    if len(ends) > 1 and ends[-1] == len(text) and text[-2:-1].isdigit():
        ends.pop()
    return text[: ends[-1]] if ends else ""


def has_end_mark(text: str) -> bool:
    """Whether a text ends as a sentence does, closing quotation marks and brackets aside."""
    return _CLOSED.search(text) is not None


def goes_on(text: str, language: str = "en") -> bool:
    """Whether a text of one line breaks off: its end is a comma, an open bracket or quotation, or a word such as "the".

    A fragment that is complete in itself, as a noun phrase is, does not. `language` is an ISO 639-1 code.
    """
    if has_end_mark(text):
        return False
    masked = _mask(text)
    if _GOES_ON.search(text) or masked.count("(") > masked.count(")") or _unclosed(text) is not None:
        return True
    last_words = words(masked)
    return len(last_words) > 1 and last_words[-1] in _NEVER_LAST_IN.get(language, ())


def _unclosed(text: str) -> int | None:
    """Where a quotation begins that does not end."""
    found = _OPENING.search(_QUOTED.sub(lambda quoted: "q" * len(quoted[0]), text))
    return found.start() if found else None


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
