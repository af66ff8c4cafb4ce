"""Summarizes the scores of texts with pictures, and what was filtered by them, from the metrics of outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from corpus.execution import Outcome
from filters.agreement.filter import AGREEMENT_FILTER
from filters.agreement.stage import AGREEMENT


class AgreementStats:
    """Sums of the metrics of the stages `agreement` and `agreement_filter` in one step, for each dataset."""

    def __init__(self) -> None:
        self._scored: dict[str, Counter[str]] = {}
        self._filtered: dict[str, Counter[str]] = {}

    def add(self, outcome: Outcome) -> None:
        """Adds the metrics of one shard; one of another stage changes nothing."""
        for stage, sums in ((AGREEMENT, self._scored), (AGREEMENT_FILTER, self._filtered)):
            if stage in outcome.metrics:
                sums.setdefault(outcome.owner.partition("/")[0], Counter()).update(outcome.metrics[stage])

    def lines(self) -> Iterator[str]:
        """Describes each dataset: how many pairs have a score, why others have none, and what was removed."""
        for name, counts in sorted(self._scored.items()):
            yield f"{name}: {'; '.join(_scored(counts))}"
        for name, counts in sorted(self._filtered.items()):
            unscored = f"; {counts['unscored']:,} have no score" if counts["unscored"] else ""
            yield f"{name}: {counts['removed']:,} of {counts['pairs']:,} pairs removed by low agreement{unscored}"


def _scored(counts: Counter[str]) -> Iterator[str]:
    without = {key.removeprefix("without/"): n for key, n in counts.items() if key.startswith("without/") and n}
    yield f"{counts['pairs'] - sum(without.values()):,} of {counts['pairs']:,} pairs have a score"
    if counts["from_cache"]:
        yield f"{counts['from_cache']:,} scores were known"
    if counts["by_sentence"]:
        yield f"{counts['by_sentence']:,} texts were scored by sentences, {counts['cut']:,} of them not read whole"
    if without:
        listed = ", ".join(f"{reason} {n:,}" for reason, n in sorted(without.items(), key=lambda e: (-e[1], e[0])))
        yield f"without a score: {listed}"
