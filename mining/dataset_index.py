"""The pairs of a whole dataset by what they consist of: which candidate is no negative of which pair.

Equal queries, sides, labels, groups and clusters have equal numbers. The index takes some 100 bytes a pair, and the
positives themselves: a chosen one becomes a negative.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.item_ids import find_ids, split_ids, unique_ids
from corpus.text.keys import one_array, side_ids, text_keys

PAIR_COLUMNS = ("pair_id", "query", "positive", "group", "label", "status")
CLUSTER_COLUMNS = ("query_cluster", "positive_cluster")


@dataclass(frozen=True, eq=False)
class DatasetIndex:
    """All n kept pairs of a dataset, and its s different positives."""

    pair_ids: np.ndarray  # uint64[2, n], ascending
    query: np.ndarray  # int64[n]: equal for equal queries
    query_side: np.ndarray  # int64[n], into `sides`: the query where it is the positive of some pair; -1
    positive: np.ndarray  # int64[n], into `sides`
    sides: np.ndarray  # uint64[2, s], ids of the different positives, ascending
    owner: np.ndarray  # int64[s]: a pair that has it
    query_text: np.ndarray  # uint64[n], keys; 0: no text
    side_text: np.ndarray  # uint64[s], keys of sides without items; 0: it has items, or no text
    groups: Relation
    labels: Relation
    clusters: Relation
    items: pa.Array  # list<item id>[n], of the queries
    positives: pa.StructArray  # [n]

    def __len__(self) -> int:
        return len(self.query)

    def rows_of(self, pair_ids: np.ndarray) -> np.ndarray:
        """Returns the rows of pairs by their ids (uint64[2, k]), int64[k]; -1 for one that is not there."""
        return find_ids(self.pair_ids, pair_ids)

    def side_items(self) -> pa.Array:
        """Returns the items of the different positives: list<item id>[s]."""
        return self.positives.field("items").take(pa.array(self.owner))

    def answers(self) -> np.ndarray:
        """Returns int64, ascending: query * s + side for each positive of each query."""
        return np.unique(self.query * self.sides.shape[1] + self.positive)


@dataclass(frozen=True, eq=False)
class Relation:
    """Names that pairs have, as numbers: of a pair's own ones and of those of all pairs with the same positive."""

    of_pairs: np.ndarray  # int64[n, m], of a pair; -1: none
    of_sides: np.ndarray  # int64, ascending: side * count + name for each pair that has the side
    count: int
    names: tuple[str, ...] = ()

    def shared(self, rows: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Returns whether a pair with a side has a name that the pair of the row has, bool[k]."""
        found = np.zeros(len(rows), np.bool_)
        for names in self.of_pairs[rows].T:
            found |= (names >= 0) & is_in(sides * self.count + names, self.of_sides)
        return found

    def related(self, rows: np.ndarray, sides: np.ndarray, pairs: np.ndarray) -> np.ndarray:
        """Returns whether a pair with a side has a name that is related to one of the row's, bool[k].

        `pairs` int[p, 2]: numbers of names that are related, in either order.
        """
        found = np.zeros(len(rows), np.bool_)
        if not len(pairs):
            return found
        both = np.concatenate([pairs, pairs[:, ::-1]]).astype(np.int64)
        both = both[np.argsort(both[:, 0], kind="stable")]
        for names in self.of_pairs[rows].T:
            start = np.searchsorted(both[:, 0], names, side="left")
            stop = np.searchsorted(both[:, 0], names, side="right")
            for step in range(int((stop - start).max(initial=0))):
                at = np.minimum(start + step, len(both) - 1)
                found |= (start + step < stop) & is_in(sides * self.count + both[at, 1], self.of_sides)
        return found


def is_in(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns whether each number is among ascending ones, bool[k]."""
    if not len(known):
        return np.zeros(len(numbers), np.bool_)
    return np.asarray(known[np.searchsorted(known, numbers).clip(max=len(known) - 1)] == numbers)


def build_index(tables: Iterable[pa.Table]) -> DatasetIndex:
    """Builds the index of the kept pairs of a dataset, from tables with PAIR_COLUMNS and perhaps CLUSTER_COLUMNS."""
    kept = [table.filter(pc.equal(table.column("status"), "kept")) for table in tables]
    together = pa.concat_tables(kept).combine_chunks() if kept else pa.table({})
    if not together.num_rows:
        return _empty()
    ids = split_ids(one_array(together.column("pair_id")))
    order = np.lexsort((ids[1], ids[0]))
    together, ids = together.take(pa.array(order)), ids[:, order]
    query_column, positive_column = (one_array(together.column(name)) for name in ("query", "positive"))
    query_ids, positive_ids = side_ids(query_column), side_ids(positive_column)
    sides = unique_ids([positive_ids])
    positive = find_ids(sides, positive_ids)
    owner = np.full(sides.shape[1], -1, np.int64)
    owner[positive[::-1]] = np.arange(len(positive))[::-1]
    clip = (
        pc.fill_null(pc.struct_field(pc.struct_field(positive_column, "clip"), "video"), "")
        if _has_clips(positive_column)
        else pa.array([""] * len(positive), pa.string())
    )
    groups = [one_array(together.column("group")), clip]
    clusters = [one_array(together.column(name)) for name in CLUSTER_COLUMNS if name in together.column_names]
    return DatasetIndex(
        ids,
        find_ids(unique_ids([query_ids]), query_ids),
        find_ids(sides, query_ids),
        positive,
        sides,
        owner,
        _text_keys(query_column, False),
        _text_keys(positive_column, True)[owner],
        _relation(groups, positive),
        _relation([one_array(together.column("label"))], positive),
        _relation(clusters, positive),
        query_column.field("items"),
        positive_column,
    )


def _has_clips(sides: pa.StructArray) -> bool:
    return sides.type.get_field_index("clip") >= 0


def _text_keys(sides: pa.StructArray, alone: bool) -> np.ndarray:
    """Returns keys of the texts of sides; 0 where there is none or, with `alone`, where there are items beside it."""
    texts = pc.fill_null(sides.field("text"), "")
    keys = text_keys(texts)[:, 0]
    without = pc.equal(texts, "")
    if alone:
        without = pc.or_(without, pc.greater(pc.fill_null(pc.list_value_length(sides.field("items")), 0), 0))
    return np.where(without.to_numpy(zero_copy_only=False), np.uint64(0), keys)


def _relation(columns: list[pa.Array], positive: np.ndarray) -> Relation:
    """Returns the names of several columns (strings; "" and null: none), numbered together."""
    filled = [pc.fill_null(column, "") for column in columns]
    names = pc.unique(pa.chunked_array([pa.array([], pa.string()), *(f.cast(pa.string()) for f in filled)]))
    known = [name for name in names.to_pylist() if name]
    table = pa.array(known, pa.string())
    of_pairs = [pc.fill_null(pc.index_in(column, table), -1).to_numpy(zero_copy_only=False) for column in filled]
    numbers = np.stack(of_pairs, axis=1).astype(np.int64) if of_pairs else np.zeros((len(positive), 0), np.int64)
    count = max(1, len(known))
    row, at = np.nonzero(numbers >= 0)
    return Relation(numbers, np.unique(positive[row] * count + numbers[row, at]), count, tuple(known))


def _empty() -> DatasetIndex:
    none, no_ids = np.zeros(0, np.int64), np.zeros((2, 0), np.uint64)
    relation = Relation(np.zeros((0, 0), np.int64), none, 1)
    keys = np.zeros(0, np.uint64)
    sides = pa.array([], pa.struct([("text", pa.string()), ("items", pa.list_(pa.binary(16)))]))
    return DatasetIndex(
        no_ids, none, none, none, no_ids, none, keys, keys, relation, relation, relation, sides.field("items"), sides
    )
