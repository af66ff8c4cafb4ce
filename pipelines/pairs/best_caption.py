"""Stages `dedup_by_image` and `longest_captions`: of several captions of an image, the one with the most words is kept.

The web shows the same image on many pages, and the page with the largest copy need not be the one that describes it
best. `dedup_by_image` filters the other pairs of a set of pairs; `longest_captions` gives the best caption to the copy
of an image that stays.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.hashing import hash_strings
from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, Shard, ShuffleStage, SourceInfo
from corpus.text.words import counts_between_blanks
from filters.text.dedup import TEXTS
from filters.text.rules import AltTextRules, text_reasons
from pipelines.pairs.existing import DEDUP_BY_IMAGE, TEXT_DUPLICATES, image_verdicts

LONGEST_CAPTIONS = "longest_captions"
MAX_WORDS = 60  # that are counted: a caption with more of them is no better


# What is no caption at all, whatever its length: names of files, dates, URLs, keywords.
_NOISE = AltTextRules(min_chars=1, min_words=0)


def caption_words(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Counts the words of each text, int32[n]; MAX_WORDS where there are more. A file name is no better a caption."""
    return pc.min_element_wise(counts_between_blanks(texts), pa.scalar(MAX_WORDS, pa.int32()))


class _BestCaption(ShuffleStage):
    """Finds the best caption of each image, and reports the kept rows that have another one.

    Of captions with equally many words that of a kept row comes first, then the first in the order of sources, shards
    and rows. `map` gives `key` (of the image), `row_address`, `words`, `kept` (int8) and the column `best_from`.
    """

    best_from: ClassVar[str]  # the column of the best row that becomes the one column of the schema
    status: ClassVar[Status]
    reason: ClassVar[str] = ""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Returns the kept rows of each image that are not its best, with what `best_from` is of the best."""
        order = [("key", "ascending"), ("words", "descending"), ("kept", "descending"), ("row_address", "ascending")]
        rows = rows.sort_by(order)
        keys, kept = rows.column("key").to_numpy(), rows.column("kept").to_numpy().astype(bool)
        is_best = np.ones(len(keys), bool)
        is_best[1:] = keys[1:] != keys[:-1]
        best = np.flatnonzero(is_best)[np.cumsum(is_best) - 1] if len(keys) else np.zeros(0, np.int64)
        others = np.flatnonzero(kept & ~is_best)
        return pa.table(
            {
                "row_address": rows.column("row_address").take(others),
                self.schema.names[0]: rows.column(self.best_from).take(best[others]),
            }
        )

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Adds the status and the reason, which all rows share."""
        for name, value in (("status", str(self.status)), ("reason", self.reason)):
            reduced = reduced.append_column(name, pa.array([value] * reduced.num_rows, pa.string()))
        return reduced


class DedupByImage(_BestCaption):
    """Filters, as `same_image`, pairs whose image another pair has with a caption of more words (up to 60).

    Only pairs of a text alone and one image alone: the image of a triplet may well be in many triplets.
    """

    name = DEDUP_BY_IMAGE
    reads = (ROWS, TEXTS, TEXT_DUPLICATES, ITEMS, VERDICT)
    side_inputs = (ITEMS, VERDICT)
    over = frozenset({Gives.PAIRS})
    summary = (
        "of several pairs text → image with the same image, the one with the longest text (`dedup_by_image` of the "
        "source)"
    )
    reasons = {"same_image": "another pair has the image, with a caption of more words"}
    schema = pa.schema([pa.field("representative", pa.int64())])  # the address of the pair that is kept
    address_columns = ("representative",)
    best_from = "row_address"
    status, reason = Status.FILTERED, "same_image"

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        plug: Any = source.plug  # a source of pairs
        return super().applies_to(source) and plug.has_images and plug.filters_images and plug.dedup_by_image

    def map(self, shard: Shard) -> pa.Table:
        """Returns a row for each pair of a text and an image that was not removed."""
        images = image_verdicts(shard)
        rows, items, texts = [], [], []
        sides = shard[TEXTS].select(["query", "positive"]).to_pylist()
        for row, pair in enumerate(sides):
            query, positive = pair["query"], pair["positive"]
            if query["images"] or len(positive["images"]) != 1 or positive["text"].strip():
                continue
            image = images[positive["images"][0]]
            if image.item is not None:
                rows.append(row)
                items.append(image.item)
                texts.append(query["text"])
        return pa.table(
            {
                "key": hash_strings(pa.array(items, pa.binary())),
                "row_address": shard.row_addresses[np.array(rows, np.int64)],
                "words": caption_words(pa.array(texts, pa.string())),
                "kept": np.ones(len(rows), np.int8),
            }
        )


class LongestCaptions(_BestCaption):
    """Gives each image that stays the caption with the most words (up to 60) among its own and its duplicates'.

    Rows whose own caption is the best are not mentioned. Noise, such as keywords for search engines, is no better than
    an empty text.
    """

    name = LONGEST_CAPTIONS
    version = 2  # 1 took the longest noise for the best caption
    reads = (ROWS, ITEMS, VERDICT)
    include_removed = True  # the texts of duplicates
    over = frozenset({Gives.IMAGES})
    summary = "for datasets with `longest_caption_per_duplicate: true`: the best text of all duplicates of the image"
    filters_rows = False
    schema = pa.schema([pa.field("text", pa.string())])
    best_from = "text"
    status = Status.KEPT

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and any(
            getattr(each, "longest_caption_per_duplicate", False) for each in source.datasets
        )

    def map(self, shard: Shard) -> pa.Table:
        """Returns the rows that stay and the duplicates of them."""
        verdict = shard[VERDICT]
        has_image = pc.is_in(verdict.column("status"), pa.array([str(Status.KEPT), str(Status.DUPLICATE)]))
        rows = np.flatnonzero(pc.and_(has_image, pc.is_valid(verdict.column("representative"))).to_numpy())
        texts = pc.utf8_trim_whitespace(pc.fill_null(shard[ROWS].column("text").take(rows), ""))
        return pa.table(
            {
                "key": hash_strings(verdict.column("representative").take(rows).cast(pa.binary())),
                "row_address": shard.row_addresses[rows],
                "words": pc.if_else(pc.equal(text_reasons(texts, _NOISE), ""), caption_words(texts), 0),
                "kept": pc.equal(verdict.column("status").take(rows), str(Status.KEPT)).cast(pa.int8()),
                "text": texts,
            }
        )
