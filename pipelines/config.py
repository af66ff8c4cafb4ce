"""The settings of a run: what a user's YAML file says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from corpus.printable import printable
from corpus.settings import Settings, SettingsError
from corpus.workspace import NAME
from filters.duplicates import DuplicatesSettings
from filters.inspect import InspectSettings
from filters.quality import QualitySettings
from filters.text_duplicates import TextDuplicatesSettings
from filters.text_stage import TextsSettings
from pipelines.clip_pairs import AnyPairs, ClipPairSettings
from pipelines.download import DownloadSettings
from pipelines.download_videos import VideoDownloadSettings
from pipelines.engines import EngineSettings
from pipelines.given_pairs import GivenPairSettings
from pipelines.labels.merge import MergeSettings
from pipelines.pair_images import PairImagesSettings
from pipelines.publishing.mixture import MixtureSettings
from pipelines.sources.documents import DocumentsSource
from pipelines.sources.img2dataset import Img2datasetSource
from pipelines.sources.laion import LaionSource
from pipelines.sources.llava_hound import LlavaHoundSource
from pipelines.sources.mapped import MappedSource
from pipelines.sources.mbeir import MbeirSource
from pipelines.sources.megapairs import MegaPairsSource
from pipelines.sources.mmeb import Mme5Source, MmebSource
from pipelines.sources.pair_sampling import PairSource
from pipelines.sources.tevatron import TevatronSource
from pipelines.sources.text_pairs import TextPairsSource
from pipelines.sources.videos import VideosSource
from recaption.settings import CaptionSettings
from video.stage_clips import ClipsSettings
from video.stage_groups import ClipGroupsSettings
from video.stage_windows import WindowSettings

AnySource = Annotated[
    LaionSource
    | Img2datasetSource
    | VideosSource
    | MegaPairsSource
    | MmebSource
    | Mme5Source
    | LlavaHoundSource
    | TextPairsSource
    | DocumentsSource
    | MappedSource
    | MbeirSource
    | TevatronSource,
    Field(discriminator="kind"),
]

_MOST_SHARDS = 1_000_000  # that are named one by one

_GIVES = {"images": "images", "clips": "clips", "given": "pairs"}


class WindowsSettings(Settings):
    """Which videos become windows of a few minutes, besides clips."""

    sources: dict[str, WindowSettings] = {}


class StageSettings(Settings):
    """Settings of the stages, the same for all sources."""

    download: DownloadSettings = DownloadSettings()
    download_videos: VideoDownloadSettings = VideoDownloadSettings()
    texts: TextsSettings = TextsSettings()
    text_duplicates: TextDuplicatesSettings = TextDuplicatesSettings()
    labels: MergeSettings = MergeSettings()
    images: PairImagesSettings = PairImagesSettings()
    clips: ClipsSettings = ClipsSettings()
    groups: ClipGroupsSettings = ClipGroupsSettings()
    windows: WindowsSettings = WindowsSettings()
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
    datasets: dict[str, AnyPairs] = Field(default={}, description="pairs made from the sources")
    mixtures: dict[str, MixtureSettings] = Field(default={}, description="corpora published from the datasets")

    @field_validator("sources", "datasets", "mixtures")
    @classmethod
    def _names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not re.fullmatch(NAME, name):
                raise ValueError(f"{name!r}: a name is lower-case letters, digits, '_' and '-', at most 100 of them")
        return named

    @property
    def videos(self) -> list[str]:
        """The sources whose items are clips."""
        return [name for name, source in self.sources.items() if isinstance(source, VideosSource)]

    @property
    def given(self) -> dict[str, PairSource]:
        """The sources that give pairs."""
        return {name: source for name, source in self.sources.items() if isinstance(source, PairSource)}

    def labelled(self, source: str) -> bool:
        """Whether the pairs of a source may have labels."""
        settings = self.sources[source]
        if isinstance(settings, MmebSource | Mme5Source):
            return any(subset.label for subset in settings.subsets.values())
        return isinstance(settings, MappedSource) and bool(settings.label)

    def frames(self, source: str) -> int:
        """How many frames a captioner sees of an item of the source."""
        return self.stages.clips.frames.frames if source in self.videos else 1

    @model_validator(mode="after")
    def _references(self) -> Config:
        stages = self.stages
        for where, named, known, what in (
            ("stages.caption.sources", stages.caption.sources, set(self.sources) - set(self.given), "source of images"),
            ("stages.windows.sources", stages.windows.sources, self.videos, "source of videos"),
            (
                "stages.caption.windows",
                stages.caption.windows,
                stages.windows.sources,
                "source in stages.windows.sources",
            ),
        ):
            for name in named:
                if name not in known:
                    raise ValueError(f"{where}: no {what} {name!r}; there is {_listed(known)}")
        if not stages.clips.keep_frames:
            for name in (*stages.windows.sources, *(name for name in stages.caption.sources if name in self.videos)):
                raise ValueError(
                    f"stages.clips: {name} is captioned, or becomes windows, and that takes its clips' frames"
                )
        for name, source in self.sources.items():
            if isinstance(source, VideosSource) and source.span_s < stages.clips.whole_up_to_s:
                raise ValueError(
                    f"sources.{name}.span_s: {source.span_s:g} s, but stages.clips.whole_up_to_s is "
                    f"{stages.clips.whole_up_to_s:g}: a video that is to be one clip must be one span"
                )
        for name, dataset in self.datasets.items():
            for wanted in sources_of(dataset):
                if wanted not in self.sources:
                    raise ValueError(f"datasets.{name}.source: no source {wanted!r}; there is {_listed(self.sources)}")
                if wanted not in self.given and wanted != dataset.source:
                    raise ValueError(f"datasets.{name}.also: source {wanted!r} gives no pairs")
            for fault in self._faults(dataset):
                raise ValueError(f"datasets.{name}.{fault}")
        folders: dict[str, str] = {}
        for name, mixture in self.mixtures.items():
            if (other := folders.setdefault(mixture.corpus.rstrip("/"), name)) != name:
                raise ValueError(f"mixtures.{name}.corpus: mixture {other!r} is published there")
            for dataset_name in mixture.datasets:
                if dataset_name not in self.datasets:
                    raise ValueError(
                        f"mixtures.{name}.datasets: no dataset {dataset_name!r}; there is {_listed(self.datasets)}"
                    )
        return self

    def _faults(self, dataset: AnyPairs) -> Iterator[str]:
        """What a dataset asks of its source that this doesn't give."""
        source, stages = dataset.source, self.stages
        kind = "clips" if source in self.videos else "given" if source in self.given else "images"
        if dataset.kind != kind:
            yield f"kind: source {source!r} gives {_GIVES[kind]}: set `kind: {kind}`"
        captioned, where = stages.caption.sources, "stages.caption.sources"
        if isinstance(dataset, ClipPairSettings):
            if dataset.windows:
                captioned, where = stages.caption.windows, "stages.caption.windows"
                if source not in stages.windows.sources:
                    yield f"of: {dataset.of}, but stages.windows.sources does not name source {source!r}"
                if dataset.media != "frames":
                    yield f"media: {dataset.media}, but a window has frames only"
            if dataset.media in ("mp4", "both") and not stages.clips.mp4:
                yield f"media: {dataset.media}, but stages.clips keeps no mp4"
            if dataset.media in ("frames", "both") and not stages.clips.keep_frames:
                yield f"media: {dataset.media}, but stages.clips keeps no frames"
        if not isinstance(dataset, GivenPairSettings) and dataset.captions != "original" and source not in captioned:
            yield f"captions: {dataset.captions}, but {where} does not name source {source!r}"


def sources_of(dataset: AnyPairs) -> tuple[str, ...]:
    """The sources whose pairs are in a dataset."""
    return (dataset.source, *(dataset.also if isinstance(dataset, GivenPairSettings) else ()))


def _listed(named: Iterable[str]) -> str:
    return ", ".join(sorted(named)) or "none"


def parse_shards(text: str) -> frozenset[int]:
    """Shard numbers of `3,7-12`. Raises SettingsError with what is wrong."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise SettingsError(f"--shards {printable(text)!r}: expected numbers and ranges such as 3,7-12")
        numbers = range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(found) + len(numbers) > _MOST_SHARDS:
            raise SettingsError(
                f"--shards {printable(text)!r}: more than {_MOST_SHARDS}: without it all shards are meant"
            )
        found.update(numbers)
    return frozenset(found)
