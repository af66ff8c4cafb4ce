"""Docstrings are there and begin alike: functions with a verb in the third person, classes and modules with a noun or
such a verb, properties with what they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("corpus", "serving", "filters", "recaption", "video", "mining", "pipelines")

# First words that end in s and are no verbs. A verb has an object after it: "Names the fields", not "Names of fields".
NO_VERBS = {"As", "This", "Its", "Is", "Was", "Across", "Less", "Perhaps", "Always", "Besides", "Unless", "Thus"}
AFTER_NOUNS = {"of", "with", "between", "whose"}
CLAUSES = {"How", "What", "Which", "Where", "Whether", "When", "Why", "Everything"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_property(function: Function) -> bool:
    names = [ast.unparse(decorator).rpartition(".")[2] for decorator in function.decorator_list]
    return bool({"property", "cached_property"} & set(names))


def faults(tree: ast.Module, protocols: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """Yields the line and the fault of each docstring of a module; `protocols`: see `documented_methods`."""
    yield from _faults_of_thing(tree, 1, "the module")
    within = (part for node in ast.walk(tree) if isinstance(node, Function) for part in ast.walk(node))
    inner = {part for part in within if isinstance(part, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node not in inner:
            inherits = any(not re.match(r"(Protocol|Generic|ABC)\b", ast.unparse(base)) for base in node.bases)
            if not node.name.startswith("_"):
                yield from _faults_of_thing(node, node.lineno, node.name)
            for method in _functions(node):
                if not (node.name.startswith("_") or inherits or method.name in protocols):
                    yield from _missing(method)
    for function in _functions(tree):
        yield from _missing(function)
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from _faults_of_function(node)


def _functions(node: ast.Module | ast.ClassDef) -> list[Function]:
    """Returns the functions of a module or a class, without those within functions and those that others overload."""
    found = [child for child in node.body if isinstance(child, Function)]
    return [each for each in found if "overload" not in map(ast.unparse, each.decorator_list)]


def _missing(function: Function) -> Iterator[tuple[int, str]]:
    if not function.name.startswith("_") and not ast.get_docstring(function):
        yield function.lineno, f"{function.name} has no docstring"


def _faults_of_thing(node: ast.Module | ast.ClassDef, line: int, name: str) -> Iterator[tuple[int, str]]:
    text = ast.get_docstring(node) or ""
    if not text and node.body:
        yield line, f"{name} has no docstring"
    elif text and (_first_words(text)[0] in CLAUSES or text.startswith("`")):
        yield line, f"{name}: begins with {text[:30]!r}, not with a noun or a verb"


def _faults_of_function(function: Function) -> Iterator[tuple[int, str]]:
    text = ast.get_docstring(function) or ""
    if not text or text.startswith("See `") or (function.name == "__init__" and text.startswith("`")):
        return  # the documentation of another method, or of arguments
    if is_property(function):
        if text.startswith("Returns "):
            yield function.lineno, f"{function.name}: a property is described as what it is, without 'Returns'"
    elif not _begins_with_verb(text):
        yield function.lineno, f"{function.name}: begins with {text[:30]!r}, not with a verb in the third person"


def _first_words(text: str) -> tuple[str, str]:
    first, second = (*text.split()[:2], "")[:2]
    return first.strip(".,:;"), second


def _begins_with_verb(text: str) -> bool:
    first, second = _first_words(text)
    is_noun = second in AFTER_NOUNS
    return bool(re.fullmatch(r"[A-Z][a-z-]*s", first)) and first not in NO_VERBS and not is_noun


def documented_methods(trees: list[ast.Module]) -> frozenset[str]:
    """Returns the names of the methods that Protocols document: classes implement them without deriving from one."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    protocols = [each for each in classes if any(ast.unparse(base).startswith("Protocol") for base in each.bases)]
    return frozenset(method.name for each in protocols for method in _functions(each) if ast.get_docstring(method))


def test_the_check_finds_each_fault() -> None:
    code = '''
"""Planted faults."""
def a(): ...
def b():
    """The b."""
def c():
    """Return c."""
def d():
    """Names of d."""
def e():
    """Names the e."""
def _f():
    """Whether it is f."""
def _g(): ...
class H:
    def i(self): ...
    def known(self): ...
    @property
    def j(self):
        """Returns j."""
    @property
    def k(self):
        """The k."""
class L(H):
    """How it is done."""
    def i(self): ...
'''
    found = sorted(fault.split(": ")[0].split(" has ")[0] for _, fault in faults(ast.parse(code), frozenset({"known"})))
    assert found == ["H", "L", "_f", "a", "b", "c", "d", "i", "j"]
    assert list(faults(ast.parse("x = 1"))) == [(1, "the module has no docstring")]


def test_docstrings_are_there_and_begin_alike() -> None:
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    protocols = documented_methods(trees)
    assert len(files) > 150 and {"on_worker_lost", "identity", "open"} <= protocols
    found = [
        f"{path.relative_to(ROOT)}:{line}: {fault}"
        for path, tree in zip(files, trees, strict=True)
        for line, fault in faults(tree, protocols)
    ]
    assert not found, "\n" + "\n".join(found)
