"""Candidates for the negatives of a shard's pairs: what was found near them, or what they came with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.item_ids import find_ids, split_ids
from mining.choose import Candidates, Mask, Reason, pool_positives
from mining.dataset_index import DatasetIndex, is_in

_UNSCORED = np.float32(-1)  # of a candidate without a vector: no bound takes it


@dataclass(frozen=True, eq=False)
class Dataset:
    """A whole dataset as mining needs it."""

    index: DatasetIndex
    answers: np.ndarray  # see `DatasetIndex.answers`
    reference: np.ndarray  # float32[n], the least score of the positives of each pair's query
    max_positives: int  # of one query
    related_labels: np.ndarray  # int[p, 2], numbers of labels of which one contains the other

    @staticmethod
    def of(index: DatasetIndex, scores: Mapping[str, np.ndarray], related_labels: np.ndarray) -> Dataset:
        """Builds them from `scores`: ids of pairs (`pair_ids`, uint64[2, k]) and their positives'
        scores (`scores`, float32[k]).
        """
        known = np.full(len(index), np.finfo(np.float32).max, np.float32)  # a pair without a score bounds nothing
        rows = index.rows_of(scores["pair_ids"])
        known[rows[rows >= 0]] = scores["scores"][rows >= 0]
        query_ids = np.stack([index.query, index.query]).astype(np.uint64)
        reference, max_positives = pool_positives(query_ids, known)
        return Dataset(index, index.answers(), reference, max_positives, related_labels)


@dataclass(frozen=True, eq=False)
class CandidateLists:
    """The candidates of the pairs of a shard, m in all: those of a pair together, the best first."""

    offsets: np.ndarray  # int64[rows + 1]
    sides: np.ndarray  # int64[m], into `DatasetIndex.sides`; -1: it is no positive of the dataset
    scores: np.ndarray  # float32[m], with the query
    positive_similarity: np.ndarray  # float32[m], with the pair's own positive
    highest_similarity: np.ndarray  # float32[m], with that or any other positive of an equal query
    query_similarity: np.ndarray  # float32[m], of the query with the most similar one that owns it; -1: none
    places: np.ndarray  # int64[m], in the list that they were taken from
    scored: np.ndarray  # bool[m]: they have a vector

    def rows(self) -> np.ndarray:
        """Returns the row of each candidate, int64[m]."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def without(self, removed: np.ndarray) -> CandidateLists:
        """Returns the lists without some of the candidates (bool[m])."""
        rows = self.rows()[~removed]
        offsets = np.searchsorted(rows, np.arange(len(self.offsets))).astype(np.int64)
        return CandidateLists(offsets, *(column[~removed] for column in self._columns()))

    def ordered(self, order: np.ndarray) -> CandidateLists:
        """Returns the same candidates in another order, each within its row."""
        return CandidateLists(self.offsets, *(column[order] for column in self._columns()))

    def _columns(self) -> tuple[np.ndarray, ...]:
        similarities = (self.positive_similarity, self.highest_similarity, self.query_similarity)
        return self.sides, self.scores, *similarities, self.places, self.scored

    def candidates(self, dataset: Dataset, pairs: np.ndarray, by_positive: bool, existing: bool = False) -> Candidates:
        """Returns what `choose` needs of them; `pairs` are the rows of the index that the lists belong to.

        With `by_positive` they are ranked by their similarity to the positive, against that of the positive itself.
        Negatives that pairs came with (`existing`) may be the query itself: some sets name it on purpose.
        """
        rows = self.rows()
        ids = np.stack([self.sides, self.places]).astype(np.uint64)
        if len(dataset.index.sides[0]) and (self.sides >= 0).all():
            ids = dataset.index.sides[:, self.sides]
        return Candidates(
            dataset.index.pair_ids[:, pairs],
            self.offsets,
            ids,
            self.positive_similarity if by_positive else self.scores,
            np.ones(len(pairs), np.float32) if by_positive else dataset.reference[pairs],
            exclusions(dataset, pairs[rows], self.sides, existing),
            self.highest_similarity,
            self.query_similarity,
        )


def neighbour_lists(lists: pa.ListArray, index: DatasetIndex) -> CandidateLists:
    """Reads the neighbours of a shard's pairs (lists of `mining.neighbours.NEIGHBOUR`) that are still in the index."""
    found = _lists(lists, index)
    return found.without(found.sides < 0)


def existing_lists(lists: pa.ListArray, index: DatasetIndex, by_positive: bool) -> CandidateLists:
    """Reads the negatives that a shard's pairs came with (lists of
    `mining.neighbours.EXISTING_NEGATIVE`), the best first.
    """
    found = _lists(lists, index)
    by = found.positive_similarity if by_positive else found.scores
    order = np.lexsort((found.places, -by, found.rows()))
    return found.ordered(order)


def _lists(lists: pa.ListArray, index: DatasetIndex) -> CandidateLists:
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    offsets = np.append(0, np.cumsum(counts))
    entries = lists.flatten()
    scored = entries.field("score").is_valid().to_numpy(zero_copy_only=False)

    def numbers(name: str) -> np.ndarray:
        return np.where(scored, entries.field(name).to_numpy(zero_copy_only=False), _UNSCORED).astype(np.float32)

    return CandidateLists(
        offsets,
        find_ids(index.sides, split_ids(entries.field("side_id"))),
        numbers("score"),
        numbers("positive_similarity"),
        numbers("highest_positive_similarity"),
        numbers("query_similarity"),
        np.arange(len(entries)) - np.repeat(offsets[:-1], counts),
        scored,
    )


def exclusions(dataset: Dataset, pairs: np.ndarray, sides: np.ndarray, existing: bool = False) -> dict[Reason, Mask]:
    """Returns which candidates are no negatives whatever their score: sides[i] of the pair pairs[i] of the index."""
    index = dataset.index
    total = index.sides.shape[1]
    texts = np.where(sides >= 0, index.side_text[sides] if total else np.uint64(0), np.uint64(0))
    positive_text = index.side_text[index.positive[pairs]] if total else texts
    answers = is_in(index.query[pairs] * total + sides, dataset.answers) & (sides >= 0)
    masks = {
        Reason.OWN_POSITIVE: (index.positive[pairs] == sides) & (sides >= 0),
        Reason.POSITIVE_OF_EQUAL_QUERY: answers,
        Reason.SAME_CLUSTER: index.clusters.shared(pairs, sides),
        Reason.SAME_LABEL: index.labels.shared(pairs, sides),
        Reason.RELATED_LABEL: index.labels.related(pairs, sides, dataset.related_labels),
        Reason.EQUAL_TEXT: (texts != 0) & ((texts == index.query_text[pairs]) | (texts == positive_text)),
    }
    if not existing:
        masks[Reason.SAME_GROUP] = index.groups.shared(pairs, sides)
        masks[Reason.QUERY_ITEM] = _query_items(index, pairs, sides)
    return masks


def _query_items(index: DatasetIndex, pairs: np.ndarray, sides: np.ndarray) -> Mask:
    """Returns whether a candidate is the query, or has one of its items."""
    same = (index.query_side[pairs] == sides) & (sides >= 0)
    of_queries, of_sides = index.items.take(pa.array(pairs)), index.side_items().take(pa.array(np.maximum(sides, 0)))
    first, second = (split_ids(lists.flatten()) for lists in (of_queries, of_sides))
    if not first.shape[1] or not second.shape[1]:
        return np.asarray(same)
    owner = [np.repeat(np.arange(len(pairs)), pc.list_value_length(lists)) for lists in (of_queries, of_sides)]
    codes = np.unique(np.concatenate([first, second], axis=1), axis=1, return_inverse=True)[1].reshape(-1)
    size = int(codes.max()) + 1
    query_codes = np.unique(owner[0] * size + codes[: first.shape[1]])
    shared = is_in(owner[1] * size + codes[first.shape[1] :], query_codes)
    same = same.copy()
    same[owner[1][shared]] = True
    return np.asarray(same & (sides >= 0))
