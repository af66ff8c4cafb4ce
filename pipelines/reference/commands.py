"""The page of the command line: every command with its arguments and options, as `--help` has them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, get_args, get_type_hints

import typer.main

from pipelines.reference.markdown import code, escaped, prose, table

PATH = "reference/commands.md"


def command_page(program: typer.Typer) -> dict[str, str]:
    """Returns the page of a command line, by its path in the site."""
    group: Any = typer.main.get_command(program)
    lines = ["# Command line", "", prose(group.help), ""]
    lines += ["`rzen-corpus COMMAND --help` prints the same of one command.", ""]
    rows = [(f"[{code(name)}](#{name})", escaped(_first_paragraph(each.help))) for name, each in group.commands.items()]
    lines += [*table(("command", "what it does"), rows), *table(("option", "what it is"), _options(group, {}))]
    for registered in program.registered_commands:
        name, types = str(registered.name), get_type_hints(registered.callback)
        command = group.commands[name]
        usage = " ".join([str(group.name), name, "[OPTIONS]", *(_usage(each) for each in _arguments(command))])
        lines += [f"## {code(name)} {{#{name}}}", "", "```text", usage, "```", "", prose(command.help), ""]
        arguments = [
            (code(_value(each, types)), escaped(each.help or ""), _default(each)) for each in _arguments(command)
        ]
        lines += table(("argument", "what it is", "default"), arguments)
        lines += table(("option", "what it is", "default"), _options(command, types))
    return {PATH: "\n".join(lines)}


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _arguments(command: Any) -> list[Any]:
    return [each for each in command.params if each.param_type_name == "argument"]


def _options(command: Any, types: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Returns a row for each option; the value that it takes stands behind its name."""
    rows: list[tuple[str, ...]] = []
    for each in command.params:
        if each.param_type_name == "option" and not each.hidden:
            names = ", ".join(map(code, (*each.opts, *each.secondary_opts)))
            takes = "" if each.is_flag else f" {code(_value(each, types))}"
            rows.append((names + takes, escaped(_first_paragraph(each.help)), _default(each)))
    return rows


def _usage(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()) + "..." * (argument.nargs == -1)
    return name if argument.required else f"[{name}]"


def _value(parameter: Any, types: Mapping[str, Any]) -> str:
    """Returns what a parameter takes: its choices, or a name for its value."""
    annotation = types.get(parameter.name)
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return "|".join(str(each.value) for each in kind)
    return str(parameter.metavar or parameter.name.upper())


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    value = value.value if isinstance(value, Enum) else value
    is_plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return code(str(value)) if is_plain and value != "" else ""
