"""Reads the contents of the chosen pairs: the ids of their items, and keys by which contents are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import places_in_runs
from corpus.hashing import hash_strings
from corpus.item_ids import split_ids
from corpus.read_ahead import read_ahead
from corpus.schema import MINED_FALSE_NEGATIVES
from corpus.text.keys import side_ids, text_keys
from corpus.workspace import Workspace
from pipelines.publish.candidates import CandidatePairs, PairTable, places_by_table
from pipelines.publish.false_negatives import PairLinks, concatenate_links, links_of
from pipelines.publish.mixture import PublishError
from pipelines.publish.sample_order import SampleOrder

ROLES = ("query", "positive", "negatives")


@dataclass(frozen=True, eq=False)
class PairContents:
    """The contents of m chosen pairs: their items, table by table, and keys by which contents are compared.

    A pair uses the first of its negatives, up to the number of the mixture. Keys are equal for equal content: of the
    items where there are any, else of the text in its normalized form; 0 stands for no content. Ids are equal for sides
    that are equal in all (see `side_ids`), and for those of one cluster.
    """

    tables: tuple[Mapping[str, np.ndarray], ...]  # of each table: role -> ids, uint64[2, k]
    counts: Mapping[str, int]  # role -> items of each, the same in all pairs
    negative_counts: np.ndarray  # int64[m]
    query_key: np.ndarray  # uint64[m]
    positive_key: np.ndarray  # uint64[m]
    negative_keys: np.ndarray  # uint64[m, negatives]
    source_key: np.ndarray  # uint64[m], of the source's URL; 0: not compared
    query_id: np.ndarray  # uint64[m], the first word of the side's id, or a hash of its cluster
    positive_id: np.ndarray  # uint64[m], the same
    clustered: int = 0  # pairs of which a side is in a cluster
    false_negatives: PairLinks = field(default_factory=PairLinks.none)  # that mining found

    def ordered(self, order: np.ndarray) -> PairContents:
        """Returns the same pairs in another order."""
        sides = ("query_key", "positive_key", "query_id", "positive_id")
        names = ("negative_counts", "negative_keys", "source_key", *sides)
        columns = {name: getattr(self, name)[order] for name in names}
        return replace(self, **columns, false_negatives=self.false_negatives.ordered(order))


def read_pair_contents(
    workspace: Workspace,
    pairs: Sequence[PairTable],
    candidates: CandidatePairs,
    sample_order: SampleOrder,
    negatives: int,
    sources: bool = False,
) -> PairContents:
    """Reads the items of the chosen pairs, and with `sources` also the URLs that the pairs are from.

    Raises PublishError where pairs differ in their number of items.
    """
    total = len(sample_order.chosen)
    negative_counts = np.zeros(total, np.int64)
    query_key, positive_key, source_key, query_id, positive_id = (np.zeros(total, np.uint64) for _ in range(5))
    negative_keys = np.zeros((total, negatives), np.uint64)
    clustered = 0
    counts: dict[str, set[int]] = {role: set() for role in ROLES}
    tables, links = [], []
    place_of = np.full(len(candidates), -1, np.int64)
    place_of[sample_order.chosen] = np.arange(total)
    row_of = candidates.row[sample_order.chosen]
    of_tables = places_by_table(candidates.table[sample_order.chosen], len(pairs))
    columns = _columns(negatives > 0, sources)
    for rows, places in zip(read_ahead(lambda each: each.read(workspace, columns), pairs), of_tables, strict=True):
        rows = rows.take(row_of[places])
        links.append(links_of(rows, places, candidates.ids, place_of))
        if sources:
            source_key[places] = hash_strings(rows.column("source_url"))
        query, positive = rows.column("query").combine_chunks(), rows.column("positive").combine_chunks()
        query_id[places], of_query = _cluster_ids(side_ids(query)[0], rows, "query_cluster")
        positive_id[places], of_positive = _cluster_ids(side_ids(positive)[0], rows, "positive_cluster")
        clustered += int((of_query | of_positive).sum())
        ids = {}
        query_key[places], ids["query"] = _content_keys(query, counts["query"])
        positive_key[places], ids["positive"] = _content_keys(positive, counts["positive"])
        if negatives:
            listed = rows.column("negatives").combine_chunks()
            used = first_entries(listed, negatives)
            lengths = used.value_lengths().to_numpy(zero_copy_only=False)
            keys, ids["negatives"] = _content_keys(used.flatten(), counts["negatives"])
            negative_counts[places] = lengths
            owner = np.repeat(places, lengths)
            slot = places_in_runs(lengths)
            negative_keys[owner, slot] = keys
        tables.append(ids)
    return PairContents(
        tuple(tables),
        {role: _only_count(role, found) for role, found in counts.items()},
        negative_counts,
        query_key,
        positive_key,
        negative_keys,
        source_key,
        query_id,
        positive_id,
        clustered,
        concatenate_links(links),
    )


def _cluster_ids(ids: np.ndarray, pairs: pa.Table, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Replaces the ids of sides in a cluster by that of the cluster: uint64[n], and which these are: bool[n]."""
    if column not in pairs.column_names:
        return ids, np.zeros(len(ids), np.bool_)
    clusters = pc.fill_null(pairs.column(column), "")
    clustered = pc.not_equal(clusters, "").to_numpy()
    return np.where(clustered, hash_strings(clusters), ids), clustered


def _columns(negatives: bool, sources: bool) -> list[str]:
    columns = [f"{side}.{part}" for side in ("query", "positive") for part in ("text", "items")]
    columns += ["negatives"] if negatives else []
    columns += ["source_url"] if sources else []
    return [*columns, "query_cluster", "positive_cluster", MINED_FALSE_NEGATIVES.name]


def negatives_per_pair(
    workspace: Workspace, pairs: Sequence[PairTable], candidates: CandidatePairs, chosen: np.ndarray
) -> np.ndarray:
    """Counts the negatives that each of the chosen candidates has: int64[m]."""
    found = np.zeros(len(chosen), np.int64)
    row = candidates.row[chosen]
    of_tables = places_by_table(candidates.table[chosen], len(pairs))
    for read, places in zip(
        read_ahead(lambda each: each.read(workspace, ["negatives"]), pairs), of_tables, strict=True
    ):
        lists = read.column("negatives")
        found[places] = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()[row[places]]
    return found


def first_entries(lists: pa.Array, max_entries: int) -> pa.Array:
    """Truncates each list to its first `max_entries` entries; a null list becomes empty."""
    lengths = np.minimum(lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), max_entries)
    starts = lists.offsets.to_numpy()[:-1]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    taken = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
    return pa.ListArray.from_arrays(offsets, lists.values.take(taken))


def _content_keys(sides: pa.StructArray, counts: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the key of each side, uint64[n], and the ids of all items, uint64[2, k]; adds the items of a side to
    `counts`."""
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


def _only_count(role: str, counts: set[int]) -> int:
    if len(counts) > 1:
        raise PublishError(
            f"its pairs have {' or '.join(map(str, sorted(counts)))} items as {role}, but all samples of a dataset "
            "must have the same fields: make them datasets of their own (`require_images_on` of a source of pairs)"
        )
    return next(iter(counts), 0)
