"""What a threshold of decontamination says is removed is what the decision removes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.thresholds import Shows
from filters.decontamination.decontaminate import Decontaminate, DecontaminatePairs, DecontaminateSettings, decide
from filters.decontamination.evaluation import CONTAINED, COSINE, COVERAGE, EQUAL, HASH, NEAR_FIELD
from filters.decontamination.thresholds import leak_thresholds, values_of_way

VALUES = {
    HASH: [0.0, 3.0, 6.0, 7.0, 12.0],
    COSINE: [0.9, 0.94, 0.951, 0.99],
    EQUAL: [1.0, 3.0, 4.0, 9.0],
    COVERAGE: [0.1, 0.49, 0.51, 1.0],
    CONTAINED: [0.5, 0.79, 0.81, 1.0],
}


WAYS = {
    "max_hash_distance": HASH,
    "min_cosine": COSINE,
    "min_equal_words": EQUAL,
    "min_coverage": COVERAGE,
    "min_contained": CONTAINED,
}


def near(way: str, value: float) -> dict[str, object]:
    return {"set": "s", "name": "an item", "way": way, "value": value}


def test_each_agrees_with_the_decision() -> None:
    settings = DecontaminateSettings()
    for threshold in (*Decontaminate.thresholds, *DecontaminatePairs.thresholds):
        way = WAYS[threshold.setting]
        lists = pa.array([[near(way, value)] for value in VALUES[way]], NEAR_FIELD.type)
        ways = decide(pa.chunked_array([lists]), settings, ()).column("ways").to_pylist()
        removed = np.array([bool(each) for each in ways])
        numbers = threshold.numbers(pa.table({NEAR_FIELD.name: lists})).flatten().to_numpy(zero_copy_only=False)
        kept = threshold.bound.passes(numbers.astype(float), float(getattr(settings, threshold.setting)))
        assert np.array_equal(kept, ~removed) and 0 < removed.sum() < len(removed), threshold.setting


def test_other_ways_are_no_candidates() -> None:
    lists = pa.array([[near(HASH, 2.0), near(COSINE, 0.9)], None, [], [near(COSINE, 0.8)]], NEAR_FIELD.type)
    found = values_of_way(pa.table({NEAR_FIELD.name: lists}), HASH)
    assert found.to_pylist() == [[2.0, None], [], [], [None]]
    [threshold] = leak_thresholds("leaks", Shows.ITEM, {"min_cosine": "evaluation_media"})
    assert threshold.table == "leaks" and threshold.reason == "evaluation_media"
