"""Stage `best_pairs`: of the pairs text -> image whose images are the same picture, the one with the better text.

Only pairs of a text alone and one image alone: a triplet's image may well be in many (see `given_pairs`).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, Shard, ShuffleStage, SourceInfo
from corpus.text.words import counts_between_blanks
from pipelines.pairs.existing import BEST_PAIRS, TEXT_DUPLICATES, TEXTS, images_of

MOST_WORDS = 60  # more of them make no better a caption


def caption_words(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Counts the words of each text, int32[n]; MOST_WORDS where there are more. A file name is no better a caption."""
    return pc.min_element_wise(counts_between_blanks(texts), pa.scalar(MOST_WORDS, pa.int32()))


class BestPairs(ShuffleStage):
    """Filters, as `same_image`, pairs whose image another pair has with a text of more words (up to 60).

    Of equal ones the first in the order of sources, shards and rows is kept.
    """

    name = BEST_PAIRS
    reads = (ROWS, TEXTS, TEXT_DUPLICATES, ITEMS, VERDICT)
    side_inputs = (ITEMS, VERDICT)
    over = frozenset({Gives.PAIRS})
    summary = (
        "of several pairs text → image with the same image, the one with the longest text (`one_pair_per_image` of the "
        "source)"
    )
    schema = pa.schema([pa.field("representative", pa.int64())])  # the kept one's ordinal × 2³² + row

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        plug: Any = source.plug  # a source of pairs
        return super().applies_to(source) and plug.has_images and plug.filters_images and plug.one_pair_per_image

    def map(self, shard: Shard) -> pa.Table:
        """A row for each pair of a text and an image that was not removed."""
        images = images_of(shard)
        rows, keys, texts = [], [], []
        sides = shard[TEXTS].select(["query", "positive"]).to_pylist()
        for row, pair in enumerate(sides):
            query, positive = pair["query"], pair["positive"]
            if query["images"] or len(positive["images"]) != 1 or positive["text"].strip():
                continue
            image = images[positive["images"][0]]
            if image.item is not None:
                rows.append(row)
                keys.append(int.from_bytes(hashlib.sha256(image.item).digest()[:8], "little"))
                texts.append(query["text"])
        return pa.table(
            {
                "key": pa.array(keys, pa.uint64()),
                "row_address": shard.row_addresses[np.array(rows, np.int64)],
                "words": caption_words(pa.array(texts, pa.string())),
            }
        )

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Of each image with several pairs, those that are not the best, and the best."""
        rows = rows.sort_by([("key", "ascending"), ("words", "descending"), ("row_address", "ascending")])
        keys, nodes = rows.column("key").to_numpy(), rows.column("row_address").to_numpy()
        first = np.ones(len(keys), bool)
        first[1:] = keys[1:] != keys[:-1]
        best = nodes[np.flatnonzero(first)][np.cumsum(first) - 1] if len(keys) else nodes
        return pa.table({"row_address": nodes[~first], "representative": best[~first]})

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """What was found is what is said."""
        count = reduced.num_rows
        verdict = {"status": str(Status.FILTERED), "reason": "same_image"}
        for name, value in verdict.items():
            reduced = reduced.append_column(name, pc.if_else(pa.array(np.ones(count, bool)), value, ""))
        return reduced
