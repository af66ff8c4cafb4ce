"""Finds the components of edges that lie in files, in rounds over an engine's shuffle: the driver has their names only.

See `corpus.star_contraction`. A round is two shuffles: a worker reads a file of edges, the shuffle brings the edges of
a node together, and the reducer writes what it joined to a file again, and the nodes that left the graph to another.
What is left once it is no more than a part of the first round had, one worker joins. Then the rounds are gone through
backwards: the nodes that left in a round are given the components of those that they were joined to.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from corpus.arrays import Ints
from corpus.hashing import mix64
from corpus.outages import patient_storage, storage_retry_s
from corpus.stage import Resources
from corpus.star_contraction import Edges, contract_edges, large_star, strip_leaves
from corpus.storage import Store
from pipelines.engines import Engine

EDGES = ("member", "root")


@dataclass(frozen=True)
class EdgeFile:
    """A file of rows with edges, and the columns that have them."""

    path: str
    columns: tuple[str, str] = EDGES
    contracted: bool = False  # they are stars, of a round before: contracting them again would change nothing


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
    edges, removed = list(files), list[list[EdgeFile]]()  # the nodes that left the graph in each round
    max_rest: int | None = None
    while True:
        written = _shuffled(engine, _EmitEdges(scratch), edges, _JoinEdges(scratch, "strip"), partitions)
        edges, leaves = _edge_files(written, "edges"), _edge_files(written, "leaves")
        rows = sum(row["rows"] for row in written)
        removed.append(leaves)
        max_rest = rows // partitions if max_rest is None else max_rest
        if rows <= max_rest:
            break
        written = _shuffled(engine, _EmitEdges(scratch), edges, _JoinEdges(scratch, "large"), partitions)
        edges = _edge_files(written, "edges")
    written = _shuffled(engine, _EmitEdges(scratch), edges, _JoinEdges(scratch, "contract"), 1)
    known = _edge_files(written, "edges")
    for leaves in reversed(removed):
        lookups = [
            *(_Lookup(file, is_known=True) for file in known),
            *(_Lookup(file, is_known=False) for file in leaves),
        ]
        written = _shuffled(engine, _EmitLookups(scratch), lookups, _JoinLookups(scratch), partitions)
        known += _edge_files(written, "edges")
    written = _shuffled(engine, _EmitMembers(scratch), known, _SortMembers(scratch, partitions), partitions)
    return {row["partition"]: row["edges"] for row in written}


def read_stars(scratch: ScratchFiles, stars: Mapping[int, str], addresses: Ints, partitions: int) -> Ints:
    """Returns the smallest address of the component of each address, int64[n]; the keys are of one partition."""
    if not len(addresses):
        return addresses
    partition = int(address_keys(addresses[:1])[0] % np.uint64(partitions))
    if partition not in stars:
        return addresses
    return _roots_of(_edges(scratch.read(stars[partition]), EDGES), addresses)


def _shuffled(
    engine: Engine, job: _EmitJob, items: Sequence[Any], join: Callable[[pa.Table], pa.Table], partitions: int
) -> list[dict[str, Any]]:
    """Runs a shuffle over files; returns the rows of the small tables about what each reducer wrote."""
    return [row for table in engine.map_reduce(job, items, join, partitions) for row in table.to_pylist()]


def _edge_files(written: Sequence[Mapping[str, Any]], column: str) -> list[EdgeFile]:
    return [EdgeFile(row[column], contracted=True) for row in written]


@dataclass(frozen=True)
class _EmitJob(ABC):
    """A job that reads files and emits their rows by a key."""

    scratch: ScratchFiles

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[Any], pa.Table]:
        return self.emit

    def on_worker_lost(self, item: object, reason: str) -> pa.Table:
        raise RuntimeError(f"edges of {item}: {reason}")

    @abstractmethod
    def emit(self, item: Any) -> pa.Table:
        """Returns the rows of a file, with their keys."""


class _EmitEdges(_EmitJob):
    """The job that emits the edges of a file by both of their nodes."""

    def emit(self, item: EdgeFile) -> pa.Table:
        member, root = _edges(self.scratch.read(item.path), item.columns)
        if not item.contracted:
            member, root = contract_edges(member, root)
        node, neighbour = np.concatenate([member, root]), np.concatenate([root, member])
        return pa.table({"key": address_keys(node), "node": node, "neighbour": neighbour})


@dataclass(frozen=True)
class _JoinEdges:
    """The reduction that joins the edges of a partition's nodes, and writes them and the nodes that leave to files."""

    scratch: ScratchFiles
    step: Literal["strip", "large", "contract"]

    def __call__(self, rows: pa.Table) -> pa.Table:
        both = _edges(rows, ("node", "neighbour"))
        written = {}
        if self.step == "strip":
            leaves, edges = strip_leaves(*both)
            written["leaves"] = [_write(self.scratch, leaves)]
        else:
            edges = large_star(*both) if self.step == "large" else contract_edges(*both)
        return pa.table({"edges": [_write(self.scratch, edges)], "rows": [len(edges[0])], **written})


@dataclass(frozen=True)
class _Lookup:
    """A file of nodes whose components are known, or of nodes that have the component of their root."""

    file: EdgeFile
    is_known: bool


class _EmitLookups(_EmitJob):
    """The job that emits known nodes by themselves, and others by the node that they were joined to."""

    def emit(self, item: _Lookup) -> pa.Table:
        member, root = _edges(self.scratch.read(item.file.path), EDGES)
        keys = address_keys(member if item.is_known else root)
        is_known = np.full(len(member), item.is_known)
        return pa.table({"key": keys, "member": member, "root": root, "is_known": is_known})


@dataclass(frozen=True)
class _JoinLookups:
    """The reduction that writes the components of nodes whose roots are known, or are the component's smallest node."""

    scratch: ScratchFiles

    def __call__(self, rows: pa.Table) -> pa.Table:
        member, root = _edges(rows, EDGES)
        is_known = rows.column("is_known").to_numpy(zero_copy_only=False)
        order = np.argsort(member[is_known])
        known = member[is_known][order], root[is_known][order]
        found = member[~is_known], _roots_of(known, root[~is_known])
        return pa.table({"edges": [_write(self.scratch, found)]})


class _EmitMembers(_EmitJob):
    """The job that emits stars by their members."""

    def emit(self, item: EdgeFile) -> pa.Table:
        member, root = _edges(self.scratch.read(item.path), EDGES)
        return pa.table({"key": address_keys(member), "member": member, "root": root})


@dataclass(frozen=True)
class _SortMembers:
    """The reduction that writes the stars of a partition's members, ascending."""

    scratch: ScratchFiles
    partitions: int

    def __call__(self, rows: pa.Table) -> pa.Table:
        member, root = _edges(rows, EDGES)
        order = np.argsort(member)
        partition = int(rows.column("key")[0].as_py() % self.partitions)
        return pa.table({"partition": [partition], "edges": [_write(self.scratch, (member[order], root[order]))]})


def _write(scratch: ScratchFiles, edges: Edges) -> str:
    return scratch.write(pa.table(dict(zip(EDGES, edges, strict=True))))


def _edges(rows: pa.Table, columns: tuple[str, str]) -> Edges:
    member, root = (rows.column(name).to_numpy() for name in columns)
    return member, root


def _roots_of(stars: Edges, nodes: Ints) -> Ints:
    """Returns the root of each node in stars of ascending members; of those that are no members the node itself."""
    member, root = stars
    if not len(member):
        return nodes
    at = np.minimum(np.searchsorted(member, nodes), len(member) - 1)
    return np.where(member[at] == nodes, root[at], nodes)
