"""Rounds over the shuffle of an engine, with edges in files, find the components that one process finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.storage import Store
from corpus.union_find import components
from pipelines.component_rounds import EdgeFile, ScratchFiles, address_keys, find_stars, read_stars
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine

NODES, PARTITIONS = 3_000, 4


def test_edges_in_files_become_stars_in_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    chain = rng.permutation(1_000)
    a = np.concatenate([chain[:-1], rng.integers(1_000, NODES, 1_500)])
    b = np.concatenate([chain[1:], rng.integers(1_000, NODES, 1_500)])
    order = rng.permutation(len(a))
    scratch = ScratchFiles(str(tmp_path / "scratch"))
    files = [
        EdgeFile(scratch.write(pa.table({"from": a[part], "to": b[part], "other": a[part]})), ("from", "to"))
        for part in np.array_split(order, 5)
    ]
    engine = LocalEngine(EngineSettings(workers=1))
    stars = find_stars(engine, files, scratch, PARTITIONS)
    engine.close()
    expected = components(NODES, a, b)
    nodes = np.arange(NODES)
    partition = address_keys(nodes) % np.uint64(PARTITIONS)
    for number in range(PARTITIONS):
        here = nodes[partition == number]
        assert read_stars(scratch, stars, here, PARTITIONS).tolist() == expected[here].tolist()
    scratch.clear()
    assert Store(scratch.folder).names("") == []


def test_addresses_without_edges_are_alone(tmp_path: Path) -> None:
    scratch = ScratchFiles(str(tmp_path / "scratch"))
    engine = LocalEngine(EngineSettings(workers=1))
    loops = scratch.write(pa.table({"member": [3, 5], "root": [3, 5]}))
    assert find_stars(engine, [EdgeFile(loops)], scratch, PARTITIONS) == {}
    engine.close()
    assert read_stars(scratch, {}, np.array([5, 9]), PARTITIONS).tolist() == [5, 9]
    assert read_stars(scratch, {}, np.empty(0, np.int64), PARTITIONS).tolist() == []
