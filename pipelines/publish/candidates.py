"""Reads the candidates of a dataset: the kept pairs of its tables, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.execution import count
from corpus.item_ids import first_of_run, split_ids
from corpus.read_ahead import read_ahead
from corpus.schema import MINED_FALSE_NEGATIVES, PAIR_RANK, PAIR_RELATIONS, PAIR_SCHEMA, TEXT_IMAGE_SCORE, Status
from corpus.workspace import Workspace

# The columns that samples are made of.
PUBLISHED_COLUMNS = (
    *PAIR_SCHEMA.names,
    *(field.name for field in PAIR_RELATIONS),
    PAIR_RANK.name,
    TEXT_IMAGE_SCORE.name,
    MINED_FALSE_NEGATIVES.name,
)
_SCHEMA = pa.schema([PAIR_SCHEMA.field(name) for name in ("pair_id", "group", "label")])


@dataclass(frozen=True)
class PairTable:
    """The paths of a table of pairs, and of the tables of later stages, which have a row for each of its rows.

    A column that several of them have is read from the last one, so a later stage may remove pairs (`status`), and
    replace their negatives.
    """

    path: str
    later: tuple[str, ...] = ()

    def read(self, workspace: Workspace, columns: Sequence[str] = PUBLISHED_COLUMNS) -> pa.Table:
        """Reads columns, or fields of one (`query.text`); those that no stage has written are left out."""
        found: dict[str, pa.ChunkedArray] = {}
        remaining = list(columns)
        for path in (*reversed(self.later), self.path):
            if not remaining:
                break
            table = workspace.read_present(path, remaining)
            found |= {name: table.column(name) for name in table.column_names}
            remaining = [column for column in remaining if _top(column) not in table.column_names]
        return pa.table({name: found[name] for name in dict.fromkeys(map(_top, columns)) if name in found})


def pair_tables(paths: Iterable[str]) -> tuple[PairTable, ...]:
    """Returns tables of pairs without later stages."""
    return tuple(map(PairTable, paths))


def _top(column: str) -> str:
    return column.partition(".")[0]


@dataclass(frozen=True, eq=False)
class CandidatePairs:
    """The n kept pairs of a dataset, each once, in ascending order of their ids."""

    ids: np.ndarray  # uint64[2, n]
    table: np.ndarray  # int32[n], into the dataset's tables
    row: np.ndarray  # int32[n]
    group: np.ndarray  # int32[n], into `groups`; -1: none
    label: np.ndarray  # int32[n]; equal numbers are equal labels; -1: none
    groups: tuple[str, ...]
    labels: tuple[str, ...]  # "" may be among them
    repeated: int  # rows left out as repetitions of a pair
    removed: dict[str, int] = field(default_factory=dict)  # rows that were removed, by "status/reason"

    def __len__(self) -> int:
        return len(self.row)


def read_candidate_pairs(workspace: Workspace, pairs: Sequence[PairTable]) -> CandidatePairs:
    """Reads the kept pairs of a dataset's tables. Of rows with the same pair it takes the first, by table and row."""
    tables, origins = [_SCHEMA.empty_table()], [np.zeros((2, 0), np.int32)]
    removed: Counter[str] = Counter()
    columns = [*_SCHEMA.names, "status", "reason"]
    for number, table in enumerate(read_ahead(lambda each: each.read(workspace, columns), pairs)):
        removed.update(count(table))
        rows = np.flatnonzero(pc.equal(table.column("status"), str(Status.KEPT)).to_numpy())
        tables.append(table.take(rows).select(_SCHEMA.names))
        origins.append(np.stack([np.full(len(rows), number), rows]).astype(np.int32))
    kept = pa.concat_tables(tables)
    table_number, row = np.concatenate(origins, axis=1)
    ids = split_ids(kept.column("pair_id"))
    order = np.lexsort((row, table_number, ids[1], ids[0]))
    first = first_of_run(ids[:, order])
    order = order[first]
    group, groups = _codes(kept.column("group"))
    label, labels = _codes(kept.column("label"))
    return CandidatePairs(
        np.ascontiguousarray(ids[:, order]),
        table_number[order],
        row[order],
        group[order],
        label[order],
        groups,
        labels,
        int(len(first) - first.sum()),
        {reason: rows for reason, rows in sorted(removed.items()) if not reason.startswith(f"{Status.KEPT}/")},
    )


def places_by_table(table: np.ndarray, tables: int) -> list[np.ndarray]:
    """Returns for each of so many tables the ascending places at which `table` (int[m]) has its number."""
    order = np.argsort(table, kind="stable")
    stops = np.searchsorted(table[order], np.arange(tables), side="right")
    return np.split(order, stops)[:-1]


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, tuple[str, ...]]:
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    return np.where(codes == names.index(""), np.int32(-1), codes) if "" in names else codes, tuple(names)
