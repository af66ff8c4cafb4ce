"""Progress bars show names as they are."""

from __future__ import annotations

from rich.progress import Progress, TextColumn

from pipelines.report.progress import ProgressBars
from tests.helpers.terminals import HOSTILE, output, terminal

SHOWN = "\\x1b]0;evil\\x07 [red]x[/red] [/] :smile: \\x9b31m \\u202e \\udcff \\r"


def test_bars_show_names_as_they_are() -> None:
    console = terminal(colours=True)
    with ProgressBars(console) as bars, bars.bar(HOSTILE, 2) as bar:
        bar.set_text(HOSTILE)
        bar.advance()
        bars.print_line(HOSTILE)
    assert SHOWN in output(console)
    progress = Progress(TextColumn("{task.description}"), console=console)
    assert progress.console is console
