"""Filters rows by expressions over the columns of metadata.

An example: `similarity > 0.28 and (pwatermark is None or pwatermark < 0.8)`.

A small part of Python's expressions, parsed and translated to Arrow, never evaluated as Python: comparisons (chained
ones too), and, or, not, in, is None, + - * /, parentheses, numbers, strings. Column names are matched without case.

As in SQL, comparing with null is neither true nor false, and only rows for which all of it is true pass: a row whose
similarity is null passes neither `similarity > 0.28` nor `not similarity > 0.28`. Arithmetic is done in 64-bit floats.

Bounded are the length of an expression, how deep its parts lie in each other, and its numbers: to 64 bits.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.printable import printable
from corpus.settings import SettingsError

_MAX_CHARACTERS, _MAX_DEPTH = 100_000, 50
_TOO_DEEP = f"its parts lie more than {_MAX_DEPTH} deep in each other"

_COMPARISONS: Mapping[type, Callable[[Any, Any], pc.Expression]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: Mapping[type, Callable[[Any, Any], pc.Expression]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class RowFilter:
    """A parsed filter expression. Raises SettingsError, at once, for a text that is none.

    `aliases` gives the one name of columns that are known under several: {"caption": "text"}.
    """

    def __init__(self, text: str, aliases: Mapping[str, str] | None = None) -> None:
        self.text = text.strip()
        self._aliases = aliases or {}
        tree = self._parse()
        self.names = frozenset(self._name(node.id) for node in ast.walk(tree) if isinstance(node, ast.Name))
        self._expression = self._truth(tree)

    def _parse(self) -> ast.expr:
        if len(self.text) > _MAX_CHARACTERS:
            raise self._error(f"longer than {_MAX_CHARACTERS:,} characters")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of escapes such as "\\d", which Python takes as they are
                tree = ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            place = f" at character {error.offset}" if error.offset and error.lineno == 1 else ""
            raise self._error(f"not an expression{place}: {error.msg}") from None
        except ValueError as error:
            raise self._error(f"not an expression: {error}") from None
        except (RecursionError, MemoryError):  # as Python's parser says it
            raise self._error(_TOO_DEEP) from None
        below: list[ast.AST] = [tree]
        for _ in range(_MAX_DEPTH):
            below = [child for node in below for child in ast.iter_child_nodes(node)]
        if below:
            raise self._error(_TOO_DEEP)
        return tree

    def apply(self, table: pa.Table) -> pa.Table:
        """Selects the rows of a table (column names in lower case) that pass."""
        self.check(table.column_names)
        try:
            return table.filter(self._expression)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise self._error(f"the columns' types do not allow it: {error}") from None

    def check(self, known: Collection[str]) -> None:
        """Raises SettingsError if the expression names a column that is not `known`."""
        for name in sorted(self.names.difference(known)):
            closest = difflib.get_close_matches(name, [*known, *self._aliases], n=1, cutoff=0.5)
            suggestion = f"did you mean {closest[0]!r}?" if closest else f"there are {', '.join(sorted(known))}"
            raise self._error(f"no column {name!r}; {suggestion}")

    def _truth(self, node: ast.expr) -> pc.Expression:
        """Translates a node that is true or false."""
        match node:
            case ast.BoolOp(op=op, values=values):
                return _balanced_tree(
                    operator.and_ if isinstance(op, ast.And) else operator.or_, map(self._truth, values)
                )
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self._truth(operand)
            case ast.Compare(left=first, ops=ops, comparators=comparators):
                sides = [first, *comparators]
                return _balanced_tree(operator.and_, map(self._comparison, sides, ops, comparators))
        raise self._error(f"{_quoted(node)} is neither true nor false: expected a comparison", node)

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pc.Expression:
        match op, right:
            case ((ast.Is() | ast.IsNot()), ast.Constant(value=None)):
                is_null = self._value(left).is_null()
                return is_null if isinstance(op, ast.Is) else ~is_null
            case (
                (ast.In() | ast.NotIn()),
                (ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements)),
            ) if elements:
                # Written out, so that null is neither in nor not in, as with any other comparison.
                is_member = _balanced_tree(
                    operator.or_, [self._value(left) == self._value(element) for element in elements]
                )
                return is_member if isinstance(op, ast.In) else ~is_member
        if type(op) not in _COMPARISONS:
            raise self._error(f"{_quoted(right)} cannot follow {_quoted(left)} in this way", right)
        return _COMPARISONS[type(op)](self._value(left), self._value(right))

    def _value(self, node: ast.expr) -> pc.Expression:
        match node:
            case ast.Name(id=name):
                return pc.field(self._name(name))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                sides = [self._value(side).cast(pa.float64()) for side in (left, right)]
                return _ARITHMETIC[type(op)](*sides)
        return pc.scalar(self._constant(node))

    def _constant(self, node: ast.expr) -> str | int | float:
        match node:
            case ast.Constant(value=str() as text):
                if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                    raise self._error(f"{_quoted(node)} is not Unicode text", node)
                return text
            case ast.Constant(value=int() | float() as value):
                return self._number(value, node)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return self._number(-value, node)
            case ast.Constant(value=None):
                raise self._error("nothing equals None: write `is None` or `is not None`", node)
        raise self._error(f"{_quoted(node)} is not a column, a number or a string", node)

    def _number(self, value: int | float, node: ast.expr) -> int | float:
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error("a number beyond what 64-bit floats can hold", node)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self._error("an integer beyond 64 bits: write it as a float, such as 1e20", node)
        return value

    def _name(self, written: str) -> str:
        return self._aliases.get(written.lower(), written.lower())

    def _error(self, what: str, node: ast.expr | None = None) -> SettingsError:
        """Makes an error of what is wrong, and at which character of the expression, counted from 1."""
        place = ""
        if node is not None:
            line = self.text.splitlines()[node.lineno - 1] if node.lineno > 1 else self.text
            column = len(line.encode()[: node.col_offset].decode()) + 1
            place = f", line {node.lineno}" * (node.lineno > 1) + f", character {column}"
        return SettingsError(f"filter {printable(self.text)!r}{place}: {what}")


def _balanced_tree(op: Callable[[Any, Any], pc.Expression], parts: Iterable[pc.Expression]) -> pc.Expression:
    """Joins parts by `and` or `or`, as a tree that is no deeper than it must be: Arrow walks it recursively."""
    remaining = list(parts)
    while len(remaining) > 1:
        pairs = [op(*pair) for pair in zip(remaining[::2], remaining[1::2], strict=False)]
        remaining = [*pairs, remaining[-1]] if len(remaining) % 2 else pairs
    return remaining[0]


def _quoted(node: ast.expr) -> str:
    return repr(printable(ast.unparse(node), 80))
