"""A terminal whose output a test reads."""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import subprocess
from collections.abc import Mapping, Sequence

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


def in_pseudo_terminal(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int, bytes]:
    """Runs a command whose output is a terminal of 200 columns; returns its exit code and what it printed there.

    The variables that name a terminal are those of `environment` alone.
    """
    named = ("TERM", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX", "STY")
    inherited = {name: value for name, value in os.environ.items() if name not in named}
    ours, its = pty.openpty()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
            env={**inherited, "COLUMNS": "200", **environment},
        )
    finally:
        os.close(its)
    received = bytearray()
    try:
        while part := os.read(ours, 1 << 16):
            received += part
    except OSError:  # how Linux says that the other side is closed
        pass
    finally:
        os.close(ours)
    return process.wait(), bytes(received)


def kitty_picture(text: bytes) -> bytes:
    """Returns the file that kitty's graphics protocol carries in an output, as the protocol describes it."""
    chunks = re.findall(rb"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", text)
    keys = [dict(part.split(b"=") for part in each.split(b",")) for each, _ in chunks]
    assert keys[0] | {b"m": b"0"} == {b"f": b"100", b"a": b"T", b"q": b"2", b"m": b"0"}
    assert [each[b"m"] for each in keys] == [b"1"] * (len(chunks) - 1) + [b"0"]
    assert all(set(each) == {b"m"} for each in keys[1:])
    assert all(len(data) <= 4096 for _, data in chunks)
    assert all(len(data) % 4 == 0 for _, data in chunks), "each chunk is whole groups of base64"
    return base64.b64decode(b"".join(data for _, data in chunks), validate=True)


def iterm2_picture(text: bytes) -> bytes:
    """Returns the file that iTerm2's protocol for inline images carries in an output."""
    [(arguments, data)] = re.findall(rb"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", text)
    keys = dict(part.split(b"=") for part in arguments.split(b";"))
    found = base64.b64decode(data, validate=True)
    assert keys == {b"inline": b"1", b"size": str(len(found)).encode(), b"preserveAspectRatio": b"1"}
    return found
