"""The commands that tell what became of a workspace: its runs, one by one or two compared."""

from __future__ import annotations

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
