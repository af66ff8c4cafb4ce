"""The stages `caption` and `window_caption` describe every kept image, clip or window by a vision-language model.

They read images (of a clip all its frames, in one request) and write only text: the original caption stays in the
source's rows, and `pairs` chooses. They remove no row; where there is no caption, `reject_reason` says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from corpus.settings import SettingsError
from corpus.stage import (
    ITEMS,
    ROWS,
    VERDICT,
    Gives,
    MapStage,
    Resources,
    Shard,
    SourceInfo,
    SourcePlug,
    unknown_sources,
)
from recaption.prompts import Purpose, chosen_prompts
from recaption.schema import CAPTION, CAPTION_SCHEMA, WINDOW_CAPTION
from recaption.settings import CaptionSettings, DummySettings, EndpointSettings, SourceCaptions, VllmSettings


class Caption(MapStage):
    """The stage that captions each live row of a source: its image, or a clip's frames.

    `images`: the number of frames of each clip, if the source's items are clips; a clip with fewer is captioned from
    those. Raises SettingsError where the prompts, or the model, are not for so many.
    """

    name = CAPTION
    reads = (ROWS, ITEMS, VERDICT)
    schema = CAPTION_SCHEMA
    nondeterministic = True
    settings_key = "caption"
    settings_type = CaptionSettings
    over = frozenset({Gives.IMAGES, Gives.CLIPS})
    summary = (
        "a generated caption of the image, or of all frames of the clip, with model and prompt; or why there is none"
    )
    roles = (CAPTION,)
    filters_rows = False
    chosen_in: ClassVar[str] = "sources"  # of the settings
    purpose: ClassVar[Purpose] = "clip_frames"  # of prompts for several images, where the settings have none
    context_columns: ClassVar[tuple[str, ...]] = ("text",)  # columns of the rows: the first with a text is the context

    def __init__(self, source: str, settings: CaptionSettings, images: int = 1) -> None:
        super().__init__(settings)
        choices: dict[str, SourceCaptions] = getattr(settings, self.chosen_in)
        where = f"stages.caption.{self.chosen_in}"
        if source not in choices:
            raise SettingsError(f"{where}: no prompts for source {source!r}")
        settings = settings.for_source(choices[source])
        try:
            settings.check_images(images)
            default = "detailed" if images == 1 else self.purpose
            self.prompts = chosen_prompts(choices[source], (images, images), default)
        except SettingsError as error:
            raise SettingsError(f"{where}.{source}: {error}") from error
        self.images = images
        self.caption_settings = settings
        self.resources = _resources(settings)

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.name in cls._chosen(source)

    @classmethod
    def create(cls, source: SourceInfo) -> Caption:
        return cls(source.name, cls.settings_of(source), cls._images(source))

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        named = stages.caption.sources
        known = [name for name, plug in sources.items() if plug.gives in cls.over]
        yield from unknown_sources("stages.caption.sources", named, known, "source of images")
        if not stages.clips.keep_frames:
            for name in (name for name in named if name in known and sources[name].gives == Gives.CLIPS):
                yield f"stages.clips: {name} is captioned, and that takes its clips' frames"

    @classmethod
    def _chosen(cls, source: SourceInfo) -> dict[str, SourceCaptions]:
        chosen: dict[str, SourceCaptions] = getattr(cls.settings_of(source), cls.chosen_in)
        return chosen

    @classmethod
    def _images(cls, source: SourceInfo) -> int:
        """Returns the number of images of each item of a source."""
        return int(source.stages.clips.frames.frames_per_clip) if source.plug.gives == Gives.CLIPS else 1

    def fingerprint_inputs(self) -> dict[str, Any]:
        settings = self.caption_settings
        return {
            "producer": settings.producer(self.images),
            "prompts": {prompt.id: [prompt.digest, share] for prompt, share in self.prompts},
            "screening": settings.screening.canonical(),
            "max_attempts": settings.max_attempts,
            "retry_temperature": settings.retry_temperature,
        }

    def setup(self) -> Callable[[Shard], pa.Table]:
        from recaption.captioner import CaptionWorker

        return CaptionWorker(self.caption_settings, self.prompts, self.images, self.name, self.context_columns).table

    def retryable_reasons(self, table: pa.Table) -> pa.ChunkedArray:
        """Returns the reasons of failed rows, and of rows without a caption."""
        failed = super().retryable_reasons(table)
        return pc.if_else(pc.equal(failed, ""), pc.fill_null(table.column("reject_reason"), ""), failed)


class WindowCaption(Caption):
    """The stage that captions each window of a source's clips, with the texts of its clips as context."""

    name = WINDOW_CAPTION
    chosen_in = "windows"
    purpose = "window_frames"
    context_columns = ("context", "text")
    over = frozenset({Gives.CLIPS})
    summary = "a description of the whole window, with its clips' captions as context"
    branch = "windows"

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        known, what = stages.windows.sources, "source in stages.windows.sources"
        yield from unknown_sources("stages.caption.windows", stages.caption.windows, known, what)

    @classmethod
    def _images(cls, source: SourceInfo) -> int:
        return int(source.stages.windows.sources[source.name].frames_per_window)


def _resources(settings: CaptionSettings) -> Resources:
    if isinstance(settings.backend, DummySettings):
        return Resources()
    gpus = settings.backend.gpus_per_replica if isinstance(settings.backend, VllmSettings) else 0
    remote = isinstance(settings.backend, EndpointSettings)
    return Resources(gpus=gpus, holds_model=True, in_flight=settings.shards_in_flight, waits_on_network=remote)
