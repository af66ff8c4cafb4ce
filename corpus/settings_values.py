"""Values of settings from outside the file: `--set path.to.key=value`, and variables of the environment.

Both change what the file holds before it is validated, so that they are checked, and refused, like the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from corpus.printable import printable
from corpus.settings import SettingsError
from corpus.strict_parse import YamlFault, parse_yaml
from corpus.urls import without_credentials

# In capitals only: `${title}` may be a field of a template.
_VARIABLE = re.compile(r"(\$?)\$\{([A-Z_][A-Z0-9_]*)(?::-([^}]*))?\}")
_PRINTED_CHARACTERS = 200


def expand_variables(data: Any, environment: Mapping[str, str], where: str) -> tuple[Any, list[str]]:
    """Replaces `${NAME}` in all strings by a variable of the environment, `${NAME:-default}` where there is none.

    `$${NAME}` stands for the text `${NAME}`. Returns the data, and a line for each variable that was used. Raises
    SettingsError, with the path of the key, for a variable that is not set.
    """
    used: dict[str, str] = {}
    faults: list[str] = []

    def expanded(value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {key: expanded(entry, f"{path}.{key}" if path else str(key)) for key, entry in value.items()}
        if isinstance(value, list):
            return [expanded(entry, f"{path}.{number}") for number, entry in enumerate(value)]
        return _VARIABLE.sub(lambda found: replaced(found, path), value) if isinstance(value, str) else value

    def replaced(found: re.Match[str], path: str) -> str:
        escaped, name, default = found.groups()
        if escaped:
            return found[0][1:]
        value = environment.get(name, default)
        if value is None:
            faults.append(f"{where}: {printable(path)}: ${{{name}}}: the environment has no variable {name}")
            return ""
        used[name] = value if name in environment else f"{value} (its default)"
        return value

    result = expanded(data, "")
    if faults:
        raise SettingsError("\n".join(faults))
    return result, [f"${{{name}}} = {_displayed(value)}" for name, value in used.items()]


def set_values(data: dict[str, Any], assignments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Sets keys of a settings file: `path.to.key=value`, the value as YAML; a number in a path counts list entries.

    Mappings on the way that are not there are made. Returns a changed copy, and a line for each assignment. Raises
    SettingsError for what is no assignment, or leads into something that has no keys.
    """
    lines = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not all(path.split(".")):
            raise SettingsError(f"--set {printable(assignment)}: expected path.to.key=value")
        try:
            value = parse_yaml(text.encode("utf-8", "surrogateescape"))
        except YamlFault as fault:
            raise SettingsError(f"--set {printable(path)}: {printable(str(fault))}") from fault
        data = _assigned(data, path.split("."), value, printable(path))
        lines.append(f"--set {printable(path)} = {_displayed(text)}")
    return data, lines


def _assigned(data: Any, keys: Sequence[str], value: Any, path: str) -> Any:
    """Returns a copy of the data with a value under the keys."""
    key, rest = keys[0], keys[1:]
    if isinstance(data, list):
        if not key.isdecimal() or int(key) >= len(data):
            raise SettingsError(f"--set {path}: {printable(key)}: a list of {len(data)} has the entries 0 and up")
        changed = _assigned(data[int(key)], rest, value, path) if rest else value
        return [*data[: int(key)], changed, *data[int(key) + 1 :]]
    if data is not None and not isinstance(data, dict):
        raise SettingsError(f"--set {path}: {printable(key)}: what it is in is {printable(repr(data))}, no mapping")
    inner = (data or {}).get(key)
    return {**(data or {}), key: _assigned(inner, rest, value, path) if rest else value}


def _displayed(value: str) -> str:
    return printable(without_credentials(value), _PRINTED_CHARACTERS)
