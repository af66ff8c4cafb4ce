"""The parts that all commands share: options, settings with their changes, exit codes, messages for what goes wrong.

Only what `--help` needs is imported here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.plan import Selection

Result = TypeVar("Result")

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

_UsageError: Any = typer.BadParameter.__base__  # of every fault in the arguments; typer exports no name for it


class EngineKind(StrEnum):
    """The kinds of engines on which stages run."""

    LOCAL = "local"
    RAY = "ray"
    BEAM = "beam"


ConfigFile = Annotated[Path, typer.Argument(help="YAML file of settings; configs/ has some to start from")]
EngineOption = Annotated[EngineKind | None, typer.Option("--engine", help="where stages run, instead of the settings'")]
RunnerOption = Annotated[str | None, typer.Option("--runner", help="Beam runner, such as DataflowRunner")]
StageOption = Annotated[str | None, typer.Option("--stage", help="the last stage to run; with --force: what to redo")]
ShardsOption = Annotated[str | None, typer.Option("--shards", help="shards of --stage, such as 3,7-12")]
SourceOption = Annotated[
    list[str] | None, typer.Option("--source", help="only the shards of this source (may be repeated), of --stage")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="make the shards of --stage again, and what depends on what is new")
]
RetryOption = Annotated[
    str | None, typer.Option("--retry", help="try failed rows of --stage again: `failed`, or reasons: timeout,http_503")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="a setting instead of the file's: path.to.key=value (YAML)"),
]
InlineOption = Annotated[
    bool | None,
    typer.Option("--inline/--no-inline", help="show the picture in the terminal; without it, in terminals that can"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]


def main_of(program: typer.Typer) -> NoReturn:
    """Runs a command line and returns its exit code; escape sequences in a user's data are printed escaped."""
    from corpus.printable import escape_messages, printable

    escape_messages()
    try:
        code = program(standalone_mode=False)
    except _UsageError as error:  # some versions of typer repeat an argument as it came
        error.message = printable(error.message, 2_000, lines=True)
        error.show()
        code = EXIT_USAGE
    except typer.Abort:
        code = EXIT_INTERRUPTED
    sys.exit(code)


def read_settings_file(
    path: Path,
    assignments: list[str] | None = None,
    engine: EngineKind | None = None,
    runner: str | None = None,
    options: Any = (),
    show: Callable[[str], None] | None = None,
) -> Config:
    """Reads a settings file, with variables of the environment in it, and changes it as the options say.

    `show` is called with a line for each variable and each assignment. Ends with a message and the exit code of wrong
    usage where something is wrong.
    """
    from corpus.settings import SettingsError, load_mapping, parse_settings
    from corpus.settings_values import expand_variables, set_values

    try:
        from pipelines.config import Config

        where = printable_path(path)
        data, lines = expand_variables(load_mapping(path), os.environ, where)
        data, changed = set_values(data, assignments or ())
        config = parse_settings(data, Config, f"{where} with --set" if changed else where)
    except SettingsError as error:
        usage_error(str(error), lines=True)  # one for each fault, and each begins with the file's name
    if show is not None:
        for line in (*lines, *changed):
            show(line)
    changes: dict[str, Any] = {}
    if engine is not None:
        changes["kind"] = str(engine)
    if runner is not None:
        changes["runner"] = runner
    kind = changes.get("kind", config.engine.kind)
    if options and kind != "beam":
        usage_error(f"unknown options: {' '.join(options)} (only --engine beam passes options on)")
    if options:
        changes["options"] = (*config.engine.options, *options)
    return config.model_copy(update={"engine": config.engine.model_copy(update=changes)})


def printable_path(path: Path) -> str:
    """Returns a path as messages show it."""
    from corpus.printable import printable

    return printable(str(path), 500)


def read_selection(
    stage: str | None, sources: list[str] | None, shards: str | None, force: bool, retry: str | None
) -> Selection:
    """Returns what the options of a command select; ends with a message where they contradict each other."""
    from corpus.settings import SettingsError
    from pipelines.config import parse_shards
    from pipelines.plan import Selection

    try:
        numbers = parse_shards(shards) if shards is not None else None
    except SettingsError as error:
        usage_error(str(error))
    reasons = frozenset(part.strip() for part in (retry or "").split(",") if part.strip())
    if retry is not None and not reasons:
        usage_error("--retry: expected `failed` or reasons such as timeout,http_503")
    if force and reasons:
        usage_error("--force makes all rows again, --retry only failed ones: use one of them")
    return Selection(stage, numbers, force, reasons, frozenset(sources) if sources else None)


def known_mixtures(config: Config, names: list[str] | None) -> list[str] | None:
    """Returns the names of mixtures; ends with a message where one is unknown."""
    for name in names or ():
        if name not in config.mixtures:
            usage_error(f"--mixture {name}: there is {', '.join(sorted(config.mixtures)) or 'none'}")
    return names


def guarded(work: Callable[[Any], int], again: str = "") -> NoReturn:
    """Runs a command's work, and turns what went wrong into a message and an exit code."""
    from corpus.printable import trace_of
    from corpus.settings import SettingsError
    from pipelines.lease import HeldError
    from pipelines.report.terminal import Terminal, print_line, print_text

    # A terminal that is closed or a scheduler that ends the job is an interrupt like any other.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    errors = Terminal(stderr=True)
    try:
        code = work(Terminal())
    except typer.Exit:
        raise
    except (SettingsError, HeldError) as error:
        usage_error(str(error))
    except OSError as error:
        print_line(errors, f"{type(error).__name__}: {error}")
        code = EXIT_FAILED
    except (ImportError, RuntimeError) as error:
        print_text(errors, f"{type(error).__name__}: {error}", indent=True)
        code = EXIT_FAILED
    except KeyboardInterrupt:
        then = f" To go on: {again}" if again else ""
        print_line(errors, f"interrupted. Every shard that was finished is kept.{then}")
        code = EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a fault of this program, shown as any other text
        print_text(errors, f"{trace_of(error)}This is a fault of rzen-corpus itself.")
        code = EXIT_FAILED
    raise typer.Exit(code)


def with_bar(console: Any, name: str, work: Callable[[Callable[[int, int], None]], Result]) -> Result:
    """Does work while a progress bar is shown; it is passed what updates the bar: how many are done of how many."""
    from pipelines.report.progress import ProgressBars

    with ProgressBars(console) as bars, bars.bar(name) as bar:
        return work(bar.set_progress)


def print_failures(console: Any, failed: list[str]) -> int:
    """Prints a line for each failure; returns the exit code."""
    from pipelines.report.terminal import Verbosity, print_line

    for line in failed:
        print_line(console, f"failed: {line}", Verbosity.QUIET)
    return EXIT_FAILED if failed else 0


def print_json(value: Any) -> None:
    """Prints JSON on standard output, for programs: nothing else is printed there."""
    import json

    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=True) + "\n")


def usage_error(message: str, lines: bool = False) -> NoReturn:
    """Prints a message and ends with the exit code of wrong usage."""
    from pipelines.report.terminal import Terminal, print_line, print_text

    (print_text if lines else print_line)(Terminal(stderr=True), message)
    raise typer.Exit(EXIT_USAGE)
