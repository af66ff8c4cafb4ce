"""What README and docs/ promise: commands, settings, files and links exist, tables are those of the classes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import typer.core
import webdataset
import yaml

from corpus.settings import SettingsError
from pipelines.cli import app
from pipelines.config import Config
from pipelines.docs import render, tables

HOME = Path(__file__).parents[2]
PAGES = {path: path.read_text(encoding="utf-8") for path in [HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))]}
README = PAGES[HOME / "README.md"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_reader_gives_batches_of_one_dataset(undisturbed: Path) -> None:
    [code] = blocks(README, "python")
    names: dict[str, Any] = {}
    exec(compile(code.replace("demo-run/corpus", str(undisturbed / "corpus")), "README.md", "exec"), names)
    batches = list(names["training_batches"](9))
    assert {len(batch) for batch in batches} == {32}
    for batch in batches:
        assert len({sample["json"]["dataset"] for sample in batch}) == 1
        assert all(sample["positive.jpg"].size[0] > 0 for sample in batch)
        assert all(sample["__key__"] == sample["json"]["pair_id"] for sample in batch)
    assert len({sample["__key__"] for batch in batches[:3] for sample in batch}) == 96, "no sample twice in an epoch"
    assert names["images"] and all(names["texts"])
    assert webdataset.__version__


def command_lines(text: str) -> Iterator[str]:
    """Lists the command lines of this program in indented blocks and in backticks."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("    rzen-corpus "):
            yield line.split("#")[0].strip()
    yield from (" ".join(found.split()) for found in re.findall(r"`(rzen-corpus [^`]+)`", text))


def fault_of(line: str) -> str:
    """What the command line doesn't know of it. Arguments are not looked at, for they are names of files."""
    program = typer.main.get_command(app)
    name, *arguments = shlex.split(line)[1:]
    if not isinstance(program, typer.core.TyperGroup) or name not in program.commands:
        return f"no command {name}"
    known = {option for parameter in program.commands[name].params for option in parameter.opts}
    for argument in arguments:
        if argument.startswith("--") and argument.split("=")[0] not in known and "--runner" not in arguments:
            return f"no option {argument}"
    return ""


def test_commands_exist() -> None:
    lines = [(path.name, line) for path, text in PAGES.items() for line in command_lines(text)]
    assert len(lines) > 10
    assert {(name, line): fault for name, line in lines if (fault := fault_of(line))} == {}


def test_files_that_are_named_exist() -> None:
    folders = "configs|docs|benchmarks|corpus|serving|pipelines|filters|recaption|video|demo|tests"
    named = {name for text in PAGES.values() for name in re.findall(rf"`((?:{folders})/[\w./]+\.\w+)`", text)}
    assert named
    assert [name for name in sorted(named) if not (HOME / name).exists()] == []


def test_links_lead_somewhere() -> None:
    broken = []
    for path, text in PAGES.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            name, _, anchor = target.partition("#")
            if "://" in name:
                continue
            page = path.parent / name if name else path
            if not page.exists() or (anchor and anchor not in anchors(page)):
                broken.append(f"{path.name}: {target}")
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Of the headings of a page, as a web view of it forms them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def completed(settings: dict[str, Any]) -> dict[str, Any]:
    """A part of a settings file with what it refers to and doesn't show: datasets and sources of images."""
    sources, datasets = settings.setdefault("sources", {}), settings.setdefault("datasets", {})
    for mixture in settings.get("mixtures", {}).values():
        for name in mixture["datasets"]:
            datasets.setdefault(name, {"source": name})
    for dataset in datasets.values():
        sources.setdefault(dataset["source"], {"kind": "laion", "parts": ["x.parquet"], "licence": "x"})
    return {"workspace": "workspace", **settings}


def test_settings_are_valid() -> None:
    faults, found = {}, 0
    for path, text in PAGES.items():
        for number, block in enumerate(blocks(text, "yaml")):
            found += 1
            try:
                Config.model_validate(completed(yaml.safe_load(block)))
            except (ValueError, SettingsError) as error:
                faults[f"{path.name}, block {number}"] = str(error)
    assert found >= 4
    assert faults == {}


def test_the_tables_are_those_of_the_classes() -> None:
    written = []
    for path, text in PAGES.items():
        assert render(text) == text, f"{path.name}: python -m pipelines.docs writes it"
        written += re.findall(r"<!-- table: ([a-z ]+) -->", text)
    assert sorted(written) == sorted(tables()), "each table once"
