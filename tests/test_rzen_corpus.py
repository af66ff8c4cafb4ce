"""This package is imported from one place, whatever else has its folders' names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rzen_corpus
from tests.helpers.clashing import in_the_way

HOME = Path(rzen_corpus.__file__).parent


def program(code: str, cwd: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """A Python program in a folder, with entries before all others on its path but that folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    environment.pop("PYTHONSAFEPATH", None)
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)


def copy(folder: Path) -> Path:
    """A copy of this package's code."""
    leave = shutil.ignore_patterns("__pycache__", "*.safetensors")
    for name in rzen_corpus.PACKAGES:
        shutil.copytree(HOME / name, folder / name, ignore=leave)
    shutil.copy(HOME / "rzen_corpus.py", folder)
    return folder


def test_the_names_are_those_of_all_packages() -> None:
    packages = {path.parent.name for path in HOME.glob("*/__init__.py")}
    assert packages - {"benchmarks", "demo", "tests"} == set(rzen_corpus.PACKAGES)


def test_packages_of_the_working_directory_are_not_taken(tmp_path: Path) -> None:
    hostile = in_the_way(tmp_path / "cwd")
    (hostile / "other.py").touch()
    put = f"import os, sys, rzen_corpus; sys.path.insert(0, ''); rzen_corpus.put_first({str(HOME)!r})"
    imports = "import other, filters, video, corpus, recaption, pipelines.cli; print(filters.__file__, os.__file__)"
    done = program(f"{put}; {imports}", hostile, hostile, HOME)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == str(HOME / "filters/__init__.py")
    done = program(imports, hostile, hostile, HOME)
    assert "the wrong filters" in done.stderr, "without it they would be"


def test_the_path_keeps_its_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bare/filters").mkdir(parents=True)  # a folder without code is in nobody's way
    hostile, bare, home = str(in_the_way(tmp_path / "cwd")), str(tmp_path / "bare"), str(HOME)
    for before, after in (
        ([hostile, "/lib", home, bare], ["/lib", home, bare, hostile]),
        ([bare, "/lib", hostile], [bare, "/lib", home, hostile]),
        ([home, hostile], [home, hostile]),
    ):
        monkeypatch.setattr(sys, "path", list(before))
        rzen_corpus.put_first(home)
        assert sys.path == after


def test_what_was_imported_from_elsewhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "video").mkdir()
    (tmp_path / "video/__init__.py").touch()
    code = f"import video, rzen_corpus; rzen_corpus.put_first({str(HOME)!r})"
    done = program(code, tmp_path, tmp_path, HOME)
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: 'video' was imported from {tmp_path}/video/__init__")


def test_the_same_code_is_found_wherever_it_lies(tmp_path: Path) -> None:
    same, other = copy(tmp_path / "same"), copy(tmp_path / "other")
    (other / "filters/image/quality.py").write_text("changed = True\n")
    hostile = in_the_way(tmp_path / "cwd")
    _, version, code = rzen_corpus.origin()
    use = "import sys, rzen_corpus; rzen_corpus.use({origin!r}, sys.path)"
    use += "; import filters.image.quality; print(filters.__file__)"
    for folder, path, found in (
        (str(HOME), [hostile, same], HOME),  # where the other process has it
        ("/elsewhere", [hostile, other, same], same),  # as it is installed here
        (str(other), [hostile, other, same], same),  # the same place, other code
    ):
        done = program(use.format(origin=(folder, version, code)), hostile, *path)
        assert done.stdout.strip() == str(found / "filters/__init__.py"), done.stderr


def test_other_code_is_one_error_that_names_both(tmp_path: Path) -> None:
    other, hostile = copy(tmp_path / "other"), in_the_way(tmp_path / "cwd")
    (other / "rzen_corpus.py").write_text((HOME / "rzen_corpus.py").read_text().replace('"0.1.0"', '"0.2.0"'))
    (other / "video/clips.py").write_text("")
    with pytest.raises(ImportError) as raised:
        rzen_corpus.use(("/elsewhere", "0.0.9", "c0de" * 16), [str(hostile), str(other)])
    message = str(raised.value)
    assert raised.value.name == "rzen-corpus"
    assert str(hostile) not in message
    assert f" has rzen-corpus 0.2.0 (code {rzen_corpus.digest(str(other))[:8]}) in {other}" in message
    assert "the run is of rzen-corpus 0.0.9 (code c0dec0de) in /elsewhere: install the same version" in message
    with pytest.raises(ImportError, match="has no rzen-corpus on its path, but the run is of"):
        rzen_corpus.use(("/elsewhere", "0.0.9", "c0de" * 16), [str(tmp_path)])
    with pytest.raises(ImportError, match="in /elsewhere"):
        rzen_corpus.require(("/elsewhere", "0.0.9", "c0de" * 16))
    rzen_corpus.require(("/elsewhere", *rzen_corpus.origin()[1:]))


def test_a_program_started_from_here_imports_the_same(tmp_path: Path) -> None:
    hostile = in_the_way(tmp_path / "cwd")
    command = [sys.executable, "-m", "filters.image.quality"]
    done = subprocess.run(
        command, cwd=hostile, env={**os.environ, **rzen_corpus.environment()}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
