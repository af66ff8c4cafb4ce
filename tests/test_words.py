"""Identifiers have the field's words, not those of the table below, which names the word to use instead."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("corpus", "serving", "filters", "recaption", "video", "mining", "pipelines", "demo", "benchmarks")

# Parts of identifiers that a reader would have to guess, and what to call the thing instead.
INSTEAD = {
    "alike": "similar",
    "asked": "requested, or request",
    "crew": "workers",
    "dear": "expensive",
    "dearest": "most expensive, or expensive",
    "dismiss": "release",
    "ends": "outcomes; of times end_times or last",
    "fewest": "min_…",
    "gave": "returned, or produced",
    "given": "input, existing or known",
    "glance": "quick_…, or preview",
    "gone": "removed, missing or stale",
    "heard": "received",
    "hint": "context, or alt_text",
    "hints": "context, or alt_texts",
    "hire": "acquire",
    "house": "what the house is made of: graph, package, project",
    "inbox": "receiver",
    "judged": "filtered, or verdict",
    "judges": "filters",
    "kin": "related",
    "least": "min_…",
    "likeness": "similarity",
    "look": "stats, image, frame or thumbnail",
    "looked": "measured, or read",
    "looks": "stats, images or frames",
    "lost": "poisoned, dropped or missing",
    "made": "created, or built",
    "mine": "what is mine: ours, left side or local",
    "most": "max_…",
    "own": "self_…, local, or the owner's name",
    "pour": "fill",
    "said": "fields, result, texts or message",
    "seen": "known, visited or displayed",
    "shown": "displayed, or printed",
    "sought": "query, or searched",
    "span": "segment, or range",
    "spans": "segments, or ranges",
    "speaks": "addresses, or mentions",
    "spoken": "text, or message",
    "teach": "train",
    "theirs": "peer, expected or other",
    "told": "message, description or counts",
    "trouble": "failure",
    "troubles": "failures",
    "unlike": "different",
    "wanted": "requested, expected or target",
    "warden": "reaper, or supervisor",
    "watch": "monitor, or detector",
    "watched": "monitored, or extracted",
    "whole": "complete, full or all",
}
# A side of an image, a slice or a join, where its counterpart is defined beside it; else: remaining.
SIDES = {"left": {"right", "top", "bottom"}}
# The field's own terms with such a part.
TERMS = (
    ["whole", "video"],
    ["own", "positive"],
    ["judged", "positive"],
    ["judged", "unclear"],
    ["connection", "made"],
    ["worker", "lost"],
    ["connection", "lost"],
    ["judge", "scores"],
)

Definition = tuple[str, int, frozenset[str]]  # identifier, line, all identifiers that the same scope defines


def definitions(tree: ast.Module) -> Iterator[Definition]:
    """Yields what a module defines: functions, classes, arguments, variables, attributes, aliases, captures."""
    scopes = [node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef))]
    for scope in scopes:
        names = list(_names_in(scope))
        beside = frozenset(name for name, _ in names)
        yield from ((name, line, beside) for name, line in names)


def _names_in(scope: ast.AST) -> Iterator[tuple[str, int]]:
    """Yields the names of one scope with their lines; those of functions within it are scopes of their own."""
    for node in ast.iter_child_nodes(scope):
        yield from _defined_by(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        yield from _names_in(node)


def _defined_by(node: ast.AST) -> Iterator[tuple[str, int]]:
    line = getattr(node, "lineno", 0)
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name, line
        case ast.arg(arg=name):
            yield name, line
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            yield name, line
        case ast.alias(asname=str() as name):
            yield name, line
        case (
            ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name)
        ):
            yield name, line


def parts(identifier: str) -> list[str]:
    """Returns the words of an identifier, without those of TERMS: `_MAX_ShardSize` -> max, shard, size."""
    words = [word.lower() for word in re.split(r"_+|(?<=[a-z0-9])(?=[A-Z])", identifier) if word]
    for term in TERMS:
        for start in range(len(words) - len(term) + 1):
            if words[start : start + len(term)] == term:
                return words[:start] + words[start + len(term) :]
    return words


def private_words(path: Path) -> Iterator[str]:
    """Yields a line for each definition in a file that has a word of the table."""
    for name, line, beside in definitions(ast.parse(path.read_text(encoding="utf-8"))):
        for part in parts(name):
            counterparts = {word for each in beside for word in parts(each)}
            if part in INSTEAD or (part in SIDES and not SIDES[part] & counterparts):
                better = INSTEAD.get(part, "remaining, or removed")
                yield f"{path.relative_to(ROOT)}:{line}: {name}: not {part!r} but {better}"


def test_the_check_finds_every_kind_of_definition(tmp_path: Path) -> None:
    code = """
import numpy as own_numpy
def told(asked, *given, **wanted):
    self.shown = lost = [seen for seen in asked]
    left = 1
    with open(asked) as gone:
        pass
    try:
        pass
    except OSError as trouble:
        pass
    match asked:
        case [whole, *most]:
            pass
    if (made := asked):
        pass
    def inner(mine): ...
class MostAlike:
    least: int = 0
    whole_video_min_s = 1
def slices(left, right):
    left, top = 1, 2
"""
    found = {name for name, _, _ in definitions(ast.parse(code)) if any(p in INSTEAD for p in parts(name))}
    expected = "own_numpy told asked given wanted shown lost seen gone trouble whole most made mine MostAlike least"
    assert found == set(expected.split())
    sides = [line for name, line, beside in definitions(ast.parse(code)) if name == "left" and "right" not in beside]
    assert len(sides) == 1


def test_identifiers_have_the_fields_words() -> None:
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 40
    found = [line for path in files for line in private_words(path)]
    assert not found, "\n" + "\n".join(found)
