"""Types of settings as a reader of a YAML file knows them: "integer, at least 1", "list of texts"."""

from __future__ import annotations

import types
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from pipelines.reference.markdown import code

_PLAIN = {str: "text", bool: "true or false", int: "integer", float: "number", type(None): "null", Any: "any value"}
_PLURALS = {"text": "texts", "integer": "integers", "number": "numbers"}
_BOUNDS = {
    annotated_types.Ge: ("ge", "at least {}"),
    annotated_types.Gt: ("gt", "more than {}"),
    annotated_types.Le: ("le", "at most {}"),
    annotated_types.Lt: ("lt", "less than {}"),
    annotated_types.MinLen: ("min_length", "at least {}"),
    annotated_types.MaxLen: ("max_length", "at most {}"),
}
# The units that end the names of settings; tests/test_settings_fields.py holds the names to them.
UNITS = {
    "s": "seconds",
    "bytes": "bytes",
    "px": "pixels",
    "pixels": "pixels",
    "bits": "bits",
    "chars": "characters",
    "words": "words",
    "tokens": "tokens",
    "frames": "frames",
    "rows": "rows",
}


def type_name(annotation: Any) -> str:
    """Returns a type in words, as Markdown."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return " or ".join(code(str(each)) for each in arguments)
    if origin in (Union, types.UnionType):
        names = dict.fromkeys(type_name(each) for each in arguments)
        return " or ".join(names)
    if origin is dict:
        keys, values = map(type_name, arguments)
        return f"mapping of {_plural('name' if keys == 'text' else keys)} to {_plural(values)}"
    if origin is tuple and Ellipsis not in arguments:
        return f"list of {len(arguments)} {_plural(type_name(arguments[0]))}"
    if origin in (tuple, list, frozenset, set):
        return f"list of {_plural(type_name(arguments[0]))}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(code(str(each.value)) for each in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "settings"
    raise TypeError(f"no name for the type {annotation!r}: add it to pipelines.reference.annotations")


def field_type(field: FieldInfo) -> str:
    """Returns the type of a field with its bounds."""
    named = type_name(field.annotation)
    of_lengths = " characters" if named.startswith("text") else " of them"
    bounds = [
        text.format(f"{getattr(each, attribute):,}") + of_lengths * attribute.endswith("length")
        for each in field.metadata
        for kind, (attribute, text) in _BOUNDS.items()
        if isinstance(each, kind)
    ]
    return ", ".join([named, *bounds])


def default(field: FieldInfo) -> str:
    """Returns the default of a field as YAML, in Markdown; "required" where there is none."""
    if field.is_required():
        return "required"
    value = to_jsonable_python(field.get_default(call_default_factory=True))
    if models_in(field.annotation) and isinstance(value, dict) and value:
        return "see there"
    assert value is not PydanticUndefined
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
    return code(text.removesuffix("...").strip())


def unit(name: str, field: FieldInfo) -> str:
    """Returns the unit of a number that the name of its setting ends in; "" where it ends in none."""
    return UNITS.get(name.rpartition("_")[2], "") if {int, float} & {*_plain_types(field.annotation)} else ""


def models_in(annotation: Any) -> tuple[type[BaseModel], ...]:
    """Returns the models that a type is made of, each once, in their order."""
    return tuple(dict.fromkeys(_models(annotation)))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _models(part)


def _plain_types(annotation: Any) -> Iterator[Any]:
    """Yields the types that a value may have, without those within containers."""
    if get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _plain_types(part)
    else:
        yield annotation


def _plural(name: str) -> str:
    if name in _PLURALS:
        return _PLURALS[name]
    return {"name": "names", "settings": "settings"}.get(
        name, f"({name})" if " or " in name or " of " in name else name
    )
