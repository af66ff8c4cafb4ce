"""The stage `evaluation_index` lists what of an evaluation set is held against items and pairs: its media and texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.schema import Status
from corpus.stage import EVALUATION_INDEX, ITEMS, ROWS, Gives, MapStage, Shard, SourceInfo
from corpus.text.clean import TextCleanSettings, clean_texts
from filters.decontamination.evaluation import EVALUATION_SCHEMA, usable_hashes

_IMAGE_STATS, _CLIPS = "image_stats", "clips"
_READS = {Gives.IMAGES: (ROWS, ITEMS, _IMAGE_STATS), Gives.CLIPS: (_CLIPS,)}
_OF_IMAGES = (ITEMS, _IMAGE_STATS)


class EvaluationIndex(MapStage):
    """The media and the texts of an evaluation set, a row each. What could not be read is listed by its name alone.

    Texts of pairs are listed once for each side. One that stands for itself is `alone`: the text of a side without
    images, which is no answer to a query of text and no label.
    """

    name = EVALUATION_INDEX
    reads: tuple[str, ...] = (ROWS,)
    optional_reads = (ITEMS, _IMAGE_STATS, _CLIPS)
    over = frozenset(Gives)
    over_evaluation = True
    summary = "of evaluation sets only: a row for each medium, with its hash, and for each text"
    schema = EVALUATION_SCHEMA
    fan_out = True
    include_removed = True

    def __init__(self, set_name: str, gives: Gives, has_images: bool, texts: bool, frames: bool) -> None:
        super().__init__(type(self).settings_type())
        self._set, self._gives, self._texts, self._frames = set_name, gives, texts, frames
        of_pairs = (ROWS, *_OF_IMAGES) if has_images else (ROWS,)
        self.reads = _READS.get(gives, of_pairs)
        self.side_inputs = _OF_IMAGES if gives is Gives.PAIRS and has_images else ()

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return source.is_evaluation

    @classmethod
    def create(cls, source: SourceInfo) -> EvaluationIndex:
        settings = source.evaluation[source.name]
        return cls(source.name, source.plug.gives, source.plug.has_images, settings.texts, settings.frames)

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {"set": self._set, "texts": self._texts, "frames": self._frames}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return {Gives.IMAGES: self._of_images, Gives.CLIPS: self._of_clips, Gives.PAIRS: self._of_pairs}[self._gives]

    def _of_images(self, shard: Shard) -> pa.Table:
        rows = shard[ROWS]
        names = one_array(rows.column("url"))
        alone = pa.array(np.ones(len(names), bool))
        return self._table(names, shard[ITEMS], shard[_IMAGE_STATS], names, one_array(rows.column("text")), alone)

    def _of_pairs(self, shard: Shard) -> pa.Table:
        owners, texts, alone = _texts_of_pairs(shard[ROWS])
        named = _names(shard[ROWS], shard).take(pa.array(owners))
        if not self.side_inputs:
            return self._texts_table(named, texts, alone)
        images = one_array(shard[ITEMS].column("image"))
        return self._table(images, shard[ITEMS], shard[_IMAGE_STATS], named, texts, alone)

    def _of_clips(self, shard: Shard) -> pa.Table:
        """Lists each hashed frame of the clips, under the video's name, and the clips' texts."""
        clips = shard[_CLIPS]
        lists, names = one_array(clips.column("hashes")), one_array(clips.column("url"))
        counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
        owner = pa.array(np.repeat(np.arange(len(names)), counts))
        frames = self._rows(names.take(owner), one_array(clips.column("item_id")).take(owner), lists.flatten())
        unread = pc.and_(pc.equal(clips.column("status"), str(Status.FAILED)), pa.array(counts == 0))
        failed = names.filter(one_array(unread))
        missing = self._rows(failed, pa.nulls(len(failed), EVALUATION_SCHEMA.field("item_id").type), None)
        texts = one_array(clips.column("text"))
        return pa.concat_tables([frames, missing, self._texts_table(names, texts, pa.array(np.ones(len(names), bool)))])

    def _table(
        self, media: pa.Array, items: pa.Table, stats: pa.Table, names: pa.Array, texts: pa.Array, alone: pa.Array
    ) -> pa.Table:
        kept = one_array(pc.equal(stats.column("status"), str(Status.KEPT)))
        ids = pc.if_else(kept, one_array(items.column("item_id")), None)
        hashes = pc.if_else(pa.array(usable_hashes(stats)), one_array(stats.column("phash")), None)
        listed = self._rows(media, ids, pc.if_else(kept, hashes, None))
        return pa.concat_tables([listed, self._texts_table(names, texts, alone)])

    def _rows(self, names: pa.Array, ids: pa.Array, hashes: pa.Array | None) -> pa.Table:
        if self._frames:
            names = pa.array([_folder(name) for name in names.to_pylist()], pa.string())
        return self._columns(name=names, item_id=ids, phash=hashes)

    def _texts_table(self, names: pa.Array, texts: pa.Array, alone: pa.Array) -> pa.Table:
        if not self._texts:
            return EVALUATION_SCHEMA.empty_table()
        clean = clean_texts(pc.fill_null(texts, ""), TextCleanSettings())[0]
        some = pc.not_equal(clean, "")
        return self._columns(name=names.filter(some), text=clean.filter(some), alone=alone.filter(some))

    def _columns(self, **columns: pa.Array | None) -> pa.Table:
        count = len(columns["name"] or ())
        found = {"set": pa.repeat(pa.scalar(self._set, pa.string()), count), **columns}
        arrays = [found.get(field.name) for field in EVALUATION_SCHEMA]
        filled = [
            pa.nulls(count, field.type) if array is None else one_array(array).cast(field.type)
            for field, array in zip(EVALUATION_SCHEMA, arrays, strict=True)
        ]
        return pa.table(filled, schema=EVALUATION_SCHEMA)


def _folder(name: str) -> str:
    return str(PurePosixPath(name).parent)


def _names(rows: pa.Table, shard: Shard) -> pa.Array:
    """Returns the names of the rows of pairs: their ids in the set, else their file and line."""
    keys, files, lines = (rows.column(name).to_pylist() for name in ("key", "file", "line"))
    return pa.array(
        [
            key or f"{PurePosixPath(file or shard.name).name}:{line}"
            for key, file, line in zip(keys, files, lines, strict=True)
        ],
        pa.string(),
    )


def _texts_of_pairs(rows: pa.Table) -> tuple[Sequence[int], pa.Array, pa.Array]:
    """Returns the texts of all sides of PAIR_ROWS, with the row of each, and whether it stands alone."""
    query, positive = (one_array(rows.column(role)) for role in ("query", "positive"))
    lists = one_array(rows.column("negatives"))
    every = np.arange(rows.num_rows)
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    stands = pc.equal(query.field("text"), "").to_numpy(zero_copy_only=False)
    stands &= pc.equal(pc.fill_null(one_array(rows.column("label")), ""), "").to_numpy(zero_copy_only=False)
    owner = np.repeat(every, counts)
    sides = [
        (every, query, np.ones(len(every), bool)),
        (every, positive, stands),
        (owner, lists.flatten(), stands[owner]),
    ]
    bare = [
        pc.equal(pc.list_value_length(side.field("images")), 0).to_numpy(zero_copy_only=False) for _, side, _ in sides
    ]
    alone = np.concatenate([flags & free for (_, _, flags), free in zip(sides, bare, strict=True)])
    texts = pa.concat_arrays([side.field("text") for _, side, _ in sides])
    return np.concatenate([rows for rows, _, _ in sides]).tolist(), texts, pa.array(alone)
