"""A terminal whose output a test reads."""

from __future__ import annotations

import io
import re

from pipelines.report.terminal import Terminal

_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # all that rich itself writes here
HOSTILE = "\x1b]0;evil\x07 [red]x[/red] [/] :smile: \x9b31m \u202e \udcff \r"


def terminal(colours: bool = False) -> Terminal:
    return Terminal(io.StringIO(), width=200, force_terminal=colours)


def output(console: Terminal) -> str:
    assert isinstance(console.file, io.StringIO)
    found = _STYLES.sub("", console.file.getvalue())
    assert all(character.isprintable() or character in "\n\r" for character in found), ascii(found)
    return found
