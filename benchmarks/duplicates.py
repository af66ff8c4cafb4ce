"""Measures the stage `duplicates` over 2 million hashes against faiss. Run `python -m benchmarks.duplicates`.

Ours is the stage on the local engine with two workers: map, shuffle through files, reduce, finalize. The peer is faiss
on two threads, from the distinct hashes to the same representatives. faiss has two exact searches for binary words; the
faster here is `IndexBinaryMultiHash` with three tables of 21 bits and one flipped bit (a pair at 4 bits has at most one
in some third, so recall is 1.0 there as well). The brute-force index is timed once, on fewer hashes.

    python -m benchmarks.duplicates --rows 10000000 --engine local ray    # the stage alone, on each engine
    python -m benchmarks.duplicates --rows 200000 --pdq                   # by PDQ: 256 bits, radius 31
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.harness import timed, versus
from corpus.schema import ITEM_ID
from corpus.stage import ITEMS, Resources, Shard
from corpus.storage import Store
from corpus.union_find import join_representatives
from filters.image.dedup import Duplicates, DuplicatesSettings
from pipelines.engines import Engine, EngineSettings, open_engine
from pipelines.engines.local import LocalEngine

RADIUS_BITS, PDQ_RADIUS_BITS = 4, 31
HASHES = 2_000_000
SIZES = (250_000, 500_000, 1_000_000, HASHES)
COMPARED_HASHES = 1_000_000  # for the rounds: the peer takes most of a minute for 2 million, and is run on them once
SHARD_ROWS = 50_000
BRUTE_FORCE_HASHES = 100_000
MAX_SECONDS = 60
MAX_BYTES = 4 << 30


def random_hashes(size: int, crowds: bool = True) -> np.ndarray:
    """Returns shuffled random hashes, a tenth of them in families within the radius of a centre: uint64[size].

    `crowds` as in real images: 1% all equal, 1% that share their first 32 bits, 1% that share a band.
    """
    rng = np.random.default_rng(size)
    hashes = rng.integers(0, 2**64, size, dtype=np.uint64)
    hashes ^= np.where(np.bitwise_count(hashes) < 24, np.uint64(2**64 - 1), np.uint64(0))  # no pHash has few bits set
    crowd = size // 100
    if crowds:
        hashes[:crowd] = hashes[0]
        hashes[crowd : 2 * crowd] |= np.uint64(0xFFFFFFFF << 32)
        hashes[2 * crowd : 3 * crowd] |= np.uint64(0xFFF << 52)
    centres, copies = hashes[-crowd:], hashes[-10 * crowd : -crowd].reshape(-1, crowd)
    copies[:] = centres
    for _ in range(RADIUS_BITS):  # flipping one bit twice makes a nearer copy
        copies ^= np.uint64(1) << rng.integers(0, 64, copies.shape, dtype=np.uint64)
    return rng.permutation(hashes)


@dataclass(frozen=True)
class EmitHashes:
    """The work of the stage's `map` over shards that are cut from a file of hashes."""

    stage: Duplicates
    path: str

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[int], pa.Table]:
        hashes = np.load(self.path, mmap_mode="r")
        return lambda ordinal: self.stage.map(_shard(ordinal, hashes))

    def on_worker_lost(self, item: int, why: str) -> pa.Table:
        raise RuntimeError(why)


def _shard(ordinal: int, hashes: np.ndarray) -> Shard:
    """Returns a shard whose item ids are positions in the file, so that the smallest id is the smallest position."""
    shard_hashes = np.asarray(hashes[ordinal * SHARD_ROWS : (ordinal + 1) * SHARD_ROWS])
    rows = np.arange(len(shard_hashes))
    ids = np.zeros((len(shard_hashes), 2), ">u8")
    ids[:, 0] = rows + ordinal * SHARD_ROWS  # in the first half, which tells ids apart mostly
    same = np.ones(len(shard_hashes), np.int32)
    names = ("width", "height", "compression_loss", "bytes", "sharpness")
    image_stats = pa.table({**_hash_columns(shard_hashes), **dict.fromkeys(names, same), "contrast": 50 * same})
    items = pa.table(
        {"item_id": pa.Array.from_buffers(ITEM_ID, len(shard_hashes), [None, pa.py_buffer(ids.tobytes())])}
    )
    return Shard("hashes", str(ordinal), ordinal, rows, {ITEMS: items, "image_stats": image_stats}, Store("."))


def _hash_columns(hashes: np.ndarray) -> dict[str, Any]:
    """Returns the columns of pHashes, uint64[n], or of PDQ hashes, uint64[n, 4]."""
    if hashes.ndim == 1:
        return {"phash": hashes}
    pdq = pa.Array.from_buffers(pa.binary(32), len(hashes), [None, pa.py_buffer(hashes.tobytes())])
    none = np.zeros(len(hashes), np.uint64)
    return {"phash": none, "pdq": pdq, "pdq_quality": np.full(len(hashes), 100, np.int8)}


def random_pdq_hashes(size: int) -> np.ndarray:
    """Returns shuffled random hashes of 256 bits, a tenth of them in families within 31 bits of a centre."""
    rng = np.random.default_rng(size)
    hashes = rng.integers(0, 2**64, (size, 4), dtype=np.uint64)
    family = size // 100
    for copies in hashes[family : 10 * family].reshape(-1, family, 4):
        copies[:] = hashes[:family]
        for _ in range(PDQ_RADIUS_BITS):
            bits = rng.integers(0, 256, family)
            copies[np.arange(family), bits // 64] ^= np.uint64(1) << (bits % 64).astype(np.uint64)
    return rng.permutation(hashes)


def ours(engine: Engine, path: Path, stage: Duplicates | None = None) -> np.ndarray:
    """Returns the position of each hash's representative, the first kept one that is near: int64[n]."""
    stage = stage or Duplicates(DuplicatesSettings(hamming_radius=RADIUS_BITS))
    size = len(np.load(path, mmap_mode="r"))
    shards = range(-(-size // SHARD_ROWS))
    reduced = engine.map_reduce(EmitHashes(stage, str(path)), shards, stage.reduce, partitions=16)
    joined = stage.finalize(pa.concat_tables(list(reduced)))
    addresses = joined.column("row_address").to_numpy()
    chosen = joined.column("representative").combine_chunks()
    found = np.arange(size)
    found[(addresses >> 32) * SHARD_ROWS + (addresses & 0xFFFFFFFF)] = np.frombuffer(chosen.buffers()[1], ">u8")[::2]
    return found


def faiss_representatives(path: Path, index: Any) -> np.ndarray:
    """Returns the same by a binary index of faiss, over the distinct hashes: it returns all pairs of equal ones."""
    hashes = np.load(path)
    distinct, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)  # the smallest position is the best
    words, first = distinct[order].view(np.uint8).reshape(-1, 8), first[order]
    index.add(words)
    representative, step = np.arange(len(words)), 250_000
    edges = []
    for start in range(0, len(words), step):
        limits, _, near = index.range_search(words[start : start + step], RADIUS_BITS + 1)
        queries = np.repeat(np.arange(start, start + len(limits) - 1), np.diff(limits).astype(np.int64))
        edges.append(np.stack([queries[queries < near], near[queries < near]]))
    join_representatives(representative, *np.concatenate(edges, axis=1))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[representative[place[which]]]


def multi_hash() -> Any:
    """Returns faiss's index of hash tables, exact at 4 bits."""
    import faiss

    index = faiss.IndexBinaryMultiHash(64, 3, 21)
    index.nflip = 1
    return index


def check_against_brute_force(hashes: np.ndarray, found: np.ndarray, sample: int = 2_000) -> None:
    """Checks the representatives of some rows by comparing them with all hashes."""
    rows = np.random.default_rng(1).choice(len(hashes), sample, replace=False)
    kept = found == np.arange(len(hashes))
    near_pairs = 0
    for row in rows.tolist():
        apart = np.bitwise_count(hashes ^ hashes[row])
        near = np.flatnonzero(apart <= RADIUS_BITS if apart.ndim == 1 else apart.sum(axis=1) <= PDQ_RADIUS_BITS)
        better = near[kept[near] & (near < row)]
        assert found[row] == (better[0] if len(better) else row), "not the first kept hash that is near"
        near_pairs += len(near)
    print(
        f"{sample} rows against all {len(hashes):,}: {near_pairs:,} near pairs, each row joined to the first kept one"
    )


def processes() -> Iterator[int]:
    """Yields this process and all that it has started, directly or not."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents.setdefault(int(_stat(path)[1]), []).append(int(path.parent.name))
    found = [os.getpid()]
    for process in found:
        found += parents.get(process, [])
        yield process


def _stat(path: Path) -> list[str]:
    """Returns the fields of /proc/PID/stat that follow the name: state, parent ..."""
    return path.read_text().rpartition(")")[2].split()


def processor_seconds() -> float:
    """Returns what all processes have computed so far, those that have ended included."""
    ticks = 0
    for process in processes():
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(Path(f"/proc/{process}/stat"))[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def peak_bytes() -> int:
    """Returns the sum of the peaks of all processes: an upper bound of their common peak."""
    statuses = []
    for process in processes():
        with contextlib.suppress(OSError):
            statuses.append(Path(f"/proc/{process}/status").read_text())
    return sum(int(text.partition("VmHWM:")[2].split()[0]) << 10 for text in statuses if "VmHWM:" in text)


def measure_engines(rows: int, engines: list[str], pdq: bool) -> None:
    """Runs the stage over so many hashes on each engine with two workers, and checks that the results are equal."""
    pdq_radius = PDQ_RADIUS_BITS if pdq else None
    stage = Duplicates(DuplicatesSettings(hamming_radius=RADIUS_BITS, pdq_radius=pdq_radius))
    results: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as folder:
        path, warm_up = Path(folder, "hashes.npy"), Path(folder, "few.npy")
        np.save(path, random_pdq_hashes(rows) if pdq else random_hashes(rows))
        np.save(warm_up, random_pdq_hashes(1000) if pdq else random_hashes(1000))
        for kind in engines:
            engine = open_engine(EngineSettings(kind=kind, workers=2))  # type: ignore[arg-type]
            ours(engine, warm_up, stage)  # starts the workers
            before = processor_seconds()
            seconds, found = timed(partial(ours, engine, path, stage))
            print(
                f"{kind}, {rows:,} hashes of {256 if pdq else 64} bits: {seconds:.1f} s, "
                f"{processor_seconds() - before:.1f} s of processor time, at most {peak_bytes() / 1e9:.2f} GB; "
                f"{np.count_nonzero(found != np.arange(rows)):,} duplicates; load {os.getloadavg()[0]:.1f}"
            )
            engine.close()
            results.append(found)
        assert all(np.array_equal(found, results[0]) for found in results)
        check_against_brute_force(np.load(path), results[0], sample=100)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=0, help="so many hashes, without a peer")
    parser.add_argument("--engine", nargs="+", default=["local"], choices=["local", "ray", "beam"])
    parser.add_argument("--pdq", action="store_true", help="hashes of 256 bits")
    arguments = parser.parse_args()
    if arguments.rows:
        measure_engines(arguments.rows, arguments.engine, arguments.pdq)
    else:
        against_faiss()


def against_faiss() -> None:
    """Runs the stage and faiss over the same hashes."""
    engine = LocalEngine(EngineSettings(workers=2))
    with tempfile.TemporaryDirectory() as folder:

        def saved(hashes: np.ndarray, name: str = "") -> Path:
            path = Path(folder, f"{len(hashes)}{name}.npy")
            np.save(path, hashes)
            return path

        paths = {size: saved(random_hashes(size)) for size in (BRUTE_FORCE_HASHES, *SIZES)}
        plain = saved(random_hashes(HASHES, crowds=False), "plain")
        ours(engine, paths[BRUTE_FORCE_HASHES])  # starts the workers
        for size in SIZES:
            seconds, found = timed(partial(ours, engine, paths[size]))
            print(f"ours, {size:,} hashes: {seconds:.1f} s, at most {peak_bytes() / 1e9:.2f} GB")
            assert seconds < MAX_SECONDS and peak_bytes() < MAX_BYTES
        check_against_brute_force(np.load(paths[HASHES]), found)
        seconds, _ = timed(partial(ours, engine, plain))
        print(f"ours, {HASHES:,} hashes without crowds: {seconds:.1f} s")

        import faiss

        faiss.omp_set_num_threads(2)
        for size in (size for size in SIZES if size != COMPARED_HASHES):
            seconds, _ = timed(partial(faiss_representatives, paths[size], multi_hash()))
            print(f"faiss multi-hash, {size:,} hashes: {seconds:.1f} s")
        seconds, _ = timed(partial(faiss_representatives, plain, multi_hash()))
        print(f"faiss multi-hash, {HASHES:,} hashes without crowds: {seconds:.1f} s")
        seconds, _ = timed(partial(faiss_representatives, paths[BRUTE_FORCE_HASHES], faiss.IndexBinaryFlat(64)))
        print(f"faiss flat, {BRUTE_FORCE_HASHES:,} hashes: {seconds:.1f} s")
        versus(
            "duplicates",
            "hashes/s",
            COMPARED_HASHES,
            lambda: ours(engine, paths[COMPARED_HASHES]),
            lambda: faiss_representatives(paths[COMPARED_HASHES], multi_hash()),
            f"faiss IndexBinaryMultiHash(64, 3, 21), nflip 1, {COMPARED_HASHES:,} hashes",
            np.testing.assert_array_equal,
        )
    engine.close()


if __name__ == "__main__":
    main()
