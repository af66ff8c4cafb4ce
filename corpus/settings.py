"""Typed settings: what a YAML file may say, and what is wrong when it says something else."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corpus.urls import has_credentials, without_credentials


class Settings(BaseModel):
    """Base of every settings model. Frozen, units in the names, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    def model_post_init(self, context: Any, /) -> None:
        """Refuses URLs with credentials. No validator does it: its name would be in the places that errors name."""
        for name in type(self).model_fields:
            if any(map(has_credentials, _strings(getattr(self, name)))):
                raise ValueError(
                    f"{name}: a URL with user:password@: it would be written wherever the URL is. Take it out; file "
                    "systems find credentials in the environment (such as FSSPEC_SFTP_USERNAME, FSSPEC_SFTP_PASSWORD), "
                    "in ~/.config/fsspec, or where their own tools keep them"
                )

    def canonical(self) -> dict[str, Any]:
        """The settings as JSON-compatible data, defaults filled in, tuning left out: what a fingerprint hashes."""
        return _without_tuning(self, None)


def tuning(default: Any, **constraints: Any) -> Any:
    """A field that says how fast or how patiently work is done, not what comes out: not part of a fingerprint."""
    return Field(default, json_schema_extra={"tuning": True}, **constraints)


def _strings(value: Any) -> Iterator[str]:
    """The strings in a value, but for those in other models."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _strings(key)
            yield from _strings(entry)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for entry in value:
            yield from _strings(entry)


def _without_tuning(value: Any, plain: Any) -> Any:
    """`plain` (the JSON-compatible form of `value`) without the tuning fields of the models in it."""
    if isinstance(value, BaseModel):
        plain = value.model_dump(mode="json")  # in full, where the field that holds it is declared as a base class
        return {
            name: _without_tuning(getattr(value, name), plain[name])
            for name, field in sorted(type(value).model_fields.items())
            if not (isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("tuning"))
        }
    if isinstance(value, Mapping):
        return {key: _without_tuning(entry, plain[key]) for key, entry in zip(plain, value.values(), strict=True)}
    if isinstance(value, (list, tuple)):
        return [_without_tuning(*both) for both in zip(value, plain, strict=True)]
    if isinstance(value, (set, frozenset)):
        return sorted(plain)  # a set's own order changes from process to process
    return plain


class SettingsError(ValueError):
    """Settings that cannot be used. The message names the file, the key's path and a way out."""


S = TypeVar("S", bound=BaseModel)


def load_settings(path: str | Path, model: type[S]) -> S:
    """Read a YAML file into `model`; raise SettingsError with file, key path and nearest known key."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 text: {error}") from error
    try:
        data = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise SettingsError(f"{path}: expected a mapping of settings, found {found}")
    return parse_settings(data, model, where=str(path))


def parse_settings(data: dict[str, Any], model: type[S], where: str = "settings") -> S:
    """Validate `data` as `model`, or raise SettingsError that lists every fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [_explain(model, fault) for fault in error.errors(include_url=False)]
        raise SettingsError(without_credentials("\n".join(f"{where}: {fault}" for fault in faults))) from None


_MERGE = "tag:yaml.org,2002:merge"  # the key `<<`, which may well come twice


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML lets a later key silently replace an earlier one; in settings that is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != _MERGE:
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key_node.value!r} twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _explain(model: type[BaseModel], fault: Any) -> str:
    location = tuple(fault["loc"])
    unknown = fault["type"] == "extra_forbidden"
    parent, last = (location[:-1], location[-1:]) if unknown else (location, ())
    places = list(_places(model, parent)) or [(parent, None)]
    key = ".".join(str(part) for part in (*places[0][0], *last)) or "(top level)"
    if not unknown:
        given = fault.get("input")
        shown = f" (got {given!r})" if isinstance(given, (str, int, float, bool)) else ""
        return f"{key}: {fault['msg'].removeprefix('Value error, ')}{shown}"
    known = sorted({name for _, found in places for each in _models_in(found) for name in each.model_fields})
    near = difflib.get_close_matches(str(last[0]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known) or 'none'}"
    return f"{key}: unknown key; {hint}"


def _places(
    annotation: Any, path: tuple[Any, ...], keys: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What may lie at `path`, a location as pydantic reports it: the keys as the user wrote them, and the type."""
    if not path:
        yield keys, annotation
        return
    first, rest = path[0], path[1:]
    if _is_model(annotation):
        if first in annotation.model_fields:
            yield from _places(annotation.model_fields[first].annotation, rest, (*keys, first))
        return
    parts = get_args(annotation)
    if _is_container(annotation):  # a dict's key, a list's index
        path, keys = rest, (*keys, first)
    elif named := [part for part in parts if _is_model(part) and first in (part.__name__, *_kinds(part))]:
        # The chosen member of a union. Its kind is a value in the file, not a key.
        parts, path = tuple(named), rest
        keys = keys if first in _kinds(named[0]) else (*keys, first)
    for part in parts:
        yield from _places(part, path, keys)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if _is_model(annotation):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_container(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Collection)


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return get_args(field.annotation) if field else ()
