"""The distance of an image to the one that is nearest to it: the number that the radius of duplicates cuts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import hash_strings
from corpus.stage import ITEM_NEIGHBOURS
from corpus.thresholds import Bound, Threshold

_MIN_SET_BITS = 16  # hashes with fewer lie near each other, whatever the images show
_FAR = np.uint8(255)


def nearest_by_phash(rows: pa.Table, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns by how many bits the pHash of each query (int64[q]) differs from that of the nearest other image of a
    table of `image_stats`, and which that is.

    Of images with the same bytes only the first is compared, and one without a usable hash is not: NaN.
    """
    hashes = pc.fill_null(rows.column("phash"), 0).to_numpy().astype(np.uint64)
    usable = (np.bitwise_count(hashes) >= _MIN_SET_BITS) & _first_of_its_bytes(rows)
    distances = np.full(len(queries), np.nan)
    nearest = queries.copy()
    for at in np.flatnonzero(usable[queries]).tolist():
        differing = np.bitwise_count(hashes ^ hashes[queries[at]])
        differing[~usable] = _FAR
        differing[queries[at]] = _FAR
        nearest[at] = np.argmin(differing)
        if differing[nearest[at]] != _FAR:
            distances[at] = differing[nearest[at]]
    return distances, nearest


def _first_of_its_bytes(rows: pa.Table) -> np.ndarray:
    """Tells which rows are the first with their bytes, bool[n]."""
    is_first = np.zeros(len(rows), np.bool_)
    is_first[np.unique(hash_strings(rows.column("sha256")), return_index=True)[1]] = True
    return is_first


_NOTE = (
    "Of near duplicates one stays, so fewer are removed than are counted here. Each image is compared with the rows "
    "that were read; among more rows more are near."
)
HAMMING_RADIUS = Threshold(
    setting="hamming_radius",
    bound=Bound.ABOVE,
    table="image_stats",
    columns=("phash", "sha256"),
    nearest=nearest_by_phash,
    measures="bits by which the pHash differs from that of the nearest other image",
    reason="near_duplicate",
    note=_NOTE,
)
MIN_COSINE = Threshold(
    setting="min_cosine",
    bound=Bound.BELOW,
    table=ITEM_NEIGHBOURS,
    columns=("neighbours",),
    value=lambda rows: _field_of_lists(one_array(rows.column("neighbours")), "cosine"),
    measures="cosine of the vectors of an image and of one that is near to it",
    reason="semantic_duplicate",
    of_candidates=True,
    candidate_ids="neighbours.item_id",
    cost=20,
    note="Pairs that the stage item_neighbours has written down: those above its own `min_cosine`. Of duplicates one "
    "stays.",
)


def _field_of_lists(lists: pa.ListArray, name: str) -> pa.ListArray:
    """Returns the lists of one field of lists of structs, a null list as an empty one."""
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), lists.flatten().field(name))
