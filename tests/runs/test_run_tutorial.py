"""docs/tutorial.md, run from its first command to its last over a generated folder: it shows what is printed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from tests.helpers.doc_pages import page, run_line, shell_lines
from tests.helpers.photo_folders import write_photos
from tests.helpers.whole_runs import merged

PAGE = page("tutorial.md")


def parts(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a page, in their order: (language, code block) and ("shell", command line)."""
    for found in re.finditer(r"^```(\w+)\n(.*?)^```|^( {4}rzen-corpus [^\n]*)$", text, re.DOTALL | re.MULTILINE):
        if found[3]:
            yield from (("shell", line) for line in shell_lines(found[3]))
        else:
            yield found[1], found[2]


def stable(line: str, home: Path) -> str:
    """A printed line without what differs from run to run: seconds, the folder, the width of columns."""
    line = re.sub(r"[━─]+", "━", line.replace(f"{home}/", ""))
    return re.sub(r"\d+\.\d s$", "- s", re.sub(r"\s+", " ", line).strip())


def missing_lines(shown: str, printed: str, home: Path) -> list[str]:
    """Lines that a page shows and that were not printed; one may be the beginning of a printed one.

    In any order: stages that do not wait for each other end as it comes.
    """
    lines = [stable(line, home) for line in printed.splitlines()]
    wanted = [stable(line, home) for line in shown.splitlines()]
    return [line for line in wanted if not any(each.startswith(line) for each in lines)]


def test_the_tutorial_runs_as_it_is_written(tmp_path: Path) -> None:
    write_photos(tmp_path)
    settings: dict[str, Any] = {}
    printed, commands = "", []
    environment = {**os.environ, "COLUMNS": "100"}
    previous = ""
    for language, code in parts(PAGE):
        if language == "yaml":
            settings = merged(settings, yaml.safe_load(code))
            (tmp_path / "photos.yaml").write_text(yaml.safe_dump(settings))
        elif language == "shell":
            line = code.replace("PAIR_ID", pair_id(tmp_path)) if "PAIR_ID" in code else code
            output = run_line(line, tmp_path, environment)
            printed = printed + output if previous == "shell" else output  # of all commands since the last block
            commands.append(code.split()[1])
        elif language == "python":
            printed = run_python(code, tmp_path)
        elif language == "text":
            assert missing_lines(code, printed, tmp_path) == [], printed
        else:
            assert language == "jsonl"
            written = [(tmp_path / name).read_text() for name in ("photos.jsonl", "archive.jsonl")]
            assert any(code in text for text in written), code
        previous = language
    wanted = "init plan run status report show show calibrate plan run runs run mix verify"
    assert commands == wanted.split()
    assert sorted(sharpness(tmp_path, "blurred")) == pytest.approx([0, 0, 0.4, 0.4, 0.4, 0.4], abs=0.1)
    for file in ("pairs.yaml", "report.html", "calibration/calibrate.html", "corpus/README.md"):
        assert (tmp_path / file).stat().st_size > 1000


def sharpness(home: Path, reason: str) -> list[float]:
    """The sharpness of the images that the first run removed for a reason."""
    decided = [pq.read_table(path) for path in sorted((home / "workspace/tables/photos/quality").glob("*.parquet"))]
    [first] = [table for table in decided if pc.sum(pc.equal(table["reason"], reason)).as_py() == 6]
    [measured] = (home / "workspace/tables/photos/image_stats").glob("*.parquet")
    found: list[float] = pq.read_table(measured).filter(pc.equal(first["reason"], reason))["sharpness"].to_pylist()
    return found


def pair_id(home: Path) -> str:
    index = json.loads((home / "corpus/manifest.json").read_bytes())["datasets"]["photos"]["shards"][0]["name"]
    with (home / "corpus/photos" / index).open("rb") as tar:
        return tar.read(32).decode()


def run_python(code: str, folder: Path) -> str:
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, "tutorial.md", "exec"), {})
    return output.getvalue()
