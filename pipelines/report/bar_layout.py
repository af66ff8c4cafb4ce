"""Lays out progress bars for the width and the height of a terminal: nothing is wrapped or cut in the middle.

A bar has its name, how much is done and the time on one line. What else there is about it (rates, an estimate of the
end) stands beside it where it fits, else on a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rich.cells import cell_len
from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

_MIN_BAR, _MAX_BAR = 10, 40  # characters
_BAR_SHARE = 4  # a bar takes one part in so many of the room beside names and numbers
_NAME_SHARE = 3  # and the names one in so many of the width
_MARK = 2  # characters of the spinner before a name, with a space
_INDENT = 4


@dataclass(frozen=True)
class BarState:
    """The state of one bar. Without a total it shows only that something is going on."""

    name: str
    done: int
    total: int | None
    elapsed_s: float
    parts: Sequence[str] = ()  # what else there is: kept whole, in this order

    @property
    def counts(self) -> str:
        """What is done, of how many."""
        return "" if self.total is None else f"{self.done:,}/{self.total:,}"


def bar_lines(bars: Sequence[BarState], mark: Text, width: int, height: int, now_s: float) -> list[RenderableType]:
    """Returns the lines of all bars, each no wider than `width`, and no more of them than `height`.

    Where there are too many, all but the first bar lose what stands on lines of their own, then the last bars go.
    """
    layout = _Layout(bars, mark, width, now_s)
    full = [list(layout.lines(bar)) for bar in bars]
    if sum(map(len, full)) > height:
        full = [lines if at == 0 else list(layout.lines(bars[at], short=True)) for at, lines in enumerate(full)]
    heights = list(accumulate(map(len, full)))
    displayed = len(bars) if not heights or heights[-1] <= height else sum(each < height for each in heights)
    lines = [line for each in full[:displayed] for line in each]
    return lines if displayed == len(bars) else [*lines, Text(f"{'':{_INDENT}}and {len(bars) - displayed:,} more")]


class _Layout:
    """The widths that all bars share."""

    def __init__(self, bars: Sequence[BarState], mark: Text, width: int, now_s: float) -> None:
        self._mark, self._width, self._now_s = mark, width, now_s
        self._counts = max((len(bar.counts) for bar in bars), default=0)
        self._times = max((len(minutes_text(bar.elapsed_s)) for bar in bars), default=0)
        rest = _MARK + self._counts + self._times + 3  # spaces between the columns
        names = max((cell_len(bar.name) for bar in bars), default=0)
        self._names = max(1, min(names, width // _NAME_SHARE, width - rest - _MIN_BAR))
        room = width - rest - self._names
        self._bar = max(1, min(_MAX_BAR, max(_MIN_BAR, room // _BAR_SHARE), room))
        self._beside = room - self._bar - 1  # characters of what else there is

    def lines(self, bar: BarState, short: bool = False) -> Iterator[RenderableType]:
        """Yields the lines of one bar: a long name has one of its own, and so has what does not fit beside the bar.

        `short`: the latter is left out.
        """
        if cell_len(bar.name) > self._names:
            yield from (Text(line) for line in _folded(bar.name, self._width))
        line, remaining = self.line(bar)
        yield line
        for packed in () if short else _packed(remaining, self._width - _INDENT):
            yield Text(f"{'':{_INDENT}}{packed}", style="dim")

    def line(self, bar: BarState) -> tuple[RenderableType, Sequence[str]]:
        """Returns the bar itself, with what fits beside it; and the parts that do not."""
        fitting = next(
            (n for n in range(len(bar.parts), 0, -1) if cell_len("; ".join(bar.parts[:n])) <= self._beside), 0
        )
        beside = "; ".join(bar.parts[:fitting])
        columns = [
            Column(width=_MARK - 1, no_wrap=True),
            Column(width=self._names, no_wrap=True),
            Column(width=self._bar, no_wrap=True),
            Column(width=self._counts, no_wrap=True, justify="right"),
            Column(width=self._times, no_wrap=True, justify="right"),
            Column(width=max(0, self._beside), no_wrap=True),
        ]
        table = Table.grid(*columns[: 6 if beside else 5], padding=(0, 1, 0, 0), pad_edge=False)
        drawn = ProgressBar(
            total=bar.total or 1,
            completed=bar.done,
            width=self._bar,
            pulse=bar.total is None,
            animation_time=self._now_s,
        )
        name = bar.name if cell_len(bar.name) <= self._names else ""
        numbers = Text(bar.counts, style="green"), Text(minutes_text(bar.elapsed_s), style="yellow")
        table.add_row(self._mark, Text(name), drawn, *numbers, *([Text(beside, style="dim")] if beside else []))
        return table, bar.parts[fitting:]


def minutes_text(seconds: float) -> str:
    """Returns a time as minutes and seconds, with hours where there are any: 1:02, 1:00:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _packed(parts: Sequence[str], width: int) -> Iterator[str]:
    """Yields lines of parts, as many in a line as fit; one that is too long alone is broken between words."""
    line = ""
    for part in parts:
        joined = f"{line}; {part}" if line else part
        if cell_len(joined) <= width:
            line = joined
            continue
        if line:
            yield line
        *full, line = _words(part, width)
        yield from full
    if line:
        yield line


def _words(part: str, width: int) -> list[str]:
    """Breaks a part into lines between its words."""
    lines = [""]
    for word in part.split():
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(joined) > width:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


def _folded(name: str, width: int) -> list[str]:
    """Breaks a name that is longer than a line where the line ends."""
    return [name[at : at + width] for at in range(0, len(name), width)]
