"""The stage `pair_leaks` finds for each pair what of the evaluation sets its texts and media are near to: numbers.

A text that stands for itself, such as a caption or a passage, is a leak where it is the same as one of an evaluation
set. A question about an image, an answer and a class label are not: the same words come with other images. These count
where the media are the same, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.item_ids import Ids, find_ids, split_ids
from corpus.pool import Pool, PoolRead, PoolScope
from corpus.schema import ITEM_ID
from corpus.stage import EVALUATION_INDEX, LEAKS, PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo
from filters.decontamination.evaluation import NEAR_FIELD, near_lists
from filters.decontamination.leaks import LeaksSettings
from filters.decontamination.texts import EvaluationTexts, equal_texts, long_ngrams, overlapping_texts, read_texts

PAIR_LEAKS = "pair_leaks"
_FIELDS = ("set", "name", "way", "value")

_Ints = npt.NDArray[np.int64]


class PairLeaks(MapStage):
    """The nearest text and medium of each evaluation set, by each way, for each pair: of its query, its positive and
    the negatives that it came with.

    What its media are near to, the stage `leaks` has found; media are looked up by their ids.
    """

    name = PAIR_LEAKS
    reads = (PAIRS,)
    optional_reads = (PAIR_VERDICT,)
    pools = (
        PoolRead(EVALUATION_INDEX, PoolScope.EVALUATION),
        PoolRead(LEAKS, PoolScope.SOURCES, fingerprinted=False),
    )
    settings_key = LEAKS
    settings_type = LeaksSettings
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = "the nearest texts and media of the evaluation sets, where there are such sets"
    schema = pa.schema([NEAR_FIELD])

    def __init__(self, settings: LeaksSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and bool(source.evaluation)

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _PairLeaks(self._settings)


@dataclass(frozen=True, eq=False)
class _NearItems:
    """The items that are near to a medium of an evaluation set."""

    ids: Ids  # ascending
    entries: pa.Table  # all that they are near to
    starts: _Ints  # of each id, into `entries`
    counts: _Ints


class _PairLeaks:
    """The function of the stage in one worker, which keeps the evaluation sets for the next shard. Thread-safe."""

    def __init__(self, settings: LeaksSettings) -> None:
        self._settings = settings
        self._texts: tuple[Pool, EvaluationTexts] | None = None
        self._items: tuple[Pool, _NearItems] | None = None
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        ngrams = (self._settings.ngram_words, self._settings.min_ngram_text_words)
        with self._lock:
            sets, items = shard.pools[EVALUATION_INDEX], shard.pools[LEAKS]
            if self._texts is None or self._texts[0] != sets:
                self._texts = (sets, read_texts(sets, *ngrams))
            if self._items is None or self._items[0] != items:
                self._items = (items, _read_items(items))
            known, near = self._texts[1], self._items[1]
        pairs = shard[PAIRS]
        row, texts, alone = pair_texts(pairs)
        found = [*equal_texts(texts, alone, known), *overlapping_texts(long_ngrams(texts, *ngrams), known)]
        rows = [row[place] for place, _ in found]
        media_rows, media = _near_media(pairs, near)
        entries = pa.concat_tables([media, *(each for _, each in found)])
        kept = _distinct(np.concatenate([media_rows, *rows]), entries)
        return pa.table({NEAR_FIELD.name: near_lists(*kept, len(shard))})


def pair_texts(pairs: pa.Table) -> tuple[_Ints, pa.Array, npt.NDArray[np.bool_]]:
    """Returns all texts of pairs that are not empty, with the row of each, and whether it stands alone.

    A text stands alone where its side has no media; one of a positive or a negative only where the query has no text
    (else it is an answer), and is not the pair's label.
    """
    query, positive = (one_array(pairs.column(role)) for role in ("query", "positive"))
    lists = one_array(pairs.column("negatives"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    every = np.arange(pairs.num_rows)
    unanswered = pc.equal(query.field("text"), "").to_numpy(zero_copy_only=False)
    labelled = pc.not_equal(pc.fill_null(one_array(pairs.column("label")), ""), "").to_numpy(zero_copy_only=False)
    sides = [(every, query, ~np.zeros(len(every), bool))]
    stands = unanswered & ~labelled
    sides += [(every, positive, stands)]
    owner = np.repeat(every, counts)
    sides += [(owner, lists.flatten(), stands[owner])]
    row = np.concatenate([rows for rows, _, _ in sides])
    texts = pa.concat_arrays([side.field("text") for _, side, _ in sides])
    bare = [pc.fill_null(pc.list_value_length(side.field("items")), 0) for _, side, _ in sides]
    alone = np.concatenate([each.to_numpy(zero_copy_only=False) == 0 for each in bare])
    alone &= np.concatenate([stands for _, _, stands in sides])
    some = np.flatnonzero(pc.not_equal(texts, "").to_numpy(zero_copy_only=False))
    return row[some], texts.take(pa.array(some)), alone[some]


def _read_items(pool: Pool) -> _NearItems:
    """Reads which items of all sources are near to anything."""
    columns = ["ids", NEAR_FIELD.name]
    tables = (
        each.filter(pc.greater(pc.list_value_length(each.column(NEAR_FIELD.name)), 0)) for each in pool.tables(columns)
    )
    empty = pa.schema([pa.field("ids", pa.list_(ITEM_ID)), NEAR_FIELD]).empty_table()
    table = pa.concat_tables([empty, *tables]).combine_chunks()
    lists, ids = one_array(table.column(NEAR_FIELD.name)), one_array(table.column("ids"))
    counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.cumsum(counts) - counts
    owner = np.repeat(np.arange(len(ids)), pc.list_value_length(ids).to_numpy(zero_copy_only=False))
    split = split_ids(ids.flatten())
    order = np.lexsort((split[1], split[0]))
    owner = owner[order]
    flat = lists.flatten()
    entries = pa.table({name: flat.field(name) for name in _FIELDS})
    return _NearItems(np.ascontiguousarray(split[:, order]), entries, starts[owner], counts[owner])


def _near_media(pairs: pa.Table, near: _NearItems) -> tuple[_Ints, pa.Table]:
    """Returns what the media of pairs are near to, and the row of each entry."""
    rows, ids = _pair_items(pairs)
    places = find_ids(near.ids, ids)
    known = places >= 0
    rows, places = rows[known], places[known]
    counts, starts = near.counts[places], near.starts[places]
    at = np.concatenate([np.arange(start, start + n) for start, n in zip(starts, counts, strict=True)] or [starts])
    return np.repeat(rows, counts), near.entries.take(pa.array(at))


def _pair_items(pairs: pa.Table) -> tuple[_Ints, Ids]:
    """Returns the ids of all media of pairs, uint64[2, k], and the row of each."""
    every = np.arange(pairs.num_rows)
    lists = one_array(pairs.column("negatives"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    sides: list[tuple[_Ints, Any]] = [(every, one_array(pairs.column(role))) for role in ("query", "positive")]
    sides.append((np.repeat(every, counts), lists.flatten()))
    rows, ids = [], []
    for row, side in sides:
        items = side.field("items")
        rows.append(np.repeat(row, pc.fill_null(pc.list_value_length(items), 0).to_numpy(zero_copy_only=False)))
        ids.append(split_ids(items.flatten()))
    return np.concatenate(rows), np.concatenate(ids, axis=1)


def _distinct(rows: _Ints, entries: pa.Table) -> tuple[_Ints, pa.Table]:
    """Returns the entries without repetitions of a row, set and way: of these the nearest, then the first by name."""
    sign = np.where(np.isin(entries.column("way").to_numpy(zero_copy_only=False).astype(str), ["hash"]), 1, -1)
    ranked = entries.append_column("row", pa.array(rows)).append_column(
        "rank", pa.array(sign * entries.column("value").to_numpy())
    )
    ranked = ranked.sort_by([(name, "ascending") for name in ("row", "set", "way", "rank", "name")])
    codes = [one_array(ranked.column(name)).dictionary_encode().indices.to_numpy() for name in ("set", "way")]
    keys = np.stack([ranked.column("row").to_numpy(), *codes])
    first = np.append(True, (keys[:, 1:] != keys[:, :-1]).any(axis=0))[: keys.shape[1]]
    kept = ranked.filter(pa.array(first))
    return kept.column("row").to_numpy(), kept.select(list(_FIELDS))
