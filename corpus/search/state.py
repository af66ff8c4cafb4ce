"""The state of a search: the block of the pool that candidates are of, the best so far, ids that are no candidates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from corpus.arrays import Floats, Places
from corpus.hashing import mix64
from corpus.item_ids import Ids, find_ids, unique_ids
from corpus.vectors import Vectors

SortKeys = npt.NDArray[np.uint64]

_32 = np.uint64(32)
_LOW = np.uint64(2**32 - 1)
_MAX_ROWS = 2**32 - 1  # of a window: a key has 32 bits for them


def ordered(scores: Floats) -> SortKeys:
    """Returns 32-bit numbers in the order of float32 numbers (neither NaN nor -0), none of them 0."""
    bits = scores.view(np.uint32)
    flipped = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))
    return flipped.astype(np.uint64)


def scores_of(numbers: SortKeys) -> Floats:
    """Inverts `ordered`."""
    flipped = numbers.astype(np.uint32)
    return np.where(flipped >> np.uint32(31), flipped & np.uint32(2**31 - 1), ~flipped).astype(np.uint32).view("f4")


def packed(scores: Floats, places: npt.NDArray[np.integer]) -> SortKeys:
    """Returns keys in the order of scores, then of places (each below 2**32); 0 is none of them."""
    return ordered(scores) << _32 | places.astype(np.uint64)


def unpacked(keys: SortKeys) -> tuple[Floats, Places]:
    """Returns the scores and places of keys."""
    return scores_of(keys >> _32), (keys & _LOW).astype(np.int64)


class PendingRows:
    """The part of a pool whose candidates are not scored exactly yet: views of the blocks that were added.

    Rows that repeat an id and its vector are left out. Rows that repeat an id with another vector are kept, and told
    apart: of an id one counts where k different ones are asked for.
    """

    def __init__(self, dimension: int, max_bytes: int) -> None:
        self._max_rows = min(max_bytes // (2 * dimension), _MAX_ROWS)
        self.clear()

    def clear(self) -> None:
        """Removes all rows."""
        self.rows = 0
        self._starts: list[int] = []
        self._vectors: list[Vectors] = []
        self._ids: list[Ids] = []
        self._positions: list[Places] = []
        self._repeats: list[npt.NDArray[np.bool_]] = []
        self._known = np.zeros(0, np.uint64)  # hashes of ids, ascending, and the rows that they were first in
        self._known_rows = np.zeros(0, np.int64)
        self._joined: tuple[Ids, Places] | None = None
        self._has_repeats = False

    def is_full_with(self, rows: int) -> bool:
        """Returns whether so many more rows exceed the memory."""
        return bool(self.rows) and self.rows + rows > self._max_rows

    def add(self, ids: Ids, vectors: Vectors, first_position: int) -> tuple[Ids, Vectors]:
        """Appends a block; returns what is kept of it."""
        positions = np.arange(first_position, first_position + len(vectors))
        hashes = mix64(ids[0] ^ mix64(ids[1]))
        order = np.argsort(hashes, kind="stable")
        before, within = self._first_rows(hashes[order], order)
        repeats = (before >= 0) | (within != np.arange(len(vectors)))
        keep = ~repeats
        if repeats.any():
            keep[repeats] = ~self._equal(ids, vectors, np.flatnonzero(repeats), before, within)
        row = self.rows + np.cumsum(keep) - 1
        fresh = order[~repeats[order]]
        self._remember(hashes[fresh], row[fresh])
        if not keep.all():
            ids, vectors, positions, repeats = ids[:, keep], vectors[keep], positions[keep], repeats[keep]
        self._starts.append(self.rows)
        self._ids.append(ids)
        self._vectors.append(vectors)
        self._positions.append(positions)
        self._repeats.append(repeats)
        self.rows += len(vectors)
        self._joined = None
        self._has_repeats |= bool(repeats.any())
        return ids, vectors

    def distinct_from(self, start: int) -> Places | None:
        """Returns which rows of the last block, from window row `start` on, repeat no id of the
        window; None for all.
        """
        repeats = self._repeats[-1]
        assert start == self._starts[-1]
        return np.flatnonzero(~repeats) if repeats.any() else None

    def columns(self) -> tuple[Ids, Places]:
        """Returns ids and positions in the pool of all rows."""
        if self._joined is None:
            self._joined = np.concatenate(self._ids, axis=1), np.concatenate(self._positions)
        return self._joined

    def repeats(self) -> npt.NDArray[np.bool_] | None:
        """Returns which rows repeat an id; None where none does."""
        return np.concatenate(self._repeats) if self._has_repeats else None

    def blocks(self) -> Iterator[tuple[Ids, Vectors]]:
        """Yields ids and vectors, block by block."""
        yield from zip(self._ids, self._vectors, strict=True)

    def vectors(self, rows: Places) -> Vectors:
        """Returns the vectors of some rows, float16[len(rows), d]."""
        if len(self._vectors) == 1:
            return self._vectors[0][rows]
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        found = np.empty((len(rows), self._vectors[0].shape[1]), np.float16)
        bounds = np.searchsorted(ascending, [*self._starts, self.rows])
        for at in np.flatnonzero(np.diff(bounds)):
            part = slice(bounds[at], bounds[at + 1])
            found[order[part]] = self._vectors[at][ascending[part] - self._starts[at]]
        return found

    def _first_rows(self, hashes: SortKeys, order: Places) -> tuple[Places, Places]:
        """Finds for each of a block's rows the window's first with the same hash, or -1; and the block's own first.

        `hashes` are ascending, of the rows in this order.
        """
        new = np.ones(len(hashes), bool)
        new[1:] = hashes[1:] != hashes[:-1]
        before, within = np.full(len(hashes), -1, np.int64), np.empty(len(hashes), np.int64)
        within[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
        if len(self._known):
            at = np.minimum(np.searchsorted(self._known, hashes), len(self._known) - 1)
            before[order] = np.where(self._known[at] == hashes, self._known_rows[at], -1)
        return before, within

    def _equal(self, ids: Ids, vectors: Vectors, rows: Places, before: Places, within: Places) -> npt.NDArray[np.bool_]:
        """Returns whether these rows have the id and the vector of the first that has their hash."""
        old = before[rows] >= 0
        first_ids, first_vectors = ids[:, within[rows]], vectors[within[rows]]
        if old.any():
            first_ids[:, old] = self.columns()[0][:, before[rows][old]]
            first_vectors[old] = self.vectors(before[rows][old])
        same = (first_ids == ids[:, rows]).all(axis=0)
        return same & (first_vectors.view(np.uint16) == vectors[rows].view(np.uint16)).all(axis=1)

    def _remember(self, hashes: SortKeys, rows: Places) -> None:
        at = np.searchsorted(self._known, hashes)
        self._known = np.insert(self._known, at, hashes)
        self._known_rows = np.insert(self._known_rows, at, rows)


class Best:
    """The best k candidates of each query by the score of record, among those that were scored exactly."""

    def __init__(self, rows: int, k: int) -> None:
        self.scores = np.full((rows, k), -np.inf, np.float32)
        self.ids = np.zeros((2, rows, k), np.uint64)
        self.positions = np.full((rows, k), -1, np.int64)

    def merge(self, rows: Places, scores: Floats, ids: Ids, positions: Places) -> None:
        """Takes candidates in: for each of some rows, [len(rows), m] of them; those with a score of -inf are none."""
        k = self.scores.shape[1]
        scores = np.concatenate([self.scores[rows], scores], axis=1)
        ids = np.concatenate([self.ids[:, rows], ids], axis=2)
        positions = np.concatenate([self.positions[rows], positions], axis=1)
        keys = packed(scores, np.arange(scores.shape[1]))
        keys = np.sort(keys, axis=1)[:, : -(k + 2) : -1]
        _, places = unpacked(keys)
        self.scores[rows] = np.take_along_axis(scores, places[:, :k], axis=1)
        self.positions[rows] = np.take_along_axis(positions, places[:, :k], axis=1)
        for half in range(2):
            self.ids[half, rows] = np.take_along_axis(ids[half], places[:, :k], axis=1)
        empty = self.scores[rows] == -np.inf
        self.positions[rows] = np.where(empty, -1, self.positions[rows])
        self.ids[:, rows] = np.where(empty, np.uint64(0), self.ids[:, rows])
        unclear = self._unclear(keys >> _32, scores, ids)
        if unclear.any():
            part = np.flatnonzero(unclear)
            self._merge_by_id(rows[part], scores[part], ids[:, part], positions[part])

    @staticmethod
    def _unclear(highest: SortKeys, scores: Floats, ids: Ids) -> npt.NDArray[np.bool_]:
        """Returns rows in which equal scores are among the highest, or an id may stand twice: there ids decide."""
        empty = ordered(np.array([-np.inf], np.float32))
        ties = (highest[:, 1:] == highest[:, :-1]) & (highest[:, 1:] > empty)
        hashes = np.where(scores > -np.inf, ids[0] ^ mix64(ids[1]), np.arange(scores.shape[1], dtype=np.uint64))
        hashes.sort(axis=1)
        return ties.any(axis=1) | (hashes[:, 1:] == hashes[:, :-1]).any(axis=1)

    def _merge_by_id(self, rows: Places, scores: Floats, ids: Ids, positions: Places) -> None:
        k = self.scores.shape[1]
        full = scores > -np.inf
        row = np.nonzero(full)[0]
        scores, ids, positions = scores[full], ids[:, full], positions[full]
        order = np.lexsort((positions, -scores, ids[1], ids[0], row))
        row, scores, ids, positions = row[order], scores[order], ids[:, order], positions[order]
        first = np.ones(len(row), bool)  # of its id in its row: the one with the best score
        first[1:] = (row[1:] != row[:-1]) | (ids[:, 1:] != ids[:, :-1]).any(axis=0)
        row, scores, ids, positions = row[first], scores[first], ids[:, first], positions[first]
        order = np.lexsort((ids[1], ids[0], -scores, row))
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        order, rank, row = order[rank < k], rank[rank < k], row[rank < k]
        self.scores[rows], self.positions[rows], self.ids[:, rows] = -np.inf, -1, 0
        at = rows[row], rank
        self.scores[at], self.positions[at] = scores[order], positions[order]
        for half in range(2):
            self.ids[half][at] = ids[half, order]


class ExcludedIds:
    """Ids that are no candidates for some queries: offsets int64[n + 1] into uint64[2, m]."""

    def __init__(self, offsets: Places, ids: Ids) -> None:
        if int(offsets[-1]) != ids.shape[1]:
            raise ValueError(f"offsets of excluded ids end at {offsets[-1]}, there are {ids.shape[1]}")
        self._ids = unique_ids([ids])
        entry = find_ids(self._ids, ids)
        row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        order = np.lexsort((row, entry))
        self._rows = row[order]
        self._starts = np.searchsorted(entry[order], np.arange(self._ids.shape[1] + 1))

    def pairs(self, ids: Ids) -> tuple[Places, Places]:
        """Returns the rows of queries (ascending) and columns of a block of ids that are excluded."""
        at = find_ids(self._ids, ids)
        columns = np.flatnonzero(at >= 0)
        starts = self._starts[at[columns]]
        counts = self._starts[at[columns] + 1] - starts
        rows = self._rows[np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())]
        columns = np.repeat(columns, counts)
        order = np.argsort(rows, kind="stable")
        return rows[order], columns[order]
