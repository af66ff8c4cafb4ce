"""What is printed: strings are text, and nothing in them acts on a terminal."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from pipelines.report.terminal import print_line, print_text
from tests.helpers.terminals import HOSTILE, output, terminal


@pytest.mark.parametrize("colours", [False, True])
def test_a_string_is_shown_as_it_is_wherever_it_stands(colours: bool) -> None:
    console = terminal(colours)
    table = Table(HOSTILE, title=HOSTILE, caption=HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE, style="green"))
    console.print(HOSTILE)
    console.print(HOSTILE, markup=True, emoji=True, highlight=True)
    console.print(Text(HOSTILE))
    console.print(Path(HOSTILE))
    console.print(table)
    shown = output(console)
    kept = "[red]x[/red] [/] :smile: \\x9b31m \\u202e \\udcff"
    assert shown.count(f"\\x1b]0;evil\\x07 {kept}") == 6
    assert shown.count(f"\\x1b]0;evil {kept}") == 3, "rich itself drops a bell"
    assert "😄" not in shown


def test_a_name_starts_no_line_of_its_own() -> None:
    console = terminal()
    print_line(console, "a.parquet\nfailed: all")
    print_line(console, "x" * 10_000)
    print_text(console, "one\ntwo\r")
    print_text(console, "three\nfailed: all", indent=True)
    lines = output(console).splitlines()
    assert lines[0] == "a.parquet\\nfailed: all"
    assert len(lines[1]) == 4_000
    assert lines[2:] == ["one", "two\\r", "three", "    failed: all"]


def test_an_encoding_without_a_character_is_no_error() -> None:
    code = "from pipelines.report.terminal import Terminal; Terminal().print('größer → \\u6f22')"
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True).stdout
    assert found == b"gr\\xf6\\xdfer \\u2192 \\u6f22\n"


def test_nothing_is_printed_past_it() -> None:
    """Whoever prints does it through a Terminal: no console of rich's own, no print, no echo, no bare stream."""
    allowed = {
        "pipelines/report/terminal.py": {"rich.console", "sys.stdout", "sys.stderr"},
        "pipelines/command_line.py": {"sys.stdout"},  # JSON for programs
        "corpus/processes.py": {"sys.stderr"},  # the last words of a worker that ends itself, through printable
        "demo/server.py": {"print"},  # for the process that started it
        "demo/vlm/training/train.py": {"print"},  # a developer's tool
        "serving/vllm/server.py": {"sys.stdout", "sys.stderr"},  # flushed and turned away
        "pipelines/reference/__main__.py": {"print"},  # how many pages of the documentation it wrote
    }
    root, wrong = Path(__file__).parents[3], []
    for folder in ("corpus", "serving", "filters", "mining", "recaption", "video", "pipelines", "demo"):
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            wrong += [(name, what) for what in printers(path) if what not in allowed.get(name, ())]
    assert wrong == []


def printers(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                found.append("print")
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr" as stream):
                found.append(f"sys.{stream}")
            case ast.Attribute(attr="echo" | "secho"):
                found.append("echo")
            case ast.ImportFrom(module="rich.console", names=names) if any(n.name == "Console" for n in names):
                found.append("rich.console")
    return found
