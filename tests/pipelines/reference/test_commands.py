"""The page of the command line has every command, argument and option that the program has."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main

from pipelines.cli import app
from pipelines.reference.commands import PATH, command_page


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def test_a_planted_command_is_described() -> None:
    program = typer.Typer(name="paint", add_completion=False)

    @program.callback()
    def options() -> None:
        """Paints things."""

    @program.command("wall")
    def wall(
        file: Annotated[Path, typer.Argument(help="the wall")],
        colour: Annotated[Colour, typer.Option("--colour", help="which [paint]")] = Colour.RED,
        coats: Annotated[int, typer.Option("--coats", "-n", help="how many")] = 2,
        dry: Annotated[bool, typer.Option("--dry", help="paint nothing")] = False,
    ) -> None:
        """Paints a wall.

        Twice.
        """

    @program.command("floor")
    def floor() -> None:
        """Paints a floor."""

    text = command_page(program)[PATH]
    assert "| [`wall`](#wall) | Paints a wall. |" in text
    assert "## `wall` {#wall}" in text and "paint wall [OPTIONS] FILE" in text
    assert "| `FILE` | the wall | required |" in text
    assert r"| `--colour` `red\|blue` | which \[paint\] | `red` |" in text
    assert "| `--coats`, `-n` `COATS` | how many | `2` |" in text
    assert "| `--dry` | paint nothing |  |" in text
    assert "Paints a wall.\n\nTwice." in text


def test_every_option_of_the_program_is_on_the_page() -> None:
    text = command_page(app)[PATH]
    program: Any = typer.main.get_command(app)
    absent = [
        (name, option)
        for name, command in program.commands.items()
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden
        for option in parameter.opts
        if f"`{option}`" not in text.split(f"## `{name}`")[1].split("\n## ")[0]
    ]
    assert len(program.commands) > 10
    assert absent == []
