"""Characters that a caption may hold, and the signs of a text that was decoded wrongly."""

from __future__ import annotations

import re
import unicodedata

# What no caption needs: controls, lone surrogates, private use, noncharacters, and marks that show nothing or turn the
# direction of what follows. The joiners of emoji and of Indic and Persian writing (U+200C, U+200D) stay.
_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ud800-\uf8ff\ufdd0-\ufdef"
    "\ufeff\ufff9-\ufffc\ufffe\uffff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
# UTF-8 that was read as Latin-1 or Windows-1252. Bytes 0x80 to 0xBF come out as controls, signs and marks, seldom as
# letters; typographic marks also follow a word in capitals that ends in Ã or Â, as in “IRMÔ.
_MARKS = "\x80-\x9f€‚ƒ„†‡ˆ‰Š‹ŒŽ˜™š›œžŸ\xa1-\xbf"
_MOJIBAKE = re.compile(
    "\ufffd"
    f"|[ÂÃ](?!»)[{_MARKS}]|(?<![A-ZÀ-ÖØ-Þ«])[ÂÃ]»"
    "|(?<![^\\W_])Ã\xa0"
    "|(?<=[a-zà-ÿ])[ÂÃ][“”‘’–—…•\xa0]"
    "|â(?:€[\\W_œ]|‚¬|†’|„¢)"
    f"|(?:[ÐÑ][{_MARKS}“”‘’–—…•\xa0]){{2}}"
    f"|(?:[ã-ï][{_MARKS}“”‘’–—…•\xa0]{{2}}){{2}}"
    "|ï¿½|ï»¿|ðŸ"
    "|[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]{2}"
    "|[\ud800-\udfff]"
    "|[\ue000-\uf8ff\U000f0000-\U0010ffff]{2}"
)


def is_mojibake(text: str) -> bool:
    """Whether a text, as it came, was decoded wrongly somewhere: see `recaption.screening`."""
    if text.isascii() and text.isprintable():
        return False
    return _MOJIBAKE.search(text) is not None


def clean(text: str) -> str:
    """The text in NFC, without unwanted characters; its lines stay."""
    if text.isascii() and text.isprintable():
        return text
    return unicodedata.normalize("NFC", _UNWANTED.sub("", text))


def one_line(text: str) -> str:
    """The text with single spaces instead of any white space."""
    return " ".join(clean(text).split())
