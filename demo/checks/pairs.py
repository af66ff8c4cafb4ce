"""Compares the demo's sets of pairs with the planted truth: the counts of rows, and every published sample."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from corpus.schema import Origin
from demo.checks.clip_samples import ReadSample, read_samples
from demo.checks.mining import wrong_scores
from demo.pairs.truth import ExpectedSet, Pair, SetSide, SetsTruth

LABEL_SPREAD = "label_spread"


@dataclass(frozen=True)
class PublishedDataset:
    """A published dataset that is made of the sets."""

    sources: tuple[str, ...]
    negatives: int
    by_positive: bool = False  # what its mined negatives are near to; else the query


def compare_funnels(truth: SetsTruth, funnels: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lists the differences of the sources' funnels from the planted truth, a line each."""
    differences = []
    for source, planted in truth.sets.items():
        found = funnels.get(source)
        if found != planted.funnel:
            differences.append(
                f"{source}: planted as {json.dumps(planted.funnel)}, but its rows are {json.dumps(found)}"
            )
    return differences


def compare_sets(
    truth: SetsTruth, published: Mapping[str, PublishedDataset], corpus: str | Path, batch_size: int
) -> list[str]:
    """Lists the differences of the datasets of a corpus from the planted truth, a line each."""
    differences = []
    entries = json.loads((Path(corpus) / "manifest.json").read_text(encoding="utf-8"))["datasets"]
    for dataset, of in published.items():
        planted = _union(truth.sets[source] for source in of.sources)
        checker = _PairChecker(truth, planted, of.negatives, of.by_positive)
        samples = list(read_samples(Path(corpus) / dataset))
        lines = [*checker.wrong(samples), *_missing(checker.counts, checker.planted)]
        if any(pair.label for pair in checker.planted.pairs):
            labels = [sample.json["label"] for sample in samples]
            lines += [*_wrong_rule(entries[dataset]), *crowded_batches(labels, batch_size)]
        differences += [f"{dataset}: {line}" for line in lines]
    return differences


def crowded_batches(labels: Sequence[str], batch_size: int) -> Iterator[str]:
    """Lists batches of consecutive samples with too many of a label: more than its even share and one."""
    counts = Counter(labels)
    for first in range(0, len(labels), batch_size):
        for label, times in sorted(Counter(labels[first : first + batch_size]).items()):
            limit = -(-counts[label] * batch_size // len(labels)) + 1
            if times > limit:
                yield f"batch {first // batch_size} has {label!r} {times} times, {limit} at most"


def _wrong_rule(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry["batch_rule"] != LABEL_SPREAD:
        yield f"its batch_rule is {entry['batch_rule']}, although it has labels"


def _union(sets: Iterable[ExpectedSet]) -> ExpectedSet:
    """Joins several sets to the one dataset that is made of them."""
    return ExpectedSet([pair for planted in sets for pair in planted.pairs])


def _missing(counts: Counter[tuple[SetSide, SetSide]], planted: ExpectedSet) -> Iterator[str]:
    for pair in planted.pairs:
        if (times := counts[pair.query, pair.positive]) != 1:
            yield f"{_named(pair.query)} -> {_named(pair.positive)}: published {times} times"


class _PairChecker:
    """Checks the samples of one dataset."""

    def __init__(self, truth: SetsTruth, planted: ExpectedSet, negatives: int, by_positive: bool) -> None:
        self._truth = truth
        self._negatives = negatives
        self._by_positive = by_positive
        self.planted = planted
        self.counts: Counter[tuple[SetSide, SetSide]] = Counter()

    @cached_property
    def _pairs(self) -> dict[tuple[SetSide, SetSide], Pair]:
        return {(pair.query, pair.positive): pair for pair in self.planted.pairs}

    @cached_property
    def _labels(self) -> dict[SetSide, str]:
        """The label of each positive."""
        return {pair.positive: pair.label for pair in self.planted.pairs}

    def wrong(self, samples: Iterable[ReadSample]) -> Iterator[str]:
        """Lists the faults of each sample."""
        for sample in samples:
            try:
                lines = list(self._wrong(sample))
            except ValueError as error:
                lines = [str(error)]
            yield from (f"{sample.json['pair_id']}: {line}" for line in lines)

    def _wrong(self, sample: ReadSample) -> Iterator[str]:
        fields = sample.json
        query, positive = self._side(sample, fields["query"]), self._side(sample, fields["positive"])
        self.counts[query, positive] += 1
        pair = self._pairs.get((query, positive))
        if pair is None:
            yield f"nobody planted {_named(query)} -> {_named(positive)}"
            return
        if fields["label"] != pair.label:
            yield f"{_named(query)} is labelled {fields['label']!r}, planted as {pair.label!r}"
        if fields["query"]["instruction"] != pair.instruction:
            yield f"its instruction is {fields['query']['instruction']!r}, planted as {pair.instruction!r}"
        origins = [str(each["origin"]) for each in fields["negatives"]]
        sides = [self._side(sample, each) for each in fields["negatives"]]
        expected_negatives = pair.negatives[: self._negatives]
        existing = len(expected_negatives)
        mined = min(len(pair.hard), self._negatives - existing)
        drawn = self._negatives - existing - mined
        expected = {Origin.FROM_SOURCE: existing, Origin.MINED: mined, Origin.RANDOM: drawn}
        if origins != [str(origin) for origin, count in expected.items() for _ in range(count)]:
            yield (
                f"its negatives are {', '.join(origins)}, but {existing} were given, {mined} are to be mined, and "
                f"{drawn} are to be drawn"
            )
        elif tuple(sides[:existing]) != expected_negatives:
            yield f"its negatives are {[*map(_named, sides)]}, planted as {[*map(_named, expected_negatives)]}"
        else:
            yield from self._wrongly_mined(pair, sides[existing : existing + mined])
        for side in {false.side for false in pair.false} & {*sides}:
            yield f"{_named(side)} answers {_named(query)} too, and is its negative"
        if pair.hard:
            yield from wrong_scores(fields, self._by_positive)
        for side in sides[existing:]:
            label = self._labels.get(side)
            if label is None or side == positive or (label and label == pair.label):
                yield f"{_named(side)} is no negative of {_named(query)} -> {_named(positive)}"

    def _wrongly_mined(self, pair: Pair, mined: Sequence[SetSide]) -> Iterator[str]:
        if wrong := [side for side in mined if side not in pair.hard]:
            yield f"{[*map(_named, wrong)]} were mined, planted are {[*map(_named, pair.hard)]}"
        if len({*mined}) < len(mined):
            yield f"a negative was mined twice: {[*map(_named, mined)]}"

    def _side(self, sample: ReadSample, fields: Mapping[str, Any]) -> SetSide:
        """Returns a side of a sample. Raises ValueError for an image that was not planted."""
        names = [self._truth.name_of(sample.members[field]) for field in fields["media"]]
        return SetSide(fields["text"], " + ".join(names))


def _named(side: SetSide) -> str:
    return " and ".join(filter(None, (side.image, side.text and repr(side.text))))
