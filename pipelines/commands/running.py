"""The commands that run a configuration, or tell what a run would do and has done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.command_line import (
    EXIT_FAILED,
    ConfigFile,
    EngineOption,
    ForceOption,
    JsonOption,
    RetryOption,
    RunnerOption,
    SetOption,
    ShardsOption,
    SourceOption,
    StageOption,
    guarded,
    known_mixtures,
    print_failures,
    print_json,
    read_selection,
    read_settings_file,
    usage_error,
)


def run_command(
    context: typer.Context,
    config: ConfigFile,
    engine: EngineOption = None,
    runner: RunnerOption = None,
    stage: StageOption = None,
    source: SourceOption = None,
    shards: ShardsOption = None,
    force: ForceOption = False,
    retry: RetryOption = None,
    mixture: Annotated[list[str] | None, typer.Option("--mixture", help="publish only these (may be repeated)")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait where another run works on the same workspace")] = False,
    assignments: SetOption = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="print failures and the corpora only")] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="print a line for each shard that ends, and each malformed record")
    ] = False,
    log_file: Annotated[Path | None, typer.Option("--log-file", help="append all lines, with times, to a file")] = None,
) -> None:
    """Runs what is not done, then publishes. Options that are not listed here are passed on to the Beam runner."""
    if quiet and verbose:
        usage_error("--quiet and --verbose: use one of them")
    lines: list[str] = []
    settings = read_settings_file(config, assignments, engine, runner, context.args, lines.append)
    selection = read_selection(stage, source, shards, force, retry)

    def work(console: Any) -> int:
        from pipelines.report.console import show_funnel
        from pipelines.report.terminal import Verbosity, logged, print_line
        from pipelines.runner import run as run_all

        console.verbosity = Verbosity.QUIET if quiet else Verbosity.VERBOSE if verbose else Verbosity.NORMAL
        chosen = known_mixtures(settings, mixture)
        with logged(console, log_file):
            for line in lines:
                print_line(console, line)
            result = run_all(settings, selection, console, chosen, wait)
            if not quiet:
                show_funnel(console, result.funnels)
            for name, path in result.corpora.items():
                print_line(console, f"corpus {name}: {path}", Verbosity.QUIET)
                for line in (result.sizes[name], *result.batches[name], *result.evaluation[name]):
                    print_line(console, f"  {line}")
            print_line(console, f"log of the run: {settings.workspace.rstrip('/')}/runs/{result.run_id}.jsonl")
            return print_failures(console, result.failed)

    guarded(work, again=f"rzen-corpus run {config}")


def plan(
    config: ConfigFile,
    stage: StageOption = None,
    source: SourceOption = None,
    shards: ShardsOption = None,
    force: ForceOption = False,
    retry: RetryOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Prints what `run` with the same options would do: what is done, what is missing, what is stale and why."""
    lines: list[str] = []
    settings = read_settings_file(config, assignments, show=lines.append)
    selection = read_selection(stage, source, shards, force, retry)

    def work(console: Any) -> int:
        from pipelines.graph import build_graph
        from pipelines.report.console import show_plan
        from pipelines.report.machine import plan_data
        from pipelines.report.terminal import print_line
        from pipelines.status import plan_run, stage_cautions

        cautions = stage_cautions(build_graph(settings))
        found = plan_run(settings, selection)
        if as_json:
            print_json(plan_data(found, [*lines, *cautions]))
            return 0
        for line in (*lines, *cautions):
            print_line(console, line)
        show_plan(console, found)
        return 0

    guarded(work)


def status_command(
    config: ConfigFile,
    followed: Annotated[bool, typer.Option("--watch", help="follow the run that goes on, wherever it does")] = False,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows shards by stage and source (done, stale, failed in the last run) and the funnel of each source."""
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from pipelines.report.console import show_funnel
        from pipelines.report.machine import status_data
        from pipelines.report.status_matrix import show_matrix
        from pipelines.report.terminal import print_line
        from pipelines.status import workspace_status

        if followed:
            from functools import partial

            from corpus.workspace import Workspace
            from pipelines.lease import is_held
            from pipelines.report.live import follow

            store = Workspace(settings.workspace).store
            follow(console, store, partial(is_held, store))
        found = workspace_status(settings)
        if as_json:
            print_json(status_data(found))
        else:
            show_matrix(console, found)
            show_funnel(console, found.funnels)
            for line in found.notices:
                print_line(console, line)
        return EXIT_FAILED if found.failed else 0

    guarded(work)
