"""Summarizes the mining of hard negatives of each dataset, from the metrics of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from corpus.execution import Outcome
from pipelines.pairs.negatives import NEGATIVES

_STRICT_RATE = 0.8  # part of the candidates that a rule rejects: above, it is worth a warning
_FALSE = (  # reasons by which a negative that a pair came with is false
    "own_positive",
    "positive_of_equal_query",
    "same_cluster",
    "same_label",
    "related_label",
    "equal_text",
    "above_relative",
    "above_absolute",
    "above_max_score",
    "similar_to_positive",
)


class MiningStats:
    """Sums of the mining metrics of one step, for each dataset."""

    def __init__(self) -> None:
        self._datasets: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """Adds the metrics of one shard; one without mining changes nothing."""
        if NEGATIVES in outcome.metrics:
            self._datasets.setdefault(outcome.owner, Counter()).update(outcome.metrics[NEGATIVES])

    def lines(self) -> Iterator[str]:
        """Describes each dataset in a line, and each of its rules that rejects nearly everything in another."""
        for name, counts in sorted(self._datasets.items()):
            parts = [f"{counts['mined']:,} mined"]
            false = {reason: counts[f"given/{reason}"] for reason in _FALSE if counts[f"given/{reason}"]}
            if counts["given"] or false:
                parts.append(f"{counts['given']:,} kept of those that the pairs came with")
            if false:
                listed = ", ".join(f"{reason} {number:,}" for reason, number in sorted(false.items()))
                parts.append(f"{sum(false.values()):,} were false ({listed})")
            if counts["missing"]:
                parts.append(f"{counts['missing']:,} missing")
            yield f"{name}: {'; '.join(parts)}"
            for key in sorted(key for key in counts if key.startswith("rate/")):
                rate = counts[key] / max(1, counts["candidates"])
                if rate >= _STRICT_RATE:
                    yield f"{name}: {key.removeprefix('rate/')} alone rejects {rate:.0%} of the candidates"
