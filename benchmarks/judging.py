"""Measures precision, recall and F1 of the filters on planted faults, beside the peers that have such filters.

The worlds are the demo's: photographs that scikit-image and scikit-learn ship, drawn scenes, pages of text; and faults
in several strengths (`benchmarks.judging_images`). A seed is a world, a round. Both sides judge the same files with
their own defaults. A judge is scored on the good images and on its own fault alone; faults that look similar (a nearly
black image is flat too) may go by either name, on both sides.

Texts are planted in `benchmarks.judging_texts`: alt texts, judged by the rules for these with English requested.

Peers live in environments of their own, `make .venv-judges/.installed .venv-data-juicer/.installed`; the second may be
missing:

    RZEN_JUDGES_PYTHON=.venv-judges/bin/python RZEN_DATA_JUICER_PYTHON=.venv-data-juicer/bin/python \\
        python -m benchmarks.judging
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.judging_images import GOOD, PlantedImage, planted_families, planted_images
from benchmarks.judging_peers import ask
from benchmarks.judging_score import Comparison, Score, print_strengths, print_table
from benchmarks.judging_text_filters import ALL, compare_texts
from corpus.schema import ITEM_ID, item_id, table_schema
from corpus.stage import ITEMS, Shard
from corpus.storage import Store
from filters.image.dedup import Duplicates, DuplicatesSettings
from filters.image.quality import QualitySettings, quality_verdict
from filters.image.stats import ImageStats, ImageStatsSettings, inspect_image

# Which of the peer's names is which of our reasons.
CLEANVISION = {
    "blurred": "blurry",
    "too_dark": "dark",
    "too_bright": "light",
    "extreme_aspect_ratio": "odd_aspect_ratio",
    "flat": "low_information",
}
SIMILAR = {  # faults that may go by the other name as well
    "too_dark": ("flat",),
    "too_bright": ("flat",),
    "flat": ("too_dark", "too_bright", "blurred"),
}
PEER_NAME = "CleanVision 0.3.7"


def image_reasons(images: Sequence[PlantedImage]) -> tuple[pa.Table, list[str]]:
    """Runs the stages `image_stats` and `quality`; returns the table of statistics, and each image's reason."""
    limits = ImageStatsSettings()
    rows = [inspect_image(image.data, limits.max_pixels, limits.max_side_px) for image in images]
    table = pa.Table.from_pylist(rows, table_schema(ImageStats.schema))
    verdicts = quality_verdict(table, QualitySettings()).column("reason").to_pylist()
    return table, [row["reason"] or reason for row, reason in zip(rows, verdicts, strict=True)]


def duplicate_clusters(images: Sequence[PlantedImage]) -> list[list[str]]:
    """Runs the stage `duplicates` on one shard; returns the names of the images that each representative stands for."""
    table = image_reasons(images)[0]
    ids = [item_id(image.data) for image in images]
    tables = {ITEMS: pa.table({"item_id": pa.array(ids, ITEM_ID)}), "image_stats": table}
    stage = Duplicates(DuplicatesSettings())
    shard = Shard("planted", "0", 0, np.arange(len(images)), tables, Store("memory://judging"))
    clusters: dict[bytes, list[str]] = defaultdict(list)
    for row in stage.finalize(stage.reduce(stage.map(shard))).to_pylist():
        clusters[row["representative"]].append(images[row["row_address"]].name)
    return list(clusters.values())


def ask_cleanvision(images: Iterable[PlantedImage]) -> dict[str, list[Any]]:
    """Returns the names of CleanVision's issues by image, and its sets of near duplicates."""
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
        for image in images:
            (Path(folder) / image.name).write_bytes(image.data)
        return ask("cleanvision", folder)


def score_images(images: Sequence[PlantedImage], found: Sequence[set[str]], names: dict[str, str]) -> dict[str, Score]:
    """Scores each judge on the good images and its own fault; `names` has what each of our reasons is called."""
    scores = {reason: Score() for reason in CLEANVISION}
    for image, answer in zip(images, found, strict=True):
        for reason, score in scores.items():
            if image.fault == GOOD:
                score.add(False, names[reason] in answer, image.strength)
            elif image.fault == reason:
                accepted = {names[name] for name in (reason, *SIMILAR.get(reason, ()))}
                score.add(True, bool(accepted & answer), image.strength)
    return scores


def score_duplicates(images: Sequence[PlantedImage], clusters: Iterable[Sequence[str]]) -> Score:
    """Scores pairs of images that are in one cluster; recall by kind is of copies beside their original."""
    by_name = {image.name: image for image in images}
    together = {frozenset(pair) for cluster in clusters for pair in combinations(cluster, 2)}
    families: dict[str, list[PlantedImage]] = defaultdict(list)
    for image in images:
        families[image.family].append(image)
    score = Score()
    for members in families.values():
        for one, other in combinations(members, 2):
            found = frozenset((one.name, other.name)) in together
            score.hits += found
            score.misses += not found
            if one.strength == "original":
                score.by_strength[other.strength].append(found)
    for first, second in map(tuple, together):
        score.false_alarms += by_name[first].family != by_name[second].family
    return score


def compare_images(seeds: Iterable[int]) -> list[Comparison]:
    """Judges the images of all worlds by the stage `quality` and by CleanVision."""
    ours: dict[str, list[Score]] = defaultdict(list)
    peers: dict[str, list[Score]] = defaultdict(list)
    for seed in seeds:
        images = list(planted_images(seed))
        answers = ask_cleanvision(images)
        our_found = [{reason} - {""} for reason in image_reasons(images)[1]]
        peer_found = [set(answers[image.name]) for image in images]
        for reason, score in score_images(images, our_found, {name: name for name in CLEANVISION}).items():
            ours[reason].append(score)
        for reason, score in score_images(images, peer_found, CLEANVISION).items():
            peers[reason].append(score)
        print(f"seed {seed}: {len(images)} images", file=sys.stderr)
    return [Comparison(reason, PEER_NAME, tuple(ours[reason]), tuple(peers[reason])) for reason in CLEANVISION]


def compare_duplicates(seeds: Iterable[int]) -> Comparison:
    """Finds the near duplicates of all worlds by the stage `duplicates` and by CleanVision."""
    ours, peers = [], []
    for seed in seeds:
        images = list(planted_families(seed))
        ours.append(score_duplicates(images, duplicate_clusters(images)))
        peers.append(score_duplicates(images, ask_cleanvision(images)["near_duplicates"]))
    return Comparison("near_duplicate", PEER_NAME, tuple(ours), tuple(peers))


def main() -> None:
    """Runs the command line: `python -m benchmarks.judging`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="worlds: a world is a round")
    options = parser.parse_args()
    seeds = range(options.seeds)
    comparisons = [*compare_images(seeds), compare_duplicates(seeds), *compare_texts(seeds)]
    print_strengths(each for each in comparisons if each.judge != ALL)
    print()
    print_table(comparisons)
    ours, peers = (mean(getattr(each, side) for each in comparisons) for side in ("our_f1", "peer_f1"))
    result = {"name": "judging", "unit": "mean F1", "ours": round(ours, 3), "peer": round(peers, 3)}
    names = dict.fromkeys(each.peer for each in comparisons)
    result |= {"peer_name": ", ".join(names), "ratio": round(ours / peers, 3), "rounds": options.seeds}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
