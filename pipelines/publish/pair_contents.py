"""The contents of the chosen pairs: the ids of their items, and keys that tell their contents apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.hashing import hash_strings
from corpus.item_ids import split_ids
from corpus.sides import side_ids
from corpus.text.keys import text_keys
from corpus.workspace import Workspace
from pipelines.publish.mixture import CandidatePairs, PublishError, SampleOrder
from pipelines.publish.pair_tables import PairTable

ROLES = ("query", "positive", "negatives")


@dataclass(frozen=True, eq=False)
class PairContents:
    """The contents of m chosen pairs: their items, table by table, and keys that tell the contents of pairs apart.

    A pair uses the first of its own negatives, as many as the mixture asks for. Keys are equal for equal content: of
    the items where there are some, else of the text in its comparable form; 0 stands for no content. Ids are equal for
    sides that are equal as a whole, as `side_ids` has them, and for those of one cluster.
    """

    tables: tuple[Mapping[str, np.ndarray], ...]  # of each table: role -> ids, uint64[2, k]
    counts: Mapping[str, int]  # role -> items of each, the same in all pairs
    own_negatives: np.ndarray  # int64[m]
    query_key: np.ndarray  # uint64[m]
    positive_key: np.ndarray  # uint64[m]
    negative_keys: np.ndarray  # uint64[m, negatives]
    source_key: np.ndarray  # uint64[m], of the source's URL; 0: it doesn't matter
    query_id: np.ndarray  # uint64[m], the first word of the side's id, or a hash of its cluster
    positive_id: np.ndarray  # uint64[m], the same
    clustered: int = 0  # pairs of which a side is in a cluster

    def ordered(self, order: np.ndarray) -> PairContents:
        """The same pairs in another order."""
        names = ("own_negatives", "query_key", "positive_key", "negative_keys", "source_key", "query_id", "positive_id")
        return replace(self, **{name: getattr(self, name)[order] for name in names})


def read_pair_contents(
    workspace: Workspace,
    pairs: Sequence[PairTable],
    candidates: CandidatePairs,
    arranged: SampleOrder,
    negatives: int,
    sources: bool = False,
) -> PairContents:
    """Read the items that the chosen pairs name, and with `sources` where the pairs are from.

    Raises PublishError where pairs differ in their number of items.
    """
    total = len(arranged.chosen)
    own_counts = np.zeros(total, np.int64)
    query_key, positive_key, source_key, query_id, positive_id = (np.zeros(total, np.uint64) for _ in range(5))
    negative_keys = np.zeros((total, negatives), np.uint64)
    clustered = 0
    counts: dict[str, set[int]] = {role: set() for role in ROLES}
    tables = []
    table_of, row_of = candidates.table[arranged.chosen], candidates.row[arranged.chosen]
    by_table = np.argsort(table_of, kind="stable")
    ends = np.searchsorted(table_of[by_table], np.arange(len(pairs)), side="right")
    for each, places in zip(pairs, np.split(by_table, ends[:-1]), strict=True):
        rows = _read_rows(workspace, each, row_of[places], negatives > 0, sources)
        if sources:
            source_key[places] = hash_strings(rows.column("source_url"))
        query, positive = rows.column("query").combine_chunks(), rows.column("positive").combine_chunks()
        query_id[places], of_query = _families(side_ids(query)[0], rows, "query_cluster")
        positive_id[places], of_positive = _families(side_ids(positive)[0], rows, "positive_cluster")
        clustered += int((of_query | of_positive).sum())
        ids = {}
        query_key[places], ids["query"] = _content(query, counts["query"])
        positive_key[places], ids["positive"] = _content(positive, counts["positive"])
        if negatives:
            listed = rows.column("negatives").combine_chunks()
            used = first_entries(listed, negatives)
            lengths = used.value_lengths().to_numpy(zero_copy_only=False)
            keys, ids["negatives"] = _content(used.flatten(), counts["negatives"])
            own_counts[places] = lengths
            owner = np.repeat(places, lengths)
            slot = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            negative_keys[owner, slot] = keys
        tables.append(ids)
    return PairContents(
        tuple(tables),
        {role: _same(role, found) for role, found in counts.items()},
        own_counts,
        query_key,
        positive_key,
        negative_keys,
        source_key,
        query_id,
        positive_id,
        clustered,
    )


def _families(ids: np.ndarray, pairs: pa.Table, column: str) -> tuple[np.ndarray, np.ndarray]:
    """The ids of sides (uint64[n]), of those in a cluster that of the cluster; and which these are (bool[n])."""
    if column not in pairs.column_names:
        return ids, np.zeros(len(ids), np.bool_)
    clusters = pc.fill_null(pairs.column(column), "")
    clustered = pc.not_equal(clusters, "").to_numpy()
    return np.where(clustered, hash_strings(clusters), ids), clustered


def _read_rows(workspace: Workspace, pairs: PairTable, rows: np.ndarray, negatives: bool, sources: bool) -> pa.Table:
    columns = [f"{side}.{part}" for side in ("query", "positive") for part in ("text", "items")]
    columns += ["negatives"] if negatives else []
    columns += ["source_url"] if sources else []
    return pairs.read(workspace, [*columns, "query_cluster", "positive_cluster"]).take(rows)


def negatives_per_pair(
    workspace: Workspace, pairs: Sequence[PairTable], candidates: CandidatePairs, chosen: np.ndarray
) -> np.ndarray:
    """int64[m]: how many negatives of its own each of the chosen candidates has."""
    found = np.zeros(len(chosen), np.int64)
    table, row = candidates.table[chosen], candidates.row[chosen]
    for number, each in enumerate(pairs):
        places = np.flatnonzero(table == number)
        lists = each.read(workspace, ["negatives"]).column("negatives")
        found[places] = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()[row[places]]
    return found


def first_entries(lists: pa.Array, max_entries: int) -> pa.Array:
    """The first `max_entries` entries of each list; a list that is null is empty."""
    lengths = np.minimum(lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), max_entries)
    starts = lists.offsets.to_numpy()[:-1]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    taken = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return pa.ListArray.from_arrays(offsets, lists.values.take(taken))


def _content(sides: pa.StructArray, counts: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """The key of each side, uint64[n], and the ids of all their items, uint64[2, k]; notes the items of each."""
    items = sides.field("items")
    lengths = items.value_lengths().to_numpy(zero_copy_only=False)
    ids = split_ids(items.flatten())
    counts.update(np.unique(lengths).tolist())
    keys = np.zeros(len(lengths), np.uint64)
    np.add.at(keys, np.repeat(np.arange(len(lengths)), lengths), ids[0])  # ids are hashes: their sum is as good as one
    if not ids.size:
        text = sides.field("text")
        keys[:] = text_keys(text)[:, 0]
        keys[pc.equal(pc.fill_null(text, ""), "").to_numpy(zero_copy_only=False)] = 0
    return keys, ids


def _same(role: str, counts: set[int]) -> int:
    if len(counts) > 1:
        raise PublishError(
            f"its pairs have {' or '.join(map(str, sorted(counts)))} items as {role}, but all samples of a dataset "
            "must have the same fields: make them datasets of their own (`images_on` of a source of given pairs)"
        )
    return next(iter(counts), 0)
