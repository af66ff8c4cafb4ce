"""The check of mining reads the counts of the last run of each shard, and finds scores and ranks that cannot be."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from demo.checks.mining import compare_counts, mined_counts, wrong_scores
from tests.helpers.cases import cases

SAMPLE: dict[str, Any] = {
    "positive_score": 0.9,
    "positive_rank": 0,
    "negatives": [
        {"origin": "given", "rank": -1, "score": 0.2, "positive_similarity": 0.1},
        {"origin": "mined", "rank": 1, "score": 0.7, "positive_similarity": 0.5},
        {"origin": "mined", "rank": 4, "score": 0.6, "positive_similarity": 0.6},
        {"origin": "random", "rank": -1, "score": 0.0, "positive_similarity": 0.0},
    ],
}


def outcome(owner: str, shard: str, error: str = "", stage: str = "negatives", **counts: int) -> str:
    return json.dumps(
        {"owner": owner, "shard": shard, "stage": stage, "error": error, "metrics": {"negatives": counts}}
    )


def test_counts_are_those_of_the_last_run_of_each_shard(tmp_path: Path) -> None:
    runs = {
        "20260101T000000-aa": [
            '{"event": "started"}',
            outcome("guide/guide", "000000", mined=1, candidates=9),
            outcome("guide/guide", "000001", mined=20, own_positive=2, **{"rate/perc_pos": 5}),
            outcome("guide/guide", "000002", stage="embed", mined=1000),
            outcome("guided/guide", "000000", mined=1000),
        ],
        "20260102T000000-aa": [
            outcome("guide/guide", "000000", mined=300, own_positive=1),
            outcome("guide/guide", "000001", error="KeyError", mined=4000),
        ],
    }
    (tmp_path / "runs").mkdir()
    for name, lines in runs.items():
        (tmp_path / "runs" / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    assert mined_counts("guide", tmp_path) == {"mined": 320, "own_positive": 3}
    assert compare_counts("guide", {"mined": 320, "own_positive": 3, "given": 0}, tmp_path) == []
    assert compare_counts("guide", {"mined": 321, "given": 1}, tmp_path) == [
        "guide: given counts 0 candidates, planted are 1",
        "guide: mined counts 320 candidates, planted are 321",
        "guide: own_positive counts 3 candidates, planted are 0",
    ]


@cases(
    ("change", "expected"),
    [
        (lambda sample: None, ""),
        (lambda sample: sample["negatives"][1].update(score=0.5), "not in the order of their scores: [0.5, 0.6]"),
        (lambda sample: sample["negatives"][2].update(score=0.0), "have scores [0.7, 0.0]"),
        (lambda sample: sample["negatives"][2].update(rank=1), "have ranks [1, 1]"),
        (lambda sample: sample["negatives"][1].update(rank=-1), "have ranks [-1, 4]"),
        (lambda sample: sample.update(positive_rank=-1), "its positive has rank -1"),
        (lambda sample: sample.update(positive_score=0.7), "its positive has score 0.7, a negative 0.7"),
        (lambda sample: sample["negatives"][3].update(score=0.1), "a negative that was drawn has a score"),
    ],
)
def test_scores_and_ranks_that_cannot_be_are_found(change: Any, expected: str) -> None:
    sample = deepcopy(SAMPLE)
    change(sample)
    found = list(wrong_scores(sample, by_positive=False))
    assert len(found) == bool(expected)
    assert all(line.endswith(expected) for line in found)


def test_negatives_near_to_the_positive_are_ordered_by_that() -> None:
    sample = {**deepcopy(SAMPLE), "positive_rank": -1}
    (line,) = wrong_scores(sample, by_positive=True)
    assert line == "its mined negatives are not in the order of their scores: [0.5, 0.6]"
    sample["negatives"][1:3] = sample["negatives"][2:0:-1]
    sample["negatives"][1]["rank"], sample["negatives"][2]["rank"] = 0, 1
    assert list(wrong_scores(sample, by_positive=True)) == []
    sample["positive_rank"] = 3
    assert list(wrong_scores(sample, by_positive=True)) == ["its positive has rank 3"]
