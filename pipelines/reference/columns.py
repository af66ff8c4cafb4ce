"""Columns of tables, with what the code says of them: the comment beside each field of an Arrow schema."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from functools import cache
from pathlib import Path

import pyarrow as pa

from pipelines.reference.markdown import code, escaped, table

_PACKAGES = ("corpus", "serving", "filters", "recaption", "video", "mining", "pipelines")


def column_table(schema: pa.Schema, module: str) -> list[str]:
    """Returns the lines of a table of the columns of a schema that a module declares, or imports parts of."""
    described = descriptions(module)
    rows = [(code(field.name), escaped(_type(field.type)), described.get(field.name, "")) for field in schema]
    return table(("column", "type", "what it holds"), rows)


@cache
def descriptions(module: str) -> dict[str, str]:
    """Returns the comments beside the columns that a module declares, and those it imports schemas from."""
    file = sys.modules[module].__file__
    assert file is not None
    text = Path(file).read_text(encoding="utf-8")
    tree = ast.parse(text)
    found: dict[str, str] = {}
    for line in tree.body:
        if isinstance(line, ast.ImportFrom) and line.module and line.module.partition(".")[0] in _PACKAGES:
            values = [getattr(sys.modules[module], alias.name, None) for alias in line.names]
            if any(map(_has_columns, values)):
                found |= descriptions(line.module)
    comments = _comments(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pa.field" and node.args:
            name, comment = node.args[0], comments.get(node.end_lineno or 0)
            if isinstance(name, ast.Constant) and comment:
                found[str(name.value)] = escaped(comment)
    return found


def _has_columns(value: object) -> bool:
    parts = value if isinstance(value, (tuple, list)) else [value]
    return bool(parts) and all(isinstance(part, (pa.Field, pa.Schema, pa.DataType)) for part in parts)


def _comments(text: str) -> dict[int, str]:
    """Returns the comments of a module that stand behind code, by their lines."""
    lines = text.splitlines()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT and not lines[token.start[0] - 1].lstrip().startswith("#")
    }


def _type(kind: pa.DataType) -> str:
    """Returns a type in words: `list of struct(video, start_s, end_s)`."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return f"struct ({', '.join(kind.field(at).name for at in range(kind.num_fields))})"
    if pa.types.is_fixed_size_binary(kind):
        return f"{kind.byte_width} bytes"
    return str(kind)
