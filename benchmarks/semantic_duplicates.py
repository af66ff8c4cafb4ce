"""Measures semantic duplicates among 500,000 vectors of dimension 512. Run `python -m benchmarks.semantic_duplicates`.

Planted are families (an original and two copies of it, with cosines of 0.955 to 0.995 to it), look-alikes (0.88 to
0.94), and chains (each 0.96 to the next, so that the third is no duplicate of the first), all among other items.

Ours are the stages `item_neighbours` and `duplicates` on the local engine with two workers, from the tables of vectors
to the decisions. The peer is SemDeDup as it is published (A. Abbas and others, arXiv 2303.09540): k-means of faiss on
two threads, and inside of each cluster what is nearer than the bound to a better item is removed; the best come first
on both sides. Recall is the part of the planted copies that is removed, precision the part of what is removed that has
a kept item within the bound. Each measurement is a process of its own; sides take turns.

`--rows 50000 --rounds 1` takes a minute or two. `--clustered` divides the items of ours into clusters, too, as above
`max_exact_items`, and looks into the nearest four.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.duplicates import peak_bytes
from benchmarks.harness import timed
from corpus.execution import MapJob, ShardTask, ShuffleMapJob
from corpus.hashing import mix64
from corpus.item_ids import packed_ids, split_ids
from corpus.pool import Pool
from corpus.stage import ITEM_NEIGHBOURS, ITEM_VECTORS, ITEMS, fingerprint_parts
from corpus.vectors import Vectors, normalise, packed_column
from corpus.workspace import Workspace
from filters.image.dedup import Duplicates, DuplicatesSettings
from mining.item_neighbours import ItemNeighbours
from mining.settings import ItemNeighbourSettings
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine

BOUND = 0.95
SHARD_ROWS = 10_000
ITEMS_PER_CLUSTER = 2000
COPIES, CHAIN = 2, 5  # copies of an original, items of a chain
SUBSPACE = 64  # dimensions that the vectors mostly lie in


def planted(rows: int, dimension: int, seed: int) -> tuple[Vectors, np.ndarray, np.ndarray]:
    """Draws vectors float16[rows, dimension], each item's group (-1: none) and whether it is a planted copy.

    All lie near a subspace, as embeddings do, and so do the edits: without gaps between clusters. Items are in order of
    merit, the best first: an original is better than its copies.
    """
    random = np.random.default_rng(seed)
    families, chains = rows // 20, rows // 200
    plain = rows - families * (1 + COPIES) - families * 2 - chains * CHAIN
    space = random.standard_normal((SUBSPACE, dimension)) / np.sqrt(np.arange(1, SUBSPACE + 1))[:, None]

    def drawn(count: int) -> np.ndarray:
        noise = 0.1 * random.standard_normal((count, dimension))
        return _unit(random.standard_normal((count, SUBSPACE)) @ space + noise).astype(np.float32)

    def edited(vectors: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        change = drawn(len(vectors))
        change = _unit(change - np.einsum("nd,nd->n", change, vectors)[:, None] * vectors)
        return (cosines[:, None] * vectors + np.sqrt(1 - cosines**2)[:, None] * change).astype(np.float32)

    originals, others, chain = (drawn(count) for count in (families, families, chains))
    parts = [originals, *(edited(originals, random.uniform(0.955, 0.995, families)) for _ in range(COPIES))]
    parts += [others, edited(others, random.uniform(0.88, 0.94, families)), chain]
    for _ in range(CHAIN - 1):
        parts.append(edited(parts[-1], np.full(chains, 0.96)))
    parts.append(drawn(plain))
    numbers = [np.arange(families)] * (1 + COPIES) + [families + np.arange(families)] * 2
    numbers += [2 * families + np.arange(chains)] * CHAIN + [np.full(plain, -1)]
    group = np.concatenate(numbers)
    is_copy = np.zeros(rows, bool)
    is_copy[families : families * (1 + COPIES)] = True
    rank = np.concatenate([np.full(len(part), number) for number, part in enumerate(parts)])
    order = np.lexsort((random.random(rows), rank))
    return normalise(np.concatenate(parts))[order], group[order], is_copy[order]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_tables(folder: Path, vectors: Vectors) -> None:
    """Writes a workspace with the tables that the stages read; an item's position is in its id, and is its merit."""
    workspace, random = Workspace(folder), np.random.default_rng(1)
    for start in range(0, len(vectors), SHARD_ROWS):
        part = np.arange(start, min(start + SHARD_ROWS, len(vectors)))
        position = part.astype(np.uint64)
        ids = packed_ids(np.stack([mix64(position), position]))
        verdict = {"status": ["kept"] * len(part), "reason": [""] * len(part)}
        same = np.full(len(part), 50, np.float32)
        stats = {
            "phash": random.integers(1 << 63, 2**64, len(part), np.uint64) | np.uint64(0xFFFF),
            "width": (len(vectors) - part).astype(np.int32),
            "height": np.ones(len(part), np.int32),
            "bytes": part,
            **dict.fromkeys(("compression_loss", "sharpness", "contrast"), same),
        }
        tables = {ITEMS: {"item_id": ids}, "image_stats": stats, "quality": {}}
        tables[ITEM_VECTORS] = {"item_id": ids, "vector": packed_column(vectors[part])}
        for name, columns in tables.items():
            workspace.write_table(_path(name, start // SHARD_ROWS), pa.table(columns | verdict), {})


def _path(table: str, shard: int) -> str:
    return f"tables/drawn/{table}/{shard:06d}.0000000000000000.parquet"


def ours(folder: Path, rows: int, clustered: bool) -> dict[str, Any]:
    """Returns which items are kept, with seconds and bytes."""
    shards = range(-(-rows // SHARD_ROWS))
    settings = ItemNeighbourSettings(max_exact_items=1 if clustered else None)
    pool = Pool(Workspace(folder).store.url, tuple(_path(ITEM_VECTORS, shard) for shard in shards))
    search = ItemNeighbours(settings)
    decide = Duplicates(
        DuplicatesSettings(hamming_radius=0, min_cosine=BOUND), semantic=True, tables=(ITEM_NEIGHBOURS,)
    )

    def tasks(stage: ItemNeighbours | Duplicates, *tables: str) -> list[ShardTask]:
        parts = fingerprint_parts(stage, {})
        return [
            ShardTask("drawn", f"{n:06d}", n, tuple((t, _path(t, n)) for t in tables), _path(stage.name, n), "m", parts)
            for n in shards
        ]

    def work() -> tuple[pa.Table, int, dict[str, int]]:
        engine = LocalEngine(EngineSettings(workers=2))
        counts: dict[str, int] = {}
        for outcome in engine.map(
            MapJob(search, pool.workspace, pools={ITEM_VECTORS: pool}), tasks(search, ITEM_VECTORS)
        ):
            assert not outcome.error, outcome.error
            for name, number in outcome.metrics[ITEM_NEIGHBOURS].items():
                counts[name] = counts.get(name, 0) + number
        read = tasks(decide, ITEMS, "image_stats", "quality", ITEM_NEIGHBOURS)
        reduced = list(engine.map_reduce(ShuffleMapJob(decide, pool.workspace), read, decide.reduce, 16))
        table, peak = decide.finalize(pa.concat_tables(reduced)), peak_bytes()
        engine.close()
        return table, peak, counts

    seconds, (table, peak, counts) = timed(work)
    addresses = table.column("row_address").to_numpy()
    duplicate = np.asarray(table.column("status").to_pylist()) == "duplicate"
    kept = np.ones(rows, bool)
    kept[(addresses >> 32) * SHARD_ROWS + (addresses & 0xFFFFFFFF)] = ~duplicate
    stands = split_ids(table.column("representative"))[1].astype(np.int64)
    assert kept[stands].all(), "what stands for others is kept"
    return {"seconds": seconds, "bytes": peak, "kept": kept, "counts": counts}


def semdedup(vectors: Vectors) -> dict[str, Any]:
    """Returns the same of SemDeDup: in each cluster, what is near to any better item is removed."""
    import faiss

    faiss.omp_set_num_threads(2)

    def work() -> np.ndarray:
        numbers = vectors.astype(np.float32)
        clusters = max(1, len(numbers) // ITEMS_PER_CLUSTER)
        kmeans = faiss.Kmeans(numbers.shape[1], clusters, niter=20, seed=0, spherical=True)
        kmeans.train(numbers)
        assigned = kmeans.index.search(numbers, 1)[1][:, 0]
        order = np.argsort(assigned, kind="stable")  # the best of each cluster first
        kept = np.ones(len(numbers), bool)
        for members in np.split(order, np.flatnonzero(np.diff(assigned[order])) + 1):
            scores = np.triu(numbers[members] @ numbers[members].T, 1)
            kept[members] = scores.max(axis=0) < BOUND
        return kept

    seconds, kept = timed(work)
    return {"seconds": seconds, "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, "kept": kept}


def quality(vectors: Vectors, group: np.ndarray, is_copy: np.ndarray, kept: np.ndarray) -> dict[str, float]:
    """Computes recall and precision. What is removed for an item of another group counts as wrong: they are far."""
    removed = np.flatnonzero(~kept)
    in_group: dict[int, list[int]] = {}
    for row in np.flatnonzero(kept & (group >= 0)).tolist():
        in_group.setdefault(int(group[row]), []).append(row)
    right = 0
    for row in removed.tolist():
        others = vectors[in_group.get(int(group[row]), [])].astype(np.float64)
        right += bool((others @ vectors[row].astype(np.float64) >= BOUND - 1e-6).any())
    return {"recall": float((~kept[is_copy]).mean()), "precision": right / max(1, len(removed))}


def side(name: str, folder: Path) -> None:
    """Measures one side and prints what it found."""
    vectors, group, is_copy = (np.load(folder / f"{part}.npy") for part in ("vectors", "group", "is_copy"))
    found = semdedup(vectors) if name == "peer" else ours(folder / "workspace", len(vectors), name == "clustered")
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    found["processor_s"] = sum(each.ru_utime + each.ru_stime for each in usage)
    found |= quality(vectors, group, is_copy, found.pop("kept"))
    print(json.dumps(found))


def run_side(name: str, folder: Path) -> dict[str, Any]:
    """Measures one side in a process of its own; a worker multiplies on one thread, and there are two."""
    threads = {} if name == "peer" else {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.semantic_duplicates", "--side", name, "--folder", str(folder)]
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    measures = ", ".join(f"{key} {found[key]:.4f}" for key in ("recall", "precision"))
    counts = found.get("counts", {})
    processor = f"{found['processor_s']:.1f} s of processors"
    print(
        f"{name}: {found['seconds']:.1f} s, {processor}, {found['bytes'] / 1e9:.2f} GB, {measures} {counts}", flush=True
    )
    return found


def compare(rows: int, dimension: int, rounds: int, clustered: bool) -> dict[str, Any]:
    """Measures both sides in turn."""
    name = "clustered" if clustered else "exact"
    results: dict[str, list[dict[str, Any]]] = {name: [], "peer": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        vectors, group, is_copy = planted(rows, dimension, seed=0)
        for part, array in (("vectors", vectors), ("group", group), ("is_copy", is_copy)):
            np.save(folder / f"{part}.npy", array)
        write_tables(folder / "workspace", vectors)
        for number in range(rounds):
            for each in (name, "peer") if number % 2 == 0 else ("peer", name):
                results[each].append(run_side(each, folder))
    our, peer = results[name], results["peer"]
    seconds = [statistics.median(each["seconds"] for each in found) for found in (our, peer)]
    measures = {
        f"{prefix}{key}": round(found[0][key], 4)
        for prefix, found in (("", our), ("peer_", peer))
        for key in ("recall", "precision")
    }
    ratio = statistics.median(b["seconds"] / a["seconds"] for a, b in zip(our, peer, strict=True))
    return {
        "name": f"semantic_duplicates{'_clustered' * clustered}",
        "unit": "items/s",
        "ours": round(rows / seconds[0], 1),
        "peer": round(rows / seconds[1], 1),
        "peer_name": f"SemDeDup, {rows:,} x {dimension}",
        "ratio": round(ratio, 3),
        "rounds": rounds,
        **measures,
        "processor_s": round(statistics.median(each["processor_s"] for each in our), 1),
        "peer_processor_s": round(statistics.median(each["processor_s"] for each in peer), 1),
        "gigabytes": round(max(each["bytes"] for each in our) / 1e9, 2),
        "peer_gigabytes": round(max(each["bytes"] for each in peer) / 1e9, 2),
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clustered", action="store_true")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        side(args.side, args.folder)
    else:
        print(json.dumps(compare(args.rows, args.dimension, args.rounds, args.clustered)))


if __name__ == "__main__":
    main()
