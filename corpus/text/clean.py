"""Cleaning of texts: Unicode NFC, mojibake, HTML remains, invisible characters, line ends and blanks.

Most texts need nothing: a few passes over the bytes of a column tell which, and Python sees only the others.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import string_bytes
from corpus.settings import Settings
from corpus.text.html import CODE, mentions_html, strip_tags, unescape
from corpus.text.mojibake import MAY_BE_MOJIBAKE, fix_mojibake

_ROUNDS = 12
_NO_MARKUP = str.maketrans("<>&", "   ")

_LINE_BREAKS = r"\r\x0b\x0c\x85\u2028\u2029"
_BLANKS = r"\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
# Controls, the soft hyphen, marks of direction, zero-width characters save the two joiners, byte order marks; lone
# surrogates, private use, noncharacters, and tags, which show nothing or can't be read. Inside brackets of `re`.
_INVISIBLE = (
    r"\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    r"\ufdd0-\ufdef\ufff9-\ufffc\ufffe\uffff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
_SURROGATES = r"\ud800-\udfff"  # which a column of texts never has
_JOINERS = r"\u200c\u200d"  # which Persian, Indic scripts and emoji need, and nobody next to ASCII

_LINE_END = re.compile(rf"\r\n|[{_LINE_BREAKS}]")
# Of the tags, those stay that make the flag of England, Scotland or Wales of a black one.
_UNSEEN = re.compile(rf"(\U0001f3f4[\U000e0020-\U000e007e]{{1,8}}\U000e007f)|[{_INVISIBLE}{_SURROGATES}]+")
_IDLE_JOINER = re.compile(rf"(?<![^\x00-\x7f])[{_JOINERS}]+|[{_JOINERS}]+(?![^\x00-\x7f])")
_BLANK_RUN = re.compile(rf"[ {_BLANKS}]+")
_LINE_BLANKS = re.compile(" ?\n ?")
_EMPTY_LINES = re.compile("\n{3,}")


class TextCleanSettings(Settings):
    """Settings of cleaning texts. NFC, invisible characters and blanks are always put right."""

    mojibake: bool = Field(True, description="Whether UTF-8 that was read in another encoding is repaired.")
    html: bool = Field(
        True, description="Whether entities are decoded and tags are removed; texts that mention HTML keep theirs."
    )


def clean_texts(texts: pa.Array | pa.ChunkedArray, settings: TextCleanSettings) -> tuple[pa.Array, np.ndarray]:
    """Returns the texts cleaned, and which of them were changed, bool[n]. Nulls stay. Cleaning them again changes
    nothing.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    suspects = np.flatnonzero(needs_cleaning_mask(texts, settings))
    before = texts.take(pa.array(suspects))
    after = pa.array([clean_text(text, settings) for text in before.to_pylist()], texts.type)
    differs = np.asarray(pc.not_equal(before, after), dtype=bool)
    changed = np.zeros(len(texts), dtype=bool)
    changed[suspects[differs]] = True
    if differs.any():
        texts = pc.replace_with_mask(texts, pa.array(changed), after.filter(pa.array(differs)))
    return texts, changed


def clean_text(text: str, settings: TextCleanSettings) -> str:
    """Returns one text, cleaned until another round would change nothing.

    Real texts settle in two or three rounds. One whose markup does not settle in a dozen (tags nested in tags' halves)
    was made to keep us busy: its angle brackets and ampersands become blanks.
    """
    for _ in range(_ROUNDS):
        cleaner = _round(text, settings)
        if cleaner == text:
            return text
        text = cleaner
    text = text.translate(_NO_MARKUP)
    while (cleaner := _round(text, settings)) != text:
        text = cleaner
    return text


def clean_characters(text: str) -> str:
    """Returns the text in NFC, its line ends as "\\n", without characters that show nothing; its blanks stay.

    Doing it again changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _UNSEEN.sub(r"\1", _LINE_END.sub("\n", unicodedata.normalize("NFC", text)))
    return unicodedata.normalize("NFC", _IDLE_JOINER.sub("", text))


def one_line(text: str) -> str:
    """Returns the text with clean characters, and single spaces instead of any white space."""
    return " ".join(clean_characters(text).split())


def _round(text: str, settings: TextCleanSettings) -> str:
    if settings.mojibake:
        text = fix_mojibake(text)
    text = clean_characters(text)
    parts = CODE.split(text)
    markup = settings.html and ("&" in text or "<" in text) and not mentions_html(text)
    if markup:  # tags have their counterparts beyond the code; no NUL is left that isn't ours
        parts[::2] = strip_tags(unescape("\0".join(parts[::2]))).split("\0")
    parts[::2] = [_LINE_BLANKS.sub("\n", _BLANK_RUN.sub(" ", part)) for part in parts[::2]]
    parts[::2] = [_EMPTY_LINES.sub("\n\n", part) for part in parts[::2]]
    return "".join(parts).strip(" \n")


def needs_cleaning_mask(texts: pa.Array, settings: TextCleanSettings) -> np.ndarray:
    """Returns False for texts that cleaning would leave as they are, bool[n]; for nearly all of those."""
    suspect = _odd_in_ascii(texts, settings.html)
    beyond = np.flatnonzero(_true(pc.invert(pc.string_is_ascii(texts))) & ~suspect)
    others = texts.take(pa.array(beyond))
    odd = _true(pc.match_substring_regex(others, _ODD_BEYOND_ASCII))
    if settings.mojibake:
        odd |= _true(pc.match_substring_regex(others, MAY_BE_MOJIBAKE))
    # Below U+0300, and in the blocks of ideographs and their punctuation, every character is its own NFC.
    fine = np.flatnonzero(~odd & _true(pc.match_substring_regex(others, _MAY_COMPOSE)))
    for place, text in zip(fine.tolist(), others.take(pa.array(fine)).to_pylist(), strict=True):
        odd[place] = not unicodedata.is_normalized("NFC", text)
    suspect[beyond[odd]] = True
    return suspect


_LETTER = np.zeros(256, dtype=bool)
_LETTER[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] = True
_BEGINS_ENTITY, _BEGINS_TAG = _LETTER.copy(), _LETTER.copy()
_BEGINS_ENTITY[ord("#")] = True
_BEGINS_TAG[list(b"/!")] = True
_BLOCK_ROWS = 4096  # some MiB of text at most as a rule: what is computed on the way stays in a core's cache


def _odd_in_ascii(texts: pa.Array, markup: bool) -> np.ndarray:
    """Returns rows with a control, what may be markup, two blanks, an empty line too many, or a blank at an end."""
    offsets, data = string_bytes(texts)
    odd = np.zeros(len(texts), dtype=bool)
    for first in range(0, len(texts), _BLOCK_ROWS):
        places = offsets[first : first + _BLOCK_ROWS + 1]
        some = data[places[0] : places[-1]]
        places = places - places[0]
        filled = np.flatnonzero(places[1:] > places[:-1])
        block = odd[first : first + _BLOCK_ROWS]
        block[filled] = (some[places[filled]] <= 32) | (some[places[filled + 1] - 1] <= 32)
        at = np.flatnonzero(_stands_out(some, markup))
        block[np.searchsorted(places, at[_is_odd(some, at)], side="right") - 1] = True
    return odd


def _stands_out(data: np.ndarray, markup: bool) -> np.ndarray:
    marked = (data < 32) | (data == 127)
    if markup:
        marked |= (data == ord("&")) | (data == ord("<"))
    blank = data == 32
    marked[1:] |= blank[1:] & blank[:-1]
    return marked


def _is_odd(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Returns whether the bytes that stand out are odd where they stand; those at a text's ends are judged for
    themselves.
    """
    byte = data[at]
    before = data[np.maximum(at - 1, 0)]
    after = data[np.minimum(at + 1, len(data) - 1)]
    line_end = (byte == 10) & ((before > 32) | (before == 10)) & ((after > 32) | (after == 10))
    fine = line_end & ((before != 10) | (after != 10))
    fine |= (byte == ord("&")) & ~_BEGINS_ENTITY[after]
    fine |= (byte == ord("<")) & ~_BEGINS_TAG[after]
    return ~fine


def _true(flags: pa.Array) -> np.ndarray:
    return pc.fill_null(flags, False).to_numpy(zero_copy_only=False).copy()


_ODD_BEYOND_ASCII = re.sub(
    r"\\[xuU]([0-9a-f]{8}|[0-9a-f]{4}|[0-9a-f]{2})",
    r"\\x{\1}",
    f"[{_LINE_BREAKS}{_BLANKS}{_INVISIBLE}{_JOINERS}]",
).replace(r"\r", "\r")
_MAY_COMPOSE = r"[^\x{00}-\x{2ff}\x{2010}-\x{2027}\x{3001}-\x{3029}\x{4e00}-\x{9fff}\x{ff01}-\x{ff60}]"
