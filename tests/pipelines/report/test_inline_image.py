"""Pictures in terminals: which terminals get them, and that the escape sequences carry the picture."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from corpus.image.pixel_budget import UndecodableError
from corpus.settings import SettingsError
from pipelines.report.inline_image import (
    InlineProtocol,
    as_png,
    choose_protocol,
    detect_protocol,
    inline_sequence,
    show_png,
)
from pipelines.report.terminal import Terminal
from tests.helpers.calibrating import degraded
from tests.helpers.terminals import iterm2_picture, kitty_picture, terminal

KITTY, ITERM2 = InlineProtocol.KITTY, InlineProtocol.ITERM2
READERS = {KITTY: kitty_picture, ITERM2: iterm2_picture}

TERMINALS = [
    ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, KITTY),
    ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "3"}, KITTY),
    ({"TERM": "xterm-ghostty"}, KITTY),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, KITTY),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, ITERM2),
    ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, ITERM2),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, ITERM2),
    ({"TERM": "xterm", "TERM_PROGRAM": "mintty"}, ITERM2),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app", "KITTY_WINDOW_ID": "1"}, ITERM2),
    ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, None),
    ({"TERM": "xterm-256color"}, None),
    ({"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"}, None),
    ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "KITTY_WINDOW_ID": "1"}, None),
    ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux-0/default,1,0"}, None),
    ({"TERM": "screen.xterm-256color", "LC_TERMINAL": "iTerm2", "STY": "1.pts"}, None),
    ({"TERM": "screen-256color", "LC_TERMINAL": "iTerm2"}, None),
    ({}, None),
]


def test_terminals_are_known_by_their_variables() -> None:
    wrong = [(variables, found) for variables, right in TERMINALS if (found := detect_protocol(variables)) != right]
    assert wrong == []


@pytest.mark.parametrize("size", [1, 3071, 3072, 3073, 3 * 4096, 100_000])
@pytest.mark.parametrize("protocol", InlineProtocol)
def test_the_sequences_carry_the_bytes(protocol: InlineProtocol, size: int) -> None:
    data = random.Random(size).randbytes(size)
    sequence = inline_sequence(data, protocol)
    assert READERS[protocol](sequence.encode("ascii")) == data
    assert len(sequence) < 1.4 * size + 100


def test_a_picture_becomes_a_png_of_moderate_size() -> None:
    with Image.open(io.BytesIO(degraded(1))) as jpeg, Image.open(io.BytesIO(as_png(degraded(1)))) as png:
        assert png.format == "PNG" and png.size == jpeg.size
        assert np.abs(np.asarray(png.convert("RGB"), int) - np.asarray(jpeg.convert("RGB"), int)).max() <= 2
    file = io.BytesIO()
    Image.new("RGB", (3000, 1500), (200, 0, 0)).save(file, "JPEG")
    with Image.open(io.BytesIO(as_png(file.getvalue()))) as png:
        assert png.width == pytest.approx(2 * png.height, rel=0.01) and png.width * png.height <= 640 * 640
    with pytest.raises(UndecodableError):
        as_png(b"\x1b]0;evil\x07")


def test_what_is_no_terminal_gets_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.delenv("TMUX", raising=False)
    console = terminal(colours=True)  # which rich takes for a terminal
    assert choose_protocol(console, None) is None and choose_protocol(console, False) is None
    with pytest.raises(SettingsError, match="--inline: standard output is no terminal: write the picture to a file"):
        choose_protocol(console, True)


def test_a_terminal_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    console = Terminal(Screen())
    for name in ("TMUX", "STY", "LC_TERMINAL", "KITTY_WINDOW_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TERM_PROGRAM", "odd\x1b[1m")
    assert choose_protocol(console, None) is None
    message = (
        r"--inline: this terminal \(TERM=xterm-256color, TERM_PROGRAM=odd\\x1b\[1m\) is not known to show pictures"
    )
    with pytest.raises(SettingsError, match=message):
        choose_protocol(console, True)
    monkeypatch.setenv("TERM_PROGRAM", "WezTerm")
    assert choose_protocol(console, None) is choose_protocol(console, True) is ITERM2
    assert choose_protocol(console, False) is None
    png = as_png(degraded(2))
    show_png(console, png, ITERM2)
    assert iterm2_picture(console.file.getvalue().encode()) == png  # type: ignore[attr-defined]
