"""Imports point down only, and what is heavy is imported where it is used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.modules import AT_HOME, FLOORS, HEAVY, HOMES, MODULES, ROOT


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Full names of what a piece of code imports, modules and names in them, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (module, *(f"{module}.{name.name}" for name in node.names))


def imported_at_once(body: list[ast.stmt], package: str) -> Iterator[str]:
    """What is imported when the module itself is: not in functions, not for type checkers only."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            yield from imported_at_once(statement.orelse, package)
        elif isinstance(statement, (ast.If, ast.Try, ast.With, ast.ClassDef)):
            inner = [*statement.body, *getattr(statement, "orelse", []), *getattr(statement, "finalbody", [])]
            inner += [line for handler in getattr(statement, "handlers", []) for line in handler.body]
            yield from imported_at_once(inner, package)
        else:
            yield from imported(statement, package)


def package_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).parent.parts)


def test_the_check_sees_imports() -> None:
    code = """
import torch.nn
from . import sibling
from ..corpus import media
if TYPE_CHECKING:
    import ray
try:
    import av
except ImportError:
    import vllm
def f():
    import open_clip
"""
    tree = ast.parse(code)
    everything = {"torch.nn", "ray", "av", "vllm", "open_clip"}
    everything |= {"filters.deep", "filters.deep.sibling", "filters.corpus", "filters.corpus.media"}
    assert set(imported(tree, "filters.deep")) == everything
    assert set(imported_at_once(tree.body, "filters.deep")) == everything - {"ray", "open_clip"}


def test_imports_point_down() -> None:
    upwards = {}
    for path in MODULES:
        floor = path.relative_to(ROOT).parts[0]
        names = {name.split(".")[0] for name in imported(ast.parse(path.read_text()), package_of(path))}
        upwards[str(path.relative_to(ROOT))] = names & set(FLOORS) - FLOORS[floor]
    assert {module: names for module, names in upwards.items() if names} == {}


def test_heavy_modules_are_imported_where_they_are_used() -> None:
    heavy = {}
    for path in MODULES:
        module = str(path.relative_to(ROOT))
        names = set(imported_at_once(ast.parse(path.read_text()).body, package_of(path)))
        heavy[module] = {name.split(".")[0] for name in names} & HEAVY - AT_HOME.get(module, set())
        heavy[module] |= names & HOMES if module not in AT_HOME else set()
    assert {module: names for module, names in heavy.items() if names} == {}, "import these inside functions"


def circular(graph: dict[str, set[str]]) -> set[str]:
    """The modules that are part of a circle, and those that import one of them."""
    while free := {name for name, uses in graph.items() if not uses & set(graph)}:
        graph = {name: uses for name, uses in graph.items() if name not in free}
    return set(graph)


def test_a_circle_is_found() -> None:
    assert circular({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"e"}, "e": set()}) == {"a", "b", "c"}


def test_no_import_goes_in_a_circle() -> None:
    """Modules and what they import when they are imported themselves. A circle of three is one, too."""
    known = {str(path.relative_to(ROOT).with_suffix("")).replace("/", "."): path for path in MODULES}
    known = {name.removesuffix(".__init__"): path for name, path in known.items()}
    graph = {
        name: set(imported_at_once(ast.parse(path.read_text()).body, package_of(path))) & set(known) - {name}
        for name, path in known.items()
    }
    assert len(graph) > 200 and sum(map(len, graph.values())) > 600
    assert circular(graph) == set()


def test_every_floor_is_looked_at() -> None:
    looked_at = {path.relative_to(ROOT).parts[0] for path in MODULES}
    assert {"corpus", "filters", "pipelines"} <= looked_at
