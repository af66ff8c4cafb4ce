"""Mining hard negatives, against sentence-transformers with faiss; and exact search against bare multiplication.

    python -m benchmarks.mining             # 100,000 pairs of dimension 256: the same bounds, the same negatives
    python -m benchmarks.mining --alone     # 532,000 x 768: share of bare multiplication, on a sample of the queries
    python -m benchmarks.mining --growth    # pools of 50,000 to 500,000

Run it with the Python of `.venv-models`, on an idle machine. Encoding is a lookup on both sides. Ours runs as its stage
does: a search of one thread for each core, over a part of the queries each. sentence-transformers gives all cores to
faiss. Each side of a round is a process of its own, and its memory what the process takes at most beyond what it took
before it began, mapped files included. The negatives must be the same, but for scores that float32 does not tell apart.

The vectors lie around centres, so that some candidates are nearly as good as the positive, as in a real corpus.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import timed
from corpus.search.exact import Neighbours, TopK
from corpus.search.fast_scores import backend
from corpus.vectors import Vectors, normalise
from mining.choose import Candidates, Reason, Rules, choose
from mining.similarities import row_products

ROUNDS = 5
K = 100
SHARD = 2048  # queries that are searched for together
MEMORY_BYTES = 64 << 20  # of each search beside sentence-transformers, of whose memory a quarter is allowed
STAGE_MEMORY_BYTES = (4 << 30) // 4  # what the stage gives to each search unless the settings give another
BOUNDS = Rules(perc_pos=None, max_positive_similarity=None, relative_margin=0.05, num_negatives=5)
SAME_SCORE = 2e-6  # float32 sums of 256 products differ by that much at most


def draw(rows: int, dimension: int, seed: int, folder: Path) -> None:
    """Queries and their positives, as files that are mapped."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(2, rows // 200), dimension)).astype(np.float32)
    files = {name: create(folder / f"{name}.npy", rows, dimension) for name in ("query", "positive")}
    for first in range(0, rows, 10_000):
        count = min(10_000, rows - first)
        meant = centres[random.integers(0, len(centres), count)]
        meant = meant + 0.9 * random.standard_normal((count, dimension), np.float32)
        for file in files.values():
            noise = random.standard_normal((count, dimension), np.float32)
            file[first : first + count] = normalise(meant + 0.8 * noise)
    for file in files.values():
        file.flush()


def create(path: Path, rows: int, dimension: int) -> np.memmap[Any, np.dtype[np.float16]]:
    return np.lib.format.open_memmap(path, "w+", np.float16, (rows, dimension))


def number_ids(rows: int) -> np.ndarray:
    return np.stack([np.arange(rows, dtype=np.uint64), np.arange(rows, dtype=np.uint64)])


def in_threads(work: Callable[[slice], Any], rows: int, threads: int) -> None:
    """Do the work for all shards of the queries, as many at once as there are threads."""
    shards = [slice(first, min(first + SHARD, rows)) for first in range(0, rows, SHARD)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, shards))


def searched(queries: Vectors, pool: Vectors, k: int, memory_bytes: int = MEMORY_BYTES) -> Neighbours:
    search = TopK(queries, k, memory_bytes=memory_bytes)
    search.add(number_ids(len(pool)), pool)
    return search.result()


def ours_mined(query: Vectors, positive: Vectors, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """The negatives of each pair and their scores; -1 and -inf where there are too few."""
    numbers = number_ids(len(query))
    negatives = np.full((len(query), BOUNDS.num_negatives), -1, np.int64)
    scores = np.full(negatives.shape, -np.inf, np.float32)

    def part_mined(part: slice) -> None:
        offsets, ids, products, places = searched(query[part], positive, BOUNDS.depth(1)).lists()
        row = np.repeat(np.arange(part.start, part.stop), np.diff(offsets))
        reference = row_products(query[part], positive[part])
        masks = {Reason.OWN_POSITIVE: places == row}
        choice = choose(Candidates(numbers[:, part], offsets, ids, products, reference, masks), BOUNDS)
        slot = np.arange(len(choice.chosen)) - np.repeat(choice.offsets[:-1], np.diff(choice.offsets))
        negatives[row[choice.chosen], slot] = places[choice.chosen]
        scores[row[choice.chosen], slot] = products[choice.chosen]

    in_threads(part_mined, len(query), threads)
    return negatives, scores


def peer_mined(query: Vectors, positive: Vectors) -> tuple[np.ndarray, np.ndarray]:
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers.util import mine_hard_negatives

    disable_progress_bars()
    names = [str(at) for at in range(len(query))]
    with contextlib.redirect_stderr(io.StringIO()):
        mined = mine_hard_negatives(
            Dataset.from_dict({"query": names, "positive": names}),
            Lookup(query, positive),  # type: ignore[arg-type]
            num_negatives=BOUNDS.num_negatives,
            relative_margin=BOUNDS.relative_margin,
            output_format="labeled-list",
            output_scores=True,
            use_faiss=True,
            verbose=False,
        )
    negatives = np.full((len(query), BOUNDS.num_negatives), -1, np.int64)
    scores = np.full(negatives.shape, -np.inf, np.float32)
    for documents, values in zip(mined["positive"], mined["scores"], strict=True):
        row, count = int(documents[0]), len(documents) - 1
        negatives[row, :count] = [int(name) for name in documents[1:]]
        scores[row, :count] = values[1:]
    return negatives, scores


class Lookup:
    """What `mine_hard_negatives` uses of a model: text n has the n-th vector."""

    def __init__(self, query: Vectors, positive: Vectors) -> None:
        import torch

        self.device = torch.device("cpu")
        self._query, self._positive = query, positive

    def encode_query(self, texts: list[str], **_: Any) -> np.ndarray:
        return self._query[[int(text) for text in texts]].astype(np.float32)

    def encode_document(self, texts: list[str], **_: Any) -> np.ndarray:
        return self._positive[[int(text) for text in texts]].astype(np.float32)

    def get_embedding_dimension(self) -> int:
        return int(self._positive.shape[1])

    def similarity(self, left: Any, right: Any) -> Any:
        import torch

        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left: Any, right: Any) -> Any:
        import torch

        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(dim=1)


def bare(queries: Vectors, pool: Vectors, threads: int) -> None:
    """The multiplication alone, in the blocks and the type that the search takes."""
    fast: Any = type(backend())

    def multiply(part: slice) -> None:
        ours = fast()
        left = ours.operand(queries[part])
        for first in range(0, len(pool), ours.max_columns):
            right = ours.operand(pool[first : first + ours.max_columns])
            for row in range(0, part.stop - part.start, ours.max_rows):
                ours.scores(left, row, min(row + ours.max_rows, part.stop - part.start), right)

    in_threads(multiply, len(queries), threads)


def side(name: str, folder: Path, threads: int, queries: int) -> None:
    """Run one side in this process; tells its seconds and its memory, and leaves its negatives in the folder."""
    if name == "peer":
        from serving.vllm.torchvision_shim import patch_imports

        patch_imports()
        import faiss
        import sentence_transformers  # noqa: F401 - what it takes to be imported does not count

        faiss.omp_set_num_threads(threads)
    elif backend().name.startswith("torch"):
        import torch

        torch.set_num_threads(1)
    query, positive = (np.load(folder / f"{which}.npy", mmap_mode="r") for which in ("query", "positive"))
    query = query[: queries or None]
    Path("/proc/self/clear_refs").write_text("5")  # the highest value so far is forgotten
    before = memory_of_process("VmRSS")
    work: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours_mined(query, positive, threads),
        "peer": lambda: peer_mined(query, positive),
        "search": lambda: in_threads(
            lambda part: searched(query[part], positive, K, STAGE_MEMORY_BYTES), len(query), threads
        ),
        "bare": lambda: bare(query, positive, threads),
    }
    seconds, found = timed(work[name])
    taken = memory_of_process("VmHWM") - before
    if name in ("ours", "peer"):
        np.savez(folder / f"{name}.npz", negatives=found[0], scores=found[1])
    print(json.dumps({"seconds": seconds, "bytes": taken, "backend": backend().name}))


def memory_of_process(field: str) -> int:
    """VmRSS or VmHWM, its highest value, in bytes. What rusage tells counts the parent's memory, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024


def run_side(name: str, folder: Path, threads: int, queries: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.mining", "--side", name, "--folder", str(folder)]
    command += ["--threads", str(threads), "--queries", str(queries)]
    one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads) if name == "peer" else "1"}
    done = subprocess.run(command, env={**os.environ, **one}, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def interleaved(names: tuple[str, str], folder: Path, threads: int, queries: int, rounds: int) -> dict[str, list[Any]]:
    """Both sides in turn, the first of a round alternates."""
    results: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else names[::-1]:
            results[name].append(run_side(name, folder, threads, queries))
        seconds = ", ".join(f"{name} {results[name][-1]['seconds']:.2f} s" for name in names)
        memory = ", ".join(f"{name} {results[name][-1]['bytes'] / 2**20:.0f} MiB" for name in names)
        print(f"round {number + 1}/{rounds}: {seconds}; {memory}", file=sys.stderr)
    return results


def different_negatives(folder: Path) -> int:
    """How many pairs have other negatives, where float32 scores do not explain it."""
    ours, peer = (np.load(folder / f"{name}.npz") for name in ("ours", "peer"))
    other = (ours["negatives"] != peer["negatives"]).any(axis=1)
    apart = ~np.isclose(ours["scores"], peer["scores"], rtol=0, atol=SAME_SCORE).all(axis=1)
    missing = (ours["negatives"] < 0) != (peer["negatives"] < 0)
    print(f"{other.sum()} pairs have other negatives or another order, {(other & apart).sum()} not by equal scores")
    assert not missing.any() or missing.mean() < 1e-4, f"{missing.sum()} places are filled by one side only"
    return int((other & apart).sum())


def compare(rows: int, dimension: int, threads: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(rows, dimension, 0, folder)
        results = interleaved(("ours", "peer"), folder, threads, 0, rounds)
        # One candidate at the bound, taken by one side only, is a difference that rounding explains.
        assert different_negatives(folder) <= rows * 1e-4
    seconds = {name: statistics.median(each["seconds"] for each in results[name]) for name in results}
    peak = {name: statistics.median(each["bytes"] for each in results[name]) for name in results}
    ratio = statistics.median(
        their["seconds"] / our["seconds"] for our, their in zip(results["ours"], results["peer"], strict=True)
    )
    return {
        "name": "mining",
        "unit": "pairs/s",
        "ours": round(rows / seconds["ours"], 1),
        "peer": round(rows / seconds["peer"], 1),
        "peer_name": f"sentence-transformers with faiss, {rows:,} pairs of dimension {dimension}",
        "ratio": round(ratio, 3),
        "rounds": rounds,
        "memory_ratio": round(peak["ours"] / peak["peer"], 3),
        "backend": results["ours"][0]["backend"],
    }


def alone(rows: int, dimension: int, threads: int, queries: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(rows, dimension, 0, folder)
        results = interleaved(("search", "bare"), folder, threads, queries, rounds)
    seconds = statistics.median(each["seconds"] for each in results["search"])
    share = statistics.median(
        bare["seconds"] / full["seconds"] for full, bare in zip(results["search"], results["bare"], strict=True)
    )
    peak = statistics.median(each["bytes"] for each in results["search"])
    print(
        f"{queries:,} queries against {rows:,}: {seconds:.1f} s, {peak / 2**20:.0f} MiB with mapped pages of the pool"
    )
    print(f"all {rows:,} queries, projected: {seconds * rows / queries / 60:.1f} minutes")
    return {
        "name": "mining_alone",
        "unit": "queries/s",
        "ours": round(queries / seconds, 1),
        "peer": round(queries / statistics.median(each["seconds"] for each in results["bare"]), 1),
        "peer_name": f"bare multiplication by {results['search'][0]['backend']}, {rows:,} x {dimension}, top {K}",
        "ratio": round(share, 3),
        "rounds": rounds,
    }


def growth(sizes: list[int], dimension: int, threads: int, queries: int, rounds: int) -> dict[str, Any]:
    seconds = {}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as name:
            draw(rows, dimension, 0, Path(name))
            runs = [run_side("search", Path(name), threads, queries) for _ in range(rounds)]
        seconds[rows] = statistics.median(run["seconds"] for run in runs)
        peak = max(run["bytes"] for run in runs) / 2**20
        print(f"{queries:,} queries, pool of {rows:,}: {seconds[rows]:.2f} s, {peak:.0f} MiB with mapped pages")
    per_row = [seconds[rows] / rows for rows in (sizes[0], sizes[-1])]
    return {
        "name": "mining_growth",
        "unit": "rows of the pool/s",
        "ours": round(1 / per_row[1]),
        "peer": round(1 / per_row[0]),
        "peer_name": f"a pool of {sizes[0]:,} instead of {sizes[-1]:,}",
        "ratio": round(per_row[0] / per_row[1], 3),
        "rounds": rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--dimension", type=int)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        side(args.side, args.folder, args.threads, args.queries)
    elif args.alone:
        queries = args.queries or 8 * SHARD
        print(json.dumps(alone(args.rows or 532_000, args.dimension or 768, args.threads, queries, args.rounds)))
    elif args.growth:
        largest = args.rows or 500_000
        sizes = [largest // 10, largest // 5, largest * 2 // 5, largest]
        print(json.dumps(growth(sizes, args.dimension or 256, args.threads, args.queries or 8 * SHARD, args.rounds)))
    else:
        print(json.dumps(compare(args.rows or 100_000, args.dimension or 256, args.threads, args.rounds)))


if __name__ == "__main__":
    main()
