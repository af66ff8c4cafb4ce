"""Measures the stage `image_stats` against imagededup's encoding alone: images/s, two workers each, the same JPEGs.

Ours reads them from media tars, hashes twice, measures, and writes its tables, on the local engine. The peer reads them
from a folder and computes their pHash. Both have started before the measurement.

imagededup depends on torch and torchvision, but not for this. To install it without them, in another environment:

    python -m venv peer && peer/bin/pip install --no-deps imagededup && \\
        peer/bin/pip install numpy pillow scipy scikit-learn pywavelets tqdm
    RZEN_PEER_PYTHON=peer/bin/python python -m benchmarks.image_stats

Without RZEN_PEER_PYTHON the Python that runs this must have it.

`--against FOLDER` measures the cost of a change: the processor time of an image, in turns with another checkout of this
project, for JPEG, PNG and WebP.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from benchmarks.harness import versus
from corpus.execution import MapJob, ShardTask
from corpus.media import TarWriter
from corpus.schema import LOCATION_FIELDS, Status, item_id, table_schema
from corpus.stage import ITEMS
from corpus.workspace import Workspace
from demo.images.photographs import photographs
from filters.image.stats import ImageStats, ImageStatsSettings
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine

SHARD_ROWS = 128
SIDE_PX = 650
SOURCE = "photographs"

Hashes = Callable[[], dict[str, int]]  # file name -> pHash


def jpegs(count: int) -> Iterator[bytes]:
    """Yields random square parts of photographs, no two alike, at one size: about 63 KB each."""
    rng = np.random.default_rng(0)
    for photograph in islice(cycle(photographs()), count):
        height, width = photograph.pixels.shape[:2]
        side = int(min(height, width) * rng.uniform(0.6, 1.0))
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        part = photograph.pixels[top : top + side, left : left + side]
        part = cv2.resize(part, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
        yield cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 90))])[1].tobytes()


def build(root: Path, count: int) -> tuple[Workspace, list[ShardTask], Path]:
    """Writes the same images as a workspace of shards, and as a folder of files named by item id."""
    workspace, folder = Workspace(root / "work"), root / "files"
    folder.mkdir()
    tasks, images, sizes = [], list(jpegs(count)), []
    for number in range(-(-count // SHARD_ROWS)):
        shard, rows = f"{number:06d}", []
        with workspace.store.writer(f"media/{SOURCE}/{shard}.tar") as file:
            tar = TarWriter(file)
            for data in images[number * SHARD_ROWS : (number + 1) * SHARD_ROWS]:
                item = item_id(data)
                (folder / f"{item.hex()}.jpg").write_bytes(data)
                place = {"item_id": item, "media": f"media/{SOURCE}/{shard}.tar", "ext": "jpg", "size": len(data)}
                offset = tar.add(f"{item.hex()}.jpg", data)
                rows.append({**place, "offset": offset, "status": str(Status.KEPT), "reason": ""})
                sizes.append(len(data))
            tar.close()
        items, output = (f"tables/{SOURCE}/{stage}/{shard}.parquet" for stage in ("download", "image_stats"))
        workspace.write_table(items, pa.Table.from_pylist(rows, table_schema(pa.schema(LOCATION_FIELDS))), {})
        tasks.append(ShardTask(SOURCE, shard, number, ((ITEMS, items),), output, f"media/{SOURCE}/{shard}.new", {}))
    print(f"{count} JPEGs of {np.mean(sizes) / 1000:.0f} KB on average", file=sys.stderr)
    return workspace, tasks, folder


def ours(workspace: Workspace, work: MapJob, tasks: list[ShardTask], engine: LocalEngine) -> Hashes:
    """Runs the stage; its tables are read when they are compared."""
    for outcome in engine.map(work, tasks):
        assert outcome.counts == {"kept/": outcome.rows}, outcome
    return lambda: _read_hashes(workspace, tasks)


def _read_hashes(workspace: Workspace, tasks: list[ShardTask]) -> dict[str, int]:
    hashes: dict[str, int] = {}
    for task in tasks:
        ids = workspace.read_table(task.inputs[0][1]).column("item_id").to_pylist()
        found = workspace.read_table(task.output).column("phash").to_pylist()
        hashes |= {f"{item.hex()}.jpg": value for item, value in zip(ids, found, strict=True)}
    return hashes


@contextmanager
def imagededup(folder: Path, workers: int) -> Iterator[subprocess.Popen[str]]:
    """Starts imagededup in a process that waits for work."""
    python = os.environ.get("RZEN_PEER_PYTHON", sys.executable)
    script = Path(__file__).with_name("imagededup_peer.py")
    command = [python, "-I", str(script), str(folder), str(workers)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if _read_line(process) != "ready":
            raise SystemExit("the peer did not start")
        yield process  # then its input is closed, and it ends


def peer(process: subprocess.Popen[str]) -> Hashes:
    """Makes the peer encode the folder."""
    assert process.stdin
    process.stdin.write("encode\n")
    process.stdin.flush()
    answer = _read_line(process)
    return lambda: {name: int(value, 16) for name, value in json.loads(answer).items()}


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def same(ours: Hashes, peers: Hashes) -> None:
    """Checks for the same files, and for similar hashes: the peer's bits are about the mean, not the median."""
    our_hashes, peer_hashes = ours(), peers()
    assert our_hashes.keys() == peer_hashes.keys()
    distances = [(our_hashes[name] ^ peer_hashes[name]).bit_count() for name in our_hashes]
    assert np.median(distances) <= 6, f"median distance {np.median(distances)}"
    assert np.percentile(distances, 95) <= 16, f"distances {sorted(distances)[-20:]}"


def against(checkout: str, rounds: int) -> None:
    """Prints the processor time of `inspect_image` here and in another checkout: the minimum of `rounds` rounds."""
    here, there = (_import_stats(folder) for folder in (str(Path(__file__).parents[1]), checkout))
    files: dict[str, list[bytes]] = {"jpeg": list(jpegs(48))}
    for form in ("png", "webp"):
        files[form] = []
        for data in files["jpeg"][:12]:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            files[form].append(cv2.imencode(f".{form}", pixels)[1].tobytes())
    cv2.setNumThreads(1)
    for form, contents in files.items():
        min_seconds = {id(here): float("inf"), id(there): float("inf")}
        for _ in range(rounds):
            for module in (there, here):
                start = time.process_time()
                for data in contents:
                    module.inspect_image(data, 10**8)
                min_seconds[id(module)] = min(min_seconds[id(module)], time.process_time() - start)
        here_ms, there_ms = (min_seconds[id(module)] / len(contents) * 1000 for module in (here, there))
        print(f"{form}: {here_ms:.3f} ms here, {there_ms:.3f} ms there; {there_ms / here_ms - 1:+.1%} images/s")


def _import_stats(checkout: str) -> Any:
    """Imports `filters.image.stats` of a checkout, with its imports from there."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("corpus", "filters")]:
        del sys.modules[name]
    sys.path.insert(0, checkout)
    try:
        return importlib.import_module("filters.image.stats")
    finally:
        sys.path.remove(checkout)


def main() -> None:
    """Runs the command line: `python -m benchmarks.image_stats`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=768)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", metavar="FOLDER", help="another checkout, instead of the peer")
    options = parser.parse_args()
    if options.against:
        against(options.against, options.rounds)
        return
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as root:
        workspace, tasks, folder = build(Path(root), options.images)
        engine = LocalEngine(EngineSettings(workers=options.workers))
        work = MapJob(ImageStats(ImageStatsSettings()), str(Path(root) / "work"))
        with imagededup(folder, options.workers) as process:
            same(ours(workspace, work, tasks, engine), peer(process))  # and all workers are up
            versus(
                "image_stats",
                "images/s",
                options.images,
                ours=lambda: ours(workspace, work, tasks, engine),
                peer=lambda: peer(process),
                peer_name="imagededup PHash.encode_images",
                same=same,
                rounds=options.rounds,
            )
        engine.close()


if __name__ == "__main__":
    main()
