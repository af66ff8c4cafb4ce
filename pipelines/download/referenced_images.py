"""Stage `images` of a source of given pairs: the images that a shard's rows name become items.

Its table has a row for each name, so stages that judge items read it as their ITEMS, and as their ROWS too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.image.limits import HEADER_REASONS, ImageLimits
from corpus.media import MediaWriter
from corpus.schema import Status
from corpus.stage import ITEMS, ROWS, Gives, MapStage, Shard, SourceInfo
from pipelines.download.images import ITEMS_SCHEMA, DownloadSettings, Stored, items_table, store_image
from pipelines.sources.images.archives import Archives, Finder, ImageRef, ImageResolver
from pipelines.sources.images.zip import MAX_MEMBER_BYTES

IMAGES_SCHEMA = pa.schema(
    [
        pa.field("image", pa.string()),  # its name, as the rows give it
        pa.field("url", pa.string()),  # always "", as is `text`: stages that read ROWS ask for them
        pa.field("text", pa.string()),
        pa.field("repeated", pa.bool_()),  # other archives have an image of this name: it is that of the first
        *ITEMS_SCHEMA,
    ]
)


class PairImagesSettings(ImageLimits):
    """Limits of the images that pairs name."""

    max_bytes: int = Field(
        64 << 20, ge=1, lt=MAX_MEMBER_BYTES, description="The largest image; a larger one is refused unread."
    )


class PairImages(MapStage):
    """The stage `images`: one row for each distinct name that a shard's live rows give, in the order in which they are
    first named.

    Within a row the query's come first, then the positive's, then the negatives'. An image that lies as it is in an
    archive stays there; all others are copied into the shard's media. Reasons (failed): missing_image, too_large, those
    of the resolvers, and by their headers not_an_image, unsupported_format, too_many_pixels, side_too_long, truncated.
    The shard's notes count `named` images, those `in_place` and `copied`. Those whose name several archives have are
    `repeated`, which funnel and status count.
    """

    name = "images"
    reads = (ROWS,)
    settings_key = "images"
    settings_type = PairImagesSettings
    over = frozenset({Gives.PAIRS})
    over_evaluation = True
    summary = "where the bytes of each named image lie"
    reasons = {
        "missing_image": "no file has the name",
        "ambiguous_image": "several files of different archives have the name",
        "too_large": "larger than `max_bytes`",
        "damaged_archive": "an archive that cannot be read to its end may have it",
        "corrupt_member": "the archive has other bytes than were put in, or they cannot be inflated",
        "no_page": "the PDF has no such page",
        "not_a_pdf": "the file does not begin as a PDF does",
        "render_timeout": "the page, or the file, takes longer to draw than the settings allow",
        "render_out_of_memory": "the page takes more memory to draw than the settings allow",
        **HEADER_REASONS,
    }
    roles = (ITEMS,)
    filters_rows = False
    schema = IMAGES_SCHEMA
    fan_out = True
    writes_media: ClassVar[bool] = True
    transient_reasons = frozenset({"render_timeout", "render_out_of_memory", "renderer_died"})

    def __init__(self, settings: PairImagesSettings, resolvers: Sequence[ImageResolver]) -> None:
        """Takes the resolvers; a name goes to the first that matches it."""
        super().__init__(settings)
        self._settings = settings
        self._resolvers = tuple(resolvers)

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_images

    @classmethod
    def create(cls, source: SourceInfo) -> PairImages:
        plug: Any = source.plug  # a source of pairs
        return cls(cls.settings_of(source), tuple(plug.images.resolvers(source.workspace, source.name)))

    @cached_property
    def _identities(self) -> list[dict[str, Any]]:
        return [resolver.identity() for resolver in self._resolvers]

    def fingerprint_inputs(self) -> dict[str, Any]:
        """Returns the settings, and what the resolvers look into: an archive that changes makes the tables stale."""
        return {**self._settings.canonical(), "resolvers": self._identities}

    def prepare(self) -> None:
        """Builds the indexes of archives, which each worker would build for itself otherwise."""
        for resolver in self._resolvers:
            if isinstance(resolver, Archives):
                resolver.index()

    def setup(self) -> Callable[[Shard], pa.Table]:
        finds = [(resolver.matches, resolver.open(self._settings.max_bytes)) for resolver in self._resolvers]
        limits = DownloadSettings(max_pixels=self._settings.max_pixels, max_side_px=self._settings.max_side_px)
        return _Images(finds, limits)


@dataclass(frozen=True)
class _Images:
    finds: Sequence[tuple[Callable[[str], bool], Finder]]
    judging: DownloadSettings

    def __call__(self, shard: Shard) -> pa.Table:
        assert shard.media is not None
        names = image_names(shard[ROWS])
        stored = [Stored(Status.FAILED, "missing_image")] * len(names)
        repeated = [False] * len(names)
        notes = Counter(named=len(names))
        for place, found in self._found(names):
            stored[place] = _store(found, self.judging, shard.media)
            if stored[place].status == Status.KEPT:
                notes["in_place" if found.location else "copied"] += 1
                repeated[place] = found.repeated
        _add(shard.metrics, notes)
        return _images_table(names, stored, repeated)

    def _found(self, names: list[str]) -> Iterator[tuple[int, ImageRef]]:
        remaining = list(range(len(names)))
        for matches, find in self.finds:
            matched = [place for place in remaining if matches(names[place])]
            for at, found in find([names[place] for place in matched]):
                yield matched[at], found
            remaining = sorted(set(remaining) - set(matched))


def image_names(rows: pa.Table) -> list[str]:
    """Returns the distinct names of images in PAIR_ROWS, in the order in which they are first met."""
    sides = [(np.arange(rows.num_rows), _one(rows.column(name))) for name in ("query", "positive")]
    negatives = _one(rows.column("negatives"))
    sides.append((pc.list_parent_indices(negatives).to_numpy(), pc.list_flatten(negatives)))
    of_row = [np.empty(0, np.int64)]
    names = [pa.array([], pa.string())]
    for row, side in sides:
        images = pc.struct_field(side, "images")
        of_row.append(row[pc.list_parent_indices(images).to_numpy()])
        names.append(pc.list_flatten(images))
    order = np.argsort(np.concatenate(of_row), kind="stable")
    return pc.unique(pa.concat_arrays(names).take(pa.array(order))).drop_null().to_pylist()


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _store(found: ImageRef, judging: DownloadSettings, media: MediaWriter) -> Stored:
    if found.reason:
        return Stored(Status.FAILED, found.reason, detail=found.detail)
    return store_image(found.data, judging, _InPlaceMedia(*found.location) if found.location else media, {})


class _InPlaceMedia(MediaWriter):
    """Stands for the media tar of an image that stays where it is: records its path and offset, and copies nothing."""

    def __init__(self, path: str, offset: int) -> None:
        self.path = path
        self._offset = offset

    def add(self, item: bytes, ext: str, data: bytes) -> tuple[int, int]:
        return self._offset, len(data)


def _images_table(names: list[str], stored: list[Stored], repeated: list[bool]) -> pa.Table:
    table = items_table(stored)
    empty = pa.array([""] * len(names), pa.string())
    local = {
        "image": pa.array(names, pa.string()),
        "url": empty,
        "text": empty,
        "repeated": pa.array(repeated, pa.bool_()),
    }
    return pa.table({**local, **{name: table.column(name) for name in table.column_names}})


def _add(notes: dict[str, Any], counts: Counter[str]) -> None:
    """Adds the metrics of a part of a shard, which is halved where a row fails."""
    notes["images"] = dict(Counter(notes.get("images", {})) + counts)
