"""Stage `pairs`: from items and what was judged of them to training pairs, caption -> image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.records import PAIR_SCHEMA, CaptionOrigin, Status, Task, pair_id
from corpus.settings import Settings
from corpus.stages import ITEMS, JUDGED, ROWS, MapStage, Shard
from recaption.caption import CAPTION


class PairSettings(Settings):
    """How the items of a source become the pairs of a dataset: text of the row, or its caption -> image."""

    source: str
    task: Task = Task.IMAGE_RETRIEVAL
    stage: int = 1  # of the training recipe: 1 without instructions, 2 with
    query_instruction: str = ""
    positive_instruction: str = ""
    captions: Literal["original", "generated", "both", "mix"] = Field(
        "original", description="whose text: of the source, of the captioner, a pair for each, or one of them by seed"
    )
    generated_share: float = Field(0.5, ge=0, le=1, description="of the images, with `captions: mix`")
    seed: int = Field(0, ge=0, description="of `captions: mix`")
    without_caption: Literal["original", "drop"] = Field(
        "original", description="of an image that should have a generated caption and has none"
    )


class Pairs(MapStage):
    """One pair, or two, for each row whose item was kept. Without a text there is none: `no_text`, `no_caption`."""

    name = "pairs"
    reads: tuple[str, ...] = (ROWS, ITEMS, JUDGED)
    schema = PAIR_SCHEMA
    expands = True

    def __init__(self, dataset: str, settings: PairSettings) -> None:
        super().__init__(settings)
        self.dataset = dataset
        self._settings = settings
        if settings.captions != "original":
            self.reads = (*type(self).reads, CAPTION)

    def depends_on(self) -> dict[str, object]:
        return {"dataset": self.dataset, **self._settings.canonical()}

    def open(self) -> Callable[[Shard], pa.Table]:
        return partial(caption_to_image, dataset=self.dataset, settings=self._settings)


def caption_to_image(shard: Shard, dataset: str, settings: PairSettings) -> pa.Table:
    """The pairs (PAIR_SCHEMA, status, reason) of a shard's live rows: text -> image, no negatives yet."""
    chosen = _texts(shard, settings)
    place = chosen.column("row").to_numpy()
    rows, items = shard[ROWS].take(place), shard[ITEMS].take(place)
    n = len(place)
    texts = chosen.column("text").combine_chunks()
    ids = items.column("item_id").combine_chunks()
    pair_ids = [pair_id(dataset, text, item) for text, item in zip(texts.to_pylist(), ids.to_pylist(), strict=True)]
    empty = pc.equal(texts, "")
    columns: dict[str, pa.Array] = {
        "pair_id": pa.array(pair_ids, PAIR_SCHEMA.field("pair_id").type),
        "query": _side(settings.query_instruction, texts, pa.array(np.zeros(n + 1, np.int32)), ids.slice(0, 0)),
        "positive": _side(
            settings.positive_instruction, _repeat("", n), pa.array(np.arange(n + 1, dtype=np.int32)), ids
        ),
        "negatives": pa.array([[]] * n, PAIR_SCHEMA.field("negatives").type),
        "positive_score": pa.array(np.zeros(n, np.float32)),
        "group": _repeat("", n),
        "label": _repeat("", n),
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


def _texts(shard: Shard, settings: PairSettings) -> pa.Table:
    """Whose text goes with which live row: `row`, `text` and what is said of its origin, in the order of the rows.

    `without` is the reason that an empty text is none.
    """
    n = len(shard)
    original = pc.utf8_trim_whitespace(pc.fill_null(shard[ROWS].column("text").combine_chunks(), ""))
    originals = {
        "row": pa.array(np.arange(n)),
        "text": original,
        "caption_origin": _repeat(CaptionOrigin.ORIGINAL, n),
        "caption_model": _repeat("", n),
        "caption_prompt": _repeat("", n),
        "without": _repeat("no_text", n),
    }
    if settings.captions == "original":
        return pa.table(originals)
    said = shard[CAPTION]
    generated = {
        "row": pa.array(np.arange(n)),
        "text": pc.fill_null(said.column("caption").combine_chunks(), ""),
        "caption_origin": _repeat(CaptionOrigin.GENERATED, n),
        "caption_model": said.column("caption_model").combine_chunks(),
        "caption_prompt": said.column("prompt").combine_chunks(),
        "without": _repeat("no_caption", n),
    }
    has_caption = pc.not_equal(generated["text"], "").to_numpy(zero_copy_only=False)
    if settings.captions == "both":
        # An image without a caption keeps its original text; without one of these either, one row says so.
        second = np.flatnonzero(has_caption | (settings.without_caption == "drop"))
        both = pa.concat_tables([pa.table(originals), pa.table(generated).take(second)])
        return both.take(pc.sort_indices(both, [("row", "ascending"), ("caption_origin", "descending")]))
    wanted = np.ones(n, bool) if settings.captions == "generated" else _drawn(shard, settings)
    if settings.without_caption == "original":
        wanted &= has_caption
    return pa.concat_tables([pa.table(originals), pa.table(generated)]).take(np.arange(n) + n * wanted)


def _drawn(shard: Shard, settings: PairSettings) -> np.ndarray:
    """Which images (bool[n]) get the generated caption: by hash, so that an image's lot depends on nothing else."""
    below = int(settings.generated_share * 2**64)
    salt = str(settings.seed).encode()
    items = shard[ITEMS].column("item_id").to_pylist()
    return np.array([int.from_bytes(hashlib.sha256(salt + item).digest()[:8]) < below for item in items], bool)


def _side(instruction: str, texts: pa.Array, offsets: pa.Array, ids: pa.Array) -> pa.Array:
    kind = PAIR_SCHEMA.field("query").type
    items = pa.ListArray.from_arrays(offsets, ids)
    return pa.StructArray.from_arrays([_repeat(instruction, len(texts)), texts, items], fields=list(kind))


def _repeat(value: str, n: int) -> pa.Array:
    return pa.array([str(value)], pa.string()).take(pa.array(np.zeros(n, np.int8)))
