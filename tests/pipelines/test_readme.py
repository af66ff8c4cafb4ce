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


def test_the_tables_are_those_of_the_classes() -> None:
    from pipelines.docs import render

    assert render(README) == README, "python -m pipelines.docs writes them"
    assert len(re.findall(r"<!-- table: ", README)) >= 4
