"""Stage `neighbours`, over the pairs of a dataset: the nearest positives of the whole dataset for each pair.

The search is exact (`mining.search`), so its results depend on no engine, number of workers or order. Its pool is all
tables of `embed` of the dataset: it is stale when one of them changes, and when the dataset grows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.execution import ShardError
from corpus.item_ids import split_ids
from corpus.pool import Pool, PoolRead
from corpus.schema import ITEM_ID
from corpus.stage import Gives, MapStage, Shard, SourceInfo
from mining.embed import EMBED, PAIRS
from mining.search import Neighbours as Found
from mining.search import TopK, query_bytes
from mining.settings import DatasetMining, NeighbourSettings
from mining.side_images import packed_ids
from mining.vectors import Vectors, column_valid, column_vectors

NEIGHBOURS = "neighbours"
_PRODUCTS_AT_ONCE = 1 << 14  # rows of two matrices of vectors
_POOL_COLUMNS = ("pair_id", "positive_id", "positive_vector", "status")

NEIGHBOUR = pa.struct(
    [
        pa.field("side_id", ITEM_ID),
        pa.field("pair_id", ITEM_ID),  # a pair whose positive it is
        pa.field("score", pa.float32()),  # with the pair's query
        pa.field("positive_similarity", pa.float32()),  # with the pair's positive
    ]
)
NEIGHBOURS_SCHEMA = pa.schema(
    [
        pa.field(NEIGHBOURS, pa.list_(NEIGHBOUR)),  # the nearest first
        pa.field("positive_score", pa.float32()),  # of the pair's own positive with its query; null: no vector
        pa.field("positive_rank", pa.int32()),  # its place among the neighbours; -1: it is not among them
    ]
)


class NeighbourSearch(MapStage):
    """The k positives of the dataset that are nearest to each pair's query, or to its positive.

    Each different side is found once; of the pairs that have it the first in the pool is named. A pair of which a side
    has no vector finds none, and its positive is not found.
    """

    name = NEIGHBOURS
    reads = (PAIRS, EMBED)
    pools = (PoolRead(EMBED),)
    settings_key = NEIGHBOURS
    settings_type = NeighbourSettings
    schema = NEIGHBOURS_SCHEMA
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = "the nearest positives of its dataset, with their scores, and the score and rank of its own positive"

    def __init__(self, settings: NeighbourSettings, mining: DatasetMining) -> None:
        super().__init__(settings)
        self._settings = settings
        self._mining = mining

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and EMBED in source.tables

    @classmethod
    def create(cls, source: SourceInfo) -> NeighbourSearch:
        return cls(cls.settings_of(source), source.stages.negatives.datasets[source.dataset])

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {**self._settings.canonical(), "search_by": self._mining.search_by}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _Search(self._settings, self._mining)


@dataclass(frozen=True)
class PositiveBlock:
    """The sides of one table of the pool that have a vector."""

    pair_ids: np.ndarray  # uint64[2, n]
    side_ids: np.ndarray  # uint64[2, n]
    vectors: Vectors


class _Search:
    """The function of the stage in one worker: it keeps a pool that fits into `pool_bytes`."""

    def __init__(self, settings: NeighbourSettings, mining: DatasetMining) -> None:
        self._settings = settings
        self._mining = mining
        self._kept: tuple[Pool, list[PositiveBlock]] | None = None
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        """The neighbours of a shard's pairs, with the columns of NEIGHBOURS_SCHEMA."""
        sides = shard[EMBED]
        has_both = column_valid(sides.column("query_vector")) & column_valid(sides.column("positive_vector"))
        rows = np.flatnonzero(has_both)
        query, positive = (column_vectors(sides.column(f"{role}_vector"))[rows] for role in ("query", "positive"))
        positive_ids = split_ids(one_array(sides.column("positive_id")))[:, rows]
        self._refuse_nothing_in_common(query, positive)
        pool = shard.pools[EMBED]
        at_once = max(1, self._settings.memory_bytes // 2 // query_bytes(sides_dimension(sides), self._settings.k))
        tables = [
            self._found(pool, query[part], positive[part], positive_ids[:, part])
            for part in (slice(at, at + at_once) for at in range(0, len(rows), at_once))
        ]
        return _at_rows(pa.concat_tables([NEIGHBOURS_SCHEMA.empty_table(), *tables]), rows, len(has_both))

    def _refuse_nothing_in_common(self, query: Vectors, positive: Vectors) -> None:
        if self._mining.search_by != "query" or not len(query):
            return
        if not row_products(query, positive).any():
            raise ShardError(
                "no query has anything in common with its own positive: this encoder compares pictures with pictures "
                "and texts with texts. Set `search_by: positive` in stages.negatives.datasets"
            )

    def _found(self, pool: Pool, query: Vectors, positive: Vectors, positive_ids: np.ndarray) -> pa.Table:
        search = TopK(
            query if self._mining.search_by == "query" else positive,
            self._settings.k,
            memory_bytes=self._settings.memory_bytes,
        )
        pair_ids = []
        for block in self._blocks(pool):
            search.add(block.side_ids, block.vectors)
            pair_ids.append(block.pair_ids)
        found = search.result()
        known = np.concatenate([np.zeros((2, 0), np.uint64), *pair_ids], axis=1)
        scores = self._scores(pool, found, (query, positive))
        return _table(found, known, scores, row_products(query, positive), positive_ids)

    def _scores(self, pool: Pool, found: Found, sides: tuple[Vectors, Vectors]) -> np.ndarray:
        """The products of each neighbour with the pair's query and its positive, float32[2, n, k].

        The pool is read once more: of the neighbours only places are known.
        """
        scores = np.zeros((2, *found.scores.shape), np.float32)
        start = 0
        for block in self._blocks(pool):
            row, place = np.nonzero((found.positions >= start) & (found.positions < start + len(block.vectors)))
            position = found.positions[row, place] - start
            for at in range(0, len(row), _PRODUCTS_AT_ONCE):
                part = slice(at, at + _PRODUCTS_AT_ONCE)
                for side, vectors in enumerate(sides):
                    products = row_products(vectors[row[part]], block.vectors[position[part]])
                    scores[side, row[part], place[part]] = products
            start += len(block.vectors)
        return scores

    def _blocks(self, pool: Pool) -> Iterator[PositiveBlock]:
        with self._lock:
            if self._kept is not None and self._kept[0] == pool:
                yield from self._kept[1]
                return
        kept: list[PositiveBlock] | None = []
        size = 0
        for block in positive_blocks(pool):
            yield block
            size += block.vectors.nbytes
            if kept is not None and size <= self._settings.pool_bytes:
                kept.append(block)
            else:
                kept = None
        if kept is not None:
            with self._lock:
                self._kept = (pool, kept)


def sides_dimension(sides: pa.Table) -> int:
    """The numbers of a vector of a table of `embed`."""
    return int(sides.schema.field("query_vector").type.byte_width) // 2


def positive_blocks(pool: Pool) -> Iterator[PositiveBlock]:
    """The positives that have a vector, table by table of a pool of tables of `embed`."""
    return map(_block, pool.tables(_POOL_COLUMNS))


def _block(table: pa.Table) -> PositiveBlock:
    kept = pc.equal(table.column("status"), "kept").to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(kept & column_valid(table.column("positive_vector")))
    table = table.take(pa.array(rows)).combine_chunks()
    return PositiveBlock(
        split_ids(one_array(table.column("pair_id"))),
        split_ids(one_array(table.column("positive_id"))),
        column_vectors(table.column("positive_vector")),
    )


def row_products(one: Vectors, other: Vectors) -> np.ndarray:
    """The dot product of each row with the same row of another matrix, float32[n]: exact, then rounded once (see
    `mining.fast_scores.exact_products`)."""
    return np.einsum("nd,nd->n", one, other, dtype=np.float64).astype(np.float32)


def _table(
    found: Found, pair_ids: np.ndarray, scores: np.ndarray, positive_score: np.ndarray, positive_ids: np.ndarray
) -> pa.Table:
    offsets, ids, _, positions = found.lists()
    full = np.arange(found.scores.shape[1]) < found.counts[:, None]
    of_query, of_positive = (pa.array(each[full]) for each in scores)
    entries = pa.StructArray.from_arrays(
        [packed_ids(ids), packed_ids(pair_ids[:, positions]), of_query, of_positive], fields=list(NEIGHBOUR)
    )
    lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), entries)
    self_match = (found.ids == positive_ids[:, :, None]).all(axis=0) & full
    rank = np.where(self_match.any(axis=1), self_match.argmax(axis=1), -1).astype(np.int32)
    return pa.table({NEIGHBOURS: lists, "positive_score": positive_score, "positive_rank": rank}, NEIGHBOURS_SCHEMA)


def _at_rows(found: pa.Table, rows: np.ndarray, total: int) -> pa.Table:
    """The found rows at their places among all rows; the others have an empty list, no score and rank -1."""
    place = np.full(total, -1, np.int64)
    place[rows] = np.arange(len(rows))
    spread = found.take(pa.array(place, mask=place < 0))
    empty = pa.scalar([], pa.list_(NEIGHBOUR))
    return pa.table(
        {
            NEIGHBOURS: pc.coalesce(spread.column(NEIGHBOURS), empty),
            "positive_score": spread.column("positive_score"),
            "positive_rank": pc.fill_null(spread.column("positive_rank"), -1),
        },
        NEIGHBOURS_SCHEMA,
    )
