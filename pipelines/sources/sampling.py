"""A seeded sample of rows from a stream of any length, in one pass and bounded memory.

Each row's place in the order is the hash of its URL under the seed, then that of its text; the sample of N rows is
the N first. So it depends on the rows and the seed only, not on the parts' order or number, and the sample of N rows
is the beginning of the sample of 2N: a corpus that grows keeps what was downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.hashing import Hashes, hash_strings

_BLOCK_ROWS = 65_536  # of the tables that are held and handed out
_SLACK_ROWS = 4 * _BLOCK_ROWS  # held at least, beyond the sample, before it is cut back


class Sample:
    """The first `rows` rows of all that lie in `tables`, which have the columns `url` and `text` without nulls.

    Rows of equal URL and text are one; the one met first stays. Holds at most 1.25 times `rows` at once (and no
    fewer than some hundred thousand), with 24 bytes for each beside its columns.

    seen: how many rows lay in the tables; repeated: how many of them were the same as one of the sample.
    """

    def __init__(self, tables: Iterable[pa.Table], rows: int, seed: int) -> None:
        self._rows = rows
        self._held: list[pa.Table] = []
        self._urls = self._texts = np.empty(0, np.uint64)  # hashes, for each row held
        self._copies = np.empty(0, np.int64)  # for each row held: how often it was met
        self._order = np.empty(0, np.int64)
        self.seen = 0
        last = np.uint64(2**64 - 1)  # no row whose URL comes after this one can be in the sample
        waiting: list[tuple[pa.Table, Hashes]] = []
        room = max(rows // 4, _SLACK_ROWS)
        for table in tables:
            self.seen += table.num_rows
            urls = hash_strings(table.column("url"), seed)
            near = urls <= last
            waiting.append((table.filter(pa.array(near)), urls[near]))
            room -= len(waiting[-1][1])
            if room <= 0:
                last = self._take_in(waiting, seed)
                room = max(rows // 4, _SLACK_ROWS)
        self._take_in(waiting, seed)
        self.repeated = int(self._copies.sum()) - len(self)

    def __len__(self) -> int:
        return len(self._order)

    def tables(self) -> Iterator[pa.Table]:
        """The sample in its order, a block at a time."""
        starts = np.cumsum([0, *(table.num_rows for table in self._held)])
        for first in range(0, len(self), _BLOCK_ROWS):
            yield self._gather(self._order[first : first + _BLOCK_ROWS], starts)

    def _take_in(self, waiting: list[tuple[pa.Table, Hashes]], seed: int) -> np.uint64:
        """Add the rows that wait, drop what cannot be in the sample; returns the last hash of a URL that can be."""
        fresh = [hash_strings(table.column("text"), seed) for table, _ in waiting]
        urls = np.concatenate([self._urls, *(urls for _, urls in waiting)])
        texts = np.concatenate([self._texts, *fresh])
        copies = np.concatenate([self._copies, np.ones(len(urls) - len(self._copies), np.int64)])
        self._held += [table for table, _ in waiting]
        waiting.clear()
        order = np.lexsort((texts, urls))  # stable: of equal rows the one met first comes first
        new = np.ones(len(order), np.bool_)
        new[1:] = (np.diff(urls[order]) != 0) | (np.diff(texts[order]) != 0)
        starts = np.flatnonzero(new)
        firsts = order[starts]
        if len(firsts):
            copies[firsts] = np.add.reduceat(copies[order], starts)
        firsts = firsts[: self._rows]
        staying = np.zeros(len(urls), np.bool_)
        staying[firsts] = True
        self._urls, self._texts, self._copies = urls[staying], texts[staying], copies[staying]
        self._order = (np.cumsum(staying) - 1)[firsts]  # where each row lies once the others are gone
        self._held = list(_in_blocks(_filtered(self._held, staying)))
        return urls[firsts[-1]] if len(firsts) == self._rows else np.uint64(2**64 - 1)

    def _gather(self, rows: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> pa.Table:
        """Rows of all tables held. Taken table by table: Arrow would first join all chunks to take from several."""
        upwards = np.sort(rows)
        bounds = np.searchsorted(upwards, starts)
        pieces = [
            table.take(pa.array(upwards[bounds[at] : bounds[at + 1]] - starts[at]))
            for at, table in enumerate(self._held)
        ]
        return pa.concat_tables(pieces).combine_chunks().take(pa.array(np.searchsorted(upwards, rows)))


def in_tables_of(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of exactly `rows` rows, the last one excepted."""
    pending: list[pa.Table] = []
    count = 0
    for table in tables:
        while count + table.num_rows >= rows:
            missing = rows - count
            yield pa.concat_tables([*pending, table.slice(0, missing)]).combine_chunks()
            table, pending, count = table.slice(missing), [], 0
        if table.num_rows:
            pending.append(table)
            count += table.num_rows
    if pending:
        yield pa.concat_tables(pending).combine_chunks()


def _filtered(tables: list[pa.Table], staying: npt.NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Takes the tables out of the list one by one, so that what is dropped is freed on the way."""
    tables.reverse()
    first = 0
    while tables:
        table = tables.pop()
        yield table.filter(pa.array(staying[first : first + table.num_rows]))
        first += table.num_rows


def _in_blocks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    return in_tables_of(tables, _BLOCK_ROWS)
