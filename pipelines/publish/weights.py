"""Computes the weights with which a trainer draws its batches from the datasets of a mixture.

They are written to the manifest and the blend only, so a change of weights changes no tar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, model_validator

from corpus.schema import Task
from corpus.settings import Settings, load_settings, tuning

_DIGITS = 6  # significant ones of a weight: beyond them, powers differ from machine to machine

Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class WeightSettings(Settings):
    """Settings of the weights.

    `manual`: the weights in the settings of the datasets. `proportional`: as many draws as samples, so that all
    datasets have the same number of epochs. `temperature`: n ** (1 / temperature) of n samples; 1 is proportional, and
    the higher, the more equal the datasets are (as in mT5, Xue et al., 2021). `convergence`: times the factor of the
    task, so that tasks that converge slowly are resampled, that is, drawn more often than their size says.
    """

    rule: Literal["manual", "proportional", "temperature", "convergence"] = Field(
        "manual", description="The rule by which weights are computed."
    )
    temperature: float = Field(
        1.0,
        ge=0.1,
        allow_inf_nan=False,
        description="The temperature of the rules temperature and convergence; 1 makes weights proportional to "
        "the samples.",
    )
    task_weights: dict[Task, Factor] = Field(
        {}, description="The factors of tasks, such as document_retrieval: 2, for the rule convergence."
    )
    task_weights_file: str = tuning(
        "", description="A YAML or JSON file with factors of tasks, which `task_weights` overrides; empty for none."
    )
    default_task_weight: Factor = Field(
        1.0, description="The factor of a task that is not in the table, for the rule convergence."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_file(cls, data: Any) -> Any:
        """Adds the content of the file to the table, and so to the fingerprint, of which the file's name is no part."""
        if (
            not isinstance(data, dict)
            or not isinstance(data.get("task_weights_file"), str)
            or not data["task_weights_file"]
        ):
            return data
        read = {str(task): factor for task, factor in load_settings(data["task_weights_file"], _Table).root.items()}
        inline = data.get("task_weights", {})
        return {**data, "task_weights": {**read, **inline} if isinstance(inline, dict) else inline}

    @model_validator(mode="after")
    def _fit_the_rule(self) -> WeightSettings:
        for name, field in type(self).model_fields.items():
            if name not in ("rule", *_OF_RULE[self.rule]) and getattr(self, name) != field.default:
                rules = [rule for rule, names in _OF_RULE.items() if name in names]
                raise ValueError(f"{name} is of rule {' and '.join(rules)}, not of {self.rule}")
        if self.rule == "temperature" and "temperature" not in self.model_fields_set:
            raise ValueError("rule temperature: say which `temperature`; 1 is the same as rule proportional")
        if self.rule == "convergence" and not self.task_weights:
            raise ValueError(
                "rule convergence: no task has a factor: name some in `task_weights` or in `task_weights_file`"
            )
        return self


_OF_RULE = {
    "manual": (),
    "proportional": (),
    "temperature": ("temperature",),
    "convergence": ("temperature", "task_weights", "task_weights_file", "default_task_weight"),
}


class _Table(RootModel[dict[Task, Factor]]):
    """The content of a file of factors."""


@dataclass(frozen=True)
class DatasetSize:
    """The size of a dataset, and the settings that its weight depends on."""

    task: Task
    samples: int  # those that are published
    manual: float = 1.0
    repeats: int = 1


def dataset_weights(settings: WeightSettings, datasets: Mapping[str, DatasetSize]) -> dict[str, float]:
    """Computes the weight of each dataset: by hand that of its settings, by every other rule normalized to a sum of 1.

    The weight of a dataset's settings multiplies that of the rule, and `repeats` its number of samples.
    """
    if settings.rule == "manual":
        return {name: size.manual for name, size in datasets.items()}
    found = {name: size.manual * _by_size(settings, size) for name, size in datasets.items()}
    total = sum(found.values()) or 1.0
    return {name: float(f"{weight / total:.{_DIGITS}g}") for name, weight in found.items()}


def _by_size(settings: WeightSettings, size: DatasetSize) -> float:
    factor = (
        settings.task_weights.get(size.task, settings.default_task_weight) if settings.rule == "convergence" else 1.0
    )
    return float(factor * (size.samples * size.repeats) ** (1 / settings.temperature))
