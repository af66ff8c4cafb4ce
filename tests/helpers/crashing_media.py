"""A stage that writes media, and whose function kills its process at a planted row. Other processes find it here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import ClassVar

import pyarrow as pa

from corpus.schema import LOCATION_FIELDS, item_id
from corpus.settings import Settings
from corpus.stage import ROWS, MapStage, Shard
from tests.helpers.media_columns import location_columns

PLANTED = "crash"


class CrashingWriter(MapStage):
    """The text of each row is an item."""

    name = "crashing_writer"
    reads = (ROWS,)
    schema = pa.schema(LOCATION_FIELDS)
    writes_media: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(Settings())

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _written


def _written(shard: Shard) -> pa.Table:
    assert shard.media is not None
    items: list[bytes | None] = []
    places = []
    tempfile.mkstemp()  # as a decoder would leave it
    for text in shard[ROWS].column("text").to_pylist():
        if text == PLANTED:
            os._exit(11)  # with the items before it in an unfinished tar
        if text == "raise":
            raise ValueError("planted")
        content = text.encode()
        items.append(item_id(content))
        places.append(shard.media.add(item_id(content), "txt", content))
    media: list[str | None] = [shard.media.path] * len(items)
    return pa.table(
        location_columns(items, media, [at for at, _ in places], [size for _, size in places], ["txt"] * len(items))
    )
