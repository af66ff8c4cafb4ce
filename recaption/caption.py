"""Stage `caption`: a vision-language model describes every image that was kept.

Reads images, writes only text: the original caption stays where it is, in the source's rows, and `pairs` chooses. A
row is never removed here; where there is no caption, `verdict` says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.settings import SettingsError
from corpus.stages import ITEMS, JUDGED, ROWS, MapStage, Resources, Shard
from recaption.prompts import PromptChoice, chosen_prompts
from recaption.settings import CaptionSettings, DescribeSettings, VllmSettings

CAPTION = "caption"
CAPTION_SCHEMA = pa.schema(
    [
        pa.field("caption", pa.string()),  # null where there is none
        pa.field("caption_model", pa.string()),
        pa.field("caption_revision", pa.string()),
        pa.field("prompt", pa.string()),  # its id
        pa.field("sampling", pa.string()),  # JSON
        pa.field("seed", pa.int64()),
        pa.field("finish_reason", pa.string()),
        pa.field("prompt_tokens", pa.int32()),
        pa.field("completion_tokens", pa.int32()),
        pa.field("tries", pa.int32()),
        pa.field("cut_back", pa.bool_()),  # to its last whole sentence, because the limit of tokens cut it off
        pa.field("verdict", pa.string()),  # why there is no caption; "" where there is one
        pa.field("key", pa.binary(16)),  # of the request: see recaption.cache
    ]
)


class Caption(MapStage):
    """One caption for each live row of a source."""

    name = CAPTION
    reads = (ROWS, ITEMS, JUDGED)
    schema = CAPTION_SCHEMA
    regenerates = True

    def __init__(self, source: str, settings: CaptionSettings) -> None:
        super().__init__(settings)
        if source not in settings.sources:
            raise SettingsError(f"stages.caption.sources: no prompts for source {source!r}")
        self.choice: PromptChoice = settings.sources[source]
        self.caption_settings = settings
        self.resources = _resources(settings)

    def depends_on(self) -> dict[str, Any]:
        settings = self.caption_settings
        return {
            "writer": settings.writer(),
            "prompts": {prompt.id: [prompt.digest, share] for prompt, share in chosen_prompts(self.choice)},
            "screening": settings.screening.canonical(),
            "tries": settings.tries,
            "retry_temperature": settings.retry_temperature,
        }

    def open(self) -> Callable[[Shard], pa.Table]:
        from recaption.writing import Writing

        return Writing(self.caption_settings, self.choice).table

    def troubles(self, table: pa.Table) -> pa.ChunkedArray:
        """Rows without a caption are worth another try."""
        failed = super().troubles(table)
        return pc.if_else(pc.equal(failed, ""), pc.fill_null(table.column("verdict"), ""), failed)


def _resources(settings: CaptionSettings) -> Resources:
    if isinstance(settings.backend, DescribeSettings):
        return Resources()
    gpus = settings.backend.gpus_per_replica if isinstance(settings.backend, VllmSettings) else 0
    return Resources(cpus=1, gpus=gpus, holds_model=True, in_flight=settings.shards_in_flight)
