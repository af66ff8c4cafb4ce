"""The wheel that this project builds: what is in it, and that it runs without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import rzen_corpus
from tests.helpers import extras

HOME = Path(rzen_corpus.__file__).parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built as `pip wheel` builds it, without a network."""
    extras.installed_or_skip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=HOME, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_the_package_and_nothing_of_the_demo(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
    tops = {PurePosixPath(entry.filename).parts[0] for entry in entries}
    metadata = {top for top in tops if top.endswith(".dist-info")}
    assert tops - metadata == {*rzen_corpus.PACKAGES, "configs", "rzen_corpus.py"}
    suffixes = {
        PurePosixPath(entry.filename).suffix for entry in entries if entry.filename.split("/")[0] not in metadata
    }
    assert suffixes <= {".py", ".yaml", ".typed", ".css", ".js"}, "no checkpoint, no cache"
    names = {entry.filename for entry in entries}
    assert {f"{package}/py.typed" for package in rzen_corpus.PACKAGES} <= names, "its types are for its users, too"
    assert sum(entry.file_size for entry in entries) < 4_000_000


def test_it_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    # The packages that it needs are this environment's; this package itself must be the wheel's.
    code = f"""
import sys
sys.path = [{str(installed)!r}, *(entry for entry in sys.path if entry and entry != {str(HOME)!r})]
import rzen_corpus
rzen_corpus.put_first({str(installed)!r})
from pipelines.cli import main
import pipelines.sources, pipelines.graph
sys.argv = ["rzen-corpus", "init", "laion", "project"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
modules = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
print([file for file in modules if file.startswith({str(HOME)!r} + "/") and "/site-packages/" not in file])
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=elsewhere, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]", "modules of the checkout"
    assert (elsewhere / "project" / "laion.yaml").read_bytes() == (HOME / "configs" / "laion.yaml").read_bytes()
