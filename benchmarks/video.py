"""Measures cutting videos into clips against PySceneDetect's command line with split-video: video seconds per second.

Ours is `video.segments`: cuts, 8 JPEG frames of each clip, its statistics, its hashes, and its mp4, all written to a
tar. The peer detects scenes and has ffmpeg write an mp4 of each. Two processes each, whose start is included. First it
prints how well both find cuts, by kind of transition.

    python -m benchmarks.video                  frames and mp4
    python -m benchmarks.video --frames-only    ours without mp4; the peer as before

Ours copies clips that begin at a keyframe; x264 puts one at almost every cut. `--even-keyframes` has none there.

The peer needs ffmpeg: one on the PATH, or that of the package imageio-ffmpeg. RZEN_PEER_PYTHON names the Python that
has the peer, where it is not the one that runs this.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.harness import versus
from benchmarks.video_cuts import table
from benchmarks.video_files import RATE, Film, make_film, random_shots
from corpus.media import MediaWriter
from corpus.storage import Store
from video.segments import SegmentSettings, segment_clips

SIZE = (1280, 720)
SHOT_FRAMES = (60, 250)  # 2.4 s to 10 s: no scene is shorter or longer than a clip may be

Cuts = dict[str, list[float]]  # file name -> seconds


def ours(films: Sequence[Film], mp4: bool, workers: int, peaks: list[int]) -> Cuts:
    """Cuts all films into clips; appends the peak memory of the largest worker, in bytes."""
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder, _pool(workers) as pool:
        done = list(pool.map(partial(_ours, folder=folder, mp4=mp4), films))
    peaks.append(max(peak for _, peak, _ in done))
    if mp4:
        print(f"{sum(copied for *_, copied in done)} clips copied, the others encoded", file=sys.stderr)
    return {film.path.name: cuts for film, (cuts, *_) in zip(films, done, strict=True)}


def _ours(film: Film, folder: str, mp4: bool) -> tuple[list[float], int, int]:
    writer = MediaWriter(Store(folder), f"{film.path.stem}.tar")
    cuts: list[float] = []
    frames = copied = 0
    for clip in segment_clips(film.path, None, SegmentSettings(mp4=mp4)):
        assert not clip.reason and len(clip.frames) == 8 and bool(clip.mp4) == mp4, clip
        key = f"{len(cuts):06d}"
        for number, data in enumerate(clip.frames):
            writer.add(f"{key}-{number}".encode(), "jpg", data)
        if mp4:
            writer.add(key.encode(), "mp4", clip.mp4)
        cuts.append(clip.start_s)
        frames += clip.mp4_frames
        copied += clip.remuxed
    writer.commit()
    assert frames == (film.frames if mp4 else 0), f"{frames} frames in clips, {film.frames} in the film"
    return cuts[1:], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, copied


def peer(films: Sequence[Film], workers: int, peaks: list[int]) -> Cuts:
    """Splits all films into scenes; appends the peak memory of the largest process, in bytes."""
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder, ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(partial(_peer, folder=Path(folder)), films))
    peaks.append(max(peak for _, peak in done))
    return {film.path.name: cuts for film, (cuts, _) in zip(films, done, strict=True)}


def _peer(film: Film, folder: Path) -> tuple[list[float], int]:
    output = folder / film.path.stem
    output.mkdir()
    command = [os.environ.get("RZEN_PEER_PYTHON", sys.executable), "-m", "scenedetect", "-v", "error"]
    command += ["-i", str(film.path), "-o", str(output), "list-scenes", "-q", "-s", "split-video", "-q"]
    log = output / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        _, status, used = os.wait4(process.pid, 0)  # with its own children: the largest of them all
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"PySceneDetect failed, has it an ffmpeg? {log.read_text(errors='replace')[-2000:]}")
    with next(output.glob("*.csv")).open(newline="") as listed:
        scenes = [float(row["Start Time (seconds)"]) for row in csv.DictReader(listed)]
    assert len(list(output.glob("*.mp4"))) == len(scenes)
    return scenes[1:], used.ru_maxrss * 1024


def same(our_cuts: Cuts, peer_cuts: Cuts, our_peaks: Sequence[int], peer_peaks: Sequence[int]) -> None:
    """Checks for the same cuts, within a frame. Prints the peak memory of the largest process of either so far."""
    our_mb, peer_mb = (max(peaks) / 1e6 for peaks in (our_peaks, peer_peaks))
    print(f"at most {our_mb:.0f} MB in one process; the peer's {peer_mb:.0f} MB", file=sys.stderr)
    assert our_cuts.keys() == peer_cuts.keys()
    for name, cuts in our_cuts.items():
        assert len(cuts) == len(peer_cuts[name]), f"{name}: {cuts} and {peer_cuts[name]}"
        apart = [abs(one - two) for one, two in zip(cuts, peer_cuts[name], strict=True)]
        assert max(apart, default=0) <= 1 / RATE + 1e-3, f"{name}: {apart}"


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def build(folder: Path, count: int, shots: int, workers: int, even_keyframes: bool = False) -> list[Film]:
    """Writes the films that both work on."""
    paths = [folder / f"film-{number}.mp4" for number in range(count)]
    chosen_shots = [random_shots(number, shots, SHOT_FRAMES) for number in range(count)]
    with _pool(workers) as pool:
        films = list(
            pool.map(
                partial(make_film, transition="cut", size=SIZE, even_keyframes=even_keyframes), paths, chosen_shots
            )
        )
    length_s, size = sum(film.length_s for film in films), sum(path.stat().st_size for path in paths)
    rate = 8e-6 * size / length_s
    print(f"{count} films, {length_s:.0f} s of 720p, {rate:.1f} Mbit/s, {count * shots} shots", file=sys.stderr)
    return films


def main() -> None:
    """Runs the command line: `python -m benchmarks.video`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames-only", action="store_true", help="ours writes no mp4")
    parser.add_argument("--even-keyframes", action="store_true", help="none at cuts: ours can copy almost nothing")
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--shots", type=int, default=12, help="of each film, 6 s long on average")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as root:
        table(Path(root))
        films = build(Path(root), options.films, options.shots, options.workers, options.even_keyframes)
        our_peaks: list[int] = []
        peer_peaks: list[int] = []
        run: Callable[[], Cuts] = partial(ours, films, not options.frames_only, options.workers, our_peaks)
        versus(
            "video_frames" if options.frames_only else "video",
            "video s/s",
            sum(film.length_s for film in films),
            ours=run,
            peer=partial(peer, films, options.workers, peer_peaks),
            peer_name="scenedetect split-video",
            same=partial(same, our_peaks=our_peaks, peer_peaks=peer_peaks),
            rounds=options.rounds,
        )


if __name__ == "__main__":
    main()
