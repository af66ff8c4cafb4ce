"""Starts the program, and sees to it that this package is imported from one place: here and in every worker.

The package's folders have everyday names (`corpus`, `filters`, `video`), and Python takes a name from the first entry
of its path that has it. That is often the working directory, which Ray puts first in its workers, and where a user
may have folders of the same names. This module's own name is not an everyday one, so it can be imported before the
order is right. It needs the standard library only: Ray's workers are sent it as it is (`pipelines.engines.entry`).
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path

__version__ = "0.1.0"

PACKAGES = ("corpus", "filters", "mining", "pipelines", "recaption", "serving", "video")

_ITSELF = "rzen_corpus.py"
_SUFFIXES = (".py", ".yaml", ".json")  # of code, and of data that code reads
_VERSION_LINE = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)

Origin = tuple[str, str, str]  # of a package: the folder that it was imported from, its version, the digest of its code


def main() -> None:
    """Run the command line, whatever lies in the working directory or before this package on Python's path."""
    put_first(str(Path(__file__).parent))
    # Programs that start Python would begin their path with the working directory, or with that of a script.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    from pipelines.cli import main as run

    run()


def origin() -> Origin:
    """The package that this process has imported."""
    folder = str(Path(__file__).parent)
    return folder, __version__, digest(folder) or ""


def digest(folder: str) -> str | None:
    """SHA-256 of the package's code under a folder: names and bytes of its files. None where it isn't there."""
    root, found = Path(folder), hashlib.sha256()
    if not (root / _ITSELF).is_file():
        return None
    files = (path for package in PACKAGES for path in (root / package).rglob("*") if path.suffix in _SUFFIXES)
    for path in [root / _ITSELF, *sorted(files)]:
        content = path.read_bytes()
        found.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def use(wanted: Origin, path: Iterable[str]) -> None:
    """Have this process import the package that another one has: from the same folder if it is here with the same
    code, else from an entry of `path` that has the same code. Files of the same code only: a folder of the working
    directory that happens to have the name is never one.

    Raises ImportError (its `name` is "rzen-corpus") with what was found instead, and where.
    """
    others = []
    for entry in dict.fromkeys([wanted[0], *(os.path.abspath(entry) for entry in path)]):  # noqa: PTH100 - "" is here
        found = digest(entry)
        if found == wanted[2]:
            put_first(entry)
            return
        if found:
            others.append((entry, _version(entry), found))
    raise _other_code(wanted, others)


def require(wanted: Origin) -> None:
    """Raises ImportError, as `use` does, where this process has imported other code than another one."""
    if origin()[2] != wanted[2]:
        raise _other_code(wanted, [origin()])


def environment() -> dict[str, str]:
    """Variables by which a Python program imports the package from where this process has it. Other packages' own place
    is no part of PYTHONPATH: they would come before the standard library.
    """
    folder, path = str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")
    if Path(folder).name in ("site-packages", "dist-packages"):
        return {"PYTHONSAFEPATH": "1"}
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, [folder, path]))}


def put_first(folder: str) -> None:
    """Order Python's path so that the package is imported from a folder. Entries that have something of one of its
    names go behind it; all others stay where they are, the standard library among them.

    Raises ImportError where one of the names was imported from elsewhere already.
    """
    for name in PACKAGES:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).resolve().parent.parent != Path(folder).resolve():
            raise ImportError(f"{name!r} was imported from {file}, but belongs to {folder}", name="rzen-corpus")
    here = [entry for entry in sys.path if os.path.abspath(entry) == folder]  # noqa: PTH100 - "" is here
    hiding = [entry for entry in sys.path if entry not in here and _has_one(entry)]
    order = [entry for entry in sys.path if entry not in hiding]
    sys.path[:] = [*order, *([] if here else [folder]), *hiding]


def _other_code(wanted: Origin, found: list[Origin]) -> ImportError:
    here = " and ".join(map(_described, found)) or "no rzen-corpus on its path"
    message = f"{platform.node()} has {here}, but the run is of {_described(wanted)}"
    return ImportError(f"{message}: install the same version on all machines", name="rzen-corpus")


def _described(found: Origin) -> str:
    folder, version, code = found
    return f"rzen-corpus {version} (code {code[:8]}) in {folder}"


def _has_one(entry: str) -> bool:
    """Whether an entry of Python's path has a module or package of one of the names."""
    for name in PACKAGES:
        spec = importlib.machinery.PathFinder.find_spec(name, [entry])
        if spec is not None and spec.loader is not None and spec.origin is not None:  # no bare folder of the name
            return True
    return False


def _version(folder: str) -> str:
    """The version of the package under a folder, by what its file says."""
    line = _VERSION_LINE.search((Path(folder) / _ITSELF).read_text(encoding="utf-8"))
    return line[1] if line else "of an unknown version"


if __name__ == "__main__":
    main()
