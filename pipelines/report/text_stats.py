"""Summarizes what rules about texts and the balance of concepts removed, from the metrics of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from corpus.execution import Outcome
from filters.text.concept_balance import CONCEPT_BALANCE
from filters.text.pair_filter import TEXT_FILTER

_STRICT_RATE = 0.8  # part of the pairs that a rule removes: above, it is worth a warning


class TextFilterStats:
    """Sums of the metrics of the stages `text_filter` and `concept_balance` in one step, for each dataset."""

    def __init__(self) -> None:
        self._datasets: dict[str, Counter[str]] = {}
        self._balanced: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """Adds the metrics of one shard; one without filtered texts changes nothing."""
        for stage, sums in ((TEXT_FILTER, self._datasets), (CONCEPT_BALANCE, self._balanced)):
            if stage in outcome.metrics:
                sums.setdefault(outcome.owner.partition("/")[0], Counter()).update(outcome.metrics[stage])

    def lines(self) -> Iterator[str]:
        """Describes each dataset: what each rule removed, and which rules remove nearly everything."""
        for name, counts in sorted(self._datasets.items()):
            pairs = counts["pairs"]
            removed = _of(counts, "removed/")
            listed = ", ".join(f"{reason} {n:,}" for reason, n in sorted(removed.items(), key=lambda e: (-e[1], e[0])))
            yield f"{name}: {sum(removed.values()):,} of {pairs:,} pairs removed" + (f": {listed}" if listed else "")
            for reason, n in sorted(_of(counts, "alone/").items()):
                if pairs and n / pairs >= _STRICT_RATE:
                    yield _warning(name, reason, n / pairs)
        for name, counts in sorted(self._balanced.items()):
            yield f"{name}: {'; '.join(_balance(counts))}"
            if counts["pairs"] and counts["removed"] / counts["pairs"] >= _STRICT_RATE:
                yield _warning(name, "concept_cap", counts["removed"] / counts["pairs"])


def _warning(dataset: str, rule: str, rate: float) -> str:
    return f"{dataset}: warning: the rule {rule} alone removes {rate:.0%} of the pairs"


def _balance(counts: Counter[str]) -> Iterator[str]:
    """Describes the balance of a dataset: what was removed, and the most frequent concepts before and after."""
    yield f"{counts['removed']:,} of {counts['pairs']:,} pairs removed by the cap on concepts"
    if counts["unmatched"]:
        yield f"{counts['unmatched']:,} name no concept"
    before = sorted(_of(counts, "before/").items(), key=lambda e: (-e[1], e[0]))
    if before:
        listed = ", ".join(f"{concept} {n:,} -> {counts[f'after/{concept}']:,}" for concept, n in before)
        yield f"most frequent before and after: {listed}"


def _of(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): n for key, n in counts.items() if key.startswith(prefix) and n}
