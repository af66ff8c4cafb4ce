"""Measures connected components of 20 million edges: in rounds through files, and on the driver.

    python -m benchmarks.components                     # 20 million edges
    python -m benchmarks.components --edges 2000000

The edges are chains through families of five nodes on average and through twenty large ones, and some beside them, in
files in any order, as reducers leave them. Ours is `pipelines.component_rounds` on the local engine with two workers;
the peers are what `finalize` does on the driver (union-find over all edges) and scipy's `connected_components`. Each
runs in a process of its own, whose memory is the driver's, in turns. All have the same labels. The ratio is of the
driver's memory: the rounds are slower, and need not hold the edges.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.arrays import Ints
from corpus.hashing import mix64
from corpus.storage import Store
from corpus.union_find import components
from pipelines.component_rounds import EdgeFile, ScratchFiles, find_stars
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine

EDGES, FILES, PARTITIONS, WORKERS, ROUNDS = 20_000_000, 16, 16, 2, 5
_MEAN_FAMILY = 5
_LARGE_FAMILIES, _LARGE_SHARE = 20, 0.01
_SHARD_ROWS = 5_000
_FOLDER = "edges"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--edges", type=int, default=EDGES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--measure", nargs=2, metavar=("WORK", "FOLDER"), help="used by the benchmark itself")
    arguments = parser.parse_args()
    if arguments.measure:
        name, folder = arguments.measure
        print(json.dumps(measure(_WORKS[name], Path(folder))))
        return
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in _WORKS}
    with tempfile.TemporaryDirectory() as folder:
        nodes = write_edges(Path(folder), arguments.edges)
        for number in range(arguments.rounds):
            for name in list(_WORKS)[:: 1 if number % 2 == 0 else -1]:
                command = [sys.executable, "-m", "benchmarks.components", "--measure", name, folder]
                found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
                figures[name].append(found)
                print(f"round {number + 1}: {name}: {found['seconds']:.1f} s, {found['gb']:.2f} GB", file=sys.stderr)
    labels = {each["labels"] for found in figures.values() for each in found}
    assert len(labels) == 1, "the components are the same"
    medians = {
        name: {key: statistics.median(each[key] for each in found) for key in ("seconds", "gb")}
        for name, found in figures.items()
    }
    print(json.dumps({"edges": arguments.edges, "nodes": nodes, **medians}))
    ours, peer = (medians[name]["gb"] for name in ("rounds", "driver"))
    print(
        json.dumps(
            {
                "name": "components",
                "unit": "GB of the driver",
                "ours": round(ours, 3),
                "peer": round(peer, 3),
                "peer_name": f"union-find on the driver, {arguments.edges:,} edges",
                "ratio": round(peer / ours, 3),
                "rounds": arguments.rounds,
            }
        )
    )


def write_edges(folder: Path, edges: int) -> int:
    """Writes files of edges between addresses; returns how many nodes they have."""
    rng = np.random.default_rng(0)
    nodes = edges * _MEAN_FAMILY // (_MEAN_FAMILY + 1)
    family = rng.integers(0, nodes // _MEAN_FAMILY, nodes)  # of each node
    large = rng.random(nodes) < _LARGE_SHARE
    family[large] = rng.integers(0, _LARGE_FAMILIES, int(large.sum()))
    order = np.argsort(family, kind="stable")
    starts = rng.integers(0, nodes - 1, edges - nodes + 1)
    first = np.append(np.arange(nodes - 1), starts)  # a chain through each family, and further edges beside it
    second = np.minimum(np.append(np.arange(1, nodes), starts + rng.integers(1, 4, len(starts))), nodes - 1)
    a, b = order[first], order[second]
    same = np.flatnonzero(family[a] == family[b])
    addresses = (np.arange(nodes) // _SHARD_ROWS << 32) + np.arange(nodes) % _SHARD_ROWS
    scratch = ScratchFiles(str(folder / _FOLDER))
    for part in np.array_split(rng.permutation(same), FILES):
        scratch.write(pa.table({"row_address": addresses[a[part]], "root": addresses[b[part]]}))
    return nodes


def measure(work: Callable[[Path], Callable[[], int]], folder: Path) -> dict[str, Any]:
    """Returns seconds, peak memory of this process, and a digest of the labels, which is computed afterwards."""
    start = time.perf_counter()
    digest = work(folder)
    seconds = time.perf_counter() - start
    gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": round(seconds, 2), "gb": round(gb, 3), "labels": digest()}


def in_rounds(folder: Path) -> Callable[[], int]:
    """Finds the components in rounds, as files of stars."""
    edges = ScratchFiles(str(folder / _FOLDER))
    paths = Store(edges.folder).names("")
    scratch = ScratchFiles(str(folder / "scratch"))
    engine = LocalEngine(EngineSettings(workers=WORKERS))
    files = [EdgeFile(f"{edges.folder}/{path}", ("row_address", "root")) for path in paths]
    stars = find_stars(engine, files, scratch, PARTITIONS)
    engine.close()

    def digest() -> int:
        total = 0
        for path in stars.values():
            table = scratch.read(path)
            total += _digest(table.column("member").to_numpy(), table.column("root").to_numpy())
        scratch.clear()
        return total % (1 << 64)

    return digest


def on_driver(folder: Path) -> Callable[[], int]:
    """Finds the components as `finalize` does."""
    nodes, a, b = _graph(folder)
    labels = components(len(nodes), a, b)
    return lambda: _digest(nodes, nodes[labels])


def by_scipy(folder: Path) -> Callable[[], int]:
    """Finds the components by scipy, each called by its smallest node."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, a, b = _graph(folder)
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(nodes), len(nodes)))
    number, label = connected_components(graph, directed=False)
    smallest = np.full(number, len(nodes))
    np.minimum.at(smallest, label, np.arange(len(nodes)))
    return lambda: _digest(nodes, nodes[smallest[label]])


def _graph(folder: Path) -> tuple[Ints, Ints, Ints]:
    """Reads all edges: the addresses of the nodes, and the numbers of both ends of each edge."""
    scratch = ScratchFiles(str(folder / _FOLDER))
    reduced = pa.concat_tables([scratch.read(path) for path in Store(scratch.folder).names("")])
    addresses = np.concatenate([reduced.column(name).to_numpy() for name in ("row_address", "root")])
    nodes, places = np.unique(addresses, return_inverse=True)
    return nodes, places[: reduced.num_rows], places[reduced.num_rows :]


def _digest(nodes: Ints, labels: Ints) -> int:
    """Returns a number that tells what is joined with what, whatever the order: those alone count nothing."""
    joined = np.flatnonzero(nodes != labels)
    words = mix64(mix64(nodes[joined].astype(np.uint64)) + labels[joined].astype(np.uint64))
    return int(words.sum(dtype=np.uint64))


_WORKS: dict[str, Callable[[Path], Callable[[], int]]] = {"rounds": in_rounds, "driver": on_driver, "scipy": by_scipy}


if __name__ == "__main__":
    main()
