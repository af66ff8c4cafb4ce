"""The commands that write settings files, and their schema."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.command_line import guarded, print_json, usage_error


def schema() -> None:
    """Prints the JSON schema of the settings file, for editors that check YAML against one."""
    from corpus.settings import SettingsError

    try:
        from pipelines.config import Config
    except SettingsError as error:  # of an installed stage or source
        usage_error(str(error))
    print_json(Config.model_json_schema())


class SettingsTemplate(StrEnum):
    """Settings files to start from, by what they are for."""

    LAION = "laion"
    STAGE1 = "stage1"
    STAGE2 = "stage2"
    PAIRS = "pairs"
    DOCUMENTS = "documents"
    VIDEOS = "videos"


def init(
    template: Annotated[SettingsTemplate, typer.Argument(help="what the settings are for")],
    folder: Annotated[Path, typer.Argument(help="where to write them; made if it is not there")],
) -> None:
    """Writes a commented settings file to start from. A file that is there already is left alone."""

    def work(console: Any) -> int:
        from pipelines.report.terminal import print_line
        from pipelines.templates import write_template

        path = write_template(str(template), folder)
        print_line(console, f"{path}: set what its first lines name, then run: rzen-corpus plan {path}")
        return 0

    guarded(work)
