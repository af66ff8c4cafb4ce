"""What the README promises: its commands exist, its files are there, its reader reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import webdataset

HOME = Path(__file__).parents[2]
README = (HOME / "README.md").read_text(encoding="utf-8")


def python_block(containing: str) -> str:
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if containing in block]
    return block


def test_the_reader_gives_batches_of_one_dataset(undisturbed: Path) -> None:
    code = python_block("def training_batches").replace("demo-run/corpus", str(undisturbed / "corpus"))
    said: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), said)
    batches = list(said["training_batches"](9))
    assert {len(batch) for batch in batches} == {32}
    for batch in batches:
        assert len({sample["json"]["dataset"] for sample in batch}) == 1
        assert all(sample["positive.jpg"].size[0] > 0 for sample in batch)
        assert all(sample["__key__"] == sample["json"]["pair_id"] for sample in batch)
    assert len({sample["__key__"] for batch in batches[:3] for sample in batch}) == 96, "no sample twice in an epoch"
    assert said["images"] and all(said["texts"])
    assert webdataset.__version__


@pytest.mark.parametrize("name", sorted(set(re.findall(r"rzen-corpus (\w+) [A-Z]", README))))
def test_commands_exist(name: str) -> None:
    from pipelines.cli import app

    assert name in {command.callback.__name__ for command in app.registered_commands if command.callback}


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"`((?:configs|docs|benchmarks|corpus|pipelines|filters)/[\w./]+\.\w+)`", README))
    assert named
    assert [name for name in sorted(named) if not (HOME / name).exists()] == []


def test_stages_of_the_table_are_those_that_run() -> None:
    from corpus.settings import load_settings
    from pipelines.config import Config
    from pipelines.layout import layout

    steps = layout(load_settings(HOME / "configs" / "demo.yaml", Config))
    tables = README.split("| stage | reads |")[1:]
    for source, table in zip(("laion", "films"), tables[:2], strict=True):
        listed = re.findall(r"^\| `(\w+)` \|", table.split("\n\n")[0], re.M)
        mine = [step.name for step in steps if source in [node.source for node in step.nodes]]
        assert [name for name in listed if name not in ("rows", "index", "best_texts")] == mine
