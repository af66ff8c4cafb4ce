"""The settings of a run: what a user's YAML file says."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from corpus.settings import Settings, SettingsError
from filters.duplicates import DuplicatesSettings
from filters.inspect import InspectSettings
from filters.quality import QualitySettings
from pipelines.download import DownloadSettings
from pipelines.engines import EngineSettings
from pipelines.pairs import PairSettings
from pipelines.publishing.mixture import MixtureSettings
from pipelines.sources.img2dataset import Img2datasetSource
from pipelines.sources.laion import LaionSource
from recaption.settings import CaptionSettings

AnySource = Annotated[LaionSource | Img2datasetSource, Field(discriminator="kind")]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class StageSettings(Settings):
    """Settings of the stages, the same for all sources."""

    download: DownloadSettings = DownloadSettings()
    inspect: InspectSettings = InspectSettings()
    quality: QualitySettings = QualitySettings()
    duplicates: DuplicatesSettings = DuplicatesSettings()
    caption: CaptionSettings = CaptionSettings()


class Config(Settings):
    """Everything: where, from what, how it is judged and paired, and what is published."""

    workspace: str = Field(description="folder or fsspec URL that media, tables and pairs lie in")
    engine: EngineSettings = EngineSettings()
    sources: dict[str, AnySource] = Field(min_length=1)
    stages: StageSettings = StageSettings()
    datasets: dict[str, PairSettings] = Field(default={}, description="pairs made from the sources")
    mixtures: dict[str, MixtureSettings] = Field(default={}, description="corpora published from the datasets")

    @field_validator("sources", "datasets", "mixtures")
    @classmethod
    def _names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not _NAME.fullmatch(name):  # they become folder and file names
                raise ValueError(f"{name!r}: a name is lower-case letters, digits, '_' and '-'")
        return named

    @model_validator(mode="after")
    def _references(self) -> Config:
        captioned = self.stages.caption.sources
        for name in captioned:
            if name not in self.sources:
                raise ValueError(f"stages.caption.sources: no source {name!r}; there is {_listed(self.sources)}")
        for name, dataset in self.datasets.items():
            if dataset.source not in self.sources:
                raise ValueError(
                    f"datasets.{name}.source: no source {dataset.source!r}; there is {_listed(self.sources)}"
                )
            if dataset.captions != "original" and dataset.source not in captioned:
                raise ValueError(
                    f"datasets.{name}.captions: {dataset.captions}, but stages.caption.sources does not name source "
                    f"{dataset.source!r}"
                )
        for name, mixture in self.mixtures.items():
            for dataset_name in mixture.datasets:
                if dataset_name not in self.datasets:
                    raise ValueError(
                        f"mixtures.{name}.datasets: no dataset {dataset_name!r}; there is {_listed(self.datasets)}"
                    )
        return self


def _listed(named: dict[str, Any]) -> str:
    return ", ".join(sorted(named)) or "none"


def parse_shards(text: str) -> frozenset[int]:
    """Shard numbers of `3,7-12`. Raises SettingsError with what is wrong."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise SettingsError(f"--shards {text!r}: expected numbers and ranges such as 3,7-12")
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found)
