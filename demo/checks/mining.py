"""Compares the mining of hard negatives with the planted truth: the counts of candidates by reason, and the scores of
samples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from corpus.schema import Origin

_STAGE = "negatives"
_NOT_SEARCHED = -1  # rank of a positive that was not searched for by its query


def compare_counts(dataset: str, planted: Mapping[str, int], workspace: str | Path) -> list[str]:
    """Lists the counts of a dataset's candidates that are not as planted, a line each.

    They are those of the last run that mined each of its shards, by the logs in the workspace.
    """
    found = mined_counts(dataset, workspace)
    return [
        f"{dataset}: {reason} counts {found[reason]} candidates, planted are {planted.get(reason, 0)}"
        for reason in sorted({*planted, *found})
        if found[reason] != planted.get(reason, 0)
    ]


def mined_counts(dataset: str, workspace: str | Path) -> Counter[str]:
    """Reads the counts of candidates, without the rates of rules, from the logs of runs."""
    shards: dict[tuple[str, str], Mapping[str, int]] = {}
    for path in sorted((Path(workspace) / "runs").glob("*.jsonl")):
        for entry in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            if entry.get("stage") == _STAGE and not entry.get("error") and entry["owner"].split("/")[0] == dataset:
                shards[entry["owner"], entry["shard"]] = entry["metrics"][_STAGE]
    counts = Counter[str]()
    for metrics in shards.values():
        counts.update({reason: number for reason, number in metrics.items() if "rate/" not in reason})
    return counts


def wrong_scores(fields: Mapping[str, Any], by_positive: bool) -> Iterator[str]:
    """Lists what is wrong with the scores and ranks of a sample whose negatives were mined."""
    negatives: Sequence[Mapping[str, Any]] = fields["negatives"]
    mined = [each for each in negatives if each["origin"] == Origin.MINED]
    others = [each for each in negatives if each["origin"] == Origin.RANDOM]
    nearness = [each["positive_similarity" if by_positive else "score"] for each in mined]
    if any(later > earlier for earlier, later in pairwise(nearness)):
        yield f"its mined negatives are not in the order of their scores: {nearness}"
    if not all(0 < score < 1 for score in nearness):
        yield f"its mined negatives have scores {nearness}"
    ranks = [each["rank"] for each in mined]
    if any(later <= earlier for earlier, later in pairwise([-1, *ranks])):
        yield f"its mined negatives have ranks {ranks}"
    if by_positive != (fields["positive_rank"] == _NOT_SEARCHED):
        yield f"its positive has rank {fields['positive_rank']}"
    if not by_positive and nearness and max(nearness) >= fields["positive_score"]:
        yield f"its positive has score {fields['positive_score']}, a negative {max(nearness)}"
    if any((each["rank"], each["score"], each["positive_similarity"]) != (-1, 0.0, 0.0) for each in others):
        yield "a negative that was drawn has a score"
