"""Shows pictures in terminals that can: by kitty's graphics protocol, or by iTerm2's for inline images.

Which one a terminal has, the variables of its environment say; none is asked, for its answer would come as if typed.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from enum import StrEnum

from corpus.image.pixel_budget import PixelBudget, decode_to_budget
from corpus.printable import printable
from corpus.settings import SettingsError
from pipelines.report.terminal import Terminal

_BUDGET = PixelBudget(max_pixels=640 * 640, max_aspect_ratio=1_000)
_CHUNK_CHARACTERS = 4096  # of base64, in one escape sequence of kitty's protocol
_KNOWN = "kitty, Ghostty, iTerm2, WezTerm and mintty, not within tmux or screen"


class InlineProtocol(StrEnum):
    """The protocols for pictures in terminals."""

    KITTY = "kitty"  # https://sw.kovidgoyal.net/kitty/graphics-protocol/
    ITERM2 = "iterm2"  # https://iterm2.com/documentation-images.html


_PROGRAMS = {
    "ghostty": InlineProtocol.KITTY,
    "iTerm.app": InlineProtocol.ITERM2,
    "mintty": InlineProtocol.ITERM2,
    "WezTerm": InlineProtocol.ITERM2,
}
_TERMS = {"xterm-kitty": InlineProtocol.KITTY, "xterm-ghostty": InlineProtocol.KITTY}


def detect_protocol(environment: Mapping[str, str]) -> InlineProtocol | None:
    """Returns the protocol of the terminal that an environment is of; None for a terminal that isn't known to have one.

    Multiplexers (tmux, screen) pass on no pictures, and in them the variables of the terminal around are still there.
    """
    term = environment.get("TERM", "")
    if environment.get("TMUX") or environment.get("STY") or term.split("-")[0] in ("screen", "tmux", "dumb"):
        return None
    if found := _PROGRAMS.get(environment.get("TERM_PROGRAM", "")) or _TERMS.get(term):
        return found
    if environment.get("LC_TERMINAL") == "iTerm2":  # which ssh passes on
        return InlineProtocol.ITERM2
    return InlineProtocol.KITTY if environment.get("KITTY_WINDOW_ID") else None


def choose_protocol(console: Terminal, requested: bool | None) -> InlineProtocol | None:
    """Returns by which protocol pictures are shown on a console; None: they are not.

    `requested`: True raises SettingsError where they can't be, False is never, None is wherever they can be.
    """
    if requested is False:
        return None
    if not console.file.isatty():
        if requested:
            raise SettingsError("--inline: standard output is no terminal: write the picture to a file instead")
        return None
    found = detect_protocol(os.environ)
    if found is None and requested:
        named = ", ".join(f"{name}={os.environ[name]}" for name in ("TERM", "TERM_PROGRAM") if name in os.environ)
        raise SettingsError(
            f"--inline: this terminal ({printable(named, 200) or 'without TERM'}) is not known to show pictures: those "
            f"are {_KNOWN}; write the picture to a file instead"
        )
    return found


def inline_sequence(png: bytes, protocol: InlineProtocol) -> str:
    """Returns the escape sequences that show a PNG where the cursor is."""
    text = base64.standard_b64encode(png).decode("ascii")
    if protocol == InlineProtocol.ITERM2:
        return f"\x1b]1337;File=inline=1;size={len(png)};preserveAspectRatio=1:{text}\x07"
    chunks = [text[start : start + _CHUNK_CHARACTERS] for start in range(0, len(text), _CHUNK_CHARACTERS)]
    more = [1] * (len(chunks) - 1) + [0]
    # f=100: PNG, a=T: transmitted and shown, q=2: the terminal answers nothing, m: more chunks follow
    first = [f"f=100,a=T,q=2,m={more[0]}", *(f"m={each}" for each in more[1:])]
    return "".join(f"\x1b_G{keys};{chunk}\x1b\\" for keys, chunk in zip(first, chunks, strict=True))


def show_png(console: Terminal, png: bytes, protocol: InlineProtocol) -> None:
    """Shows a PNG that this program has made, below what was printed."""
    console.file.write(f"{inline_sequence(png, protocol)}\n")
    console.file.flush()


def as_png(data: bytes) -> bytes:
    """Returns an encoded image as a PNG of moderate size: bytes from elsewhere never reach a terminal as they are.

    Raises UndecodableError.
    """
    from PIL import Image

    pixels = decode_to_budget(data, _BUDGET)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
