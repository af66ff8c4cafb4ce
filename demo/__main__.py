"""The command line of the demo: `python -m demo`. It writes to the folder `demo-run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import rzen_corpus

# As the `rzen-corpus` command does, and before anything of the package is imported.
rzen_corpus.put_first(str(Path(rzen_corpus.__file__).parent))
os.environ.setdefault("PYTHONSAFEPATH", "1")

import typer  # noqa: E402

from pipelines.command_line import EngineOption, guarded, main_of, print_failures  # noqa: E402

app = typer.Typer(name="python -m demo", add_completion=False, pretty_exceptions_enable=False)


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option("--folder", help="where the world, the workspace and the corpora are written")
    ] = Path("demo-run"),
    engine: EngineOption = None,
    rows: Annotated[int, typer.Option("--rows", min=200, help="rows of metadata")] = 1200,
    config: Annotated[Path | None, typer.Option("--config", help="instead of the demo's own settings")] = None,
    port: Annotated[int, typer.Option("--port", help="of the demo's web server; it is part of all URLs")] = 8642,
    vlm: Annotated[
        bool, typer.Option("--vlm", help="drawn scenes, captioned by the test VLM (extra `models`)")
    ] = False,
) -> None:
    """Builds a small world, run the whole pipeline over it, verify the corpora, and compare them with the planted
    truth."""

    def work(console: Any) -> int:
        if vlm:
            from demo.vlm.run import run_vlm_demo

            return print_failures(console, run_vlm_demo(folder, str(engine) if engine else None, rows, console, port))
        from demo.run import run_demo

        return print_failures(console, run_demo(folder, str(engine) if engine else None, rows, config, console, port))

    guarded(work, again="the same command")


if __name__ == "__main__":
    main_of(app)
