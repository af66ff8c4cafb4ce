"""The commands that look into a workspace: nothing of it is changed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.command_line import (
    ConfigFile,
    InlineOption,
    JsonOption,
    SetOption,
    guarded,
    known_mixtures,
    print_json,
    read_settings_file,
    with_bar,
)


def search_command(
    config: ConfigFile,
    query: Annotated[str, typer.Argument(help="a text, the path of an image, or the id of a pair")],
    k: Annotated[int, typer.Option("-k", min=1, help="how many are found")] = 10,
    dataset: Annotated[str | None, typer.Option("--dataset", help="only this one; else all that are mined")] = None,
    show: Annotated[bool, typer.Option("--show", help="draw them, too: writes search.png to this folder")] = False,
    inline: InlineOption = None,
    assignments: SetOption = None,
) -> None:
    """Finds the nearest positives of the datasets that are mined: their scores, pairs and where they lie."""
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from pipelines.report.console import show_hits
        from pipelines.report.inline_image import choose_protocol, show_png
        from pipelines.report.terminal import print_line
        from pipelines.search import search_positives

        protocol = choose_protocol(console, inline) if show or inline else None
        hits = search_positives(settings, query, k, dataset)
        show_hits(console, hits)
        if show or inline:
            from pipelines.search_sheet import SHEET, write_sheet

            path = write_sheet(settings, query, hits, Path(SHEET).absolute())
            if protocol is not None:
                show_png(console, path.read_bytes(), protocol)
            print_line(console, f"drawn: {path}")
        return 0

    guarded(work)


def report_command(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", help="the file to write")] = Path("report.html"),
    assignments: SetOption = None,
) -> None:
    """Writes one HTML file that shows what became of all rows, with examples, and how long it took."""
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from pipelines.report.terminal import print_line
        from pipelines.report.workspace_report import write_report

        path = with_bar(console, "report", partial(write_report, settings, config.name, out))
        print_line(console, f"written: {path}")
        return 0

    guarded(work)


def calibrate_command(
    config: ConfigFile,
    stage: Annotated[str | None, typer.Option("--stage", help="only the thresholds of this stage")] = None,
    out: Annotated[Path, typer.Option("--out", help="the folder to write to")] = Path("calibration"),
    rows: Annotated[int, typer.Option("--rows", min=1, help="how many rows of each stage are read, about")] = 200_000,
    assignments: SetOption = None,
) -> None:
    """Writes what each threshold keeps, with samples on both sides of its cut, as a page and a picture."""
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from pipelines.calibration.calibrate import write_calibration
        from pipelines.report.terminal import print_line

        for path in write_calibration(settings, config.name, out, stage, rows):
            print_line(console, f"written: {path}")
        return 0

    guarded(work)


def mix(
    config: ConfigFile,
    mixture: Annotated[list[str] | None, typer.Option("--mixture", help="only these (may be repeated)")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="count epochs for so many; else for going through all once")
    ] = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Shows what each mixture takes of its datasets, and how often a trainer will draw from them. It runs nothing."""
    settings = read_settings_file(config, assignments)
    chosen = known_mixtures(settings, mixture)

    def work(console: Any) -> int:
        from dataclasses import asdict

        from pipelines.report.console import show_mixture
        from pipelines.summaries import mixture_summaries

        summaries = mixture_summaries(settings, chosen, steps)
        if as_json:
            print_json({"mixtures": [asdict(summary) for summary in summaries]})
            return 0
        for summary in summaries:
            show_mixture(console, summary)
        return 0

    guarded(work)


def labels(config: ConfigFile, assignments: SetOption = None) -> None:
    """Shows which labels of classification sets are merged, and which contain which. It runs nothing."""
    settings = read_settings_file(config, assignments)

    def work(console: Any) -> int:
        from pipelines.report.terminal import print_line
        from pipelines.summaries import label_summary

        for line in label_summary(settings):
            print_line(console, line)
        return 0

    guarded(work)
