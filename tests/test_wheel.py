"""The wheel that this project builds: what is in it, and that it runs without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
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
    build(HOME, "wheel", folder)
    (path,) = folder.glob("*.whl")
    return path


def build(home: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=home, check=True, capture_output=True)


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


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that runs the command line of the unpacked wheel, and says which modules came from the checkout.

    The packages that it needs are this environment's; this package itself must be the wheel's.
    """
    folder = tmp_path_factory.mktemp("installed")
    installed = folder / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    code = f"""
import atexit, sys
sys.path = [{str(installed)!r}, *(entry for entry in sys.path if entry and entry != {str(HOME)!r})]
import rzen_corpus
rzen_corpus.put_first({str(installed)!r})
from pipelines.cli import main

def check():
    modules = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    found = [file for file in modules if file.startswith({str(HOME)!r} + "/") and "/site-packages/" not in file]
    if found:
        print("modules of the checkout:", found)

atexit.register(check)
if __name__ == "__main__":
    main()
"""
    path = folder / "rzen-corpus.py"
    path.write_text(code)
    return path


def call(program: Path, folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, str(program), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_has_the_files_of_the_checkout(program: Path, tmp_path: Path) -> None:
    assert "modules of the checkout" not in call(program, tmp_path, "init", "laion", "project")
    assert (tmp_path / "project" / "laion.yaml").read_bytes() == (HOME / "configs" / "laion.yaml").read_bytes()


def test_it_makes_a_corpus_without_the_checkout(program: Path, tmp_path: Path) -> None:
    """As `make wheel` tries it, where it is installed into an environment of its own."""
    printed = call(HOME / ".ci/try-package", tmp_path, sys.executable, str(program))
    assert "corpus: sound; read 1 tars, 8 samples, 16 images" in printed
    assert "modules of the checkout" not in printed


def test_the_sdist_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    build(HOME, "sdist", tmp_path)
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (home,) = (tmp_path / "source").iterdir()
    build(home, "wheel", tmp_path)
    (again,) = tmp_path.glob("*.whl")
    assert again.name == wheel.name
    with zipfile.ZipFile(wheel) as expected, zipfile.ZipFile(again) as found:
        assert [(each.filename, each.CRC) for each in found.infolist()] == [
            (each.filename, each.CRC) for each in expected.infolist()
        ]
