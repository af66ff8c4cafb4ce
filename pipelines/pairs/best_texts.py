"""Stage `best_texts`: the best text that any copy of a picture came with goes to the copy that is kept.

The web shows the same picture on many pages, and the page with the largest copy need not be the one that says most.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, Shard, ShuffleStage, SourceInfo
from pipelines.pairs.best_pairs import caption_words

BEST_TEXTS = "best_texts"


class BestTexts(ShuffleStage):
    """For each image that stands for duplicates, the text among theirs and its own with the most words (up to 60).

    Of equal ones the kept image's own, then the first in the order of sources, shards and rows. Rows whose own text is
    the best are not mentioned.
    """

    name = BEST_TEXTS
    reads = (ROWS, ITEMS, VERDICT)
    include_removed = True  # the texts of duplicates
    over = frozenset({Gives.IMAGES})
    summary = "for datasets with `best_text: true`: the best text of all duplicates of the image"
    filters_rows = False
    schema = pa.schema([pa.field("text", pa.string())])

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and any(getattr(each, "best_text", False) for each in source.datasets)

    def map(self, shard: Shard) -> pa.Table:
        """The rows of families: those that are kept and those that are duplicates of them."""
        judged = shard[VERDICT]
        ours = pc.is_in(judged.column("status"), pa.array([str(Status.KEPT), str(Status.DUPLICATE)]))
        rows = np.flatnonzero(pc.and_(ours, pc.is_valid(judged.column("representative"))).to_numpy())
        texts = pc.utf8_trim_whitespace(pc.fill_null(shard[ROWS].column("text").take(rows), ""))
        families = judged.column("representative").take(rows).to_pylist()
        keys = [int.from_bytes(hashlib.sha256(family).digest()[:8], "little") for family in families]
        return pa.table(
            {
                "key": pa.array(keys, pa.uint64()),
                "row_address": shard.row_addresses[rows],
                "kept": pc.equal(judged.column("status").take(rows), str(Status.KEPT)),
                "words": caption_words(texts),
                "text": texts,
            }
        )

    def reduce(self, rows: pa.Table) -> pa.Table:
        """The kept row of each family, with a text that is better than its own."""
        order = [("key", "ascending"), ("words", "descending"), ("kept", "descending"), ("row_address", "ascending")]
        rows = rows.append_column("first", rows.column("kept").cast(pa.int8())).drop_columns(["kept"])
        rows = rows.rename_columns({"first": "kept"}).sort_by(order)
        keys, kept = rows.column("key").to_numpy(), rows.column("kept").to_numpy().astype(bool)
        new = np.ones(len(keys), bool)
        new[1:] = keys[1:] != keys[:-1]
        best = np.flatnonzero(new)[np.cumsum(new) - 1] if len(keys) else np.zeros(0, np.int64)
        changed = np.flatnonzero(kept & ~new)
        texts = rows.column("text").take(best[changed])
        return pa.table({"row_address": rows.column("row_address").take(changed), "text": texts})

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """What was found is what is said."""
        for name, value in (("status", str(Status.KEPT)), ("reason", "")):
            reduced = reduced.append_column(name, pa.array([value] * reduced.num_rows, pa.string()))
        return reduced
