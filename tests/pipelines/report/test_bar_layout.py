"""Bars stay whole: whatever the terminal's width, names, numbers and rates are never wrapped or cut in the middle."""

from __future__ import annotations

import io

from rich.cells import cell_len
from rich.text import Text

from pipelines.report.bar_layout import BarState, bar_lines, minutes_text
from pipelines.report.terminal import Terminal

LONG = "publish a-mixture-with-a-long-name-that-somebody-chose"
BUSY = "busy 21%, waiting for images 43%, for writes 36%"
BARS = [
    BarState("all stages", 123, 1456, 75, ["about 2:05 left"]),
    BarState("window_caption", 12, 19, 4000, ["1 running, 2 ready, 3 waiting", "starving", "65.3 images/s", BUSY]),
    BarState(LONG, 1, 9, 3),
    BarState("reading 漢字", 0, None, 3),
]


def drawn(width: int, height: int = 100, bars: list[BarState] = BARS) -> list[str]:
    console = Terminal(io.StringIO(), width=width, force_terminal=True, color_system=None)
    for line in bar_lines(bars, Text("*"), width, height, now_s=0.0):
        console.print(line)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_everything_is_there_and_whole_at_each_width() -> None:
    for width in (60, 80, 120, 200):
        lines = drawn(width)
        text = "\n".join(lines)
        assert all(cell_len(line) <= width for line in lines), (width, text)
        for part in [LONG, "reading 漢字", "123/1,456", "12/19", "1/9", "1:06:40", *BARS[0].parts, *BARS[1].parts]:
            assert part in text, (width, part, text)
        (bar,) = [line for line in lines if "window_caption" in line]
        assert "12/19 1:06:40" in bar, "name, bar, numbers and time are one line"


def test_rates_stand_beside_the_bar_only_where_they_fit() -> None:
    narrow, wide = drawn(60), drawn(200)
    assert next(line for line in narrow if "about 2:05 left" in line).strip() == "about 2:05 left"
    assert next(line for line in wide if "about 2:05 left" in line).startswith("* all stages")
    assert len(narrow) > len(wide) >= len(BARS)


def test_what_is_longer_than_a_line_breaks_between_words() -> None:
    lines = drawn(60, bars=[BarState("caption", 1, 2, 3, [f"without a caption ({BUSY}, {BUSY})"])])
    assert len(lines) == 4 and all(line.startswith("    ") for line in lines[1:])
    assert " ".join(line.strip() for line in lines[1:]) == f"without a caption ({BUSY}, {BUSY})"


def test_a_low_terminal_shows_the_first_bars_without_rates() -> None:
    lines = drawn(80, height=6, bars=BARS * 3)
    assert len(lines) <= 6 and lines[-1].strip() == "and 8 more", lines
    assert "about 2:05 left" in "\n".join(lines[:2]), "the first bar keeps its estimate"
    assert "images/s" not in "\n".join(lines)
    assert len(drawn(80, height=5, bars=BARS[:2])) <= 5


def test_times_are_minutes_and_seconds() -> None:
    assert [minutes_text(seconds) for seconds in (0.4, 62, 3605.2)] == ["0:00", "1:02", "1:00:05"]
