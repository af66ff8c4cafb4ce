"""Every field of every settings model is described in a sentence, and has its unit in its name."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest

from corpus.settings import Settings

ROOT = Path(__file__).parents[1]
ROOMS = ("corpus", "serving", "filters", "recaption", "video", "mining", "pipelines")

UNITS = ("s", "bytes", "px", "pixels", "bits", "chars", "words", "tokens", "frames", "rows")
# Words in names of amounts that have a unit, and words of descriptions that state one.
MEASURED = {
    *("timeout", "duration", "interval", "ttl", "backoff", "delay", "wait", "outage", "lookahead", "trim", "gap"),
    *("memory", "size", "side", "width", "height"),
}
STATED = re.compile(r"\b(seconds|bytes|pixels|[KMG]iB)\b", re.IGNORECASE)
# Names with such words whose amounts are counts or shares.
WITHOUT_UNIT = {
    "min_group_size": "a count of clips",
    "max_group_size": "a count of clips",
    "batch_size": "a count of samples: the trainer's own term",
    "gpu_memory_utilization": "a share: vLLM's own name",
    "window_width": "a count of frames: PySceneDetect's own name",
}

Field = tuple[str, str, Any]  # class, name, pydantic's field


def settings_models() -> list[type[Settings]]:
    """Returns the settings models of all product modules that this environment can import."""
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        if path.stem == "__main__":
            continue
        try:
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] in ROOMS or re.search(r"^class \w+\(\w*Settings\)", path.read_text()):
                raise
    return [model for model in _below(Settings) if model.__module__.partition(".")[0] in ROOMS]


def _below(model: type[Settings]) -> Iterator[type[Settings]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from _below(subclass)


def faults(name: str, field: Any) -> Iterator[str]:
    """Yields what is wrong with the description and the name of a field."""
    description = field.description or ""
    if not description:
        yield "has no description"
    elif not (description[0].isupper() and description.endswith(".")):
        yield f"its description is no sentence with a capital and a full stop: {description!r}"
    if {int, float} & _types(field.annotation) and name not in WITHOUT_UNIT and name.split("_")[-1] not in UNITS:
        if words := sorted(MEASURED & set(name.split("_"))):
            yield f"has no unit in its name, which says {', '.join(words)}"
        elif unit := STATED.search(description):
            yield f"has no unit in its name, but {unit[0]!r} in its description"


def _types(annotation: Any) -> set[Any]:
    """Returns the types that a field may have: of `int | None`, int and None's."""
    if get_origin(annotation) in (Union, UnionType):
        return {found for part in get_args(annotation) for found in _types(part)}
    return {annotation}


@pytest.mark.parametrize(
    ("name", "annotation", "description", "expected"),
    [
        ("timeout_s", float, "The longest attempt.", []),
        ("timeout", float, "The longest attempt.", ["has no unit in its name, which says timeout"]),
        ("max_wait", int | None, "The longest wait.", ["has no unit in its name, which says wait"]),
        ("pause", float, "Seconds between two.", ["has no unit in its name, but 'Seconds' in its description"]),
        ("wait", bool, "Whether it waits for seconds.", []),
        ("seed", int, "", ["has no description"]),
        ("seed", int, "the seed.", ["its description is no sentence with a capital and a full stop: 'the seed.'"]),
        ("seed", int, "The seed", ["its description is no sentence with a capital and a full stop: 'The seed'"]),
    ],
)
def test_the_check_finds_each_fault(name: str, annotation: Any, description: str, expected: list[str]) -> None:
    class Planted:
        pass

    planted = Planted()
    planted.__dict__.update(annotation=annotation, description=description)
    assert list(faults(name, planted)) == expected


def test_every_field_is_described_and_has_its_unit() -> None:
    models = settings_models()
    assert len(models) > 60 and {"EndpointSettings", "FetchSettings", "ExtractSettings"} <= {m.__name__ for m in models}
    fields: list[Field] = [(m.__name__, name, field) for m in models for name, field in m.model_fields.items()]
    found = [f"{model}.{name} {fault}" for model, name, field in fields for fault in faults(name, field)]
    assert not found, "\n" + "\n".join(sorted(set(found)))
    assert set(WITHOUT_UNIT) <= {name for _, name, _ in fields}
