"""Summarizes the mining of hard negatives of each dataset, and the search for near items, from the metrics of
outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from corpus.execution import Outcome
from corpus.stage import ITEM_NEIGHBOURS
from mining.choose import Reason
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
    "similar_query",
    "judged_positive",
    "judged_unclear",
)


_REASONS = tuple(reason.name.lower() for reason in Reason if reason not in (Reason.CHOSEN, Reason.SPARE))


class MiningStats:
    """Sums of the mining metrics of one step, for each dataset; and of the search for near items over all sources."""

    def __init__(self) -> None:
        self._datasets: dict[str, Counter[str]] = {}
        self._near: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """Adds the metrics of one shard; one without mining changes nothing."""
        if NEGATIVES in outcome.metrics:
            dataset = outcome.owner.partition("/")[0]
            self._datasets.setdefault(dataset, Counter()).update(outcome.metrics[NEGATIVES])
        self._near.update(outcome.metrics.get(ITEM_NEIGHBOURS, {}))

    def lines(self) -> Iterator[str]:
        """Describes each dataset: what was chosen, what was left out and why, and what is worth a warning."""
        for name, counts in sorted(self._datasets.items()):
            yield f"{name}: {'; '.join(_chosen(counts))}"
            excluded = {reason: counts[reason] for reason in _REASONS if counts[reason]}
            if excluded:
                yield f"{name}: left out of {counts['candidates']:,} candidates: {_by_number(excluded)}"
            yield from (f"{name}: {warning}" for warning in _warnings(counts))
        if self._near:
            yield from _near_items(self._near)


def _chosen(counts: Counter[str]) -> Iterator[str]:
    yield f"{counts['mined']:,} mined"
    false = {reason: counts[f"given/{reason}"] for reason in _FALSE if counts[f"given/{reason}"]}
    if counts["given"] or false:
        yield f"{counts['given']:,} kept of those that the pairs came with"
    if false:
        listed = ", ".join(f"{reason} {number:,}" for reason, number in sorted(false.items()))
        yield f"{sum(false.values()):,} were false ({listed})"
    if counts["missing"]:
        yield f"{counts['missing']:,} missing"


def _warnings(counts: Counter[str]) -> Iterator[str]:
    for prefix, what in (("", "the candidates"), ("given/", "the negatives that the pairs came with")):
        for key in sorted(key for key in counts if key.startswith(f"{prefix}rate/")):
            rate = counts[key] / max(1, counts[f"{prefix}candidates"])
            if rate >= _STRICT_RATE:
                yield f"{key.removeprefix(f'{prefix}rate/')} alone rejects {rate:.0%} of {what}"
    if short := counts["short_of_neighbours"]:
        yield f"{short:,} pairs lack negatives although all their neighbours were looked at: raise stages.neighbours.k"


def _near_items(counts: Counter[str]) -> Iterator[str]:
    yield f"{counts['with_neighbours']:,} of {counts['searched']:,} items have near ones, {counts['near']:,} in all"
    if full := counts["full_lists"]:
        yield f"{full:,} items have as many as are written down: for larger families raise stages.item_neighbours.k"
    if counts["sampled"]:
        yield (
            f"the clusters split {counts['split_pairs']:,} of {counts['sampled_pairs']:,} near pairs of a sample of "
            f"{counts['sampled']:,} items: stages.item_neighbours.clusters"
        )


def _by_number(counts: dict[str, int]) -> str:
    """Lists names with their numbers, the largest first."""
    return ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items(), key=lambda e: (-e[1], e[0])))
