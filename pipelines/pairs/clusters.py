"""Stage `clusters`, over the pairs of a dataset: which sides are equal or nearly equal, and which pairs must therefore
not be each other's in-batch negatives.

Contrastive training takes the positives of a batch's other pairs as negatives. Where two pairs have the same query, or
the same positive, that teaches the opposite of what they say (a false negative). Images are compared by their items, of
which a family of duplicates has one; texts in their comparable form, and by MinHash where they are nearly the same.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import one_array
from corpus.hashing import mix64
from corpus.item_ids import split_ids
from corpus.schema import ITEM_ID_BYTES, MAX_FALSE_NEGATIVES, PAIR_RELATIONS, Status
from corpus.stage import PAIR_VERDICT, PAIRS, Gives, Shard, ShuffleStage
from corpus.text.keys import side_ids
from corpus.text.minhash import (
    BAND_TAG,
    Shingles,
    TextNearSettings,
    band_plan,
    near_pairs_of_bands,
    shingles,
    signature_band_keys,
    signatures,
)
from corpus.union_find import UnionFind, components

CLUSTERS = "clusters"
_ROLES = ("query", "positive")
_ROWS_AT_ONCE = 8192  # whose false negatives are listed in one go


class PairClustersSettings(TextNearSettings):
    """Settings of clusters: the sides of pairs that count as the same. `min_jaccard` is of texts with the same images,
    or without any.
    """

    near_duplicates: bool = Field(
        True, description="Whether nearly equal sides are clustered as well; false clusters equal sides only."
    )


class PairClusters(ShuffleStage):
    """The cluster of each side, and at most 32 false negatives of each pair.

    A cluster is named by the smallest id of its sides, so it has the same name wherever the same sides are together. It
    holds queries and positives of at least two pairs; a side that is alone has none. "Nearly the same" is carried on:
    where A is like B and B like C, all are one cluster. False negatives are the pairs of the dataset with an equal
    positive, an equal query, a positive of the same cluster, a query of the same cluster, in this order; of more than
    can be listed, those that follow the pair in the order of ids, so that each pair is listed as often as others.

    The shuffle carries 56 bytes for each side, and for each band of each different text of a shard its set of
    shingles, 4 bytes a word, and 56. What comes back to one place are the sides of clusters, 56 bytes each and at most
    once for each band; their lists take at most 512 bytes a pair.
    """

    name = CLUSTERS
    reads = (PAIRS,)
    schema = pa.schema(list(PAIR_RELATIONS))
    settings_key = CLUSTERS
    settings_type = PairClustersSettings
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    optional_reads = (PAIR_VERDICT,)
    emitted_addresses = {"member": len(_ROLES)}
    summary = (
        "the clusters of equal or nearly equal sides that its query and its positive belong to; its false negatives"
    )

    def __init__(self, settings: PairClustersSettings) -> None:
        super().__init__(settings)
        self._near = settings
        self.keeps_emitted = settings.keep_emitted

    def map(self, shard: Shard) -> pa.Table:
        """Returns a row for each side by its whole content, and one for each band of each different text."""
        pairs = shard[PAIRS]
        sides = [one_array(pairs.column(role)) for role in _ROLES]
        ids = np.concatenate([side_ids(side) for side in sides], axis=1)
        members = np.concatenate([shard.row_addresses * 2 + code for code in range(len(_ROLES))])
        pair_ids = pa.concat_arrays([one_array(pairs.column("pair_id"))] * len(_ROLES))
        none = Shingles(np.empty(0, np.uint32), np.zeros(len(members) + 1, np.int64)).to_lists()
        rows = [_rows(ids[0] & ~BAND_TAG, members, ids, pair_ids, none)]
        if self._near.near_duplicates and len(members):
            first = np.sort(np.unique(ids, axis=1, return_index=True)[1])
            texts = pa.concat_arrays(sides).take(first)
            rows.append(self._bands(texts, members[first], ids[:, first], pair_ids.take(first)))
        return pa.concat_tables(rows)

    def _bands(self, sides: pa.StructArray, members: np.ndarray, ids: np.ndarray, pair_ids: pa.Array) -> pa.Table:
        sets = shingles(sides.field("text"), self._near.shingle_words)
        some = np.flatnonzero(sets.sizes)
        bands, height = band_plan(self._near)
        keys = signature_band_keys(signatures(sets, bands * height), bands, height)
        without_text = pa.StructArray.from_arrays(
            [pa.array([""] * len(sides), pa.string()), sides.field("items")], ["text", "items"]
        )
        keys = (mix64(keys + mix64(side_ids(without_text)[0])[:, None]) | BAND_TAG)[some]
        which = np.repeat(some, bands)
        samples = sets.smallest(self._near.max_shingles).to_lists().take(pa.array(which))
        return _rows(keys.ravel(), members[which], ids[:, which], pair_ids.take(pa.array(which)), samples)

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Returns the members of each cluster found among rows that share keys, each with the `root`
        member of its cluster.
        """
        keys = rows.column("key").to_numpy()
        members, place, member = np.unique(rows.column("member").to_numpy(), return_index=True, return_inverse=True)
        by_content = (keys & BAND_TAG) == 0
        clusters = UnionFind(len(members))
        same = np.flatnonzero(by_content)
        words = [rows.column(name).to_numpy()[same] for name in ("id_high", "id_low")]
        order = np.lexsort((member[same], *words))
        equal = np.logical_and.reduce([word[order][1:] == word[order][:-1] for word in words])
        clusters.union(member[same][order][:-1][equal], member[same][order][1:][equal])
        banded = np.flatnonzero(~by_content)
        shingle_lists = [rows.column("shingles").take(banded)]
        keys = rows.column("key").to_numpy()[banded]
        clusters.union(*near_pairs_of_bands(keys, member[banded], shingle_lists, self._near))
        labels = clusters.labels()
        found = np.flatnonzero(np.bincount(labels, minlength=len(members))[labels] > 1)
        table = rows.select(["member", "id_high", "id_low", "pair_id"]).take(place[found])
        return table.append_column("root", pa.array(members[labels[found]]))

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Joins what the partitions found into whole clusters, and lists the pairs of each."""
        member, first, inverse = np.unique(reduced.column("member").to_numpy(), return_index=True, return_inverse=True)
        cluster = components(len(member), inverse, np.searchsorted(member, reduced.column("root").to_numpy()))
        sides = reduced.take(first)
        known, pair = np.unique(split_ids(sides.column("pair_id")), axis=1, return_inverse=True)
        pair = pair.reshape(-1)
        several = _of_several(cluster, pair)
        member, cluster, pair = member[several], cluster[several], pair[several]
        ids = np.stack([sides.column(name).to_numpy()[several] for name in ("id_high", "id_low")])
        side = np.unique(ids, axis=1, return_inverse=True)[1].reshape(-1)
        names = _names(cluster, ids)
        rows, row = np.unique(member >> 1, return_inverse=True)
        columns = {}
        groups = []
        for code, role in enumerate(_ROLES):
            distinct = np.flatnonzero(member & 1 == code)
            chosen = np.full(len(rows), -1, np.int64)
            chosen[row[distinct]] = distinct
            columns[f"{role}_cluster"] = pc.fill_null(names.take(pa.array(chosen, mask=chosen < 0)), "")
            groups += [(side[distinct], row[distinct]), (cluster[distinct], row[distinct])]
        pair_of = np.zeros(len(rows), np.int64)
        pair_of[row] = pair
        in_order = [groups[at] for at in (2, 0, 3, 1)]  # equal positives, equal queries, then those of the clusters
        return pa.table(
            {
                "row_address": rows,
                **columns,
                "false_negatives": _listed(in_order, pair_of, known),
                "status": pa.array([str(Status.KEPT)] * len(rows), pa.string()),
                "reason": pa.array([""] * len(rows), pa.string()),
            }
        )


def _rows(
    keys: np.ndarray, members: np.ndarray, ids: np.ndarray, pair_ids: pa.Array, shingles_of: pa.Array
) -> pa.Table:
    columns = {"key": keys, "member": members, "id_high": ids[0], "id_low": ids[1]}
    return pa.table({**columns, "pair_id": pair_ids, "shingles": shingles_of})


def _of_several(cluster: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Returns the members (int64) of clusters of two different pairs or more."""
    both = np.unique(np.stack([cluster, pair]), axis=1)[0]
    return np.flatnonzero(np.bincount(both, minlength=len(cluster))[cluster] > 1)


def _names(cluster: np.ndarray, ids: np.ndarray) -> pa.Array:
    """Returns the name of each member's cluster: the smallest id in it, in hexadecimal digits."""
    order = np.lexsort((ids[1], ids[0], cluster))
    new = np.append(True, np.diff(cluster[order]) != 0)[: len(order)]
    lowest = np.empty_like(order)
    lowest[order] = order[new][np.cumsum(new) - 1] if len(order) else order
    digits = ids[:, lowest].T.astype(">u8").tobytes().hex()
    return pa.array([digits[at : at + 32] for at in range(0, len(digits), 32)], pa.string())


def _listed(groups: list[tuple[np.ndarray, np.ndarray]], pair: np.ndarray, known: np.ndarray) -> pa.Array:
    """Lists for each of n rows the ids of the pairs that share a group with it, those of the first groups first.

    `groups`: for each kind of group, the group of some rows and these rows. `pair`: int64[n], into `known`, the ids
    (uint64[2, m], ascending).
    """
    kinds = [_circles(group, row, pair) for group, row in groups]
    lists, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(pair), _ROWS_AT_ONCE):
        part = slice(start, min(start + _ROWS_AT_ONCE, len(pair)))
        others = np.concatenate([_following(*kind, part) for kind in kinds], axis=1)
        others[others == pair[part, None]] = -1
        order = np.argsort(others, axis=1, kind="stable")
        ordered = np.take_along_axis(others, order, axis=1)
        fresh = ordered >= 0
        fresh[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
        keep = np.zeros_like(fresh)
        np.put_along_axis(keep, order, fresh, axis=1)
        keep &= np.cumsum(keep, axis=1) <= MAX_FALSE_NEGATIVES
        lists.append(others[keep])
        counts.append(keep.sum(axis=1))
    offsets = np.append(0, np.cumsum(np.concatenate(counts))).astype(np.int32)
    ids = known[:, np.concatenate(lists)].T.astype(">u8").tobytes()
    kind = PAIR_RELATIONS[-1].type
    values = pa.FixedSizeBinaryArray.from_buffers(kind.value_type, len(ids) // ITEM_ID_BYTES, [None, pa.py_buffer(ids)])
    return pa.ListArray.from_arrays(pa.array(offsets), values).cast(kind)


def _circles(
    group: np.ndarray, row: np.ndarray, pair: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs of each group in ascending order, one group after the other; and for each row (n) where there
    its group begins, how many it has (0: none), and the row's own place in it.
    """
    circles, at = np.unique(np.stack([group, pair[row]]), axis=1, return_inverse=True)
    at = at.reshape(-1)
    starts = np.searchsorted(circles[0], group, side="left")
    sizes = np.searchsorted(circles[0], group, side="right") - starts
    start, size, place = (np.zeros(len(pair), np.int64) for _ in range(3))
    start[row], size[row], place[row] = starts, sizes, at - starts
    return circles[1], start, size, place


def _following(circle: np.ndarray, start: np.ndarray, size: np.ndarray, place: np.ndarray, part: slice) -> np.ndarray:
    """Returns int64[rows, 32]: the pairs that follow each row's own in its group, past its end from
    its beginning; -1: none.
    """
    steps = np.arange(1, MAX_FALSE_NEGATIVES + 1)
    size, start, place = size[part, None], start[part, None], place[part, None]
    at = start + (place + steps) % np.maximum(size, 1)
    return np.where(steps < size, circle[at.clip(max=max(0, len(circle) - 1))] if len(circle) else -1, -1)
