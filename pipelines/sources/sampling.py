"""Draws a seeded sample of rows from a stream of any length, in one pass and bounded memory.

Each row's place in the order is the hash of its URL under the seed, then that of its text; the sample of N rows is
the N first. So it depends on the rows and the seed only, not on the parts' order or number, and the sample of N rows
is the beginning of the sample of 2N: a corpus that grows keeps what was downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.hashing import Hashes
from corpus.sampling import random_numbers

_BLOCK_ROWS = 65_536  # of the tables that are kept and given out
_SLACK_ROWS = 4 * _BLOCK_ROWS  # kept at least, beyond the sample, before it is cut back


class RowSample:
    """The first `rows` rows of all that lie in `tables`, which have the columns `url` and `text` without nulls.

    Rows of equal URL and text are one; the first one stays. Keeps at most 1.25 times `rows` at once (and no
    fewer than some hundred thousand), with 24 bytes for each beside its columns.

    rows_read: how many rows lay in the tables; repeated: how many of them were the same as one of the sample.
    """

    def __init__(self, tables: Iterable[pa.Table], rows: int, seed: int) -> None:
        self._rows = rows
        self._tables: list[pa.Table] = []
        self._urls = self._texts = np.empty(0, np.uint64)  # hashes, for each row that is kept
        self._copies = np.empty(0, np.int64)  # for each row that is kept: how often it came
        self._order = np.empty(0, np.int64)
        self.rows_read = 0
        last = np.uint64(2**64 - 1)  # no row whose URL comes after this one can be in the sample
        buffer: list[tuple[pa.Table, Hashes]] = []
        capacity = max(rows // 4, _SLACK_ROWS)
        for table in tables:
            self.rows_read += table.num_rows
            urls = random_numbers(table.column("url"), seed)
            possible = urls <= last
            buffer.append((table.filter(pa.array(possible)), urls[possible]))
            capacity -= len(buffer[-1][1])
            if capacity <= 0:
                last = self._merge(buffer, seed)
                capacity = max(rows // 4, _SLACK_ROWS)
        self._merge(buffer, seed)
        self.repeated = int(self._copies.sum()) - len(self)

    def __len__(self) -> int:
        return len(self._order)

    def tables(self) -> Iterator[pa.Table]:
        """Gives the sample in its order, a block at a time."""
        starts = np.cumsum([0, *(table.num_rows for table in self._tables)])
        for first in range(0, len(self), _BLOCK_ROWS):
            yield self._gather(self._order[first : first + _BLOCK_ROWS], starts)

    def _merge(self, buffer: list[tuple[pa.Table, Hashes]], seed: int) -> np.uint64:
        """Adds the buffered rows, drops those beyond the sample; returns the last hash of a URL that can be in it."""
        fresh = [random_numbers(table.column("text"), seed) for table, _ in buffer]
        urls = np.concatenate([self._urls, *(urls for _, urls in buffer)])
        texts = np.concatenate([self._texts, *fresh])
        copies = np.concatenate([self._copies, np.ones(len(urls) - len(self._copies), np.int64)])
        self._tables += [table for table, _ in buffer]
        buffer.clear()
        order = np.lexsort((texts, urls))  # stable: of equal rows the first one stays first
        new = np.ones(len(order), np.bool_)
        new[1:] = (np.diff(urls[order]) != 0) | (np.diff(texts[order]) != 0)
        starts = np.flatnonzero(new)
        firsts = order[starts]
        if len(firsts):
            copies[firsts] = np.add.reduceat(copies[order], starts)
        firsts = firsts[: self._rows]
        kept = np.zeros(len(urls), np.bool_)
        kept[firsts] = True
        self._urls, self._texts, self._copies = urls[kept], texts[kept], copies[kept]
        self._order = (np.cumsum(kept) - 1)[firsts]  # where each row lies once the others are gone
        self._tables = list(_in_blocks(_filtered(self._tables, kept)))
        return urls[firsts[-1]] if len(firsts) == self._rows else np.uint64(2**64 - 1)

    def _gather(self, rows: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> pa.Table:
        """Gathers rows of all tables, table by table: Arrow would first join all chunks to take from several."""
        upwards = np.sort(rows)
        bounds = np.searchsorted(upwards, starts)
        pieces = [
            table.take(pa.array(upwards[bounds[at] : bounds[at + 1]] - starts[at]))
            for at, table in enumerate(self._tables)
        ]
        return pa.concat_tables(pieces).combine_chunks().take(pa.array(np.searchsorted(upwards, rows)))


def in_tables_of(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Cuts tables anew, to exactly `rows` rows each, the last one excepted."""
    pending: list[pa.Table] = []
    count = 0
    for table in tables:
        while count + table.num_rows >= rows:
            needed = rows - count
            yield pa.concat_tables([*pending, table.slice(0, needed)]).combine_chunks()
            table, pending, count = table.slice(needed), [], 0
        if table.num_rows:
            pending.append(table)
            count += table.num_rows
    if pending:
        yield pa.concat_tables(pending).combine_chunks()


def _filtered(tables: list[pa.Table], kept: npt.NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Filters tables and takes them out of the list one by one, so that dropped rows are freed on the way."""
    tables.reverse()
    first = 0
    while tables:
        table = tables.pop()
        yield table.filter(pa.array(kept[first : first + table.num_rows]))
        first += table.num_rows


def _in_blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    return in_tables_of(tables, _BLOCK_ROWS)
