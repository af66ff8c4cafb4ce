"""Examples of settings, in YAML: those of the files in configs/, and the defaults where no file has any."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from pydantic_core import to_jsonable_python

from corpus.settings import load_mapping
from corpus.stage import Stage
from pipelines.templates import CONFIGS

_MAX_KEYS = 8


def stage_example(stage: type[Stage]) -> str:
    """Returns settings of a stage as they are in a settings file."""
    found = (data.get("stages", {}).get(stage.settings_key) for data in _files())
    return _yaml({"stages": {stage.settings_key: next(filter(None, found), None) or _defaults(stage)}})


def entry_example(section: str, kind: str, default_kind: str = "") -> str:
    """Returns the first entry of a kind in a section of the settings files: a source, a dataset. "" for none."""
    for data in _files():
        for name, entry in data.get(section, {}).items():
            if entry.get("kind", default_kind) == kind:
                return _yaml({section: {name: entry}})
    return ""


@cache
def _files() -> tuple[dict[str, Any], ...]:
    """Returns what the settings files hold, those to start from first, the demos last."""
    paths = sorted(CONFIGS.glob("*.yaml"), key=lambda path: (path.name.startswith("demo"), path.name))
    return tuple(load_mapping(path) for path in paths)


def _defaults(stage: type[Stage]) -> dict[str, Any]:
    """Returns the first settings of a stage that have plain values as defaults."""
    values = dict(_plain(stage))
    return {name: values[name] for name in list(values)[:_MAX_KEYS]}


def _plain(stage: type[Stage]) -> Iterator[tuple[str, Any]]:
    for name, field in stage.settings_type.model_fields.items():
        value = None if field.is_required() else to_jsonable_python(field.get_default(call_default_factory=True))
        if value not in (None, "", [], {}) and not isinstance(value, (dict, list)):
            yield name, value


def _yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100).strip()
