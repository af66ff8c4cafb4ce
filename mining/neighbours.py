"""Stage `neighbours`, over the pairs of a dataset: the nearest positives of the whole dataset for each pair.

The search is exact (`corpus.search.exact`): its results depend on no engine, number of workers or order. Its pool is
all tables of `embed` of the dataset: it is stale when one of them changes, and when the dataset grows. A frozen pool
has the tables that there were when its name was first used; a pair that is not in it has rank -1.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.bisection import ShardError
from corpus.item_ids import packed_ids, split_ids
from corpus.pool import Pool, PoolRead
from corpus.schema import ITEM_ID, ITEM_ID_BYTES
from corpus.stage import PAIRS, Gives, MapStage, Resources, Shard, SourceInfo, SourcePlug
from corpus.vectors import column_valid, column_vectors
from mining.embed import EMBED
from mining.kept_pool import KeptPool
from mining.neighbour_scores import (
    Listed,
    ScoredNeighbours,
    SearchOptions,
    SearchRows,
    Similarities,
    scored_neighbours,
)
from mining.pool_blocks import PoolBlock, pool_blocks
from mining.settings import DatasetMining, DatasetSearch, NeighbourSettings
from mining.similarities import row_products
from serving.result_cache import ResultCache

NEIGHBOURS = "neighbours"
EXISTING = "existing_negatives"
SEARCH_KEY = "search_key"

_SIMILARITIES = (
    pa.field("score", pa.float32()),  # with the pair's query
    pa.field("positive_similarity", pa.float32()),  # with the pair's positive
    pa.field("highest_positive_similarity", pa.float32()),  # with that or any other positive of an equal query
    pa.field("query_similarity", pa.float32()),  # of the pair's query with the most similar one that has it; -1: none
)
NEIGHBOUR = pa.struct(
    [
        pa.field("side_id", ITEM_ID),
        pa.field("pair_id", ITEM_ID),  # a pair whose positive it is
        *_SIMILARITIES,
    ]
)
EXISTING_NEGATIVE = pa.struct([pa.field("side_id", ITEM_ID), *_SIMILARITIES])
NEIGHBOURS_SCHEMA = pa.schema(
    [
        pa.field(NEIGHBOURS, pa.list_(NEIGHBOUR)),  # the nearest first
        pa.field(EXISTING, pa.list_(EXISTING_NEGATIVE)),  # those that the pair came with, in their order
        pa.field("positive_score", pa.float32()),  # of the pair's own positive with its query; null: no vector
        pa.field("positive_rank", pa.int32()),  # its place among the neighbours; -1: it is not among them
        pa.field(SEARCH_KEY, ITEM_ID),  # of all that the row depends on
    ]
)
_FOUND_SCHEMA = pa.schema([field for field in NEIGHBOURS_SCHEMA if field.name not in (EXISTING, SEARCH_KEY)])


class NeighbourSearch(MapStage):
    """The k positives of the dataset that are nearest to each pair's query, or to its positive.

    Each different side is found once; of the pairs that have it the first in the pool is named. A pair of which a side
    has no vector finds none, and its positive is not found. Queries are compared where the rule
    `max_query_similarity` asks for it: that reads the vectors of all queries as well.
    """

    name = NEIGHBOURS
    version = 2  # 1 had less of each neighbour, and nothing of the negatives that pairs came with
    reads = (PAIRS, EMBED)
    settings_key = NEIGHBOURS
    settings_type = NeighbourSettings
    schema = NEIGHBOURS_SCHEMA
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = "the nearest positives of its dataset, with their scores, and the score and rank of its own positive"

    def __init__(self, settings: NeighbourSettings, mining: DatasetMining, pool: str = "") -> None:
        super().__init__(settings)
        self._settings = settings
        self._mining = mining
        self.resources = Resources(holds_model=True, in_flight=settings.shards_at_once)  # a worker keeps its pool
        self.pools = (PoolRead(EMBED, frozen=pool),)

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and EMBED in source.tables

    @classmethod
    def create(cls, source: SourceInfo) -> NeighbourSearch:
        settings: NeighbourSettings = cls.settings_of(source)
        pool = settings.datasets.get(source.dataset, DatasetSearch()).pool
        return cls(settings, source.stages.negatives.of(source.dataset), pool)

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        mined = stages.negatives.datasets
        for name in stages.neighbours.datasets:
            if name not in mined:
                yield (
                    f"stages.neighbours.datasets.{name}: nothing is searched for there; name it in "
                    "stages.negatives.datasets"
                )

    def fingerprint_inputs(self) -> dict[str, Any]:
        compared = {"compare_queries": True} if self._mining.max_query_similarity is not None else {}
        return {"k": self._settings.k, "search_by": self._mining.search_by, **compared}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _Search(self._settings, self._mining, search_again=not self.pools[0].frozen)


class _Search:
    """The function of the stage in one worker. Thread-safe.

    It keeps a pool that fits into `pool_bytes`; shards that are searched for at once read a larger one together.
    """

    def __init__(self, settings: NeighbourSettings, mining: DatasetMining, search_again: bool) -> None:
        self._settings = settings
        self._mining = mining
        self._options = SearchOptions(
            mining.search_by == "query",
            settings.k,
            settings.memory_bytes // settings.shards_at_once,
            mining.max_query_similarity is not None,
        )
        self._search_again = search_again
        self._cache: ResultCache | None = None
        compare_queries = self._options.compare_queries
        self._pool: KeptPool[PoolBlock] = KeptPool(lambda pool: pool_blocks(pool, compare_queries), settings.pool_bytes)
        self._lock = threading.Lock()

    def __call__(self, shard: Shard) -> pa.Table:
        """Finds the neighbours of a shard's pairs, with the columns of NEIGHBOURS_SCHEMA."""
        sides, pool = shard[EMBED], shard.pools[EMBED]
        has_both = column_valid(sides.column("query_vector")) & column_valid(sides.column("positive_vector"))
        rows = np.flatnonzero(has_both)
        keys = search_keys(sides, rows, self._options, pool)
        places, known = (np.zeros(0, np.int64), None) if self._search_again else self._find(shard, keys)
        missing = rows[np.setdiff1d(np.arange(len(rows)), places)]
        shard.metrics[NEIGHBOURS] = {"searched": len(missing), "found_before": len(places)}
        table = self._search(sides, missing, pool)
        if known is not None:
            at = np.arange(len(has_both))
            at[rows[places]] = len(has_both) + np.arange(len(places))
            table = pa.concat_tables([table, known.cast(table.schema)]).take(pa.array(at))
        key_of = np.full(len(has_both), None, object)
        key_of[rows] = keys
        return table.append_column(NEIGHBOURS_SCHEMA.field(SEARCH_KEY), pa.array(key_of, ITEM_ID))

    def _search(self, sides: pa.Table, rows: np.ndarray, pool: Pool) -> pa.Table:
        """Searches for the neighbours of some rows; all columns but the keys, of all rows."""
        searched, existing = search_rows(sides, rows)
        self._refuse_nothing_in_common(searched)
        at_once = self._options.rows_at_once(searched.query.shape[1])
        parts = [searched.between(at, at + at_once) for at in range(0, len(rows), at_once)]
        found = [scored_neighbours(part, lambda: self._pool.blocks(pool), self._options) for part in parts]
        tables = [_neighbour_table(each, part) for each, part in zip(found, parts, strict=True)]
        table = _at_rows(pa.concat_tables([_FOUND_SCHEMA.empty_table(), *tables]), rows, sides.num_rows)
        lists = _existing_lists(sides, existing, [each.existing for each in found])
        return table.append_column(NEIGHBOURS_SCHEMA.field(EXISTING), lists)

    def _find(self, shard: Shard, keys: Sequence[bytes]) -> tuple[np.ndarray, pa.Table | None]:
        """Finds the rows that were searched for in the same frozen pool before, whatever changed upstream since."""
        with self._lock:
            if self._cache is None:
                self._cache = ResultCache(shard.store, NEIGHBOURS, None, "positive_score", "pairs", {SEARCH_KEY: {}})
                self._cache.refresh()
        return self._cache.find(keys, [*_FOUND_SCHEMA.names, EXISTING])

    def _refuse_nothing_in_common(self, searched: SearchRows) -> None:
        if self._mining.search_by != "query" or not len(searched):
            return
        if not row_products(searched.query, searched.positive).any():
            raise ShardError(
                "no query has anything in common with its own positive: this encoder compares pictures with pictures "
                "and texts with texts. Set `search_by: positive` in stages.negatives.datasets"
            )


def search_keys(sides: pa.Table, rows: np.ndarray, options: SearchOptions, pool: Pool) -> list[bytes]:
    """Returns a hash (16 bytes) of all that the neighbours of a row depend on: pool, kind of search, sides."""
    how = [str(NeighbourSearch.version), *map(str, (options.k, options.by_query, options.compare_queries)), *pool.paths]
    common = hashlib.sha256("\n".join(how).encode())
    columns = [
        sides.column(f"{role}_{part}").to_pylist() for role in ("query", "positive") for part in ("id", "vector")
    ]
    columns += [sides.column(name).to_pylist() for name in ("negative_ids", "negative_vectors")]
    return [_search_key(common, [column[row] for column in columns]) for row in rows.tolist()]


def _search_key(common: Any, values: Sequence[Any]) -> bytes:
    state = common.copy()
    for value in values:
        entries = value or [] if isinstance(value, list) or value is None else [value]
        state.update(len(entries).to_bytes(4, "little"))
        for entry in entries:
            state.update(b"-" if entry is None else b"+" + entry)
    return bytes(state.digest()[:ITEM_ID_BYTES])


def search_rows(sides: pa.Table, rows: np.ndarray) -> tuple[SearchRows, np.ndarray]:
    """Returns the rows of a table of `embed` that are searched for; and which of all its existing
    negatives they bring.
    """
    query, positive = (column_vectors(sides.column(f"{role}_vector"))[rows] for role in ("query", "positive"))
    query_ids, positive_ids = (
        split_ids(one_array(sides.column(f"{role}_id")))[:, rows] for role in ("query", "positive")
    )
    lists, vectors = (one_array(sides.column(name)) for name in ("negative_ids", "negative_vectors"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    place = np.full(len(counts), -1, np.int64)
    place[rows] = np.arange(len(rows))
    owner = np.repeat(place, counts)
    listed = vectors.flatten()
    existing = np.flatnonzero((owner >= 0) & column_valid(listed))
    ids = split_ids(lists.flatten())[:, existing]
    brought = Listed(owner[existing], ids, column_vectors(listed)[existing])
    return SearchRows(query, positive, query_ids, positive_ids, brought), existing


def _similarity_columns(found: Similarities) -> list[pa.Array]:
    return [pa.array(each) for each in (found.score, found.positive, found.highest_positive, found.query)]


def _neighbour_table(found: ScoredNeighbours, searched: SearchRows) -> pa.Table:
    ids = [packed_ids(found.side_ids), packed_ids(found.pair_ids)]
    entries = pa.StructArray.from_arrays([*ids, *_similarity_columns(found.similarities)], fields=list(NEIGHBOUR))
    lists = pa.ListArray.from_arrays(pa.array(found.offsets.astype(np.int32)), entries)
    row = np.repeat(np.arange(len(searched)), np.diff(found.offsets))
    self_match = np.flatnonzero((found.side_ids == searched.positive_ids[:, row]).all(axis=0))
    rank = np.full(len(searched), -1, np.int32)
    rank[row[self_match]] = self_match - found.offsets[row[self_match]]
    score = row_products(searched.query, searched.positive)
    return pa.table({NEIGHBOURS: lists, "positive_score": score, "positive_rank": rank}, _FOUND_SCHEMA)


def _existing_lists(sides: pa.Table, existing: np.ndarray, scored: Sequence[Similarities]) -> pa.Array:
    """Returns the negatives that all pairs came with; those without a score (no vector) have null in its place."""
    lists = one_array(sides.column("negative_ids"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    ids = lists.flatten()
    place = np.full(len(ids), -1, np.int64)
    place[existing] = np.arange(len(existing))
    columns = zip(*map(_similarity_columns, scored), strict=True)
    together = [pa.concat_arrays(column) for column in columns] or [pa.array([], pa.float32())] * len(_SIMILARITIES)
    spread = [column.take(pa.array(place, mask=place < 0)) for column in together]
    entries = pa.StructArray.from_arrays([ids, *spread], fields=list(EXISTING_NEGATIVE))
    offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), entries)


def _at_rows(found: pa.Table, rows: np.ndarray, total: int) -> pa.Table:
    """Returns the found rows at their places among all rows; the others have an empty list, no score and rank -1."""
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
        _FOUND_SCHEMA,
    )
