"""Types, bounds, units and defaults of settings in a reader's words."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from corpus.settings import Settings
from pipelines.config import Config
from pipelines.reference.annotations import UNITS, default, field_type, models_in, type_name, unit
from tests.helpers.cases import cases
from tests.test_settings_fields import UNITS as NAMED_UNITS
from tests.test_settings_fields import settings_models


class Shape(StrEnum):
    ROUND = "round"
    SQUARE = "square"


class Inner(Settings):
    """Settings of a part."""

    size_px: int = Field(3, description="Its size.")


class Planted(Settings):
    """Settings with a field of every form."""

    required: str = Field(min_length=1, description="Any.")
    share: float = Field(0.5, gt=0, le=1, description="Any.")
    max_pixels: int | None = Field(None, ge=1, le=178_956_970, description="Any.")
    wait_s: float = Field(2.0, description="Any.")
    keep_frames: bool = Field(False, description="Any.")
    files: tuple[str, ...] = Field((), min_length=1, description="Any.")
    inner: Inner = Field(Inner(), description="Any.")
    named: dict[str, Inner] = Field({}, description="Any.")


@cases(
    "annotation, expected",
    [
        (str, "text"),
        (int | None, "integer or null"),
        (Literal["a", "b"], "`a` or `b`"),
        (Shape, "`round` or `square`"),
        (tuple[str, ...], "list of texts"),
        (tuple[int, int], "list of 2 integers"),
        (frozenset[Literal["x"]], "list of `x`"),
        (dict[str, float] | None, "mapping of names to numbers or null"),
        (dict[str, tuple[str, ...]], "mapping of names to (list of texts)"),
        (Literal["all"] | tuple[str, ...], "`all` or list of texts"),
        (Annotated[float, Field(gt=0)], "number"),
        (Inner | None, "settings or null"),
        (dict[str, Any], "mapping of names to any value"),
    ],
)
def test_types_are_named(annotation: Any, expected: str) -> None:
    assert type_name(annotation) == expected


def test_a_type_without_a_name_is_an_error() -> None:
    with pytest.raises(TypeError, match="Path"):
        type_name(Path)


def test_fields_have_bounds_units_and_defaults() -> None:
    fields = Planted.model_fields
    found = {name: (field_type(field), default(field), unit(name, field)) for name, field in fields.items()}
    assert found == {
        "required": ("text, at least 1 characters", "required", ""),
        "share": ("number, more than 0, at most 1", "`0.5`", ""),
        "max_pixels": ("integer or null, at least 1, at most 178,956,970", "`null`", "pixels"),
        "wait_s": ("number", "`2.0`", "seconds"),
        "keep_frames": ("true or false", "`false`", ""),
        "files": ("list of texts, at least 1 of them", "`[]`", ""),
        "inner": ("settings", "see there", ""),
        "named": ("mapping of names to settings", "`{}`", ""),
    }
    assert models_in(fields["named"].annotation) == (Inner,)


def test_every_setting_of_the_project_has_a_type_and_a_default() -> None:
    models = settings_models()
    assert Config in models or len(models) > 80
    for model in models:
        for name, field in model.model_fields.items():
            assert field_type(field) and default(field), f"{model.__name__}.{name}"


def test_units_are_those_that_names_end_in() -> None:
    assert set(UNITS) == set(NAMED_UNITS)
