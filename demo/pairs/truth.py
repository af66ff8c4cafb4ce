"""The truth about the demo's sets of pairs: the outcome of every row, and every pair that must be published."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from corpus.schema import Status
from demo.images.drawing import distances, perceptual_bits

_NEAR_PAGE = 6  # bits of 64 of either hash, between a picture and the page of a PDF that shows it


@dataclass(frozen=True)
class SetSide:
    """A side of a pair: a text, an image, or both."""

    text: str = ""
    image: str = ""  # its name in `SetsTruth`, "": none


@dataclass(frozen=True)
class FalseNegative:
    """A side that answers a pair's query too, so that it must not be its negative."""

    side: SetSide
    reason: str  # for which mining leaves it out
    existing: bool = False  # the pair comes with it; others are positives of the set


@dataclass(frozen=True)
class Pair:
    """A pair that must be published once. Its negatives are those of its set, best first."""

    query: SetSide
    positive: SetSide
    negatives: tuple[SetSide, ...] = ()
    label: str = ""
    instruction: str = ""
    hard: tuple[SetSide, ...] = ()  # positives of the set that must be mined, all or as many as are asked for
    false: tuple[FalseNegative, ...] = ()


@dataclass
class ExpectedSet:
    """The expected outcome of one set."""

    pairs: list[Pair] = field(default_factory=list)
    kept: int = 0  # rows, of which several may be one pair
    removed: Counter[tuple[str, str]] = field(default_factory=Counter)  # rows by status and reason

    def keep(self, pair: Pair) -> None:
        """Adds a row that becomes a pair of its own."""
        self.pairs.append(pair)
        self.kept += 1

    def remove(self, reason: str, status: Status = Status.FILTERED) -> None:
        """Adds a row that must be removed."""
        self.removed[str(status), reason] += 1

    @property
    def funnel(self) -> dict[str, Any]:
        """The funnel that a run must report."""
        removed: dict[str, dict[str, int]] = {}
        for (status, reason), rows in sorted(self.removed.items()):
            removed.setdefault(status, {})[reason] = rows
        return {"rows_in": self.kept + self.removed.total(), "kept": self.kept, "removed": removed}

    def mining_counts(self, num_negatives: int) -> dict[str, int]:
        """The counts of candidates that mining must report, where every positive of the set is a candidate."""
        counts: Counter[str] = Counter(own_positive=len(self.pairs))
        for pair in self.pairs:
            false = [f"given/{each.reason}" if each.existing else each.reason for each in pair.false]
            existing = len(pair.negatives)
            chosen = min(num_negatives, len(pair.hard))
            mined = min(chosen, num_negatives - existing)
            counts.update(false)
            counts.update({"chosen": chosen, "spare": len(pair.hard) - chosen, "mined": mined})
            counts.update({"given": existing, "given/chosen": existing, "missing": num_negatives - existing - mined})
            counts["given/candidates"] += existing + sum(each.existing for each in pair.false)
        counts["candidates"] = len(self.pairs) * len({pair.positive for pair in self.pairs})
        near = sum(len(pair.hard) + 1 + sum(not each.existing for each in pair.false) for pair in self.pairs)
        counts["below_min_score"] = counts["candidates"] - near
        return dict(counts)


@dataclass(frozen=True)
class SetsTruth:
    """The truth about all sets, by the name of their source, and about the content of images."""

    sets: Mapping[str, ExpectedSet]
    images: Mapping[str, str]  # SHA-256 of a file -> its name
    pages: Mapping[str, str]  # name -> 128 bits of what it looks like, as "0" and "1"

    def name_of(self, data: bytes) -> str:
        """Identifies an image file: a planted one, or a rendered page. Raises ValueError for others."""
        known = self.images.get(hashlib.sha256(data).hexdigest())
        if known is not None:
            return known
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise ValueError("an image that cannot be decoded")
        appearance = perceptual_bits(pixels)
        for name, bits in self.pages.items():
            if max(distances(np.array([bit == "1" for bit in bits]), appearance)) <= _NEAR_PAGE:
                return name
        raise ValueError("an image that nobody planted")


def write_truth(path: Path, truth: SetsTruth) -> None:
    """Writes the truth as JSON."""
    sets = {
        source: {
            "pairs": [asdict(pair) for pair in planted.pairs],
            "kept": planted.kept,
            "removed": [[*end, rows] for end, rows in planted.removed.items()],
        }
        for source, planted in truth.sets.items()
    }
    stored = {"sets": sets, "images": dict(truth.images), "pages": dict(truth.pages)}
    path.write_text(json.dumps(stored, separators=(",", ":")), encoding="utf-8")


def read_sets_truth(path: str | Path) -> SetsTruth:
    """Reads the truth that `write_truth` writes."""
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    sets = {
        source: ExpectedSet(
            [_pair(pair) for pair in one["pairs"]],
            one["kept"],
            Counter({(status, reason): rows for status, reason, rows in one["removed"]}),
        )
        for source, one in stored["sets"].items()
    }
    return SetsTruth(sets, stored["images"], stored["pages"])


def _pair(stored: Mapping[str, Any]) -> Pair:
    return Pair(
        SetSide(**stored["query"]),
        SetSide(**stored["positive"]),
        tuple(SetSide(**each) for each in stored["negatives"]),
        stored["label"],
        stored["instruction"],
        tuple(SetSide(**each) for each in stored["hard"]),
        tuple(FalseNegative(SetSide(**each["side"]), each["reason"], each["existing"]) for each in stored["false"]),
    )
