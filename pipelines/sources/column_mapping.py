"""Maps columns to texts: columns by name, nested fields by dots, and templates of them, as settings files name them.

question               a column
meta.title             a field of an object
passages.text          the field of each object of a list: a list
answers.text.0         the first of a list
{title}: {question}    text made of several; what is empty takes along the text between it and the next
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from string import Formatter
from typing import Any

import pyarrow as pa

from corpus.settings import SettingsError
from pipelines.sources.json_records import BadRecordError, text_of
from pipelines.sources.lenient_casts import is_list

_ANY = "*"  # below a field that was null or an empty list: its fields are unknown
_MAX_DEPTH = 8  # of fields in fields that are known by name
_MAX_NAMED = 100  # in an error


class Template:
    """A path in a row, or several in one text. Raises ValueError for a text that is neither."""

    def __init__(self, text: str) -> None:
        self._text = text
        if "{" not in text and "}" not in text:
            self._parts: list[tuple[str, str]] = [("", text)]
            self._tail = ""
        else:
            parsed = list(Formatter().parse(text))
            if any(spec or conversion for _, _, spec, conversion in parsed):
                raise ValueError(f"{text!r}: only names of columns may stand in braces")
            self._parts, self._tail = _merge_literals(parsed)
        if not self._parts or not all(path for _, path in self._parts):
            raise ValueError(f"{text!r}: names no column")

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths that the template is made of."""
        return tuple(path for _, path in self._parts)

    def text(self, row: Mapping[str, Any]) -> str:
        """Fills the template: one text, stripped, "" where there is none.

        Raises BadRecordError for a list and for objects.
        """
        texts = self.texts(row)
        if isinstance(texts, list):
            raise BadRecordError(
                "bad_text", f"{self._text}: a list, where one is wanted; name one by its place, from 0"
            )
        return texts

    def texts(self, row: Mapping[str, Any]) -> str | list[str]:
        """Fills the template: one text, or those of a list.

        Raises BadRecordError for objects, and for lists of different lengths.
        """
        values = [_strings(value_at(row, path), path) for _, path in self._parts]
        lengths = {len(value) for value in values if isinstance(value, list)}
        if not lengths:
            return self._joined([value for value in values if isinstance(value, str)])
        if len(lengths) > 1:
            raise BadRecordError("bad_text", f"{self._text}: lists of different lengths")
        columns = [value if isinstance(value, list) else [value] * max(lengths) for value in values]
        return [self._joined(each) for each in zip(*columns, strict=True)]

    def _joined(self, values: Sequence[str]) -> str:
        text, separator = "", self._parts[0][0]
        for at, value in enumerate(values):
            after = self._parts[at + 1][0] if at + 1 < len(values) else self._tail
            if value:
                text, separator = text + separator + value, after
        return (text + (self._tail if values[-1] else "")).strip() if any(values) else ""


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """Gets the value at a path, None where there is none. Raises BadRecordError for a field of a plain value."""
    return row[path] if path in row else _below(row, path.split("."), path)


def _below(value: Any, parts: Sequence[str], path: str) -> Any:
    if not parts or value is None:
        return value
    if isinstance(value, list) and value and isinstance(value[0], tuple):  # a map, as Arrow gives it
        value = dict(value)
    if isinstance(value, Mapping):
        return _below(value.get(parts[0]), parts[1:], path)
    if isinstance(value, list):
        if parts[0].isdecimal():
            at = int(parts[0])
            return _below(value[at], parts[1:], path) if at < len(value) else None
        return [_below(each, parts, path) for each in value]
    raise BadRecordError("bad_text", f"{path}: no {parts[0]!r} in a {type(value).__name__}")


def _strings(value: Any, path: str) -> str | list[str]:
    return [_string(each, path) for each in value] if isinstance(value, list) else _string(value, path)


def _string(value: Any, path: str) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):  # what some tables have in place of null
            return ""
        raise BadRecordError("bad_text", f"{path}: {value}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    try:
        return text_of(value)
    except BadRecordError as error:
        raise BadRecordError(error.reason, f"{path}: {error.detail}") from None


def _merge_literals(
    parsed: Iterable[tuple[str, str | None, str | None, str | None]],
) -> tuple[list[tuple[str, str]], str]:
    """Gives (text before it, path) of each field, and the text at the end.

    Doubled braces come as parts of their own.
    """
    parts: list[tuple[str, str]] = []
    before = ""
    for literal, path, _, _ in parsed:
        before += literal
        if path is not None:
            parts.append((before, path))
            before = ""
    return parts, before


def paths_of_schema(schema: pa.Schema) -> set[str]:
    """Lists every path of a table's columns."""
    return {path for field in schema for path in _paths_of_type(field.name, field.type)}


def _paths_of_type(name: str, kind: pa.DataType) -> set[str]:
    while is_list(kind):
        kind = kind.value_type
    if pa.types.is_map(kind):
        return {name, f"{name}.{_ANY}"}
    below = [kind.field(at) for at in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    return {name} | {path for field in below for path in _paths_of_type(f"{name}.{field.name}", field.type)}


def paths_of_records(records: Iterable[Mapping[str, Any]]) -> set[str]:
    """Lists every path of some records."""
    return {path for record in records for key, value in record.items() for path in _paths_of_value(key, value)}


def _paths_of_value(name: str, value: Any, depth: int = 0) -> set[str]:
    if value is None or value == [] or depth > _MAX_DEPTH:
        return {name, f"{name}.{_ANY}"}
    if isinstance(value, list):
        return {path for each in value for path in _paths_of_value(name, each, depth + 1)}
    below = value.items() if isinstance(value, Mapping) else ()
    return {name} | {path for key, each in below for path in _paths_of_value(f"{name}.{key}", each, depth + 1)}


def require_paths(paths: Iterable[str], present: set[str], file: str) -> None:
    """Raises SettingsError for the first path that a file has not, with what it has and the nearest of them."""
    for path in paths:
        parts = path.split(".")
        bare = ".".join(part for part in parts if not part.isdecimal())
        above = {".".join([*parts[:at], _ANY]) for at in range(1, len(parts))}
        if path in present or bare in present or above & present:
            continue
        names = [name.encode("utf-8", "backslashreplace").decode() for name in sorted(present) if name[-1:] != _ANY]
        closest = difflib.get_close_matches(path, names, n=1, cutoff=0.5)
        suggestion = f"did you mean {closest[0]!r}? " if closest else ""
        raise SettingsError(f"{file}: no column {path!r}; {suggestion}it has {', '.join(names[:_MAX_NAMED]) or 'none'}")
