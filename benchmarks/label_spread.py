"""Counts the false negatives per query in a batch of 768: of sets alone, merged and shuffled, and in our order.

The sets have the labels, amounts and skews of the recipe's; names stand in for ImageNet's and SUN's where the built-in
lists have none. Merging and relations are those of `pipelines.labels`. "Any window" are batches that begin within ours;
"8 ranks" takes 96 samples from each of eight shards that are read in parallel, in a shuffled order of shards. Also the
sides of pairs without labels: SQuAD's shape (87,599 questions of 18,891 passages) and COCO's (113,287 pictures of five
captions), as pairs with an equal side in their batch. The peer of the last line is the lower bound that the counts of
the labels allow; the ratio is bound / ours.
"""

from __future__ import annotations

import argparse
import json
import tracemalloc
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.harness import timed
from corpus.hashing import mix64
from pipelines.labels.batch_spread import label_spread_order
from pipelines.labels.false_negatives import LabelPairs, expected_when_shuffled, false_negatives_per_query, lower_bound
from pipelines.labels.hierarchy import Relations
from pipelines.labels.merge import merge_labels
from pipelines.labels.vocabulary import LabelNames, load_names
from pipelines.publish.side_spread import equal_in_batch, repeated_sides, side_spread_order

BATCH = 768
RANKS = 8
SHARD = 1000
PAIRS = {"ImageNet_1K": 100_000, "N24News": 49_000, "HatefulMemes": 8_000, "VOC2007": 8_000, "SUN397": 20_000}
# fmt: off
VOC = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]
# fmt: on
SCENES = ("church", "shop", "restaurant", "house", "mountain", "beach", "forest", "bridge", "sports", "travel")

LabelColumn = npt.NDArray[np.int32]


def sets_of_labels(names: LabelNames) -> dict[str, list[str]]:
    """Returns the labels of each set, the frequent ones first where a set is skewed."""
    scenes = sorted({scene for above in SCENES for scene in (above, *names.hyponyms[above])})
    things = sorted({kind for below in names.hyponyms.values() for kind in below} - set(names.hyponyms) - set(scenes))[
        :1000
    ]
    return {
        "ImageNet_1K": things + [f"thing {number}x" for number in range(len(things), 1000)],
        "N24News": [f"section {number}x" for number in range(24)],
        "HatefulMemes": ["No", "Yes"],
        "VOC2007": sorted(VOC, key=lambda name: name != "person"),
        "SUN397": scenes[:397] + [f"scene {number}x" for number in range(len(scenes), 397)],
    }


def skew(name: str, labels: int) -> npt.NDArray[np.float64]:
    """Returns the shares of a set's labels."""
    if name == "HatefulMemes":
        return np.array([0.64, 0.36])
    if name in ("N24News", "VOC2007"):
        shares = 1 / np.arange(2, labels + 2)
        return np.asarray(shares / shares.sum())
    return np.full(labels, 1 / labels)


def build(total: int | None, seed: int = 0) -> tuple[dict[str, LabelColumn], LabelPairs]:
    """Returns the merged label of each pair of each set, as numbers, and the related ones; `total` pairs or all."""
    names = load_names()
    sets = sets_of_labels(names)
    merged = merge_labels(sets)
    numbered = sorted(set(merged.table.column("merged").to_pylist()))
    number = {label: at for at, label in enumerate(numbered)}
    scale = (total or sum(PAIRS.values())) / sum(PAIRS.values())
    random = np.random.default_rng(seed)
    drawn = {}
    for name, labels in sets.items():
        counts = random.multinomial(round(PAIRS[name] * scale), skew(name, len(labels)))
        drawn[name] = np.repeat([number[merged.merged(name, label)] for label in labels], counts).astype(np.int32)
    return drawn, Relations(numbered, names).pairs(numbered)


def read_by_ranks(label: LabelColumn, seed: int = 0) -> LabelColumn:
    """Returns the batches of ranks that read different shards in parallel, one after the other."""
    shards = len(label) // SHARD // RANKS * RANKS
    part = BATCH // RANKS
    parts = SHARD // part
    order = np.random.default_rng(seed).permutation(len(label) // SHARD)[:shards]
    cut = label[: len(label) // SHARD * SHARD].reshape(-1, SHARD)[order, : parts * part]
    return cut.reshape(-1, RANKS, parts, part).transpose(0, 2, 1, 3).reshape(-1)


def ordered(label: LabelColumn, related: LabelPairs) -> npt.NDArray[np.int64]:
    """Returns our order of the pairs."""
    return label_spread_order(mix64(np.arange(len(label), dtype=np.uint64)), label, BATCH, related)


def print_sides(seed: int = 0) -> None:
    """Prints the equal sides within batches of our order, per query and as pairs, of sets of texts and captions."""
    random = np.random.default_rng(seed)
    squad = np.sort(np.concatenate([np.arange(18_891), random.integers(0, 18_891, 87_599 - 18_891)]))
    for name, side in (("SQuAD, passages", squad), ("COCO, pictures", np.repeat(np.arange(113_287), 5))):
        code, single = repeated_sides(side.astype(np.uint64)), np.full(len(side), -1)
        ranks = mix64(np.arange(len(code), dtype=np.uint64))
        seconds, order = timed(partial(side_spread_order, ranks, single, code, BATCH))
        assert order is not None
        met = false_negatives_per_query(side[order], BATCH)
        bound, expected = lower_bound(side, BATCH), expected_when_shuffled(side, BATCH)
        equal = equal_in_batch(single, code[order], BATCH)
        assert met <= 1.05 * bound, f"{name}: {met} equal sides per query, the counts allow {bound}"
        print(f"{name:40} {met:9.3f} (bound {bound:.3f}, shuffled {expected:.3f}), {equal} pairs, {seconds:.1f} s")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000, help="of the run that measures time and memory")
    pairs = parser.parse_args().pairs
    sets, related = build(None)
    label = np.concatenate(list(sets.values()))
    print(f"{len(label):,} pairs, {len(np.unique(label)):,} labels, {len(related):,} related pairs of labels")
    for name, alone in sets.items():
        print(f"{name + ', alone':40} {expected_when_shuffled(alone, BATCH, related):9.3f}")
    shuffled = np.random.default_rng(0).permutation(label)
    spread = label[ordered(label, related)]
    full = len(label) - BATCH
    windows = [
        false_negatives_per_query(spread[first : full + first], BATCH, related)
        for first in range(0, BATCH, BATCH // 16)
    ]
    ours, bound = false_negatives_per_query(spread, BATCH, related), lower_bound(label, BATCH, related)
    expected = expected_when_shuffled(label, BATCH, related)
    for what, value in [
        ("merged, shuffled: expected", expected),
        ("merged, shuffled: measured", false_negatives_per_query(shuffled, BATCH, related)),
        ("merged, our order", ours),
        ("merged, our order, worst window", max(windows)),
        ("lower bound", bound),
        ("equal labels only: our order", false_negatives_per_query(spread, BATCH)),
        ("equal labels only: lower bound", lower_bound(label, BATCH)),
        ("8 ranks, shuffled", false_negatives_per_query(read_by_ranks(shuffled), BATCH, related)),
        ("8 ranks, our order", false_negatives_per_query(read_by_ranks(spread), BATCH, related)),
    ]:
        print(f"{what:40} {value:9.3f}")
    print_sides()
    sets, related = build(pairs)
    label = np.concatenate(list(sets.values()))
    seconds, order = timed(lambda: ordered(label, related))
    at_scale = false_negatives_per_query(label[order], BATCH, related) / lower_bound(label, BATCH, related)
    tracemalloc.start()
    ordered(label, related)
    peak = tracemalloc.get_traced_memory()[1] / len(label)
    print(f"{len(label):,} pairs: {seconds:.1f} s, {peak:.0f} bytes a pair, {at_scale:.3f} times the lower bound")
    result = {
        "name": "label_spread",
        "unit": "false negatives per query",
        "ours": round(ours, 3),
        "peer": round(bound, 3),
        "peer_name": "lower bound of the label counts",
        "ratio": round(bound / ours, 3),
        "rounds": 1,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
