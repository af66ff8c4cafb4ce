"""A shuffle through temporary files: the two halves that the local engine runs as works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa

from corpus.stages import Resources
from corpus.work import Work
from pipelines.engines import Reduce
from pipelines.engines.shuffle import partitioned

I = TypeVar("I")  # noqa: E741


@dataclass(frozen=True)
class Spill(Generic[I]):
    """Writes an item's rows to a file in which record batch n is partition n."""

    work: Work[I, pa.Table]
    folder: str
    partitions: int

    @property
    def resources(self) -> Resources:
        return self.work.resources

    def open(self) -> Callable[[tuple[int, I]], str]:
        function = self.work.open()
        return lambda entry: self._write(entry[0], function(entry[1]))

    def lost(self, item: tuple[int, I], why: str) -> str:
        return self._write(item[0], self.work.lost(item[1], why))

    def _write(self, position: int, table: pa.Table) -> str:
        if not table.num_rows:
            return ""
        path = f"{self.folder}/{position}.arrow"
        with pa.ipc.new_file(path, table.schema) as writer:
            for batch in partitioned(table, self.partitions):
                writer.write_batch(batch)
        return path


@dataclass(frozen=True)
class Gather:
    """Reduces a partition: its record batch of each spilled file."""

    reduce: Reduce
    folder: str
    spilled: tuple[str, ...]

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[int], str]:
        return self._reduce

    def lost(self, item: int, why: str) -> str:
        raise RuntimeError(f"partition {item} of a shuffle: {why}")

    def _reduce(self, partition: int) -> str:
        batches = []
        for path in self.spilled:
            with pa.OSFile(path) as file:
                batches.append(pa.ipc.open_file(file).get_batch(partition))
        if not any(batch.num_rows for batch in batches):
            return ""
        reduced = self.reduce(pa.Table.from_batches(batches))
        path = f"{self.folder}/reduced-{partition}.arrow"
        with pa.ipc.new_file(path, reduced.schema) as writer:
            writer.write_table(reduced)
        return path
