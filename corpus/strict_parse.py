"""Reads JSON and YAML that others may have written, so that nothing of it comes as a surprise.

YAML can ask for more than data: for dates that there are none of, for a mapping as a key, for a list that holds itself
or stands for millions of its like. Whatever can't be a settings file is a fault with a line.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from corpus.printable import LONE_SURROGATE
from corpus.storage import Store

_MAX_DEPTH = 64  # of lists and mappings in each other; settings take some ten
_MAX_VALUES = 1_000_000  # with everything that an alias stands for counted each time
_TOO_DEEP = f"lists and mappings more than {_MAX_DEPTH} deep in each other"
_MAX_INTEGER = 2**63 - 1
_MERGE = "tag:yaml.org,2002:merge"  # the key `<<`, which may well come twice


class YamlFault(ValueError):
    """A fault of a YAML text. `line` is counted from 1; None where it can't be told."""

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what)
        self.line = line


def parse_yaml(data: bytes) -> Any:
    """Returns the value of a YAML text in UTF-8. Raises YamlFault for everything that is none.

    Beyond YAML's own rules that is a key that stands twice in one mapping, more nesting or repetition than any settings
    have, and numbers beyond 64 bits.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlFault(f"not UTF-8 text: byte 0x{data[error.start]:02x}", _line(data[: error.start])) from None
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.reader.ReaderError as error:
        before = text[: int(error.position)].encode("utf-8", "replace")
        what = f"not valid YAML: character #x{ord(text[int(error.position)]):04x} may not stand in it"
        raise YamlFault(what, _line(before)) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise YamlFault(f"not valid YAML: {error.problem}", line) from error
    except yaml.YAMLError as error:
        raise YamlFault(f"not valid YAML: {error}") from error


def _line(before: bytes) -> int:
    return before.count(b"\n") + 1


class _Loader(yaml.SafeLoader):
    """SafeLoader, with bounds, and each fault a MarkedYAMLError."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _fault(_TOO_DEEP, self.peek_event())
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_document(self, node: Any) -> Any:
        _measure(node, {}, [])
        return super().construct_document(node)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        # What the constructors of PyYAML raise for scalars that look like a date, a number or a truth value.
        except Exception as error:
            kind = node.tag.rpartition(":")[2]
            raise _fault(f"{_printed(node)} cannot be read as {kind}: {error}", node) from error
        if isinstance(value, int) and abs(value) > _MAX_INTEGER:
            raise _fault(f"{_printed(node)} is beyond 64 bits", node)
        if isinstance(value, str) and not value.isascii() and LONE_SURROGATE.search(value):
            raise _fault(f"{_printed(node)} holds half of a character", node)
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Refuses repeated keys, of which YAML silently takes the last: in settings they are a mistake."""
        known: set[str] = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != _MERGE:
                if key_node.value in known:
                    raise _fault(f"key {_printed(key_node)} twice", key_node)
                known.add(key_node.value)
        return super().construct_mapping(node, deep)


def _measure(node: Any, known: dict[int, tuple[int, int]], above: list[int]) -> tuple[int, int]:
    """Returns how many values a node stands for, and how deep they lie. Raises for too many, too deep, and without an
    end.
    """
    if id(node) in above:
        raise _fault("an alias to what it stands in", node)
    if id(node) not in known:
        entries = () if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for entry in entries for part in (entry if isinstance(entry, tuple) else (entry,))]
        sizes = [_measure(part, known, [*above, id(node)]) for part in parts]
        values, depth = 1 + sum(size for size, _ in sizes), 1 + max((below for _, below in sizes), default=0)
        if values > _MAX_VALUES:
            raise _fault(f"more than {_MAX_VALUES:,} values, with those that aliases stand for", node)
        if depth > _MAX_DEPTH:
            raise _fault(_TOO_DEEP, node)
        known[id(node)] = values, depth
    return known[id(node)]


def _printed(node: Any) -> str:
    value = node.value if isinstance(node.value, str) else node.id
    return repr(value if len(value) <= 80 else f"{value[:80]}…")


def _fault(what: str, where: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=where.start_mark)


def parse_json(data: bytes | str) -> Any:
    """Returns the value of a JSON text. Raises ValueError, in words, for all that json.loads takes and the standard
    doesn't.

    Refused are also a key that stands twice in one object (the first would be lost), nesting too deep to be walked
    through, and integers too long to be read in reasonable time.
    """
    try:
        return json.loads(data, object_pairs_hook=_unique_keys, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_json(store: Store, path: str, max_bytes: int) -> Any:
    """Reads the JSON of a file of at most `most_bytes`. Raises ValueError for a larger one, and as `parse_json`."""
    return parse_json(store.read_bounded(path, max_bytes))


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")
