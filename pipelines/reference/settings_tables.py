"""Tables of settings: a row for each key, and a section for each model within another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipelines.reference.annotations import default, field_type, models_in, unit
from pipelines.reference.markdown import escaped, prose, table

TUNING = (
    "A setting that is marked as *tuning* decides how fast or how patiently work is done. It is no part of a table's "
    "fingerprint: another value recomputes nothing."
)
_MAX_LEVEL = 6

Links = Mapping[type[BaseModel], str]  # to where models are described


class SettingsTables:
    """The tables of the settings of a page. Each model is described once, where it stands first.

    `links` has models that are described on other pages, and where.
    """

    def __init__(self, links: Links | None = None) -> None:
        self._places = dict(links or {})
        self._has_tuning = False

    def of(self, model: type[BaseModel], path: str = "", level: int = 3, without: Collection[str] = ()) -> list[str]:
        """Returns the lines of a model's table, and of sections for the models in it.

        `path` is where the settings are in a file, and each key's anchor is its path; sections have headings of
        `level`. Keys in `without` are left out.
        """
        self._places.setdefault(model, "")
        rows = list(self._rows(model, path, level, without))
        lines = table(("key", "type", "default", "unit", "what it is"), [cells for cells, _ in rows])
        lines = lines or ["There are none.", ""]
        return [*lines, *(line for _, below in rows for line in below)]

    def note(self) -> list[str]:
        """Returns the lines that explain the marks in the tables so far."""
        return [TUNING, ""] if self._has_tuning else []

    def _rows(
        self, model: type[BaseModel], path: str, level: int, without: Collection[str]
    ) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        """Yields the cells of each key, and the sections of what is described first there."""
        for name, field in model.model_fields.items():
            if name in without:
                continue
            key = f"{path}.{name}" if path else name
            below = [line for each in models_in(field.annotation) for line in self._section(each, field, key, level)]
            is_tuning = _is_tuning(field)
            self._has_tuning |= is_tuning
            what = escaped(field.description or "") + (" *Tuning.*" if is_tuning else "")
            yield (f'<code id="{key}">{name}</code>', self._type(field), default(field), unit(name, field), what), below

    def _section(self, model: type[BaseModel], field: FieldInfo, key: str, level: int) -> list[str]:
        """Returns the lines about a model within settings, unless they are elsewhere already."""
        if model in self._places:
            return []
        inner = f"{key}.NAME" if dict in _origins(field.annotation) else key
        kind = kind_of(model) if len(models_in(field.annotation)) > 1 else ""
        anchor = f"settings-{inner}-{kind}".rstrip("-")
        self._places[model] = f"#{anchor}"
        lines = [f"{'#' * min(level, _MAX_LEVEL)} `{inner}`{f', kind `{kind}`' * bool(kind)} {{#{anchor}}}", ""]
        lines += [prose(model.__doc__), ""]
        return [*lines, *self.of(model, f"{inner}.{kind}" if kind else inner, level + 1)]

    def _type(self, field: FieldInfo) -> str:
        """Returns the type of a field, with links to the models in it."""
        named = field_type(field)
        models = models_in(field.annotation)
        if not models:
            return named
        names = {each: (kind_of(each) if len(models) > 1 else "") or "settings" for each in models}
        links = [f"[{names[each]}]({self._places[each]})" for each in models if self._places[each]]
        return named.replace("settings", " or ".join(links) or "settings", 1)


def kind_of(model: type[BaseModel]) -> str:
    """Returns the first value of a model's field `kind`; "" where it has none."""
    field = model.model_fields.get("kind")
    return str((*get_args(field.annotation), "")[0]) if field is not None else ""


def _origins(annotation: Any) -> set[Any]:
    """Returns the containers that a type is made of."""
    return {get_origin(annotation)} | {origin for part in get_args(annotation) for origin in _origins(part)}


def _is_tuning(field: FieldInfo) -> bool:
    extra: Any = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("tuning"))
