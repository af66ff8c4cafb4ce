"""Measures how well cuts are found, by kind of transition: by ours, and by PySceneDetect's detectors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import get_args

from benchmarks.video_files import RATE, Film, Transition, make_film, random_shots
from benchmarks.video_slides import make_slides
from tests.helpers.video_calls import find_cuts
from video.detection.cuts import DetectSettings

DETECTORS = ("AdaptiveDetector", "ContentDetector", "HashDetector", "HistogramDetector", "ThresholdDetector")
SIZE = (320, 180)
SHOTS = 40
_FRAME_S = 1 / RATE + 1e-3


def table(folder: Path) -> dict[str, dict[str, float]]:
    """Returns F1 by kind of transition and by detector; writes films to the folder, and the table to stderr."""
    finders: dict[str, Callable[[Path], list[float]]] = {"ours": ours}
    finders |= {name: partial(stock, detector=name) for name in DETECTORS}
    print(f"F1 of cuts\n{'':10}" + "".join(f"{name.removesuffix('Detector'):>11}" for name in finders), file=sys.stderr)
    scores: dict[str, dict[str, float]] = {}
    for seed, kind in enumerate(get_args(Transition)):
        film = make_film(folder / f"{kind}.mp4", random_shots(100 + seed, SHOTS, (45, 80)), kind, SIZE)
        scores[kind] = {name: round(f1(find(film.path), film), 3) for name, find in finders.items()}
        _print_row(kind, scores[kind])
    for kind, speaker in (("slides", False), ("speaker", True)):
        film = make_slides(folder / f"{kind}.mp4", 200, SHOTS, (45, 80), SIZE, speaker)
        scores[kind] = {name: round(f1(find(film.path), film), 3) for name, find in finders.items()}
        _print_row(kind, scores[kind])
    return scores


def _print_row(kind: str, scores: Mapping[str, float]) -> None:
    print(f"{kind:10}" + "".join(f"{score:11.3f}" for score in scores.values()), file=sys.stderr)


def ours(path: Path) -> list[float]:
    """Returns the cuts that our pass over a video finds."""
    return [cut.time_s for cut in find_cuts(path, DetectSettings())]


def stock(path: Path, detector: str) -> list[float]:
    """Returns the cuts of one of PySceneDetect's detectors."""
    import scenedetect

    scenes = scenedetect.detect(str(path), getattr(scenedetect, detector)())
    return [start.seconds for start, _ in scenes[1:]]


def f1(found: Sequence[float], film: Film) -> float:
    """Computes the F1 score. A planted cut is found at most once: in its transition, or within a frame beside it."""
    remaining, hits = sorted(found), 0
    for start_s, end_s in film.touched_s:
        near = [time_s for time_s in remaining if start_s - _FRAME_S <= time_s <= end_s + _FRAME_S]
        if near:
            remaining.remove(near[0])
            hits += 1
    return 2 * hits / (len(found) + len(film.cuts_s))
