"""The pairs of a shard as publishing reads them: what `pairs` wrote, and what later stages found about these pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.schema import PAIR_RANK, PAIR_RELATIONS, PAIR_SCHEMA
from corpus.storage import storage_errors
from corpus.workspace import Workspace

PUBLISHED = (*PAIR_SCHEMA.names, *(field.name for field in PAIR_RELATIONS), PAIR_RANK.name)  # what samples are made of


@dataclass(frozen=True)
class PairTable:
    """The path of a table of pairs, and those of later stages' tables, which have a row for each of its rows.

    A column that several of them have is that of the last one: so a later stage may remove pairs (`status`), and give
    them other negatives.
    """

    path: str
    later: tuple[str, ...] = ()

    def read(self, workspace: Workspace, columns: Sequence[str] = PUBLISHED) -> pa.Table:
        """Columns, or fields within one (`query.text`), without those that no stage has written."""
        found: dict[str, pa.ChunkedArray] = {}
        remaining = list(columns)
        for path in (*reversed(self.later), self.path):
            if not remaining:
                break
            with storage_errors(workspace.store.full(path)), workspace.store.open(path) as file:
                parquet = pq.ParquetFile(file)
                names = set(parquet.schema_arrow.names)
                own = [column for column in remaining if _top(column) in names]
                table = parquet.read(columns=own)
                found |= {name: table.column(name) for name in dict.fromkeys(map(_top, own))}
            remaining = [column for column in remaining if column not in own]
        return pa.table({name: found[name] for name in dict.fromkeys(map(_top, columns)) if name in found})


def pair_tables(paths: Iterable[str]) -> tuple[PairTable, ...]:
    """Tables of pairs that no later stage has read."""
    return tuple(map(PairTable, paths))


def _top(column: str) -> str:
    return column.partition(".")[0]
