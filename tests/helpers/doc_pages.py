"""What the tests of pages take out of them: code blocks, commands, and what commands print."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

HOME = Path(__file__).parents[2]


def page(name: str) -> str:
    """The text of a page in docs/."""
    return (HOME / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language, in their order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def shell_lines(text: str) -> Iterator[str]:
    """The command lines of this program in indented blocks, without their comments."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("    rzen-corpus "):
            yield line.split(" # ")[0].strip()


def run_line(line: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Runs a command line of this program in a folder; returns what it prints. Fails with all of that."""
    arguments = [sys.executable, "-m", "pipelines.cli", *shlex.split(line)[1:]]
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout
