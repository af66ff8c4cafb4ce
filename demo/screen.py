"""Prints what a newcomer reads of the demo: what it will do, what each step found, what was made, what to try next.

All other lines go to the log, whose path is printed first and last.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from pipelines.report.terminal import Terminal, Verbosity, logged, print_line

if TYPE_CHECKING:
    from pipelines.publish.verify import Verified
    from pipelines.report.funnel import Funnel

LOG, SETTINGS = "demo.log", "demo.yaml"  # in the demo's folder
_INDENT = "    "
_LOG_WIDTH = 120  # characters


class Screen:
    """The screen of one demo. Steps are numbered in the order in which they begin."""

    def __init__(self, console: Terminal, folder: Path, steps: Mapping[str, str]) -> None:
        self.console, self.folder = console, folder
        self._steps = dict(steps)
        self._begun = 0

    @property
    def log(self) -> Path:
        """The file that has all lines, with times."""
        return self.folder / LOG

    def introduce(self, purpose: str) -> None:
        """Prints what the demo is for, and its steps: before anything that takes time."""
        self.console.print(Text(purpose))  # broken between words
        width = max(map(len, self._steps))
        for number, (name, about) in enumerate(self._steps.items(), 1):
            self.line(f"  {number}  {name:<{width}}  {about}")
        self.line(f"All of it goes to {self.folder}, and every detail to {self.log}.")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Prints the step's number and name, and when the block has run how long it took."""
        assert name in self._steps, f"a step that was not announced: {name}"
        self._begun += 1
        self.line("")
        self.heading(f"{self._begun}/{len(self._steps)} {name}")
        start = time.monotonic()
        yield
        print_line(self.console, f"{name}: {time.monotonic() - start:.1f} s", Verbosity.NORMAL)

    def heading(self, text: str) -> None:
        """Prints a line in bold."""
        print_line(self.console, text, Verbosity.VERBOSE)  # to the log
        self.console.print(Text(text, style="bold"))

    def line(self, text: str, indent: bool = False) -> None:
        """Prints a line."""
        print_line(self.console, f"{_INDENT if indent else ''}{text}", Verbosity.BRIEF)

    def show_funnels(self, funnels: Mapping[str, Funnel]) -> None:
        """Prints a line for each source, and writes its rows by reason to the log."""
        from pipelines.report.console import show_funnel, show_sources

        self.line("")
        show_sources(self.console, funnels)
        if self.console.log_file is not None:
            show_funnel(Terminal(self.console.log_file, width=_LOG_WIDTH), funnels)

    def end(self, corpora: Mapping[str, tuple[str, Verified]], workspace: str, commands: Sequence[NextCommand]) -> None:
        """Prints what was made, where it lies, and commands to try next, which can be copied as they are."""
        self.line("")
        self.heading("Made")
        rows = [
            (name, path, f"{found.samples:>6,} samples in {_tars(found.tars)}, {megabytes(found.bytes)}")
            for name, (path, found) in corpora.items()
        ]
        rows += [
            ("workspace", workspace, "media and tables"),
            ("settings", str(self.folder / SETTINGS), "as they were run"),
            ("log", str(self.log), "every detail"),
        ]
        names, places = (max(len(row[column]) for row in rows) for column in (0, 1))
        for name, path, note in rows:
            self.line(f"{name:<{names}}  {path:<{places}}  {note}", indent=True)
        self.line("")
        self.heading("Try next")
        for command in commands:
            self.line(f"# {command.about}")
            self.line(shlex.join([*program(), *command.arguments]))


class NextCommand:
    """A command of rzen-corpus that a newcomer may try, and what it shows."""

    def __init__(self, about: str, *arguments: str | Path) -> None:
        self.about = about
        self.arguments = [str(argument) for argument in arguments]


@contextmanager
def screen_of(console: Terminal, folder: Path, steps: Mapping[str, str]) -> Iterator[Screen]:
    """Yields the screen of a demo. While the block runs, single stages and the like are written to the log only."""
    folder.mkdir(parents=True, exist_ok=True)
    screen = Screen(console, folder, steps)
    before, console.verbosity = console.verbosity, Verbosity.BRIEF
    try:
        with logged(console, screen.log):
            yield screen
    finally:
        console.verbosity = before


def megabytes(size: int) -> str:
    """Returns a size in megabytes."""
    return f"{size / 1e6:,.1f} MB"


def _tars(number: int) -> str:
    return f"{number:,} tar{'s' * (number != 1)}"


def program() -> list[str]:
    """Returns how `rzen-corpus` of this environment is called from the working directory."""
    script = Path(sys.executable).with_name("rzen-corpus")
    if not script.is_file():
        return [sys.executable, "-m", "rzen_corpus"]
    if (found := shutil.which(script.name)) and Path(found).samefile(script):
        return [script.name]
    return [str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)]
