"""Mojibake: UTF-8 that was read in another encoding. Which texts may have it, its repair, and what no repair undoes.

The repair is ftfy's (R. Speer, ftfy, 2019). Whole columns are searched first for what it could change at all.
"""

from __future__ import annotations

import re

# Encodings of one byte a character in which UTF-8 is read by mistake: those whose letters lie alike; besides, Mac Roman
# and code page 437.
_LATIN_LIKE = ("latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2")
# A word in capitals, or a letter alone, that ends in Ã or Â before a closing quotation mark is right: “IRMÃ”.
_RIGHT_CAPITAL = re.compile('(?<=[A-ZÀ-ÖØ-Þ“‘«"])[ÂÃ](?=[“”‘’–—…•»])')
# Bytes 0x80 to 0xBF, read as Latin-1 or Windows-1252, come out as controls, signs and marks, seldom as letters;
# typographic marks also follow a word in capitals that ends in Ã or Â, as in “IRMÃ”.
_MARKS = "\x80-\x9f€‚ƒ„†‡ˆ‰Š‹ŒŽ˜™š›œžŸ\xa1-\xbf"
_BEYOND_REPAIR = re.compile(
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


def fix_mojibake(text: str) -> str:
    """Repairs UTF-8 that was read in another encoding; a text that looks right stays as it is."""
    if text.isascii():
        return text
    # Not at the top: importing ftfy takes as long as importing half of the pipeline does.
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    return fix_encoding(text) if is_bad(_RIGHT_CAPITAL.sub("A", text)) else text


def is_mojibake(text: str) -> bool:
    """Returns whether a text was decoded wrongly somewhere: double encodings, replacement characters, lone surrogates,
    and runs of controls or of private use. Asked of a repaired text, it finds what the repair could not undo.
    """
    if text.isascii() and text.isprintable():
        return False
    return _BEYOND_REPAIR.search(text) is not None


def _characters(encodings: tuple[str, ...], *ranges: tuple[int, int]) -> str:
    """Returns what some bytes come out as in any of some encodings; one without a character as the control of its
    number.
    """
    numbers = [number for first, last in ranges for number in range(first, last + 1)]
    found = {bytes([number]).decode(encoding, "ignore") or chr(number) for encoding in encodings for number in numbers}
    return "".join(sorted(found))


def _one_of(characters: str) -> str:
    return "[" + "".join(rf"\x{{{ord(character):x}}}" for character in characters) + "]"


def _utf8_sequences(encodings: tuple[str, ...], loses_bytes: bool = True) -> str:
    """Returns a pattern of sequences of two to four bytes of UTF-8 as they come out when they are read in some
    encodings.

    With `loses_bytes`, a byte after the first may be lost: a blank stands for 0xA0, U+FFFD, U+001A and "?" for what had
    no character.
    """

    def first(*ranges: tuple[int, int]) -> str:
        return _one_of(_characters(encodings, *ranges))

    more = _one_of(_characters(encodings, (0x80, 0xBF)) + ("\x1a\ufffd" if loses_bytes else ""))
    found = [f"{first((0xC0, 0xDF))}{more}", f"{first((0xE0, 0xEF))}{more}{{2}}", f"{first((0xF0, 0xF7))}{more}{{3}}"]
    if loses_bytes:
        found += [
            first((0xC2, 0xC3), (0xC5, 0xC5), (0xCE, 0xCE), (0xD0, 0xD0), (0xD9, 0xD9)) + "[ ]",
            rf"{first((0xC2, 0xC3))}\?",
            f"{first((0xE2, 0xE3))}[ ]{more}",
            f"{first((0xE0, 0xE3))}{more}[ ]",
            rf"{first((0xE0, 0xEF))}(?:\?{more}|{more}\?)",
            rf"{first((0xF0, 0xF4))}(?:[ ?]{more}{more}|{more}[ ?]{more}|{more}{more}[ ?])",
        ]
    return "|".join(found)


def _mac_roman_sequences() -> str:
    """Returns the same for Mac Roman, where quotation marks begin sequences: a letter after one, as in "l’été", begins
    none unless another sequence follows.
    """
    every, quotes = _characters(("mac-roman",), (0xC0, 0xDF)), "–—“‘’«…"
    more = _characters(("mac-roman",), (0x80, 0xBF))
    marks = "".join(character for character in more if not character.isalpha())
    others = "".join(character for character in every if character not in quotes)
    longer = _utf8_sequences(("mac-roman",), loses_bytes=False).split("|", 1)[1]
    return (
        f"{_one_of(others)}{_one_of(more)}|{_one_of(quotes)}{_one_of(marks)}"
        f"|{_one_of(quotes)}{_one_of(more)}{_one_of(quotes)}{_one_of(more)}|{longer}"
    )


# For Arrow's RE2: found in every text that `fix_mojibake` changes, and in few others. Controls are put right alone.
MAY_BE_MOJIBAKE = "|".join(
    [_utf8_sequences(_LATIN_LIKE), _utf8_sequences(("cp437",)), _mac_roman_sequences(), r"[\x{80}-\x{9f}]"]
)
