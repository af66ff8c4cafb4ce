"""Precision, recall and F1 of judges, on planted truth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import mean


@dataclass
class Score:
    """The counts of one judge on one world, and what it found of each strength."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    by_strength: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))  # found or not, faults only
    good: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))  # refused or not, by kind

    @property
    def precision(self) -> float:
        return self.hits / max(1, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        return self.hits / max(1, self.hits + self.misses)

    @property
    def f1(self) -> float:
        return 2 * self.hits / max(1, 2 * self.hits + self.false_alarms + self.misses)

    def add(self, is_fault: bool, is_found: bool, strength: str) -> None:
        """Counts one thing that was judged."""
        self.hits += is_fault and is_found
        self.false_alarms += is_found and not is_fault
        self.misses += is_fault and not is_found
        (self.by_strength if is_fault else self.good)[strength].append(is_found)


@dataclass(frozen=True)
class Comparison:
    """The scores of one judge and of its peer, one for each world."""

    judge: str
    peer: str
    ours: tuple[Score, ...]
    peers: tuple[Score, ...]

    @property
    def our_f1(self) -> float:
        return mean(score.f1 for score in self.ours)

    @property
    def peer_f1(self) -> float:
        return mean(score.f1 for score in self.peers)


def print_table(comparisons: Iterable[Comparison]) -> None:
    """Prints a row for each judge: means over the worlds, and the lowest F1 of a world."""
    print("| judge | precision | recall | F1 (lowest) | peer | precision | recall | F1 (lowest) |")
    print("|---|---:|---:|---:|---|---:|---:|---:|")
    for each in comparisons:
        print(f"| {each.judge} | {_cells(each.ours)} | {each.peer} | {_cells(each.peers)} |")


def print_strengths(comparisons: Iterable[Comparison]) -> None:
    """Prints the shares of faults that were found, by strength, and of good things refused, by kind."""
    print("| judge | strength or kind | found by ours, % | by the peer, % |")
    print("|---|---|---:|---:|")
    for each in comparisons:
        for name in ("by_strength", "good"):
            ours, peers = (_shares(getattr(score, name) for score in side) for side in (each.ours, each.peers))
            label = "" if name == "by_strength" else "good: "
            for strength, share in ours.items():
                if label and share == peers[strength] == 0:
                    continue
                print(f"| {each.judge}, {each.peer} | {label}{strength} | {share:.0%} | {peers[strength]:.0%} |")


def _cells(scores: tuple[Score, ...]) -> str:
    shares = (mean(getattr(score, name) for score in scores) for name in ("precision", "recall", "f1"))
    return " | ".join(f"{share:.3f}" for share in shares) + f" ({min(score.f1 for score in scores):.3f})"


def _shares(tables: Iterable[Mapping[str, list[bool]]]) -> dict[str, float]:
    found: dict[str, list[bool]] = defaultdict(list)
    for table in tables:
        for strength, answers in table.items():
            found[strength] += answers
    return {strength: mean(answers) for strength, answers in found.items()}
