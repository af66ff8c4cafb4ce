"""The command line. Only what `--help` needs is imported here."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from pipelines.config import Config
    from pipelines.plan import Selection

app = typer.Typer(
    name="rzen-corpus",
    help="From raw web data to trainer-ready shards: gather, judge, pair, publish.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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


@app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
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
) -> None:
    """Runs what is not done, then publishes. Options that are not listed here are passed on to the Beam runner."""
    settings = _settings(config, engine, runner, context.args)
    selection = _selection(stage, source, shards, force, retry)

    def work(console: Any) -> int:
        from pipelines.report.console import show_funnel
        from pipelines.report.terminal import print_line
        from pipelines.runner import run as run_all

        chosen = _known_mixtures(settings, mixture)
        result = run_all(settings, selection, console, chosen, wait)
        show_funnel(console, result.funnels)
        for name, path in result.corpora.items():
            print_line(console, f"corpus {name}: {path}")
            for line in (*result.batches[name], *result.evaluation[name]):
                print_line(console, f"  {line}")
        return print_failures(console, result.failed)

    guarded(work, again=f"rzen-corpus run {config}")


@app.command()
def plan(
    config: ConfigFile,
    stage: StageOption = None,
    source: SourceOption = None,
    shards: ShardsOption = None,
    force: ForceOption = False,
    retry: RetryOption = None,
) -> None:
    """Prints what `run` with the same options would do: what is done, what is missing, what is stale and why."""
    settings = _settings(config)
    selection = _selection(stage, source, shards, force, retry)

    def work(console: Any) -> int:
        from pipelines.graph import build_graph
        from pipelines.report.console import show_plan
        from pipelines.report.terminal import print_line
        from pipelines.status import plan_run, stage_cautions

        for caution in stage_cautions(build_graph(settings)):
            print_line(console, caution)
        show_plan(console, plan_run(settings, selection))
        return 0

    guarded(work)


@app.command("status")
def status_command(config: ConfigFile) -> None:
    """Shows stages and shards (done, stale, missing, failed in the last run) and the funnel of each source."""
    settings = _settings(config)

    def work(console: Any) -> int:
        from pipelines.report.console import show_funnel, show_status
        from pipelines.report.terminal import print_line
        from pipelines.status import workspace_status

        found = workspace_status(settings)
        show_status(console, found)
        show_funnel(console, found.funnels)
        for line in found.notices:
            print_line(console, line)
        return EXIT_FAILED if found.failed else 0

    guarded(work)


@app.command("search")
def search_command(
    config: ConfigFile,
    query: Annotated[str, typer.Argument(help="a text, the path of an image, or the id of a pair")],
    k: Annotated[int, typer.Option("-k", min=1, help="how many are found")] = 10,
    dataset: Annotated[str | None, typer.Option("--dataset", help="only this one; else all that are mined")] = None,
    show: Annotated[bool, typer.Option("--show", help="draw them, too: writes search.png to this folder")] = False,
) -> None:
    """Finds the nearest positives of the datasets that are mined: their scores, pairs and where they lie."""
    settings = _settings(config)

    def work(console: Any) -> int:
        from pipelines.report.console import show_hits
        from pipelines.report.terminal import print_line
        from pipelines.search import search_positives

        hits = search_positives(settings, query, k, dataset)
        show_hits(console, hits)
        if show:
            from pipelines.search_sheet import SHEET, write_sheet

            print_line(console, f"drawn: {write_sheet(settings, query, hits, Path(SHEET).absolute())}")
        return 0

    guarded(work)


@app.command("calibrate")
def calibrate_command(
    config: ConfigFile,
    stage: Annotated[str | None, typer.Option("--stage", help="only the thresholds of this stage")] = None,
    out: Annotated[Path, typer.Option("--out", help="the folder to write to")] = Path("calibration"),
    rows: Annotated[int, typer.Option("--rows", min=1, help="how many rows of each stage are read, about")] = 200_000,
) -> None:
    """Writes what each threshold keeps, with samples on both sides of its cut, as a page and a picture."""
    settings = _settings(config)

    def work(console: Any) -> int:
        from pipelines.calibration.calibrate import write_calibration
        from pipelines.report.terminal import print_line

        for path in write_calibration(settings, config.name, out, stage, rows):
            print_line(console, f"written: {path}")
        return 0

    guarded(work)


@app.command()
def mix(
    config: ConfigFile,
    mixture: Annotated[list[str] | None, typer.Option("--mixture", help="only these (may be repeated)")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="count epochs for so many; else for going through all once")
    ] = None,
) -> None:
    """Shows what each mixture takes of its datasets, and how often a trainer will draw from them. It runs nothing."""
    settings = _settings(config)
    chosen = _known_mixtures(settings, mixture)

    def work(console: Any) -> int:
        from pipelines.report.console import show_mixture
        from pipelines.summaries import mixture_summaries

        for summary in mixture_summaries(settings, chosen, steps):
            show_mixture(console, summary)
        return 0

    guarded(work)


@app.command()
def labels(config: ConfigFile) -> None:
    """Shows which labels of classification sets are merged, and which contain which. It runs nothing."""
    settings = _settings(config)

    def work(console: Any) -> int:
        from pipelines.report.terminal import print_line
        from pipelines.summaries import label_summary

        for line in label_summary(settings):
            print_line(console, line)
        return 0

    guarded(work)


@app.command("verify")
def verify_command(
    corpus: Annotated[str, typer.Argument(help="folder or URL of a published corpus")],
    reader: Annotated[
        str, typer.Option("--reader", help="builtin, or webdataset: the library that trainers use (extra `webdataset`)")
    ] = "builtin",
    fast: Annotated[
        bool, typer.Option("--fast", help="of each mp4 only the first frame is decoded: damage behind it is not found")
    ] = False,
) -> None:
    """Reads every tar of a corpus again and compares it with its manifest; every image and every frame
    of an mp4 decodes.
    """

    def work(console: Any) -> int:
        from corpus.settings import SettingsError
        from pipelines.publish.tar_check import Reader
        from pipelines.publish.verify import verify as check
        from pipelines.report.terminal import print_line

        if reader not in list(Reader):
            raise SettingsError(f"--reader {reader}: there are {', '.join(Reader)}")
        found = check(corpus, reader=Reader(reader), fast=fast)
        for fault in found.faults:
            print_line(console, fault)
        verdict = f"{len(found.faults)} faults" if found.faults else "sound"
        print_line(console, f"{corpus}: {verdict}; read {found.summary()}")
        return EXIT_FAILED if found.faults else 0

    guarded(work)


@app.command()
def schema() -> None:
    """Prints the JSON schema of the settings file, for editors that check YAML against one."""
    import json

    from pipelines.config import Config

    sys.stdout.write(json.dumps(Config.model_json_schema(), indent=2) + "\n")


class SettingsTemplate(StrEnum):
    """Settings files to start from, by what they are for."""

    LAION = "laion"
    STAGE1 = "stage1"
    STAGE2 = "stage2"
    PAIRS = "pairs"
    DOCUMENTS = "documents"
    VIDEOS = "videos"


@app.command()
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


def main() -> None:
    """Runs the `rzen-corpus` command."""
    main_of(app)


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


def _settings(path: Path, engine: EngineKind | None = None, runner: str | None = None, options: Any = ()) -> Config:
    from corpus.settings import SettingsError, load_settings

    try:
        from pipelines.config import Config

        config = load_settings(path, Config)
    except SettingsError as error:
        _usage(str(error), lines=True)  # one for each fault, and each begins with the file's name
    changes: dict[str, Any] = {}
    if engine is not None:
        changes["kind"] = str(engine)
    if runner is not None:
        changes["runner"] = runner
    kind = changes.get("kind", config.engine.kind)
    if options and kind != "beam":
        _usage(f"unknown options: {' '.join(options)} (only --engine beam passes options on)")
    if options:
        changes["options"] = (*config.engine.options, *options)
    return config.model_copy(update={"engine": config.engine.model_copy(update=changes)})


def _selection(
    stage: str | None, sources: list[str] | None, shards: str | None, force: bool, retry: str | None
) -> Selection:
    from corpus.settings import SettingsError
    from pipelines.config import parse_shards
    from pipelines.plan import Selection

    try:
        numbers = parse_shards(shards) if shards is not None else None
    except SettingsError as error:
        _usage(str(error))
    reasons = frozenset(part.strip() for part in (retry or "").split(",") if part.strip())
    if retry is not None and not reasons:
        _usage("--retry: expected `failed` or reasons such as timeout,http_503")
    if force and reasons:
        _usage("--force makes all rows again, --retry only failed ones: use one of them")
    return Selection(stage, numbers, force, reasons, frozenset(sources) if sources else None)


def _known_mixtures(config: Config, names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in config.mixtures:
            _usage(f"--mixture {name}: there is {', '.join(sorted(config.mixtures)) or 'none'}")
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
        _usage(str(error))
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


def print_failures(console: Any, failed: list[str]) -> int:
    """Prints a line for each failure; returns the exit code."""
    from pipelines.report.terminal import print_line

    for line in failed:
        print_line(console, f"failed: {line}")
    return EXIT_FAILED if failed else 0


def _usage(message: str, lines: bool = False) -> NoReturn:
    from pipelines.report.terminal import Terminal, print_line, print_text

    (print_text if lines else print_line)(Terminal(stderr=True), message)
    raise typer.Exit(EXIT_USAGE)


if __name__ == "__main__":
    main()
