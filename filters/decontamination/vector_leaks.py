"""Items held against the media of evaluation sets by their vectors: crops and edits, which hashes miss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.arrays import Floats
from corpus.item_ids import Ids, find_ids, first_of_run, split_ids
from corpus.pool import Pool
from corpus.search.exact import search
from corpus.vectors import Vectors, column_valid, column_vectors
from filters.decontamination.evaluation import COSINE, EvaluationMedia, entries_of

MIN_LISTED_COSINE = 0.6  # what is farther is not listed
_ROWS_AT_ONCE = 8192  # that are searched for together

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EvaluationVectors:
    """The vectors of the media of evaluation sets, one for each medium of each set, in the order of sets and names."""

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
    named = np.array(media.id_names, object)[known]
    known = known[np.lexsort((np.unique(named, return_inverse=True)[1], media.id_sets[known]))]
    vectors = np.concatenate([part[1] for part in parts])[order][place[known]]
    names = tuple(media.id_names[at] for at in known.tolist())
    return EvaluationVectors(vectors, media.id_set_names, media.id_sets[known], names)


def _valid(table: pa.Table) -> tuple[Ids, Vectors]:
    some = table.filter(pa.array(column_valid(table.column("vector")))).combine_chunks()
    return split_ids(some.column("item_id")), column_vectors(some.column("vector"))


def near_vectors(table: pa.Table, known: EvaluationVectors) -> tuple[_Ints, pa.Table]:
    """Returns for each row of a table of vectors, and each set, the medium of the largest cosine, from
    MIN_LISTED_COSINE up; and the row of each.

    The value is the score of record of `corpus.search.exact`; of equally near media the first by name counts.
    """
    rows = np.flatnonzero(column_valid(table.column("vector")))
    vectors = column_vectors(table.column("vector"))
    bounds = [*np.searchsorted(known.set_of, np.arange(len(known.sets))).tolist(), len(known.names)]
    found = [
        (rows[at : at + _ROWS_AT_ONCE], number, *_nearest(vectors[rows[at : at + _ROWS_AT_ONCE]], known, part))
        for at in range(0, len(rows), _ROWS_AT_ONCE)
        for number, part in enumerate(map(slice, bounds, bounds[1:]))
    ]
    of_row = [some[has] for some, _, has, _, _ in found]
    sets = [known.sets[number] for _, number, _, media, _ in found for _ in media]
    names = [known.names[medium] for _, _, _, media, _ in found for medium in media.tolist()]
    cosines = [np.zeros(0, np.float32), *(each for *_, each in found)]
    return np.concatenate([np.zeros(0, np.int64), *of_row]), entries_of(sets, names, COSINE, np.concatenate(cosines))


def _nearest(vectors: Vectors, known: EvaluationVectors, part: slice) -> tuple[_Ints, _Ints, Floats]:
    """Returns which queries have a medium near enough in one set, which (into `known`), and its cosine."""
    numbers = np.arange(part.start, part.stop, dtype=np.uint64)  # as ids: equal cosines are ordered by them
    ids = np.stack([np.ones_like(numbers), numbers])
    found = search(vectors, [(ids, known.vectors[part])], 1, min_score=MIN_LISTED_COSINE)
    has = np.flatnonzero(found.counts)
    return has, found.ids[1, has, 0].astype(np.int64), found.scores[has, 0]
