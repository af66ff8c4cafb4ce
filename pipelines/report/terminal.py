"""A console that shows what others wrote, and never obeys it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from enum import IntEnum
from pathlib import Path
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from corpus.printable import printable

_LINE, _TEXT = 4_000, 100_000  # characters that are shown of one line, and of one text of several


class Verbosity(IntEnum):
    """The amount that is printed: a line is, where the terminal's verbosity is at least the line's."""

    QUIET = 0  # failures and corpora
    BRIEF = 1  # also what is odd about the sources, a line each
    NORMAL = 2  # also what each stage did
    VERBOSE = 3  # also each shard and each malformed record


class Terminal(Console):
    """A console on which a string is only ever text.

    Strings are no markup (`[red]`), no emoji codes and not highlighted, whatever a caller passes; what is to have a
    style is a `rich.text.Text`. Unprintable characters are escaped in everything that is printed, in tables, titles and
    bars as well: where rich has turned a thing into segments, all that remains of control codes is rich's own.
    """

    def __init__(self, file: IO[str] | None = None, *, stderr: bool = False, **options: Any) -> None:
        self.verbosity = Verbosity.NORMAL
        self.log_file: IO[str] | None = None  # gets every line, with the time, whatever is printed
        stream = file or (sys.stderr if stderr else sys.stdout)
        if file is None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what the locale's encoding does not have
        super().__init__(file=file, stderr=stderr, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Returns the string as text. Rich calls this for every string that it is given, those in tables included."""
        options |= {"markup": False, "emoji": False, "highlight": False}
        return super().render_str(printable(text, _TEXT, lines=True), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yields segments of a renderable, without unprintable characters in those that are text."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text, _TEXT, lines=True), segment.style)


def print_line(console: Console, text: str, verbosity: Verbosity = Verbosity.NORMAL) -> None:
    """Prints one line, however long: a line end in a name starts no line that looks like another message."""
    line = printable(text, _LINE)
    if isinstance(console, Terminal) and console.log_file is not None:
        _append(console, console.log_file, line)
    if not isinstance(console, Terminal) or console.verbosity >= verbosity:
        console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _append(console: Terminal, log: IO[str], line: str) -> None:
    """Appends a line to the log file of a console. Where it takes no more, that is printed, and what runs goes on."""
    try:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
        log.flush()
    except OSError as error:
        console.log_file = None
        why = f"--log-file {log.name}: {error.strerror}: nothing more is written to it"
        print_line(console, why, Verbosity.QUIET)


@contextlib.contextmanager
def logged(console: Terminal, path: Path | None) -> Iterator[None]:
    """Appends all lines to a file while the block runs; None: to no file."""
    if path is None:
        yield
        return
    file = path.open("a", encoding="utf-8", errors="backslashreplace")
    console.log_file = file
    try:
        yield
    finally:
        console.log_file = None
        with contextlib.suppress(OSError):  # of a line that could not be written: that was printed
            file.close()


def print_text(console: Console, text: str, *, indent: bool = False) -> None:
    """Prints a message of one or several lines; `indent`: all but the first, so that they look like no
    other message.
    """
    printed = printable(text, _TEXT, lines=True)
    printed = printed.replace("\n", "\n    ") if indent else printed
    console.print(printed, highlight=False, markup=False, emoji=False, soft_wrap=True)
