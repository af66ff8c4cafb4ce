"""Stage `pairs`: from items and what was judged of them to training pairs, caption -> image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.records import PAIR_SCHEMA, CaptionOrigin, Status, Task, pair_id
from corpus.settings import Settings
from corpus.stages import ITEMS, JUDGED, ROWS, MapStage, Shard


class PairSettings(Settings):
    """How the items of a source become the pairs of a dataset: text of the row -> image."""

    source: str
    task: Task = Task.IMAGE_RETRIEVAL
    stage: int = 1  # of the training recipe: 1 without instructions, 2 with
    query_instruction: str = ""
    positive_instruction: str = ""


class Pairs(MapStage):
    """One pair for each row whose item was kept. A row without a text is no pair: filtered, `no_text`."""

    name = "pairs"
    reads = (ROWS, ITEMS, JUDGED)
    schema = PAIR_SCHEMA
    expands = True

    def __init__(self, dataset: str, settings: PairSettings) -> None:
        super().__init__(settings)
        self.dataset = dataset
        self._settings = settings

    def depends_on(self) -> dict[str, object]:
        return {"dataset": self.dataset, **self._settings.canonical()}

    def open(self) -> Callable[[Shard], pa.Table]:
        return partial(caption_to_image, dataset=self.dataset, settings=self._settings)


def caption_to_image(shard: Shard, dataset: str, settings: PairSettings) -> pa.Table:
    """The pairs (PAIR_SCHEMA, status, reason) of a shard's live rows: text -> image, no negatives yet."""
    rows, items = shard[ROWS], shard[ITEMS]
    n = len(shard)
    texts = pc.utf8_trim_whitespace(pc.fill_null(rows.column("text").combine_chunks(), ""))
    empty = pc.equal(texts, "")
    ids = items.column("item_id").combine_chunks()
    pair_ids = [pair_id(dataset, text, item) for text, item in zip(texts.to_pylist(), ids.to_pylist(), strict=True)]
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
        "caption_origin": _repeat(CaptionOrigin.ORIGINAL, n),
        "caption_model": _repeat("", n),
        "caption_prompt": _repeat("", n),
        "source_url": rows.column("url").combine_chunks(),
        "source_sha256": items.column("downloaded_sha256").combine_chunks(),
        "licence": pc.fill_null(rows.column("licence").combine_chunks(), ""),
        "status": pc.if_else(empty, str(Status.FILTERED), str(Status.KEPT)),
        "reason": pc.if_else(empty, "no_text", ""),
    }
    return pa.table(columns)


def _side(instruction: str, texts: pa.Array, offsets: pa.Array, ids: pa.Array) -> pa.Array:
    kind = PAIR_SCHEMA.field("query").type
    items = pa.ListArray.from_arrays(offsets, ids)
    return pa.StructArray.from_arrays([_repeat(instruction, len(texts)), texts, items], fields=list(kind))


def _repeat(value: str, n: int) -> pa.Array:
    return pa.array([str(value)], pa.string()).take(pa.array(np.zeros(n, np.int8)))
