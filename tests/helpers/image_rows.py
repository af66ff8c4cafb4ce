"""Images as the tables of inspection describe them, and what the stage `duplicates` makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.schema import ITEM_ID, item_id
from corpus.stage import ITEM_NEIGHBOURS, ITEMS, Shard
from corpus.storage import Store
from filters.image.dedup import Duplicates, DuplicatesSettings


@dataclass(frozen=True)
class ImageRow:
    """An item, and what inspection says of it. Equal content, equal item."""

    content: str
    phash: int | None = None
    pixels: int = 100
    sharpness: float = 1.0
    compression_loss: float = 0.0
    bytes: int = 1000
    contrast: float = 50.0
    pdq: bytes | None = None
    pdq_quality: int = 100

    @property
    def id(self) -> bytes:
        return item_id(self.content.encode())


def random_hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


Cosines = Mapping[tuple[str, str], float]  # by the contents of two images: what the first has the second as neighbour

_NEIGHBOUR = pa.struct([pa.field("item_id", ITEM_ID), pa.field("cosine", pa.float32())])


def neighbours_of(pictures: list[ImageRow], cosines: Cosines) -> pa.Table:
    """The table of `item_neighbours`; an image that no pair names has no vector."""
    named = {content for pair in cosines for content in pair}
    lists = [
        [
            {"item_id": item_id(other.encode()), "cosine": cosine}
            for (one, other), cosine in cosines.items()
            if one == picture.content
        ]
        if picture.content in named
        else None
        for picture in pictures
    ]
    return pa.table({"neighbours": pa.array(lists, pa.list_(_NEIGHBOUR))})


def shard_of(ordinal: int, pictures: list[ImageRow], rows: np.ndarray, cosines: Cosines | None = None) -> Shard:
    image_stats = {
        "phash": pa.array([p.phash for p in pictures], pa.uint64()),
        "width": pa.array([p.pixels for p in pictures], pa.int32()),
        "height": pa.array([1 for _ in pictures], pa.int32()),
        "sharpness": pa.array([p.sharpness for p in pictures], pa.float32()),
        "compression_loss": pa.array([p.compression_loss for p in pictures], pa.float32()),
        "bytes": pa.array([p.bytes for p in pictures], pa.int64()),
        "contrast": pa.array([p.contrast for p in pictures], pa.float32()),
        "pdq": pa.array([p.pdq for p in pictures], pa.binary(32)),
        "pdq_quality": pa.array([p.pdq_quality for p in pictures], pa.int8()),
    }
    items = {"item_id": pa.array([p.id for p in pictures], ITEM_ID)}
    tables = {ITEMS: pa.table(items), "image_stats": pa.table(image_stats)}
    if cosines is not None:
        tables[ITEM_NEIGHBOURS] = neighbours_of(pictures, cosines)
    return Shard("source", str(ordinal), ordinal, rows, tables, Store("memory://duplicates"))


def verdicts(
    pictures: list[ImageRow],
    radius: int = 4,
    shards: int = 2,
    partitions: int = 3,
    cosines: Cosines | None = None,
    **settings: Any,
) -> list[tuple[bytes | None, str]]:
    """For each picture, its family's representative, and `kept` or the reason why it is not."""
    stage = Duplicates(DuplicatesSettings(hamming_radius=radius, **settings), semantic=cosines is not None)
    places = np.array_split(np.arange(len(pictures)), shards)
    emitted = []
    for ordinal, mine in enumerate(places):
        rows = 3 * np.arange(len(mine))  # some rows are not live
        emitted.append(stage.map(shard_of(ordinal, [pictures[place] for place in mine], rows, cosines)))
    rows = pa.concat_tables(emitted)
    partition = rows.column("key").to_numpy() % np.uint64(partitions)
    parts = [rows.filter(pa.array(partition == number)) for number in range(partitions)]
    said = stage.finalize(pa.concat_tables([stage.reduce(part) for part in reversed(parts) if part.num_rows]))
    found: list[tuple[bytes | None, str]] = [(None, "kept")] * len(pictures)
    for row in said.to_pylist():
        ordinal, place = row["row_address"] >> 32, (row["row_address"] & 0xFFFFFFFF) // 3
        assert (row["status"] == "duplicate") == bool(row["reason"])
        found[int(places[ordinal][place])] = (row["representative"], row["reason"] or row["status"])
    return found
