"""The commands that tell what became of a workspace: its runs, one by one or two compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.command_line import (
    ConfigFile,
    JsonOption,
    SetOption,
    guarded,
    print_json,
    read_settings_file,
    usage_error,
)


def runs_command(
    config: ConfigFile,
    old: Annotated[str | None, typer.Argument(help="a run to compare: its id, or a part of it")] = None,
    new: Annotated[str | None, typer.Argument(help="the run to compare it with")] = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lists the runs of a workspace, the newest last; of two it shows what changed, and what that did."""
    if old is not None and new is None:
        usage_error("runs: two runs are compared, so name both")
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from dataclasses import asdict

        from corpus.workspace import Workspace
        from pipelines.report.console import show_comparison, show_runs
        from pipelines.report.run_comparison import compare_runs, find_run
        from pipelines.report.run_history import unsummarised_runs
        from pipelines.report.run_summary import read_summaries

        store = Workspace(settings.workspace).store
        runs = read_summaries(store)
        if old is not None and new is not None:
            found = compare_runs(find_run(runs, old), find_run(runs, new))
            if as_json:
                print_json(asdict(found))
            else:
                show_comparison(console, found)
            return 0
        others = unsummarised_runs(store, {run.name for run in runs})
        if as_json:
            print_json({"runs": [asdict(run) for run in runs], "unsummarised": [asdict(run) for run in others]})
        else:
            show_runs(console, runs, others)
        return 0

    guarded(work)


def show_command(
    config: ConfigFile,
    name: Annotated[str, typer.Argument(help="the id of an item or a pair (32 hexadecimal digits), or SOURCE/SHARD")],
    picture: Annotated[Path | None, typer.Option("--picture", help="write the item's bytes to this file")] = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows all that the stages have about an item, a pair or a shard: why it was kept or removed, what uses it."""
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from dataclasses import asdict

        from pipelines.report.console import show_found
        from pipelines.report.terminal import print_line
        from pipelines.row_lookup import find_rows, write_picture

        found = find_rows(settings, name)
        path = None if picture is None else write_picture(settings, name, picture)
        if as_json:
            rows = [{**asdict(row), "verdict": row.verdict} for row in found.rows]
            print_json({**asdict(found), "rows": rows, "picture": None if path is None else str(path)})
            return 0
        show_found(console, found)
        if path is not None:
            print_line(console, f"written: {path}")
        return 0

    guarded(work)
