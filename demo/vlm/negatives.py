"""Compares the hard negatives that were mined for captions of drawn scenes with what the captions say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from corpus.schema import Origin
from demo.vlm.scenes import VlmScene, read_caption


@dataclass(frozen=True)
class NegativeStats:
    """Counts of mined negatives. A caption truly describes a scene that has all six attributes as it states them.

    Planted hard ones of a caption are the published scenes that differ from it in one attribute.
    """

    captions: int  # that can be read
    mined: int  # negatives
    described: int  # of these, scenes that the caption truly describes: false negatives
    hard: int  # places of negatives that planted hard ones could take
    hard_found: int  # of these, places that they took
    random_hard: float  # places that they would be expected to take if negatives were drawn at random

    @property
    def precision(self) -> float:
        """Share of the mined negatives that are none of the scenes that the caption describes."""
        return 1 - self.described / self.mined if self.mined else 0.0

    @property
    def recall(self) -> float:
        """Share of the planted hard ones that was found."""
        return self.hard_found / self.hard if self.hard else 0.0

    def faults(self, min_precision: float, min_recall: float) -> list[str]:
        """Lists what is worse than expected, a line each."""
        found = []
        if self.mined == 0:
            found.append("no negative was mined")
        elif self.precision < min_precision:
            found.append(f"{self.described} of {self.mined} mined negatives are described by the caption")
        if self.recall < min_recall:
            found.append(
                f"{self.hard_found} of {self.hard} planted hard negatives were found, {min_recall:.0%} expected"
            )
        return found

    def __str__(self) -> str:
        return (
            f"{self.mined:,} negatives were mined for {self.captions:,} captions: {self.precision:.1%} are scenes that"
            f" the caption does not describe; {self.recall:.1%} of {self.hard:,} planted hard ones were found, and"
            f" {self.random_hard / self.hard if self.hard else 0:.1%} would be at random"
        )


def count_negatives(samples: Iterable[Mapping[str, Any]], scenes: Mapping[str, VlmScene]) -> NegativeStats:
    """Counts over the JSON of published samples. `scenes`: what the picture of each URL shows."""
    samples = list(samples)
    by_id = {sample["positive"]["id"]: scenes[sample["source"]["url"]] for sample in samples}
    counts = NegativeStats(0, 0, 0, 0, 0, 0)
    for sample in samples:
        stated = read_caption(sample["query"]["text"])
        if stated is None:
            continue
        mined = [by_id[each["id"]] for each in sample["negatives"] if each["origin"] == Origin.MINED]
        hard = sum(differing(stated, scene) == 1 for scene in by_id.values())
        places = len(sample["negatives"])
        counts = NegativeStats(
            counts.captions + 1,
            counts.mined + len(mined),
            counts.described + sum(scene == stated for scene in mined),
            counts.hard + min(hard, places),
            counts.hard_found + min(hard, sum(differing(stated, scene) == 1 for scene in mined)),
            counts.random_hard + min(hard, places * hard / max(1, len(by_id) - 1)),
        )
    return counts


def differing(one: VlmScene, other: VlmScene) -> int:
    """How many attributes differ."""
    return sum(a != b for a, b in zip(astuple(one), astuple(other), strict=True))
