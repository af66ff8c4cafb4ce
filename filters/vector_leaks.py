"""Items held against the media of evaluation sets by their vectors: crops and edits, which hashes miss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.arrays import ranges
from corpus.item_ids import Ids, find_ids, first_of_run, split_ids
from corpus.pool import Pool
from corpus.vectors import Vectors, column_valid, column_vectors
from filters.evaluation import COSINE, EvaluationMedia, entries_of

MIN_LISTED_COSINE = 0.6  # what is farther is not listed
_ROUNDING = 1e-4  # by which products of float32 may be off, at most
_ROWS_AT_ONCE, _MEDIA_AT_ONCE = 256, 8192

_Ints = npt.NDArray[np.int64]
_Best = dict[tuple[int, int], tuple[float, str]]  # (row, set) -> cosine and name of the nearest


@dataclass(frozen=True, eq=False)
class EvaluationVectors:
    """The vectors of the media of evaluation sets, one for each medium of each set, in the order of the sets."""

    vectors: Vectors
    sets: tuple[str, ...]
    set_of: _Ints  # of each vector, into `sets`
    names: tuple[str, ...]  # of the evaluation item of each


def read_vectors(pool: Pool, media: EvaluationMedia) -> EvaluationVectors | None:
    """Reads the vectors of the media of evaluation sets; None where there are none."""
    parts = [_valid(table) for table in pool.tables(["item_id", "vector"])]
    parts = [part for part in parts if len(part[1])]
    if not parts:
        return None
    ids = np.concatenate([part[0] for part in parts], axis=1)
    order = np.lexsort((ids[1], ids[0]))
    order = order[first_of_run(ids[:, order])]
    ids = np.ascontiguousarray(ids[:, order])
    place = find_ids(ids, media.ids)
    known = np.flatnonzero(place >= 0)
    known = known[np.argsort(media.id_sets[known], kind="stable")]
    vectors = np.concatenate([part[1] for part in parts])[order][place[known]]
    names = tuple(media.id_names[at] for at in known.tolist())
    return EvaluationVectors(vectors, media.id_set_names, media.id_sets[known], names)


def _valid(table: pa.Table) -> tuple[Ids, Vectors]:
    some = table.filter(pa.array(column_valid(table.column("vector")))).combine_chunks()
    return split_ids(some.column("item_id")), column_vectors(some.column("vector"))


def near_vectors(table: pa.Table, known: EvaluationVectors) -> tuple[_Ints, pa.Table]:
    """Returns for each row of a table of vectors, and each set, the medium of the largest cosine, from
    MIN_LISTED_COSINE up; and the row of each.

    The value is the product of the stored vectors, summed in float64: it depends on no order and no machine.
    """
    rows = np.flatnonzero(column_valid(table.column("vector")))
    vectors = column_vectors(table.column("vector"))
    best: _Best = {}
    for start in range(0, len(known.names), _MEDIA_AT_ONCE):
        media = known.vectors[start : start + _MEDIA_AT_ONCE].astype(np.float32)
        for at in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[at : at + _ROWS_AT_ONCE]
            _add_best(best, some, vectors[some], start, media, known)
    sets, names = [known.sets[number] for _, number in best], [name for _, name in best.values()]
    found = entries_of(sets, names, COSINE, np.array([cosine for cosine, _ in best.values()]))
    return np.array([row for row, _ in best], np.int64), found


def _add_best(
    best: _Best, rows: _Ints, vectors: Vectors, start: int, media: npt.NDArray[np.float32], known: EvaluationVectors
) -> None:
    """Adds the nearest of some media (from `start` on) to each row and set. Of equal ones the first by name counts."""
    set_of = known.set_of[start : start + len(media)]
    starts = np.flatnonzero(np.append(True, set_of[1:] != set_of[:-1]))
    lengths = np.diff(np.append(starts, len(media)))
    scores = vectors.astype(np.float32) @ media.T
    largest = np.maximum.reduceat(scores, starts, axis=1)
    row, part = np.nonzero(largest >= MIN_LISTED_COSINE - _ROUNDING)
    candidate = ranges(starts[part], lengths[part])
    owner = np.repeat(np.arange(len(row)), lengths[part])
    near = scores[row[owner], candidate] >= largest[row[owner], part[owner]] - 2 * _ROUNDING
    owner, candidate = owner[near], candidate[near]
    exact = np.einsum("nd,nd->n", vectors[row[owner]], known.vectors[start + candidate], dtype=np.float64).astype(
        np.float32
    )
    for each, medium, cosine in zip(owner.tolist(), candidate.tolist(), exact.tolist(), strict=True):
        key = (int(rows[row[each]]), int(set_of[medium]))
        entry = (cosine, known.names[start + medium])
        before = best.get(key)
        if cosine >= MIN_LISTED_COSINE and (before is None or (-entry[0], entry[1]) < (-before[0], before[1])):
            best[key] = entry
