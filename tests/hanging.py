"""A stage whose function never comes back from a planted row, under a watchdog. In a file of its own, so that other
processes find it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pyarrow as pa

from corpus.settings import Settings
from corpus.stages import ROWS, MapStage, Shard
from corpus.watchdog import ended_after

PLANTED = "hang"


class Hanging(MapStage):
    name = "hanging"
    reads = (ROWS,)
    schema = pa.schema([pa.field("length", pa.int64())])

    def __init__(self) -> None:
        super().__init__(Settings())

    def open(self) -> Callable[[Shard], pa.Table]:
        return _lengths


def _lengths(shard: Shard) -> pa.Table:
    texts = shard[ROWS].column("text").to_pylist()
    for text in texts:
        with ended_after(0.1 if text == PLANTED else 1e9, text):
            if text == PLANTED:
                threading.Event().wait()
    return pa.table({"length": [len(text) for text in texts]})
