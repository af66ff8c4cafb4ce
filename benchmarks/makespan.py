"""Measures how long a whole run takes against the least that its graph allows, and against the runner before it.

    python -m benchmarks.makespan                    # the planted graph on the local engine
    python -m benchmarks.makespan --engine ray
    python -m benchmarks.makespan --demo             # `make demo`
    python -m benchmarks.makespan --slow-web         # a web of 100 KB/s a connection

The planted graph has the recipe's shape: three sources of 6, 10 and 18 shards; a download that waits on a network
(asleep), a stage that computes (real work: statistics of images), the shuffle that finds duplicates among all, a stage
that holds a model on the only GPU (asleep: captions), a stage that computes over what the model wrote (real work: the
agreement of captions), pairs, and published tars. Two workers. No schedule beats the lower bound: what comes before
the shuffle takes as long as its dearest resource, with the first shard's way to it and the last one's from it, and so
does what comes after it. What starts
processes, plans and publishes is in no bound: a shard takes two seconds of a core in each stage, so that this weighs
as little as it does in real runs, whose shards take minutes.

The peer is this project at commit 1c84e3c, which ran stage by stage and source by source. It is taken from the
repository into a temporary folder, so this runs in a clone. Both run in turns, with the same Python, in processes of
their own; both must write the same tables and tars.

`--slow-web` runs the stages of images from URLs to tars over a server that gives each connection 100 KB/s, and prints
how much longer that takes than the download alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.harness import timed, versus
from benchmarks.makespan_stages import COSTS, Costs, compute

BEFORE = "1c84e3c"  # the last commit whose runs go stage by stage
ROOT = Path(__file__).parents[1]
SHARDS = (6, 10, 18)  # of the three sources
WORKERS = 2
DOWNLOADS = 2 * WORKERS  # shards that are downloaded at once: a worker has two
COMPUTE_S, LOAD_S = 2.0, 1.0  # of a shard in each stage that computes; of loading the model
MODEL_S = COMPUTE_S / WORKERS  # of a shard: the model takes as long over all as what computes after it
NETWORK_S = 0.9 * DOWNLOADS * COMPUTE_S / WORKERS  # of a shard: 0.9 of what computes before the shuffle
WEB_IMAGES, WEB_SHARD_ROWS = 480, 24
WEB_BYTES_PER_S, WEB_CHUNK_BYTES = 100_000, 10_000  # of each connection


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--rounds", type=int, default=5)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--demo", action="store_true", help="the demo instead of the planted graph")
    what.add_argument("--slow-web", action="store_true", help="URLs of a slow web instead of the planted graph")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
        before = check_out(Path(folder) / "before")
        measure = measure_demo if options.demo else measure_web if options.slow_web else measure_graph
        measure(Path(folder), before, options.engine, options.rounds)


def check_out(folder: Path) -> Path:
    """Writes the project as it was at BEFORE into a folder; returns it."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", BEFORE]
    archive = folder.with_suffix(".tar")
    archive.write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def python(code: Path, *arguments: str, **variables: str) -> str:
    """Runs Python with the package of a checkout; returns what it prints."""
    path = os.pathsep.join([str(code), variables.pop("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", **variables}
    done = subprocess.run([sys.executable, *arguments], cwd=code, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{code.name}: {' '.join(arguments)[:200]}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


# The planted graph


def measure_graph(folder: Path, before: Path, engine: str, rounds: int) -> None:
    """Measures the planted graph, and holds it against its lower bound."""
    modules = folder / "modules"
    modules.mkdir()
    for name in ("makespan_stages.py", "makespan_run.py"):
        shutil.copy(ROOT / "benchmarks" / name, modules)
    hashes = int(COMPUTE_S / hash_seconds())
    costs = Costs(NETWORK_S, hashes, MODEL_S, LOAD_S)
    ratios: list[float] = []

    def run(code: Path) -> dict[str, Any]:
        bound = lower_bound(costs, hashes * hash_seconds())
        target = folder / "run"
        target.mkdir()
        command = f"from makespan_run import main; main({str(target)!r}, {engine!r}, *{SHARDS!r})"
        output = python(code, "-c", command, PYTHONPATH=str(modules), **{COSTS: costs.to_text()})
        shutil.rmtree(target)
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        print(f"{code.name}: {found['seconds']:.1f} s, lower bound {bound:.1f} s", file=sys.stderr)
        if code is ROOT:
            ratios.append(found["seconds"] / bound)
        return found

    measured = partial(versus, f"makespan_{engine}", "shards/s", sum(SHARDS), partial(run, ROOT), partial(run, before))
    measured(f"commit {BEFORE}", same_digests, rounds, lambda found: float(found["seconds"]))
    print(
        f"ours: {statistics.median(ratios):.3f} times the lower bound, {min(ratios):.3f} to {max(ratios):.3f}",
        file=sys.stderr,
    )


def same_digests(new: dict[str, Any], old: dict[str, Any]) -> None:
    """Checks that both runs wrote the same tables and tars."""
    ours, peers = new["digests"], old["digests"]
    differing = sorted(name for name in {**ours, **peers} if ours.get(name) != peers.get(name))
    assert not differing, f"{len(differing)} of {len(ours)} are not the same: {differing[:5]}"


def hash_seconds(hashes: int = 500_000) -> float:
    """Returns what a round of the hash function takes while all workers compute, in seconds."""
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        found = pool.map(_computed, [hashes] * WORKERS, chunksize=1)
    return statistics.mean(found) / hashes


def _computed(hashes: int) -> float:
    return timed(partial(compute, hashes))[0]


def lower_bound(costs: Costs, compute_s: float) -> float:
    """Returns the least time of the planted graph, in seconds, where a stage that computes takes `compute_s` a shard.

    The shuffle needs all shards, so nothing after it goes on beside what comes before it. On each side two stages
    overlap, but for the first shard of the one and the last shard of the other.
    """
    shards = sum(SHARDS)
    network, cores = shards * costs.network_s / DOWNLOADS, shards * compute_s / WORKERS
    before = max(network + compute_s, costs.network_s + cores)
    after = costs.load_s + max(shards * costs.model_s + compute_s, costs.model_s + cores)
    return before + after


# The demo


def measure_demo(folder: Path, before: Path, engine: str, rounds: int) -> None:
    """Measures the demo, which asserts what it publishes against the planted truth."""

    def run(code: Path) -> float:
        target = folder / "demo-run"
        seconds, _ = timed(lambda: python(code, "-m", "demo", "--engine", engine, "--folder", str(target)))
        shutil.rmtree(target)
        return seconds

    name, peer = f"makespan_demo_{engine}", f"commit {BEFORE}"
    versus(name, "demos/h", 3600, partial(run, ROOT), partial(run, before), peer, lambda *_: None, rounds)


# The slow web


def measure_web(folder: Path, before: Path, engine: str, rounds: int) -> None:
    """Measures a run over the slow web, and holds it against the download alone."""
    ratios: list[float] = []
    with serve_slowly() as port:
        config = folder / "config.json"  # which is YAML as well

        def run(code: Path, *options: str) -> float:
            config.write_text(json.dumps(web_settings(folder, engine, port)))
            seconds, _ = timed(lambda: python(code, "-m", "rzen_corpus", "run", str(config), *options))
            tars = len(list(folder.glob("corpus/*/*.tar")))
            assert tars == (0 if options else 1), f"{tars} tars"
            for name in ("workspace", "corpus"):
                shutil.rmtree(folder / name, ignore_errors=True)
            return seconds

        def ours() -> float:
            alone = run(ROOT, "--stage", "download")
            total = run(ROOT)
            print(f"{total:.1f} s, the download alone {alone:.1f} s", file=sys.stderr)
            ratios.append(total / alone)
            return total

        name, peer = f"makespan_slow_web_{engine}", f"commit {BEFORE}"
        versus(name, "images/s", WEB_IMAGES, ours, partial(run, before), peer, lambda *_: None, rounds, float)
    print(
        f"ours: {statistics.median(ratios):.3f} times the download alone, {min(ratios):.3f} to {max(ratios):.3f}",
        file=sys.stderr,
    )


def web_settings(folder: Path, engine: str, port: int) -> dict[str, Any]:
    """Writes the metadata of the slow web's images; returns the settings from URLs to tars."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = range(WEB_IMAGES)
    urls = [f"http://127.0.0.1:{port}/{number}.jpg" for number in numbers]
    pq.write_table(
        pa.table({"url": urls, "text": [f"photograph {number}" for number in numbers]}), folder / "web.parquet"
    )
    # 16 connections at once: two workers with two shards each.
    fetch = {"private_allowlist": [f"127.0.0.1:{port}"], "concurrency": 4, "concurrency_per_host": 4}
    return {
        "workspace": str(folder / "workspace"),
        "engine": {"kind": engine, "workers": WORKERS},
        "sources": {"web": {"kind": "laion", "files": [str(folder / "web.parquet")], "shard_rows": WEB_SHARD_ROWS}},
        "stages": {"download": {"fetch": fetch}},
        "datasets": {"web": {"source": "web"}},
        "mixtures": {"web": {"corpus": str(folder / "corpus"), "datasets": {"web": {}}}},
    }


@contextlib.contextmanager
def serve_slowly() -> Iterator[int]:
    """Serves images of some 60 KB in another process, at 100 KB/s for each connection; yields its port."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(send,), daemon=True)
    process.start()
    try:
        yield receive.recv()
    finally:
        process.terminate()
        process.join()


def _serve(port: Connection) -> None:
    from benchmarks.image_stats import jpegs

    images = list(jpegs(WEB_IMAGES))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                name = request.split(b" ", 2)[1].removeprefix(b"/").removesuffix(b".jpg")
                body = images[int(name)] if name.isdigit() else b""
                status = b"200 OK\r\nContent-Type: image/jpeg" if body else b"404 Not Found"
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
                for start in range(0, len(body), WEB_CHUNK_BYTES):
                    writer.write(body[start : start + WEB_CHUNK_BYTES])
                    await writer.drain()
                    await asyncio.sleep(WEB_CHUNK_BYTES / WEB_BYTES_PER_S)

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=256)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    main()
