"""Measures the processor time of a download: of the fetcher and the stage, of bare aiohttp and of img2dataset.

    python -m benchmarks.download_cpu

A request: the fetcher alone, and nothing but aiohttp's client, both with 16 connections in one process. An image: the
stage `download`, and img2dataset, each with two workers and with the start of all its processes, which is also measured
alone, on 64 images. Each measurement is a process of its own; they take turns, and the medians are printed. Processor
time is less sensitive to other programs on the machine than the seconds of `benchmarks.download`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.download import ours, peer, write_shards, write_urls
from benchmarks.download import serve as serve_photographs

CONNECTIONS = 16
START_IMAGES = 64
IN_PROCESS = ("fetch", "aiohttp")
UNITS = {"fetch": "request", "aiohttp": "request", "stage": "image", "img2dataset": "image"}


def processor_s() -> float:
    """Returns the processor time of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def run_fetch(urls: list[str], port: int, _: Path) -> None:
    """Downloads the URLs with the fetcher."""
    from pipelines.fetch import FetchSettings, fetch

    allowed = (f"127.0.0.1:{port}",)
    settings = FetchSettings(
        private_allowlist=allowed, concurrency=CONNECTIONS, concurrency_per_host=CONNECTIONS, respect_opt_out=True
    )
    reasons: list[str] = []
    fetch(urls, settings, lambda fetched: reasons.append(fetched.reason))
    assert reasons == ["ok"] * len(urls)


def run_aiohttp(urls: list[str], _port: int, _: Path) -> None:
    """Downloads the URLs with aiohttp's client, with as many sessions, without redirects, cookies and timeouts."""
    import aiohttp

    async def work(remaining: list[str]) -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            read_bufsize=2**18,
        ) as session:
            while remaining:
                async with session.get(remaining.pop(), allow_redirects=False) as response:
                    assert await response.read()

    async def main() -> None:
        remaining = urls[::-1]
        await asyncio.gather(*(work(remaining) for _ in range(CONNECTIONS)))

    bytes(8 * 2**20)  # as the fetcher does: glibc then reuses the memory of network buffers
    asyncio.run(main())


def run_stage(urls: list[str], port: int, folder: Path) -> None:
    """Downloads the URLs with the stage."""
    ours(folder, write_shards(folder, urls, -(-len(urls) // 4)), port, False)


def run_img2dataset(urls: list[str], _port: int, folder: Path) -> None:
    """Downloads the URLs with img2dataset."""
    peer(folder / "peer", write_urls(folder / "urls.parquet", urls), -(-len(urls) // 4), False)


RUNS: dict[str, Callable[[list[str], int, Path], None]] = {
    "fetch": run_fetch,
    "aiohttp": run_aiohttp,
    "stage": run_stage,
    "img2dataset": run_img2dataset,
}


def measure(name: str, port: int, images: int) -> float:
    """Runs one of RUNS in another process; returns its seconds of processor time."""
    command = [sys.executable, "-m", "benchmarks.download_cpu", "--run", name, "--port", str(port)]
    result = subprocess.run([*command, "--images", str(images)], stdout=subprocess.PIPE, check=True)
    return float(json.loads(result.stdout.splitlines()[-1]))


def main() -> None:
    """Runs the command line: `python -m benchmarks.download_cpu`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        urls = [f"http://127.0.0.1:{options.port}/{number:08d}.jpg" for number in range(options.images)]
        with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
            if options.run in IN_PROCESS:  # imports what it needs
                RUNS[options.run](urls[:START_IMAGES], options.port, Path(folder))
            start = processor_s()
            RUNS[options.run](urls, options.port, Path(folder))
            print(json.dumps(processor_s() - start))
        return
    seconds: dict[str, list[float]] = {name: [] for name in RUNS}
    starts: dict[str, list[float]] = {name: [] for name in ("stage", "img2dataset")}
    with serve_photographs() as port:
        for number in range(options.rounds):
            for name in RUNS:
                seconds[name].append(measure(name, port, options.images))
            for name, values in starts.items():
                values.append(measure(name, port, START_IMAGES))
            print(f"round {number + 1}/{options.rounds}", file=sys.stderr)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"| {options.images:,} images | µs of processor time | start of the processes, s |\n|---|---:|---:|")
    for name, median in medians.items():
        start_s = f"{statistics.median(starts[name]):.2f}" if name in starts else ""
        print(f"| {name}, each {UNITS[name]} | {median / options.images * 1e6:.0f} | {start_s} |")
    ratio = statistics.median(
        peer_s / our_s for peer_s, our_s in zip(seconds["img2dataset"], seconds["stage"], strict=True)
    )
    print(f"img2dataset / stage: {ratio:.2f}")


if __name__ == "__main__":
    main()
