"""The stage `text_counts`, over the pairs of a dataset: in how many pairs each text comes, and each template.

A text that comes with thousands of images is a page's boilerplate, whatever it says. Texts are compared as elsewhere
(`corpus.text.keys`); the template of a text is what is left when every number in it counts as the same, so that "Photo
3 of 12" and "Photo 4 of 9" are one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import hash_strings
from corpus.item_ids import split_ids
from corpus.sampling import random_numbers
from corpus.schema import Status
from corpus.stage import PAIR_VERDICT, PAIRS, Gives, Shard, ShuffleStage, SourceInfo
from corpus.text.keys import normalize_for_comparison
from filters.text.pair_rules import PairTextFilterSettings
from filters.text.pair_stats import SIDES, side_texts

TEXT_COUNTS = "text_counts"
_COUNTS = ("text_count", "text_rank", "template_count")
_NUMBERS = r"\p{N}+(?:[.,:/\-–]\p{N}+)*"
_ORDER_SEED = 0x7E47  # of the order of pairs with the same text


class TextCounts(ShuffleStage):
    """In how many different pairs of the dataset the texts of each pair come; null: in no other.

    `query_text_rank` is the place of the pair among those with the same text, from 0, in an order that depends on their
    ids alone: as many as are wanted of each text are those with the lowest ranks. A pair that comes twice counts once.

    The shuffle carries 33 bytes for each text and for each template; `finalize` gets 33 for those that come again.
    """

    name = TEXT_COUNTS
    reads = (PAIRS,)
    optional_reads = (PAIR_VERDICT,)
    settings_key = "text_filter"
    settings_type = PairTextFilterSettings
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = "in how many pairs of the dataset each of its texts comes, and each template (its numbers put aside)"
    schema = pa.schema([pa.field(f"{side}_{name}", pa.int64()) for side in SIDES for name in _COUNTS])

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in source.stages.text_filter.datasets

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {}  # its settings are thresholds, which `text_filter` applies

    def map(self, shard: Shard) -> pa.Table:
        """Emits a row for each text, and one for each template."""
        pairs = shard[PAIRS]
        order = random_numbers(split_ids(one_array(pairs.column("pair_id"))), _ORDER_SEED)
        emitted = []
        for code, side in enumerate(SIDES):
            texts = normalize_for_comparison(side_texts(pairs.column(side)))
            rows = np.flatnonzero(np.asarray(pc.not_equal(texts, "")))
            some = texts.take(pa.array(rows))
            for of_template, keyed in enumerate((some, templates(some))):
                kind = np.int8(2 * code + of_template)
                key = hash_strings(keyed, seed=int(kind))
                kinds = np.full(len(rows), kind)
                emitted.append(_rows(key, kinds, shard.row_addresses[rows], order[rows]))
        return pa.concat_tables(emitted)

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Returns the pairs of each key that several have: how many these are, and the place of each among them."""
        key, kind, address, order = (rows.column(name).to_numpy() for name in ("key", "kind", "row_address", "order"))
        by_key = np.lexsort((address, order, kind, key))
        key, kind, address, order = (each[by_key] for each in (key, kind, address, order))
        is_new = np.append(True, (key[1:] != key[:-1]) | (kind[1:] != kind[:-1]))[: len(key)]
        is_other_pair = is_new | np.append(True, order[1:] != order[:-1])[: len(key)]
        group = np.cumsum(is_new) - 1
        pairs = np.bincount(group, weights=is_other_pair, minlength=0).astype(np.int64)
        number = np.cumsum(is_other_pair) - 1
        rank = number - number[is_new][group] if len(key) else number
        count = pairs[group] if len(key) else number
        repeated = np.flatnonzero(count > 1)
        columns = {"row_address": address, "kind": kind, "count": count, "rank": rank}
        return pa.table({name: column[repeated] for name, column in columns.items()})

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Puts what is known of each pair side by side."""
        kind = reduced.column("kind").to_numpy()
        addresses, row = np.unique(reduced.column("row_address").to_numpy(), return_inverse=True)
        columns: dict[str, Any] = {"row_address": addresses}
        for code, side in enumerate(SIDES):
            for name, of_template, value in zip(_COUNTS, (0, 0, 1), ("count", "rank", "count"), strict=True):
                places = np.flatnonzero(kind == 2 * code + of_template)
                found = np.full(len(addresses), -1, np.int64)
                found[row[places]] = reduced.column(value).to_numpy()[places]
                columns[f"{side}_{name}"] = pa.array(found, mask=found < 0)
        for name, text in (("status", str(Status.KEPT)), ("reason", "")):
            columns[name] = pa.array([text] * len(addresses), pa.string())
        return pa.table(columns)


def counts_of_side(table: pa.Table, side: str) -> pa.Table:
    """Returns what a table of the stage has of one side: `text_count`, `text_rank` and `template_count`."""
    return pa.table({name: table.column(f"{side}_{name}") for name in _COUNTS})


def templates(texts: pa.Array) -> pa.Array:
    """Returns the texts with one sign in place of each number: string[n]."""
    return pc.replace_substring_regex(texts, _NUMBERS, "0")


def _rows(key: np.ndarray, kind: np.ndarray, address: np.ndarray, order: np.ndarray) -> pa.Table:
    return pa.table({"key": key, "kind": pa.array(kind, pa.int8()), "row_address": address, "order": order})
