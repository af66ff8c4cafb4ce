"""The command line: the commands of `rzen-corpus`. Only what `--help` needs is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.command_line import main_of
from pipelines.commands.corpora import export_table_command, push_command, verify_command
from pipelines.commands.files import init, schema
from pipelines.commands.history import runs_command, show_command
from pipelines.commands.looking import calibrate_command, labels, mix, report_command, search_command
from pipelines.commands.running import plan, run_command, status_command

app = typer.Typer(
    name="rzen-corpus",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(requested: bool) -> None:
    if requested:
        import rzen_corpus
        from pipelines.report.terminal import Terminal, print_line

        print_line(Terminal(), f"rzen-corpus {rzen_corpus.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Makes trainer-ready shards of raw web data: gather, judge, pair, publish."""


app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run_command)
app.command("plan")(plan)
app.command("status")(status_command)
app.command("runs")(runs_command)
app.command("show")(show_command)
app.command("search")(search_command)
app.command("report")(report_command)
app.command("calibrate")(calibrate_command)
app.command("mix")(mix)
app.command("labels")(labels)
app.command("verify")(verify_command)
app.command("push")(push_command)
app.command("export-table")(export_table_command)
app.command("schema")(schema)
app.command("init")(init)


def main() -> None:
    """Runs the `rzen-corpus` command."""
    main_of(app)


if __name__ == "__main__":
    main()
