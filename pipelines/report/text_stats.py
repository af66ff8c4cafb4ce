"""Summarizes what the rules about texts removed of each dataset, from the metrics of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from corpus.execution import Outcome
from filters.pair_text_filter import TEXT_FILTER

_STRICT_RATE = 0.8  # part of the pairs that a rule removes: above, it is worth a warning


class TextFilterStats:
    """Sums of the metrics of the filter of texts in one step, for each dataset."""

    def __init__(self) -> None:
        self._datasets: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """Adds the metrics of one shard; one without filtered texts changes nothing."""
        if TEXT_FILTER in outcome.metrics:
            dataset = outcome.owner.partition("/")[0]
            self._datasets.setdefault(dataset, Counter()).update(outcome.metrics[TEXT_FILTER])

    def lines(self) -> Iterator[str]:
        """Describes each dataset: what each rule removed, and which rules remove nearly everything."""
        for name, counts in sorted(self._datasets.items()):
            pairs = counts["pairs"]
            removed = _of(counts, "removed/")
            listed = ", ".join(f"{reason} {n:,}" for reason, n in sorted(removed.items(), key=lambda e: (-e[1], e[0])))
            yield f"{name}: {sum(removed.values()):,} of {pairs:,} pairs removed" + (f": {listed}" if listed else "")
            for reason, n in sorted(_of(counts, "alone/").items()):
                if pairs and n / pairs >= _STRICT_RATE:
                    yield f"{name}: warning: the rule {reason} alone removes {n / pairs:.0%} of the pairs"


def _of(counts: Counter[str], prefix: str) -> dict[str, int]:
    return {key.removeprefix(prefix): n for key, n in counts.items() if key.startswith(prefix) and n}
