"""The commands that tell what became of a workspace: its runs, one by one or two compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.command_line import (
    ConfigFile,
    InlineOption,
    JsonOption,
    SetOption,
    guarded,
    print_json,
    read_settings_file,
    usage_error,
)

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.report.inline_image import InlineProtocol
    from pipelines.row_lookup import ItemPlace


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
        store.check_bucket()
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
    inline: InlineOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows all that the stages have about an item, a pair or a shard: why it was kept or removed, what uses it."""
    if inline and as_json:
        usage_error("--inline and --json: use one of them")
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from dataclasses import asdict

        from pipelines.report.console import show_found
        from pipelines.report.inline_image import choose_protocol
        from pipelines.report.terminal import print_line
        from pipelines.row_lookup import find_rows, write_picture

        protocol = None if as_json else choose_protocol(console, inline)
        found = find_rows(settings, name)
        path = None if picture is None else write_picture(settings, name, picture)
        if as_json:
            rows = [{**asdict(row), "verdict": row.verdict} for row in found.rows]
            print_json({**asdict(found), "rows": rows, "picture": None if path is None else str(path)})
            return 0
        show_found(console, found)
        if protocol is not None and found.place is not None:
            _show_item(console, settings, found.place, protocol)
        elif inline:
            print_line(console, f"--inline: {name} has no picture: the id of an image has")
        if path is not None:
            print_line(console, f"written: {path}")
        return 0

    guarded(work)


def _show_item(console: Any, settings: Config, place: ItemPlace, protocol: InlineProtocol) -> None:
    """Shows the picture of an item on the terminal, or says why there is none."""
    from corpus.image.pixel_budget import UndecodableError
    from pipelines.report.inline_image import as_png, show_png
    from pipelines.report.terminal import print_line
    from pipelines.row_lookup import read_item

    try:
        png = as_png(read_item(settings, place))
    except UndecodableError as error:  # an mp4 is none, either
        print_line(console, f"no picture to show: {error}")
    else:
        show_png(console, png, protocol)
