"""A public name of the product code is defined once: it means one thing, wherever it is met."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.modules import MODULES, ROOT

# Names that several modules define on purpose, and why.
REPEATED = {
    "app": "a command line's Typer application: of `rzen-corpus`, and of `python -m demo`",
    "main": "the entry point of a module that is run as a process of its own",
}


def public_names(body: list[ast.stmt]) -> Iterator[str]:
    """Yields the classes, functions and variables that a module defines at its top, without those of `_`."""
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names = [name]
            case ast.Assign(targets=targets):
                names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case ast.If(body=inner, orelse=other) | ast.Try(body=inner, orelse=other):
                names = list(public_names([*inner, *other]))
            case _:
                names = []
        yield from (name for name in names if not name.startswith("_"))


def repeated(sources: dict[str, str]) -> dict[str, list[str]]:
    """Returns the public names that several modules (by their code) define, each with these modules."""
    modules = defaultdict(list)
    for module, code in sources.items():
        for name in set(public_names(ast.parse(code).body)):
            modules[name].append(module)
    return {name: homes for name, homes in modules.items() if len(homes) > 1}


def _code(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_check_finds_every_kind_of_definition() -> None:
    code = "class A: x = 1\nasync def b(): y = 2\nC, (d, *E) = f\nG: int = 3\nif H: i = 4\n_j = 5\ndef _k(): ...\n"
    assert set(public_names(ast.parse(code).body)) == {"A", "b", "C", "d", "E", "G", "i"}
    assert repeated({"one": "A = 1\ndef b(): ...", "two": "from one import A\nclass b: ...", "three": "_c = A"}) == {
        "b": ["one", "two"]
    }


def test_a_public_name_has_one_home() -> None:
    found = repeated({str(path.relative_to(ROOT)): _code(path) for path in MODULES})
    assert {name: homes for name, homes in found.items() if name not in REPEATED} == {}
    assert set(REPEATED) <= set(found), "these are not repeated any more"
