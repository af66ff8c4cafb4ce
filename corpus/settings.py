"""Typed settings: what a YAML file may say, and what is wrong when it says something else."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corpus.printable import printable
from corpus.strict_parse import YamlFault, parse_yaml
from corpus.urls import has_credentials, without_credentials

_MAX_BYTES = 8 << 20
_PATH_CHARACTERS, _MESSAGE_CHARACTERS = 500, 2_000
_MAX_FAULTS = 50


class Settings(BaseModel):
    """Base of every settings model. Frozen, units in the names, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

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
        """Returns the settings as JSON-compatible data, defaults filled in, tuning left out: what a
        fingerprint hashes.
        """
        return _without_tuning(self, None)


def tuning(default: Any, **constraints: Any) -> Any:
    """Declares a field of how fast or how patiently work is done, not of what comes out: no part of a fingerprint."""
    return Field(default, json_schema_extra={"tuning": True}, **constraints)


def _strings(value: Any) -> Iterator[str]:
    """Yields the strings in a value, but for those in other models."""
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
    """Returns `plain` (the JSON-compatible form of `value`) without the tuning fields of the models in it."""
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
    """Reads a YAML file into `model`; raises SettingsError with file, key path and nearest known key."""
    return parse_settings(load_mapping(path), model, where=printable(str(path), _PATH_CHARACTERS))


def load_mapping(path: str | Path) -> dict[str, Any]:
    """Returns the mapping that a YAML file holds; raises SettingsError, with file and line, for anything else."""
    printed = printable(str(path), _PATH_CHARACTERS)
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: of a name with a null byte in it
        raise SettingsError(f"{printed}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > _MAX_BYTES:
        raise SettingsError(f"{printed}: larger than {_MAX_BYTES >> 20} MiB: not a file of settings")
    try:
        data = parse_yaml(text)
    except YamlFault as fault:
        line = f", line {fault.line}" if fault.line else ""
        raise SettingsError(f"{printed}{line}: {printable(str(fault), _MESSAGE_CHARACTERS)}") from fault
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise SettingsError(f"{printed}: expected a mapping of settings, found {found}")
    return data


def parse_settings(data: dict[str, Any], model: type[S], where: str = "settings") -> S:
    """Validates `data` as `model`, or raises SettingsError that lists every fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        faults = [_explain(model, fault) for fault in found[:_MAX_FAULTS]]
        if len(found) > _MAX_FAULTS:
            faults.append(f"{len(found) - _MAX_FAULTS:,} faults more")
        raise SettingsError(without_credentials("\n".join(f"{where}: {fault}" for fault in faults))) from None
    # A file that a validator could not look at; text with half a character in it; what is nested without an end.
    except (OSError, UnicodeError, RecursionError) as error:
        raise SettingsError(f"{where}: {printable(without_credentials(str(error)), _MESSAGE_CHARACTERS)}") from error


def _explain(model: type[BaseModel], fault: Any) -> str:
    location = tuple(fault["loc"])
    unknown = fault["type"] == "extra_forbidden"
    parent, last = (location[:-1], location[-1:]) if unknown else (location, ())
    places = list(_places(model, parent)) or [(parent, None)]
    key = ".".join(printable(str(part)) for part in (*places[0][0], *last)) or "(top level)"
    if not unknown:
        value = fault.get("input")
        printed = f" (got {printable(repr(value))})" if isinstance(value, (str, int, float, bool)) else ""
        what = printable(fault["msg"].removeprefix("Value error, "), _MESSAGE_CHARACTERS, lines=True)
        return f"{key}: {what}{printed}"
    known = sorted({name for _, found in places for each in _models_in(found) for name in each.model_fields})
    return f"{key}: unknown key; {nearest_key(printable(str(last[0])), known)}"


def nearest_key(key: str, known: Collection[str]) -> str:
    """Returns what an error says of an unknown key: the known one that is most like it, or all known ones."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known) or 'none'}"


def _places(
    annotation: Any, path: tuple[Any, ...], keys: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yields what may lie at `path`, a location as pydantic reports it: the keys as the user wrote
    them, and the type.
    """
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
