"""The command line in this process, over a small set of texts of which some are of one template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from pipelines.cli import app

ROWS, OF_TEMPLATE = 12, 4
_WORDS = ("rivers", "mountains", "kettles", "lanterns", "bridges", "gardens", "violins", "harbours")


def text_config(folder: Path, **sections: Any) -> str:
    """Writes the texts and their settings, with further sections; returns the path of these.

    The last rows are of one template.
    """
    rows = [
        {"question": f"where do people look for old {word}?", "answer": f"they look for {word} in the valley below"}
        for word in _WORDS
    ]
    rows += [
        {"question": f"what is the page number {n}?", "answer": f"the \x1b[31mpage number is {n} of all"}
        for n in range(OF_TEMPLATE)
    ]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    settings: dict[str, Any] = {
        "workspace": str(folder / "workspace"),
        "engine": {"workers": 1},
        "sources": {
            "texts": {
                "kind": "jsonl",
                "files": [str(folder / "rows.jsonl")],
                "query": {"text": "{question}"},
                "positive": {"text": "{answer}"},
                "licence": "cc0",
            }
        },
        "stages": {"text_filter": {"datasets": {"texts": {"max_rows_per_template": 1000}}}},
        "datasets": {"texts": {"kind": "existing_pairs", "source": "texts", "task": "text_retrieval"}},
        "mixtures": {
            "all": {"corpus": str(folder / "corpus"), "batch_size": 4, "datasets": {"texts": {"negatives": 1}}}
        },
        **sections,
    }
    path = folder / "texts.yaml"
    path.write_text(yaml.safe_dump(settings))
    return str(path)


def call_in_process(*arguments: str) -> tuple[int, str]:
    """Runs the command line; returns the exit code, and what it printed."""
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "400"})
    return result.exit_code, result.output


def json_of(*arguments: str) -> Any:
    """Runs a command with `--json`; returns what it printed."""
    code, printed = call_in_process(*arguments, "--json")
    assert code == 0, printed
    return json.loads(printed)
