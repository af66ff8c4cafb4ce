"""Stages `caption` and `window_caption`: a vision-language model describes every image, clip or window that was kept.

Read images (of a clip all its frames, in one request), write only text: the original caption stays where it is, in the
source's rows, and `pairs` chooses. A row is never removed here; where there is no caption, `reject_reason` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from corpus.settings import SettingsError
from corpus.stages import ITEMS, JUDGED, ROWS, MapStage, Resources, Shard
from recaption.prompts import Purpose, chosen_prompts
from recaption.schema import CAPTION, CAPTION_SCHEMA, WINDOW_CAPTION
from recaption.settings import CaptionSettings, DummySettings, SourceCaptions, VllmSettings


class Caption(MapStage):
    """One caption for each live row of a source: of its image, or of a clip's frames.

    `images`: how many frames each clip has, if the source's items are clips; one that has fewer is captioned from
    those. Raises SettingsError where the prompts, or the model, are not for so many.
    """

    name = CAPTION
    version = 3
    reads = (ROWS, ITEMS, JUDGED)
    schema = CAPTION_SCHEMA
    nondeterministic = True
    chosen_in: ClassVar[str] = "sources"  # of the settings
    purpose: ClassVar[Purpose] = "clip_frames"  # of prompts for several images, where none are chosen
    hints: ClassVar[tuple[str, ...]] = ("text",)  # columns of the rows: the first that says something is the hint

    def __init__(self, source: str, settings: CaptionSettings, images: int = 1) -> None:
        super().__init__(settings)
        choices: dict[str, SourceCaptions] = getattr(settings, self.chosen_in)
        where = f"stages.caption.{self.chosen_in}"
        if source not in choices:
            raise SettingsError(f"{where}: no prompts for source {source!r}")
        settings = settings.of(choices[source])
        try:
            settings.check_images(images)
            default = "detailed" if images == 1 else self.purpose
            self.prompts = chosen_prompts(choices[source], (images, images), default)
        except SettingsError as error:
            raise SettingsError(f"{where}.{source}: {error}") from error
        self.images = images
        self.caption_settings = settings
        self.resources = _resources(settings)

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

        return CaptionWorker(self.caption_settings, self.prompts, self.images, self.name, self.hints).table

    def retryable_reasons(self, table: pa.Table) -> pa.ChunkedArray:
        """Rows without a caption are worth another try."""
        failed = super().retryable_reasons(table)
        return pc.if_else(pc.equal(failed, ""), pc.fill_null(table.column("reject_reason"), ""), failed)


class WindowCaption(Caption):
    """One caption for each window of a source's clips, with what is known of the clips in it as a hint."""

    name = WINDOW_CAPTION
    chosen_in = "windows"
    purpose = "window_frames"
    hints = ("hint", "text")


def _resources(settings: CaptionSettings) -> Resources:
    if isinstance(settings.backend, DummySettings):
        return Resources()
    gpus = settings.backend.gpus_per_replica if isinstance(settings.backend, VllmSettings) else 0
    return Resources(cpus=1, gpus=gpus, holds_model=True, in_flight=settings.shards_in_flight)
