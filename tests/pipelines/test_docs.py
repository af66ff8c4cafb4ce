"""What README and docs/ promise: commands, settings, files and links exist, tables are those of the classes."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
import typer.core
import webdataset
import yaml
from pydantic import BaseModel

from corpus.settings import SettingsError
from pipelines.cli import app
from pipelines.config import Config
from pipelines.docs import render, tables
from pipelines.observers.run_metrics import METRICS
from tests.helpers.doc_pages import blocks
from tests.helpers.noise_images import noise_jpeg
from tests.helpers.whole_runs import command

HOME = Path(__file__).parents[2]
PATHS = (HOME / "README.md", *sorted((HOME / "docs").glob("*.md")), HOME / "benchmarks/RESULTS.md")
PAGES = {path: path.read_text(encoding="utf-8") for path in PATHS}
README = PAGES[HOME / "README.md"]
FOLDERS = ("benchmarks", "corpus", "serving", "filters", "mining", "recaption", "video", "pipelines", "demo")


def without_blocks(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def test_the_loop_gives_batches_of_one_dataset(undisturbed: Path) -> None:
    names = run_loop(undisturbed / "corpus")
    batches = list(names["training_batches"](9))
    assert {len(batch) for batch in batches} == {32}
    for batch in batches:
        assert len({sample["json"]["dataset"] for sample in batch}) == 1
        assert all(sample["positive.jpg"].size[0] > 0 for sample in batch)
        assert all(sample["__key__"] == sample["json"]["pair_id"] for sample in batch)
    assert len({sample["__key__"] for batch in batches[:3] for sample in batch}) == 96, "no sample twice in an epoch"
    assert names["images"] and all(names["texts"])
    assert webdataset.__version__


def run_loop(corpus: Path) -> dict[str, Any]:
    """Runs README's loop over a corpus; returns its variables."""
    [code] = blocks(README, "python")
    assert 'CORPUS, BATCH = "corpus", 32' in code
    names: dict[str, Any] = {}
    exec(compile(code.replace('"corpus"', repr(str(corpus)), 1), "README.md", "exec"), names)
    return names


def test_the_example_runs_as_it_is_written(tmp_path: Path) -> None:
    [record], [settings] = blocks(README, "jsonl"), blocks(README, "yaml")
    fields = json.loads(record)
    example = README[README.index("## An example") : README.index("## The command line")]
    commands = list(command_lines(example))
    assert [shlex.split(line)[1] for line in commands] == ["init", "plan", "run", "mix", "verify"]
    (tmp_path / "data/photos").mkdir(parents=True)
    photos = [f"{number:02}.jpg" for number in range(40)]
    for number, photo in enumerate(photos):
        (tmp_path / "data/photos" / photo).write_bytes(noise_jpeg(number))
    rows = [
        {**fields, "title": f"Kettle {number}", "photo": photo, "similar_photo": photos[number - 1]}
        for number, photo in enumerate(photos)
    ]
    (tmp_path / "data/products.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for line in commands:
        done = subprocess.run(
            command(*shlex.split(line)[1:]), cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        if " init " in line:
            (tmp_path / "pairs.yaml").write_text(settings)
    names = run_loop(tmp_path / "corpus")
    assert len(names["images"]) == 32
    assert all(re.fullmatch(r"Kettle \d+: red enamel, 1.5 litres", text) for text in names["texts"])


def command_lines(text: str) -> Iterator[str]:
    """Lists the command lines of this program in indented blocks and in backticks."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("    rzen-corpus "):
            yield line.split("#")[0].strip()
    for found in re.findall(r"`((?:rzen-corpus )?(?:run|plan|[a-z]+) CONFIG[^`]*|rzen-corpus [a-z][^`]*)`", text):
        yield " ".join(("" if found.startswith("rzen-corpus ") else "rzen-corpus ", *found.split())).strip()


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


def test_modules_that_are_run_exist() -> None:
    modules = {(path.name, name) for path, text in PAGES.items() for name in re.findall(r"python -m ([\w.]+)", text)}
    assert len(modules) > 10
    others = {"apache_beam"} if importlib.util.find_spec("apache_beam") is None else set()
    known = [each for each in sorted(modules) if each[1].partition(".")[0] not in others]
    assert [each for each in known if importlib.util.find_spec(each[1]) is None] == []


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
    if not datasets:
        sources.setdefault("images", {"kind": "laion", "files": ["x.parquet"], "licence": "x"})
    for dataset in datasets.values():
        sources.setdefault(dataset["source"], {"kind": "laion", "files": ["x.parquet"], "licence": "x"})
    return {"workspace": "workspace", **settings}


def test_settings_are_valid() -> None:
    faults, found = {}, 0
    for path, text in PAGES.items():
        if path.name in ("tutorial.md", "writing-a-stage.md"):  # tests/runs runs what these say, part by part
            continue
        for number, block in enumerate(blocks(text, "yaml")):
            found += 1
            try:
                Config.model_validate(completed(yaml.safe_load(block)))
            except (ValueError, SettingsError) as error:
                faults[f"{path.name}, block {number}"] = str(error)
    assert found >= 4
    assert faults == {}


def types_in(annotation: Any) -> Iterator[Any]:
    """Lists the types that an annotation is a union of, without None."""
    if get_origin(annotation) is Annotated:
        yield from types_in(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from types_in(each)
    elif annotation is not type(None):
        yield annotation


def has_path(annotation: Any, keys: Sequence[str]) -> bool:
    """Tells whether settings of the type have a value under the keys. A name in capitals stands for any name."""
    if not keys:
        return True
    for each in types_in(annotation):
        if get_origin(each) is dict:
            found = has_path(get_args(each)[1], keys[1:])
        elif isinstance(each, type) and issubclass(each, BaseModel):
            found = keys[0] in each.model_fields and has_path(each.model_fields[keys[0]].annotation, keys[1:])
        else:
            found = False
        if found:
            return True
    return False


def test_settings_that_are_named_exist() -> None:
    sections = "|".join(Config.model_fields)
    paths = {
        (path.name, named)
        for path, text in PAGES.items()
        for named in re.findall(rf"`((?:{sections})\.[\w.]+)(?:`|: )", without_blocks(text))
    }
    assert len(paths) > 10
    assert [each for each in sorted(paths) if not has_path(Config, each[1].split("."))] == []
    assert has_path(Config, ["stages", "caption", "sources", "NAME", "files"])
    assert not has_path(Config, ["stages", "caption", "tries"])


def test_keys_of_values_that_are_named_exist() -> None:
    """In `key: value`, or `key: {key: value}`."""
    keys = {key for part in Config.model_json_schema()["$defs"].values() for key in part.get("properties", ())}
    keys |= set(Config.model_fields)
    unknown, found = [], 0
    for path, text in PAGES.items():
        for code in re.findall(r"`(\w+: [^`]+)`", without_blocks(text)):
            found += 1
            value = yaml.safe_load(code)
            unknown += [(path.name, code) for key in keys_in(value) if key not in keys]
    assert found > 5
    assert unknown == []


def keys_in(value: Any) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield key
        yield from keys_in(inner)


def test_identifiers_that_are_named_are_in_the_code() -> None:
    """A key, reason, column or function that no file has any more."""
    files = [HOME / "pyproject.toml", *HOME.glob("*.py"), *(HOME / "configs").glob("*.yaml")]
    files += [file for folder in FOLDERS for file in (HOME / folder).rglob("*") if file.suffix in (".py", ".yaml")]
    known = {word for file in files for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))}
    known |= {word for text in PAGES.values() for block in blocks(text, "python") for word in re.findall(r"\w+", block)}
    known |= {f"rzen_corpus_{metric.name}" for metric in METRICS}
    others = r"--\w+|python -m apache_beam[\w.]*"  # options and programs of Beam
    unknown = {
        (path.name, word)
        for path, text in PAGES.items()
        for code in re.findall(r"`([^`]+)`", without_blocks(text))
        for word in re.findall(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b", re.sub(others, "", code))
        if "/" not in code and re.sub(r"_[0-9]+$", "", word) not in known
    }
    assert sorted(unknown) == []


def test_versions_of_measured_tools_are_those_that_are_installed_for_it() -> None:
    page = PAGES[HOME / "docs/comparison.md"]
    pins = (HOME / "Makefile").read_text(encoding="utf-8") + (HOME / "constraints.txt").read_text(encoding="utf-8")
    for name, package in (
        ("Data-Juicer", "py-data-juicer"),
        ("datatrove", r"datatrove\[processing\]"),
        ("img2dataset", "img2dataset"),
    ):
        [version] = set(re.findall(rf"{package}==([\d.]+)", pins))
        assert f"| {name} | {version} |" in page, f"{name} {version}"


def test_make_targets_exist() -> None:
    makefile = (HOME / "Makefile").read_text(encoding="utf-8")
    targets = {
        (path.name, name) for path, text in PAGES.items() for name in re.findall(r"(?:`| {4})make ([a-z-]+)", text)
    }
    assert ("README.md", "demo") in targets and ("README.md", "test") in targets
    missing = [each for each in sorted(targets) if not re.search(rf"^{each[1]}:", makefile, re.MULTILINE)]
    assert missing == []


def test_the_tables_are_those_of_the_classes() -> None:
    written = []
    for path, text in PAGES.items():
        assert render(text) == text, f"{path.name}: python -m pipelines.docs writes it"
        written += re.findall(r"<!-- table: ([a-z ]+) -->", text)
    assert sorted(written) == sorted(tables()), "each table once"
