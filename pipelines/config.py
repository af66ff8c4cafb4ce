"""The settings of a run: what a user's YAML file says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args

from pydantic import Discriminator, Field, Tag, create_model, field_validator, model_validator

from corpus.printable import printable
from corpus.settings import Settings, SettingsError
from corpus.stage import Gives, Stage
from corpus.workspace import NAME
from pipelines.engines import EngineSettings
from pipelines.evaluation.settings import EvaluationSet
from pipelines.graph import STAGES
from pipelines.observers.settings import MetricsSettings
from pipelines.pairs.base import DatasetSettings
from pipelines.pairs.clips import ClipPairSettings
from pipelines.pairs.existing import ExistingPairSettings
from pipelines.pairs.image_text import PairSettings
from pipelines.plugins import with_installed_sources, with_installed_stages
from pipelines.publish.mixture import MixtureSettings
from pipelines.sources import SOURCES
from pipelines.sources.base import SourceSettings

DATASETS: tuple[type[DatasetSettings], ...] = (PairSettings, ClipPairSettings, ExistingPairSettings)
ALL_STAGES = with_installed_stages(STAGES)

_MAX_SHARDS = 1_000_000  # that are named one by one


def kind(value: Any) -> Any:
    """Returns the kind of a dataset from its settings; without one it is `images`."""
    name = value.get("kind", "images") if isinstance(value, dict) else getattr(value, "kind", "images")
    return name if isinstance(name, str) else None


def _only_kind(settings: type[DatasetSettings]) -> str:
    return str(get_args(settings.model_fields["kind"].annotation)[0])


def source_type(sources: Sequence[type[SourceSettings]]) -> Any:
    """Returns the type of a source of any of these kinds."""
    return Annotated[reduce(or_, sources), Field(discriminator="kind")] if len(sources) > 1 else sources[0]


def stage_settings(stages: Sequence[type[Stage]]) -> type[Settings]:
    """Returns the type of the settings of all these stages, each under its key."""
    types = {stage.settings_key: stage.settings_type for stage in stages if stage.settings_key}
    fields: dict[str, Any] = {}
    for key, settings in types.items():
        names = [f"`{stage.name}`" for stage in stages if stage.settings_key == key]
        description = f"Settings of the stage{'s'[: len(names) - 1]} {' and '.join(names)}."
        fields[key] = settings, Field(settings(), description=description)
    return create_model(
        "StageSettings", __base__=Settings, __doc__="Settings of the stages, the same for all sources.", **fields
    )


if TYPE_CHECKING:
    AnySource = SourceSettings
    AnyPairs = DatasetSettings

    class StageSettings(Settings):
        """Settings of the stages, the same for all sources."""

        def __getattr__(self, name: str) -> Any: ...

else:
    AnySource = source_type(with_installed_sources(SOURCES))
    AnyPairs = Annotated[
        reduce(or_, (Annotated[each, Tag(_only_kind(each))] for each in DATASETS)),
        Discriminator(kind),
    ]
    StageSettings = stage_settings(ALL_STAGES)


class Config(Settings):
    """All settings of a run: workspace, engine, sources, stages, datasets and mixtures."""

    stage_list: ClassVar[tuple[type[Stage], ...]] = ALL_STAGES
    optional_stages: ClassVar[frozenset[type[Stage]]] = frozenset(ALL_STAGES) - frozenset(STAGES)

    workspace: str = Field(description="The folder or fsspec URL that has media, tables and pairs.")
    engine: EngineSettings = Field(EngineSettings(), description="Where and how stages run.")
    sources: dict[str, AnySource] = Field(min_length=1, description="The sources by name.")
    evaluation: dict[str, EvaluationSet] = Field(
        default={},
        description="The evaluation sets by name: what they have is removed from the corpus, and they are never "
        "published.",
    )
    stages: StageSettings = Field(StageSettings(), description="Settings of the stages, the same for all sources.")
    datasets: dict[str, AnyPairs] = Field(
        default={}, description="The datasets by name: pairs that are made from the sources."
    )
    mixtures: dict[str, MixtureSettings] = Field(
        default={}, description="The mixtures by name: corpora that are published from the datasets."
    )
    metrics: MetricsSettings = Field(
        MetricsSettings(), description="Where metrics of a run go, and what else observes it."
    )

    @field_validator("sources", "evaluation", "datasets", "mixtures")
    @classmethod
    def _names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"{name!r}: a name is lower-case letters, digits, '_' and '-', at most 100 of them")
        return named

    def giving(self, *kinds: Gives) -> list[str]:
        """Returns the sources whose rows become images, clips or pairs."""
        return [name for name, source in self.sources.items() if source.gives in kinds]

    @property
    def chosen_stages(self) -> list[type[Stage]]:
        """The stages that may run: those of this package, and installed ones whose key the settings have."""
        keys = self.stages.model_fields_set
        return [each for each in self.stage_list if each not in self.optional_stages or each.settings_key in keys]

    @cached_property
    def evaluation_sets(self) -> dict[str, EvaluationSet]:
        """The evaluation sets by name, each set of a preset that is there by its own.

        Raises SettingsError for a preset of which nothing is there, and for a name that comes twice.
        """
        found: dict[str, EvaluationSet] = {}
        for key, entry in self.evaluation.items():
            for name, each in entry.sets(key).items():
                if name in found or name in self.sources:
                    raise SettingsError(f"evaluation.{key}: {name} is the name of another set or source: rename it")
                found[name] = each
        return found

    @property
    def evaluation_sources(self) -> dict[str, SourceSettings]:
        """Where each evaluation set lies."""
        return {name: each.source for name, each in self.evaluation_sets.items() if each.source is not None}

    @property
    def absent_evaluation_sets(self) -> list[str]:
        """The sets of presets that are not where the others lie."""
        return [name for key, entry in self.evaluation.items() for name in entry.absent(key)]

    @model_validator(mode="after")
    def _references(self) -> Config:
        stages, pairs = self.stages, self.giving(Gives.PAIRS)
        if both := sorted({*self.sources} & {*self.evaluation}):
            raise ValueError(f"evaluation.{both[0]}: a source has this name: their tables would lie in one folder")
        for conflict in self._unchosen_stages():
            raise ValueError(conflict)
        for stage in self.chosen_stages:
            for conflict in stage.conflicts(self.sources, stages):
                raise ValueError(conflict)
            if stage.over_pairs:
                key = f"stages.{stage.settings_key}.datasets"
                named = getattr(getattr(stages, stage.settings_key), "datasets", ())
                for name in named:
                    if name not in self.datasets:
                        raise ValueError(f"{key}: no dataset {name!r}; there is {_listed(self.datasets)}")
        for name, source in self.sources.items():
            for conflict in source.conflicts(stages):
                raise ValueError(f"sources.{name}.{conflict}")
        for name, dataset in self.datasets.items():
            for needed in dataset.sources:
                if needed not in self.sources:
                    raise ValueError(f"datasets.{name}.source: no source {needed!r}; there is {_listed(self.sources)}")
                if needed not in pairs and needed != dataset.source:
                    raise ValueError(f"datasets.{name}.more_sources: source {needed!r} gives no pairs")
            for conflict in self._conflicts(name, dataset):
                raise ValueError(f"datasets.{name}.{conflict}")
        folders: dict[str, str] = {}
        for name, mixture in self.mixtures.items():
            if (other := folders.setdefault(mixture.corpus.rstrip("/"), name)) != name:
                raise ValueError(f"mixtures.{name}.corpus: mixture {other!r} is published there")
            for dataset_name in mixture.datasets:
                if dataset_name not in self.datasets:
                    raise ValueError(
                        f"mixtures.{name}.datasets: no dataset {dataset_name!r}; there is {_listed(self.datasets)}"
                    )
            for conflict in _batch_conflicts(mixture, self.stages):
                raise ValueError(f"mixtures.{name}.datasets.{conflict}")
        return self

    def _unchosen_stages(self) -> Iterator[str]:
        """Lists the stages whose tables an installed stage reads, and whose keys the settings lack."""
        chosen = self.chosen_stages
        unchosen = {stage.name: stage for stage in self.optional_stages if stage not in chosen}
        for stage in self.optional_stages.intersection(chosen):
            for name in (name for name in stage.reads if name in unchosen):
                key = unchosen[name].settings_key
                yield f"stages.{stage.settings_key}: it reads what {name} writes: add stages.{key}"

    def _conflicts(self, name: str, dataset: DatasetSettings) -> Iterator[str]:
        """Lists what a dataset needs that its source, or the encoder of mining, doesn't give."""
        gives = self.sources[dataset.source].gives
        if dataset.needs != gives:
            needed = next(_only_kind(each) for each in DATASETS if each.needs == gives)
            yield f"kind: source {dataset.source!r} gives {gives}: set `kind: {needed}`"
        encoder, mining = self.stages.embed.encoder, self.stages.negatives.datasets.get(name)
        if mining and mining.search_by == "query" and dataset.crosses_modalities and not encoder.one_space:
            yield (
                f"task: it is mined, and encoder {encoder.kind!r} compares no text with an image: set `search_by: "
                f"positive` in stages.negatives.datasets.{name}, or another encoder in stages.embed"
            )
        yield from dataset.conflicts(self.stages)


def make_config(sources: Sequence[type[SourceSettings]], stages: Sequence[type[Stage]]) -> type[Config]:
    """Returns the settings of a run with these kinds of sources and these stages."""
    settings = stage_settings(stages)
    described = {name: Config.model_fields[name].description for name in ("sources", "stages")}
    fields: dict[str, Any] = {
        "sources": (
            dict[str, source_type(sources)],  # type: ignore[misc]
            Field(min_length=1, description=described["sources"]),
        ),
        "stages": (settings, Field(settings(), description=described["stages"])),
    }
    model = create_model("Config", __base__=Config, **fields)
    model.stage_list, model.optional_stages = tuple(stages), frozenset()
    return model


def _batch_conflicts(mixture: MixtureSettings, stages: Any) -> Iterator[str]:
    """Yields what batches of near pairs need and mining doesn't give."""
    for name, chosen in mixture.datasets.items():
        if chosen.batches is None:
            continue
        if name not in stages.negatives.datasets:
            yield f"{name}.batches: near pairs are found by mining: name {name!r} in stages.negatives.datasets"
        elif chosen.batches.ranks[1] > stages.neighbours.k:
            yield (
                f"{name}.batches.ranks: up to {chosen.batches.ranks[1]}, but stages.neighbours.k is "
                f"{stages.neighbours.k}: raise it"
            )
        if chosen.batches.community > mixture.batch_size_of(name):
            yield f"{name}.batches.community: more than a batch of {mixture.batch_size_of(name)}"


def _listed(named: Iterable[str]) -> str:
    return ", ".join(sorted(named)) or "none"


def parse_shards(text: str) -> frozenset[int]:
    """Parses shard numbers such as `3,7-12`. Raises SettingsError with what is wrong."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise SettingsError(f"--shards {printable(text)!r}: expected numbers and ranges such as 3,7-12")
        numbers = range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(found) + len(numbers) > _MAX_SHARDS:
            raise SettingsError(
                f"--shards {printable(text)!r}: more than {_MAX_SHARDS}: without it all shards are meant"
            )
        found.update(numbers)
    return frozenset(found)
