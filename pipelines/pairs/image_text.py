"""Stage `pairs`: from items and what was judged of them to training pairs, caption -> image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.schema import PAIR_ORIGIN, PAIR_SCHEMA, Status, Task, pair_id
from corpus.settings import tuning
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, MapStage, Shard, SourceInfo
from pipelines.pairs.best_caption import LONGEST_CAPTIONS
from pipelines.pairs.captions import TextSettings, choose_texts, no_items, repeated, sides, uncaptioned
from recaption.schema import CAPTION


class PairSettings(TextSettings):
    """Settings of a dataset of the images of a source: text of the row, or its caption -> image."""

    needs = Gives.IMAGES

    kind: Literal["images"] = Field("images", description="A dataset of images and their texts.")
    task: Task = Field(Task.IMAGE_RETRIEVAL, description="The training task of the pairs.")
    # Whether it is so shows in the tables that are read.
    longest_caption_per_duplicate: bool = tuning(
        False, description="Whether the original text of an image is the longest among those of all its duplicates."
    )

    @property
    def crosses_modalities(self) -> bool:
        return True

    def pairs_stage(self, source: SourceInfo) -> Pairs:
        return Pairs(source.dataset, self)

    def conflicts(self, stages: Any) -> Iterator[str]:
        yield from uncaptioned(self, stages.caption.sources, "stages.caption.sources")


class Pairs(MapStage):
    """The stage `pairs` of images: one pair, or two, for each row whose item was kept. Without a text there is none:
    `no_text`, `no_caption`.
    """

    name = "pairs"
    reads: tuple[str, ...] = (ROWS, ITEMS, VERDICT)
    over = frozenset({Gives.IMAGES})
    summary = "query → positive, with the original text, the caption, or both"
    reasons = {"no_text": "the row has no text", "no_caption": "the image has no generated caption"}
    optional_reads = (CAPTION, LONGEST_CAPTIONS)
    filters_rows = False
    schema = PAIR_SCHEMA
    fan_out = True
    origin_columns = PAIR_ORIGIN

    def __init__(self, dataset: str, settings: PairSettings) -> None:
        super().__init__(settings)
        self.dataset = dataset
        self._settings = settings
        captioned = (CAPTION,) if settings.captions != "original" else ()
        self.reads = (
            *type(self).reads,
            *captioned,
            *((LONGEST_CAPTIONS,) if settings.longest_caption_per_duplicate else ()),
        )

    def fingerprint_inputs(self) -> dict[str, object]:
        return {"dataset": self.dataset, **self._settings.canonical()}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return partial(caption_to_image, dataset=self.dataset, settings=self._settings)


def caption_to_image(shard: Shard, dataset: str, settings: PairSettings) -> pa.Table:
    """Returns the pairs (PAIR_SCHEMA, status, reason) of a shard's live rows: text -> image, no negatives yet."""
    chosen = choose_texts(shard, settings)
    place = chosen.column("row").to_numpy()
    rows, items = shard[ROWS].take(place), shard[ITEMS].take(place)
    n = len(place)
    texts = chosen.column("text").combine_chunks()
    ids = items.column("item_id").combine_chunks()
    pair_ids = [pair_id(dataset, text, item) for text, item in zip(texts.to_pylist(), ids.to_pylist(), strict=True)]
    empty = pc.equal(texts, "")
    images = pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32)), ids)
    columns: dict[str, pa.Array] = {
        "pair_id": pa.array(pair_ids, PAIR_SCHEMA.field("pair_id").type),
        "query": sides(settings.query_instruction, texts, no_items(n)),
        "positive": sides(settings.positive_instruction, repeated("", n), images),
        "negatives": pa.array([[]] * n, PAIR_SCHEMA.field("negatives").type),
        "positive_score": pa.array(np.zeros(n, np.float32)),
        "group": repeated("", n),
        "label": repeated("", n),
        "in_batch_negatives": pa.array(np.ones(n, np.bool_)),
        "caption_origin": chosen.column("caption_origin"),
        "caption_model": chosen.column("caption_model"),
        "caption_prompt": chosen.column("caption_prompt"),
        "source_url": rows.column("url").combine_chunks(),
        "source_sha256": items.column("downloaded_sha256").combine_chunks(),
        "licence": pc.fill_null(rows.column("licence").combine_chunks(), ""),
        "status": pc.if_else(empty, str(Status.FILTERED), str(Status.KEPT)),
        "reason": pc.if_else(empty, chosen.column("without"), ""),
    }
    return pa.table(columns)
