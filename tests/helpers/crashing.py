"""A stage whose function kills its process, takes all memory, never comes back or waits for ever, at a planted row.

In a file of its own, so that other processes find it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pyarrow as pa

from corpus.processes import ended_after
from corpus.settings import Settings
from corpus.stage import ROWS, MapStage, Shard

PLANTED, GREEDY, HANGING = "crash", "greedy", "hang"
PAUSING = "pause "  # and then the name of a FIFO, that says so: a byte is in it, and it ends with the process


class Crashing(MapStage):
    name = "crashing"
    reads = (ROWS,)
    schema = pa.schema([pa.field("length", pa.int64())])

    def __init__(self) -> None:
        super().__init__(Settings())

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _lengths


def _lengths(shard: Shard) -> pa.Table:
    texts = shard[ROWS].column("text").to_pylist()
    if PLANTED in texts:
        os._exit(11)
    if GREEDY in texts:
        bytearray(1 << 60)
    if HANGING in texts:
        with ended_after(0.1, "the planted row"):
            threading.Event().wait()
    for text in texts:
        if text.startswith(PAUSING):
            os.write(os.open(text.removeprefix(PAUSING), os.O_WRONLY), b"x")
            threading.Event().wait()
    if "raise" in texts:
        raise ValueError("planted")
    return pa.table({"length": [len(text) for text in texts]})
