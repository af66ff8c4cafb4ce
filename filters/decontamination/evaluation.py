"""Evaluation sets as items and pairs are held against them: the table of each set, and what is read of all of them.

An evaluation set is what a model is later measured by. Whatever of it lies in the training corpus makes its scores
worth nothing, so each set is read like a source, measured by the same stages, and never published.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import Hashes
from corpus.item_ids import Ids, split_ids
from corpus.pool import Pool
from corpus.schema import ITEM_ID

# A row for each medium of a set, and one for each text. A medium that cannot be read has a name and nothing else.
EVALUATION_SCHEMA = pa.schema(
    [
        pa.field("set", pa.string()),
        pa.field("name", pa.string()),  # of the evaluation item; the frames of a video share theirs
        pa.field("item_id", ITEM_ID),  # of a medium
        pa.field("phash", pa.uint64()),  # of a medium; null where its hash would say nothing
        pa.field("text", pa.string()),
        pa.field("alone", pa.bool_()),  # the text stands for itself: it is no question about an image, and no answer
    ]
)
# What an item or a pair is near to: the nearest item of each evaluation set in each way.
NEAR_FIELD = pa.field(
    "near",
    pa.list_(
        pa.struct(
            [
                pa.field("set", pa.string()),
                pa.field("name", pa.string()),  # of the evaluation item
                pa.field("way", pa.string()),
                pa.field("value", pa.float32()),  # see the ways
            ]
        )
    ),
)

EXACT = "exact"  # the same bytes; 1
HASH = "hash"  # differing bits of the pHashes
COSINE = "cosine"  # of the vectors
EQUAL = "equal_text"  # number of words of a text that is the same
COVERAGE = "text_coverage"  # share of the evaluation text's n-grams that the text has
CONTAINED = "text_contained"  # share of the text's n-grams that the evaluation text has
BESIDE = "equal_beside"  # as `equal_text`, of a question about an image or of an answer: no leak by itself
MEDIA_WAYS = (EXACT, HASH, COSINE)
TEXT_WAYS = (EQUAL, COVERAGE, CONTAINED)

# A pHash of few set bits lies near others whatever the images show; so does that of a flat image.
MIN_SET_BITS = 16
MIN_CONTRAST = 3.0  # standard deviation of grey levels


@dataclass(frozen=True, eq=False)
class EvaluationMedia:
    """The media of all evaluation sets with a usable hash, in the order of sets and names."""

    sets: tuple[str, ...]
    names: tuple[str, ...]  # of the e evaluation items
    set_starts: npt.NDArray[np.int64]  # where the items of each set begin, into `names`
    item_starts: npt.NDArray[np.int64]  # where the hashes of each item begin, into `hashes`
    hashes: Hashes  # uint64[m]; a video has several
    ids: Ids  # of all media, ascending
    id_sets: npt.NDArray[np.int64]  # of each id, into `id_set_names`
    id_names: tuple[str, ...]
    id_set_names: tuple[str, ...]

    @cached_property
    def has_videos(self) -> bool:
        """Whether an item has several hashes."""
        return len(self.item_starts) != len(self.hashes)


def read_media(pool: Pool) -> EvaluationMedia:
    """Reads the media of the evaluation sets of a pool."""
    columns = ["set", "name", "item_id", "phash"]
    empty = EVALUATION_SCHEMA.empty_table().select(columns)
    table = pa.concat_tables([empty, *(_media_rows(each) for each in pool.tables(columns))])
    hashed = table.filter(table.column("phash").is_valid())
    hashed = hashed.sort_by([("set", "ascending"), ("name", "ascending"), ("phash", "ascending")])
    sets, names = (np.array(hashed.column(name).to_pylist(), object) for name in ("set", "name"))
    new_set = np.append(True, sets[1:] != sets[:-1])[: len(sets)]
    new_item = new_set | np.append(True, names[1:] != names[:-1])[: len(sets)]
    item_starts = np.flatnonzero(new_item)
    ordered = table.sort_by([("item_id", "ascending"), ("set", "ascending"), ("name", "ascending")])
    known = one_array(ordered.column("set")).dictionary_encode()
    return EvaluationMedia(
        tuple(sets[new_set]),
        tuple(names[item_starts]),
        np.flatnonzero(new_set[item_starts]),
        item_starts,
        one_array(hashed.column("phash")).to_numpy(),
        split_ids(ordered.column("item_id")),
        known.indices.to_numpy().astype(np.int64),
        tuple(ordered.column("name").to_pylist()),
        tuple(known.dictionary.to_pylist()),
    )


def _media_rows(table: pa.Table) -> pa.Table:
    return table.filter(table.column("item_id").is_valid())


def usable_hashes(stats: pa.Table) -> npt.NDArray[np.bool_]:
    """Returns which rows of a table of `image_stats` have a pHash that tells something, bool[n]."""
    hashes = pc.fill_null(stats.column("phash"), 0).to_numpy()
    contrast = pc.fill_null(stats.column("contrast"), 0).to_numpy()
    return np.asarray((np.bitwise_count(hashes) >= MIN_SET_BITS) & (contrast >= MIN_CONTRAST))


def near_lists(rows: npt.NDArray[np.int64], entries: pa.Table, total: int) -> pa.Array:
    """Returns the column NEAR_FIELD of `total` rows from entries (set, name, way, value) and the row of each, int64[k].

    In each row they are in the order of sets and ways.
    """
    fields = list(NEAR_FIELD.type.value_type)
    ordered = entries.append_column("row", pa.array(rows, pa.int64()))
    ordered = ordered.sort_by([("row", "ascending"), ("set", "ascending"), ("way", "ascending"), ("name", "ascending")])
    counts = np.bincount(ordered.column("row").to_numpy(), minlength=total) if len(rows) else np.zeros(total, np.int64)
    offsets = pa.array(np.append(0, np.cumsum(counts)).astype(np.int32))
    columns = [one_array(ordered.column(field.name)).cast(field.type) for field in fields]
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(columns, fields=fields), type=NEAR_FIELD.type)


def entries_of(
    sets: list[str],
    names: list[str],
    way: str,
    values: npt.NDArray[np.floating],  # type: ignore[type-arg]
) -> pa.Table:
    """Returns entries of NEAR_FIELD as a table, all found in one way."""
    columns = [pa.array(sets, pa.string()), pa.array(names, pa.string()), pa.array([way] * len(sets), pa.string())]
    return pa.table([*columns, pa.array(np.asarray(values, np.float32))], names=["set", "name", "way", "value"])


NO_ENTRIES = entries_of([], [], EXACT, np.empty(0, np.float32))
