"""Text that others wrote, made safe to show on a terminal and to store as a message.

File names, column names, URLs, headers and the words of libraries may hold escape sequences that move the cursor, set
a window's title or colour what follows, characters that turn the direction of reading, and halves of characters.
"""

from __future__ import annotations

import logging
import re
import traceback
import warnings

from corpus.urls import without_credentials

LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a pair: JSON and YAML can spell it, UTF-8 cannot


def printable(text: str, max_characters: int = 200, *, lines: bool = False) -> str:
    """Returns the text with each character escaped that is invisible or acts on what prints it: `\\x1b`, `\\u202e`.

    Escaped are controls, format characters (of direction, of no width), halves of surrogate pairs, separators other
    than the space and what Unicode has not assigned. `lines`: a newline stays one. At most `most` characters long; what
    is cut ends in "…". The credentials of URLs are left out.
    """
    escaped = without_credentials(text)[: max_characters + 1]
    if not escaped.isprintable():
        escaped = "".join(c if c.isprintable() or (lines and c == "\n") else _escaped(c) for c in escaped)
    return escaped if len(escaped) <= max_characters else f"{escaped[: max_characters - 1]}…"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), _MESSAGE_CHARACTERS, lines=True)


_MESSAGE_CHARACTERS = 10_000


def escape_messages() -> None:
    """Makes this process show warnings, and log lines that no handler takes, through `printable`."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Formatter())
    warnings.formatwarning = _format_warning


def _format_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    text = f"{filename}:{lineno}: {category.__name__}: {message}"
    return f"{printable(text, _MESSAGE_CHARACTERS)}\n"


def trace_of(error: BaseException) -> str:
    """Returns the traceback of an error as text that may be shown."""
    return printable("".join(traceback.format_exception(error)), 100 * _MESSAGE_CHARACTERS, lines=True)
