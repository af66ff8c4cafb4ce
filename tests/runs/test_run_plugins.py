"""The distribution of docs/writing-a-stage.md, built from the page and run: its source, its stages, its threshold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.helpers import extras
from tests.helpers.doc_pages import blocks, page, run_line, shell_lines
from tests.helpers.noise_images import noise_jpeg
from tests.helpers.whole_runs import digests

PAGE = page("writing-a-stage.md")
RICH, POOR = 12, 5  # images with many colours, and with two


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the page's distribution is installed."""
    extras.installed_or_skip("hatchling")
    project = tmp_path_factory.mktemp("few-colours")
    (project / "pyproject.toml").write_text(blocks(PAGE, "toml")[0])
    for name, code in zip(("few_colours.py", "captioned_folder.py"), blocks(PAGE, "python"), strict=True):
        (project / name).write_text(code)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=project, check=True)
    (wheel,) = project.glob("dist/*.whl")
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def environment(installed: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH", ""), *sys.path]))
    return {**os.environ, "PYTHONPATH": path}


def two_colours(seed: int) -> bytes:
    """A drawing in black and white that no other seed's looks like."""
    squares = np.random.default_rng(seed).integers(0, 2, (12, 16), dtype=np.uint8) * 255
    pixels = cv2.resize(squares, (320, 240), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(".png", pixels)[1].tobytes()


def write_photos(folder: Path) -> None:
    folder.mkdir()
    for number in range(RICH):
        (folder / f"photo{number:02}.jpg").write_bytes(noise_jpeg(number))
        (folder / f"photo{number:02}.txt").write_text(f"a carpet with the pattern {number}\n")
    for number in range(POOR):
        (folder / f"drawing{number}.png").write_bytes(two_colours(number))
        (folder / f"drawing{number}.txt").write_text(f"a maze of the kind {number}")
    (folder / "alone.txt").write_text("a text without a picture")
    (folder / "latin.txt").write_bytes("café au lait".encode("latin-1"))


def manifest(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "corpus/manifest.json").read_bytes())
    return found


@pytest.mark.parametrize("engine", ["local", "ray", "beam"])
def test_the_page_runs_as_it_is_written(installed: Path, tmp_path: Path, engine: str) -> None:
    extras.engine_or_skip(engine)
    write_photos(tmp_path / "photos")
    [settings] = blocks(PAGE, "yaml")
    (tmp_path / "mine.yaml").write_text(f"engine: {{kind: {engine}}}\n{settings}")
    printed = {}
    for line in shell_lines(PAGE):
        printed[line] = run_line(line, tmp_path, environment(installed))
        if line == "rzen-corpus run mine.yaml":
            published = manifest(tmp_path)
            measured = digests(tmp_path / "workspace/tables/mine/colours")
    assert [line.split()[1] for line in printed] == ["plan", "run", "status", "calibrate", "run", "verify"]
    stages = [line.split()[1] for line in printed["rzen-corpus status mine.yaml"].splitlines() if line[:1] == "│"]
    assert stages.index("duplicates") < stages.index("colours") == stages.index("few_colours") - 1
    status = printed["rzen-corpus status mine.yaml"].replace(" ", "")
    for row in (f"│positive_few_colours│{POOR}│", "│bad_text│1│", "│no_image│1│"):
        assert row in status
    assert digests(tmp_path / "workspace/tables/mine/colours") == measured, "nothing was decoded anew"
    counts = [found["datasets"]["mine"]["samples"] for found in (published, manifest(tmp_path))]
    assert counts == [RICH, RICH + POOR], "the last run keeps images of two colours"
    assert published["versions"]["few-colours"] == "1.0"
