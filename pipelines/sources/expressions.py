"""Filter expressions over the columns of metadata: `similarity > 0.28 and (pwatermark is None or pwatermark < 0.8)`.

A small part of Python's expressions, parsed and translated to Arrow, never evaluated as Python: comparisons (chained
ones too), and, or, not, in, is None, + - * /, parentheses, numbers, strings. Column names are matched without case.

As in SQL, comparing with null is neither true nor false, and only rows for which the whole is true pass: a row whose
similarity is null passes neither `similarity > 0.28` nor `not similarity > 0.28`. Arithmetic is done in 64-bit floats.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Mapping
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.settings import SettingsError

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
    """A parsed filter expression. Raises SettingsError, at once, for what is not one.

    `aliases` gives the one name of columns that are known under several: {"caption": "text"}.
    """

    def __init__(self, text: str, aliases: Mapping[str, str] | None = None) -> None:
        self.text = text
        self._aliases = aliases or {}
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise self._error(f"not an expression: {error.args[0]}") from None
        self.names = frozenset(self._name(node.id) for node in ast.walk(tree) if isinstance(node, ast.Name))
        self._expression = self._truth(tree)

    def apply(self, table: pa.Table) -> pa.Table:
        """The rows of a table (column names in lower case) that pass."""
        self.check(table.column_names)
        try:
            return table.filter(self._expression)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
            raise self._error(f"the columns' types do not allow it: {error}") from None

    def check(self, known: Collection[str]) -> None:
        """Raise SettingsError if the expression names a column that is not `known`."""
        for name in sorted(self.names.difference(known)):
            near = difflib.get_close_matches(name, [*known, *self._aliases], n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise self._error(f"no column {name!r}; {hint}")

    def _truth(self, node: ast.expr) -> pc.Expression:
        """The Arrow expression of a node that is true or false."""
        match node:
            case ast.BoolOp(op=op, values=values):
                return reduce(operator.and_ if isinstance(op, ast.And) else operator.or_, map(self._truth, values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self._truth(operand)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                sides = [left, *comparators]
                return reduce(operator.and_, map(self._comparison, sides, ops, comparators))
        raise self._error(f"{ast.unparse(node)!r} is neither true nor false: expected a comparison")

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
                found = reduce(operator.or_, [self._value(left) == self._value(element) for element in elements])
                return found if isinstance(op, ast.In) else ~found
        if type(op) not in _COMPARISONS:
            raise self._error(f"{ast.unparse(right)!r} cannot follow {ast.unparse(left)!r} in this way")
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
            case ast.Constant(value=str() | int() | float() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return -value
            case ast.Constant(value=None):
                raise self._error("nothing equals None: write `is None` or `is not None`")
        raise self._error(f"{ast.unparse(node)!r} is not a column, a number or a string")

    def _name(self, written: str) -> str:
        return self._aliases.get(written.lower(), written.lower())

    def _error(self, what: str) -> SettingsError:
        return SettingsError(f"filter {self.text!r}: {what}")
