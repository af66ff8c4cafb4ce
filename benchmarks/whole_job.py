"""Measures the whole job against what a user would write: a list of URLs → checked, filtered, distinct pairs in tars.

    python -m benchmarks.whole_job

A web server on loopback, a process of its own, has 8,000 planted URLs (`benchmarks.whole_job_world`): pictures, exact
and near copies of them, images that are too small, of an odd aspect, blurred or broken, missing ones, pairs without a
caption. Ours is `rzen-corpus run` of `laion` metadata on the local engine with two workers. The peers are in
`benchmarks.whole_job_peers`: Daft (native runner), and img2dataset, each with OpenCV, faiss and webdataset. All run as
commands, from the start of their process to its end, with an empty folder; the pairs of each are held against the
truth. Then: what a changed threshold costs, and what a run costs that was killed when half of its time was over.

Daft wants an older tqdm than the project's environment has. Both peers run in another one:

    python -m venv peers && peers/bin/pip install daft img2dataset faiss-cpu webdataset opencv-python-headless
    RZEN_GLUE_PYTHON=peers/bin/python python -m benchmarks.whole_job
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import yaml

from benchmarks.download import serve, write_urls
from benchmarks.harness import versus
from benchmarks.whole_job_world import World, build_world, open_bodies

PEERS = Path(__file__).with_name("whole_job_peers.py")
SAMPLING_S = 0.2
# Thresholds of sharpness between the planted blurred pictures and the others, and ones that filter more.
Score = tuple[float, float, Counter[str]]  # precision, recall, and the kinds of the wrong ones
MIN_SHARPNESS = {"ours": (0.9, 1.5), "daft": (60.0, 1000.0), "img2dataset": (60.0, 1000.0)}
TOOLS = {"ours": "rzen-corpus", "daft": "Daft + faiss + ShardWriter", "img2dataset": "img2dataset + OpenCV + faiss"}


@dataclass(frozen=True)
class Cost:
    """The cost of one run of a command: seconds, seconds of processor time, the most memory of all its processes."""

    seconds: float
    processor_s: float
    peak_bytes: int


@dataclass
class Side:
    """One of the tools, with what its runs cost so far."""

    name: str
    command: Callable[[Path, float], list[str]]  # of the folder of a run and the lowest sharpness
    costs: list[Cost] = field(default_factory=list)

    def run(self, folder: Path, changed: bool = False, kill_after_s: float | None = None) -> Cost:
        """Runs the tool into the folder; raises RuntimeError where it fails and was not killed."""
        folder.mkdir(parents=True, exist_ok=True)
        return run_command(self.command(folder, MIN_SHARPNESS[self.name][changed]), folder, kill_after_s)


def run_command(command: list[str], folder: Path, kill_after_s: float | None) -> Cost:
    """Runs a command in a session of its own, and kills all its processes after so many seconds."""
    os.sync()  # what the run before has left to be written
    peak = 0
    start = time.perf_counter()
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    ended = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not ended.wait(SAMPLING_S):
            peak = max(peak, session_bytes(process.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    timer = threading.Timer(kill_after_s or 0, os.killpg, (process.pid, signal.SIGKILL))
    if kill_after_s is not None:
        timer.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    ended.set()
    sampler.join()
    if process.returncode and kill_after_s is None:
        raise RuntimeError(f"{command}: {process.returncode}\n{(folder / 'output.txt').read_text()[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)


def session_bytes(session: int) -> int:
    """Returns the memory of all processes of a session, shared pages once: the sum of their proportional sets."""
    total = 0
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                lines = (path / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
        except OSError:  # it has ended
            continue
    return total


def ours(urls: Path, port: int, folder: Path, min_sharpness: float) -> list[str]:
    """Returns the command of a run in the folder, and writes its settings there."""
    settings = {
        "workspace": str(folder / "workspace"),
        "engine": {"kind": "local", "workers": 2},
        "sources": {"web": {"kind": "laion", "files": [str(urls)], "shard_rows": 1000}},
        "stages": {
            "download": {"fetch": {"private_allowlist": [f"127.0.0.1:{port}"], "concurrency_per_host": 32}},
            "quality": {"min_sharpness": min_sharpness},
        },
        "datasets": {"web": {"source": "web"}},
        "mixtures": {"all": {"corpus": str(folder / "pairs"), "datasets": {"web": {}}}},
    }
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return [sys.executable, "-m", "rzen_corpus", "run", str(path)]


def peer(python: str, tool: str, urls: Path, folder: Path, min_sharpness: float) -> list[str]:
    """Returns the command of a peer."""
    return [python, "-I", str(PEERS), tool, str(urls), str(folder), "--min-sharpness", str(min_sharpness)]


def kept(folder: Path) -> list[int]:
    """Returns the numbers of the URLs of all pairs in the tars that a run has written."""
    numbers = []
    for path in sorted([*folder.glob("*.tar"), *folder.glob("pairs/*/*.tar")]):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    sample = json.load(file)
                    url = sample.get("url") or sample["source"]["url"]
                    numbers.append(int(url.rpartition("/")[2].removesuffix(".jpg")))
    return numbers


def score(world: World, numbers: list[int]) -> Score:
    """Returns precision and recall of the kept pairs, and the kinds of those that should not be there.

    Right is one pair for each picture without a fault, with its best bytes: those of any URL that has them.
    """
    found: set[int] = set()
    wrong: Counter[str] = Counter()
    for number in numbers:
        url = world.urls[number]
        right = url.kind in ("good", "exact_copy") and url.picture not in found
        if right:
            found.add(url.picture)
        else:
            wrong[url.kind if url.kind not in ("good", "exact_copy") else "a second one"] += 1
    return len(found) / max(1, len(numbers)), len(found) / len(world.kept_pictures), wrong


def print_costs(sides: dict[str, Side], scores: dict[str, Score]) -> None:
    """Prints a line for each tool."""
    print("| tool | wall, s | processor time, s | memory, at most, GB | precision | recall | wrong |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for name, side in sides.items():
        seconds = statistics.median(cost.seconds for cost in side.costs)
        processor_s = statistics.median(cost.processor_s for cost in side.costs)
        peak = max(cost.peak_bytes for cost in side.costs) / 1e9
        precision, recall, wrong = scores[name]
        kinds = ", ".join(f"{count} {kind}" for kind, count in wrong.items())
        figures = f"{seconds:.1f} | {processor_s:.1f} | {peak:.2f} | {precision:.4f} | {recall:.4f}"
        print(f"| {TOOLS[name]} | {figures} | {kinds} |")


def print_repeated(side: Side, folder: Path, world: World) -> None:
    """Prints what a run costs after a kill when half of its time was over, and then a run with another threshold."""
    usual_s = statistics.median(cost.seconds for cost in side.costs)
    side.run(folder, kill_after_s=usual_s / 2)
    after_kill = side.run(folder)
    precision, recall, _ = score(world, kept(folder))
    for path in [*folder.glob("*.tar"), *folder.glob("pairs/*/*.tar")]:
        path.unlink()
    changed = side.run(folder, changed=True)
    print(
        f"{TOOLS[side.name]}: killed after {usual_s / 2:.1f} of {usual_s:.1f} s, the next run {after_kill.seconds:.1f} "
        f"s ({after_kill.processor_s:.1f} s of processor time; precision {precision:.4f}, recall {recall:.4f}); "
        f"another threshold {changed.seconds:.1f} s ({changed.processor_s:.1f} s of processor time)"
    )


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--urls", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="only ours, without the peers")
    options = parser.parse_args()
    python = os.environ.get("RZEN_GLUE_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as temporary:
        root = Path(temporary)
        world = build_world(root, options.urls)
        with serve(partial(open_bodies, world)) as port:
            urls = [f"http://127.0.0.1:{port}/{number:08d}.jpg" for number in range(options.urls)]
            rows = write_urls(root / "urls.parquet", urls, [url.caption for url in world.urls])
            commands = {"ours": partial(ours, rows, port)}
            commands |= {tool: partial(peer, python, tool, rows) for tool in ("daft", "img2dataset")}
            compare(world, {name: Side(name, command) for name, command in commands.items()}, root, options)


def compare(world: World, sides: dict[str, Side], root: Path, options: argparse.Namespace) -> None:
    """Runs the tools in turn, and prints what the runs, a changed threshold and a kill cost; the results last."""
    runs = itertools.count()
    scores: dict[str, Score] = {}

    def run(name: str) -> None:
        folder = root / f"{name}{next(runs)}"
        sides[name].costs.append(sides[name].run(folder))
        scores[name] = score(world, kept(folder))
        precision, recall, wrong = scores[name]
        assert min(precision, recall) > 0.9, f"{name}: precision {precision:.4f}, recall {recall:.4f}, {wrong}"
        shutil.rmtree(folder)

    def print_all() -> None:
        print_costs(sides, scores)
        for name, side in sides.items():
            print_repeated(side, root / f"{name}-again", world)

    if options.alone:
        for _ in range(options.rounds):
            run("ours")
        print_costs({"ours": sides["ours"]}, scores)
        return
    for name, before in (("img2dataset", lambda: None), ("daft", print_all)):
        versus(
            "whole_job",
            "URLs/s",
            len(world.urls),
            ours=partial(run, "ours"),
            peer=partial(run, name),
            peer_name=TOOLS[name],
            same=lambda *_: None,  # each run is held against the truth
            rounds=options.rounds,
            before_result=before,
        )


if __name__ == "__main__":
    main()
