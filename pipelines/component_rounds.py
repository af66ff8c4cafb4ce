"""Finds the components of edges that lie in files, in rounds over an engine's shuffle: the driver has their names only.

See `corpus.star_contraction`. A round is two shuffles. A worker reads a file of edges, the shuffle brings the edges of
a node together, and the reducer writes what it joined to a file again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from corpus.arrays import Ints
from corpus.hashing import mix64
from corpus.outages import patient_storage, storage_retry_s
from corpus.stage import Resources
from corpus.star_contraction import Edges, contract_edges, large_star, small_star
from corpus.storage import Store
from pipelines.engines import Engine

EDGES = ("member", "root")
_KINDS = (np.int64, np.int64)


@dataclass(frozen=True)
class EdgeFile:
    """A file of rows with edges, and the columns that have them."""

    path: str
    columns: tuple[str, str] = EDGES


@dataclass(frozen=True)
class ScratchFiles:
    """Arrow files in a folder that every worker reaches. A file is whole or absent, and has a name of its own."""

    folder: str
    storage_retry_s: float = field(default_factory=storage_retry_s)

    def write(self, table: pa.Table) -> str:
        """Writes a table; returns its path."""
        path = f"{uuid.uuid4().hex}.arrow"
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_table(table)
        with patient_storage(self.storage_retry_s):
            Store(self.folder).publish(path, sink.getvalue().to_pybytes())
        return path

    def read(self, path: str) -> pa.Table:
        """Reads a table."""
        with patient_storage(self.storage_retry_s):
            return pa.ipc.open_stream(Store(self.folder).read(path)).read_all()

    def clear(self) -> None:
        """Removes all files."""
        store = Store(self.folder)
        store.remove_all(store.names(""))


def address_keys(addresses: Ints) -> np.ndarray:
    """Returns the shuffle's key of each address, uint64[n]."""
    return mix64(addresses.astype(np.uint64))


def find_stars(engine: Engine, files: Sequence[EdgeFile], scratch: ScratchFiles, partitions: int) -> dict[int, str]:
    """Returns the files of the stars of all edges, by partition of the members' keys; see `read_stars`."""
    found: dict[int, str] = {}
    while True:
        changed = 0
        for step in ("large", "small"):
            job, join = _EmitEdges(scratch, step), _JoinEdges(scratch, step, partitions)
            written = list(engine.map_reduce(job, list(files), join, partitions))
            rows = pa.concat_tables(written).to_pylist() if written else []
            files = [EdgeFile(row["path"]) for row in rows]
            changed += sum(row["changed"] for row in rows)
            found = {row["partition"]: row["path"] for row in rows}
        if not changed:
            return found


def read_stars(scratch: ScratchFiles, stars: Mapping[int, str], addresses: Ints, partitions: int) -> Ints:
    """Returns the smallest address of the component of each address, int64[n]; the keys are of one partition."""
    if not len(addresses):
        return addresses
    partition = int(address_keys(addresses[:1])[0] % np.uint64(partitions))
    if partition not in stars:
        return addresses
    member, root = _edges(scratch.read(stars[partition]), EDGES)
    at = np.minimum(np.searchsorted(member, addresses), max(len(member) - 1, 0))
    return np.where(member[at] == addresses, root[at], addresses) if len(member) else addresses


@dataclass(frozen=True)
class _EmitEdges:
    """The job that emits the edges of a file by the nodes that bring them together."""

    scratch: ScratchFiles
    step: Literal["large", "small"]

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[EdgeFile], pa.Table]:
        return self._emit

    def on_worker_lost(self, item: EdgeFile, reason: str) -> pa.Table:
        raise RuntimeError(f"edges of {item.path}: {reason}")

    def _emit(self, item: EdgeFile) -> pa.Table:
        member, root = contract_edges(*_edges(self.scratch.read(item.path), item.columns))
        both = self.step == "large"
        node = np.concatenate([member, root]) if both else member
        neighbour = np.concatenate([root, member]) if both else root
        return pa.table({"key": address_keys(node), "node": node, "neighbour": neighbour})


@dataclass(frozen=True)
class _JoinEdges:
    """The reduction that joins the edges of a partition's nodes, and writes them to a file."""

    scratch: ScratchFiles
    step: Literal["large", "small"]
    partitions: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        partition = int(rows.column("key")[0].as_py() % self.partitions)
        step = large_star if self.step == "large" else small_star
        edges, changed = step(*_edges(rows, ("node", "neighbour")))
        path = self.scratch.write(pa.table(dict(zip(EDGES, edges, strict=True))))
        return pa.table({"partition": [partition], "path": [path], "changed": [changed]})


def _edges(rows: pa.Table, columns: tuple[str, str]) -> Edges:
    member, root = (rows.column(name).to_numpy() for name in columns)
    return member, root
