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

PURPOSE = (
    "The demo builds a small world full of planted faults, runs the pipeline over it, and checks that every fault is "
    "found and nothing else. It takes one to three minutes, without a GPU and without the internet."
)

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
    """Builds a small world, runs the whole pipeline over it, verifies the corpora, and compares them with the planted
    truth."""

    def work(console: Any) -> int:
        # Said before what takes seconds to import.
        from demo.screen import screen_of

        kind = str(engine) if engine else None
        steps = {
            "world": f"{rows:,} {'drawn scenes' if vlm else 'images, films and sets of pairs'} on a local web server",
            "run": "download, judge, pair and publish them, as a user would",
            "verify": "read every published sample again",
            "compare": "hold what became of each row against what was planted",
        }
        with screen_of(console, folder, steps) as screen:
            screen.introduce(PURPOSE)
            if vlm:
                from demo.vlm.run import run_vlm_demo

                return print_failures(console, run_vlm_demo(screen, kind, rows, port))
            from demo.run import run_demo

            return print_failures(console, run_demo(screen, kind, rows, config, port))

    guarded(work, again="the same command")


if __name__ == "__main__":
    main_of(app)
