"""Random negatives: they fill up a pair's hard negatives where too few were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corpus.sampling import derive_seed, random_numbers
from pipelines.publish.mixture import CandidatePairs, PublishError, SampleOrder
from pipelines.publish.pair_contents import PairContents

_STEPS = 64  # donors that are tried one by one, for all pairs at once, before single pairs are searched for
_FREQUENT = 32  # a content or a query is frequent if more than one donor of so many has it


@dataclass(frozen=True, eq=False)
class NegativeFill:
    """The random negatives: as its negative number `slot`, `pair` gets the positive side of the pair `donor`."""

    pair: np.ndarray  # int64[k], in published order
    slot: np.ndarray  # int64[k]
    donor: np.ndarray  # int64[k], in published order


def fill_negatives(
    sides: PairContents,
    candidates: CandidatePairs,
    arranged: SampleOrder,
    seed: int,
    related: np.ndarray | None = None,
) -> NegativeFill:
    """Draws what is missing of each pair's negatives from the other pairs of its dataset, by `seed`.

    Never the pair's own content nor one of its clusters (`pipelines.pairs.clusters`: equal and nearly equal sides),
    never what is a positive of an equal query, never a negative twice, never a pair of the same group, of the same
    label or of a related one (`related`: int[m, 2], numbers of labels of which one contains the other). Where `sides`
    tell the sources (the videos of clips), never one of the same source: there, the pairs themselves name what may be a
    negative. Raises PublishError where no pair is left to draw.
    """
    used_keys = sides.negative_keys.copy()
    total, slots = used_keys.shape
    ids = candidates.ids[:, arranged.chosen]
    everyone, content, query = np.arange(total), sides.positive_key, sides.query_key
    group, label, source = candidates.group[arranged.chosen], candidates.label[arranged.chosen], sides.source_key
    labels = int(candidates.label.max(initial=-1)) + 1
    answers = _Answers.of(sides)
    related_codes = _both_ways(related, labels)

    def forbidden(pair: np.ndarray, donor: np.ndarray) -> np.ndarray:
        return (
            ((group[donor] == group[pair]) & (group[pair] >= 0))
            | ((label[donor] == label[pair]) & (label[pair] >= 0))
            | (np.isin(label[donor].astype(np.int64) * labels + label[pair], related_codes) & (label[pair] >= 0))
            | ((source[donor] == source[pair]) & (source[pair] != 0))
        )

    def duplicate_content(pair: np.ndarray, donor: np.ndarray) -> np.ndarray:
        donor_content = content[donor]
        same = (donor_content == content[pair]) | (donor_content == query[pair]) | answers.known(pair, donor)
        donor_id = sides.positive_id[donor]  # equal within a cluster
        same |= (donor_id == sides.positive_id[pair]) | (donor_id == sides.query_id[pair])
        return same | (donor_content[:, None] == used_keys[pair]).any(axis=1)

    def probe(pair: np.ndarray, order: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
        """The first donor of `order` that fits, from the place `start` on and in a circle; -1 for none in `steps`."""
        found, active = np.full(len(pair), -1, np.int64), np.arange(len(pair))
        for step in range(min(steps, len(order))):
            if not len(active):
                break
            donor = order[(start[active] + step) % len(order)]
            fits = ~(forbidden(pair[active], donor) | duplicate_content(pair[active], donor))
            found[active[fits]] = donor[fits]
            active = active[~fits]
        return found

    def scan(pair: np.ndarray, start: np.ndarray) -> np.ndarray:
        """The donors that probing without end finds, -1 for none: it skips the frequent donors that can't fit."""
        found = np.full(len(pair), -1, np.int64)
        for members in _group_by_keys(group[pair], label[pair], source[pair]):
            order = np.flatnonzero(~forbidden(pair[members[:1]], everyone))
            found[members] = probe(pair[members], order, np.searchsorted(order, start[members]), _STEPS)
            rest = members[found[members] < 0] if len(order) > _STEPS else members[:0]
            if not len(rest):
                continue
            frequent = _Frequent.of(content[order])
            unusable = [duplicate_content(pair[rest], order[at : at + 1]) for at in frequent.first]
            excluded = np.where(answers.frequent(order)[answers.query[pair[rest]]], answers.query[pair[rest]], -1)
            for same in _group_by_keys(excluded, *unusable):
                one = rest[same[:1]]
                without = ~np.isin(frequent.code, [n for n, each in enumerate(unusable) if each[same[0]]])
                if excluded[same[0]] >= 0:
                    without &= ~answers.known(pair[one], order)
                fitting = order[without]
                at = np.searchsorted(fitting, start[rest[same]])
                found[rest[same]] = probe(pair[rest[same]], fitting, at, len(fitting))
        return found

    donors = np.full((total, slots), -1, np.int64)
    for slot in range(slots):
        pending = np.flatnonzero(sides.own_negatives <= slot)
        # From a random pair onwards, in an order that is random itself.
        start = (random_numbers(ids[:, pending], derive_seed(seed, slot)) % np.uint64(max(total, 1))).astype(np.int64)
        found = probe(pending, everyone, start, _STEPS)
        active = np.flatnonzero(found < 0)
        found[active] = scan(pending[active], start[active])
        if len(unfilled := np.flatnonzero(found < 0)):
            raise PublishError(
                f"{len(unfilled)} of its {total} pairs find no random negative number {slot}: all others have the same "
                "content or query (or nearly the same text), group, label or video, or a related label; ask for fewer "
                "negatives"
            )
        donors[pending, slot] = found
        used_keys[pending, slot] = content[found]
    pair, slot_of = np.nonzero(donors >= 0)
    return NegativeFill(pair, slot_of, donors[pair, slot_of])


@dataclass(frozen=True, eq=False)
class _Answers:
    """The index of contents that are positives of each query."""

    query: np.ndarray  # int64[m], equal numbers are equal queries
    content: np.ndarray  # int64[m], of the positive
    pairs: np.ndarray  # int64, ascending: query * contents + content

    @staticmethod
    def of(sides: PairContents) -> _Answers:
        query = np.unique(sides.query_id, return_inverse=True)[1].astype(np.int64)
        content = np.unique(sides.positive_key, return_inverse=True)[1].astype(np.int64)
        return _Answers(query, content, np.unique(query * len(content) + content))

    def known(self, pair: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """Whether the donor's positive is one of the pair's query: bool, as the two are broadcast."""
        wanted = self.query[pair] * len(self.content) + self.content[donor]
        return self.pairs[np.searchsorted(self.pairs, wanted).clip(max=len(self.pairs) - 1)] == wanted

    def frequent(self, order: np.ndarray) -> np.ndarray:
        """bool[queries]: those that many of the donors `order` have."""
        return np.bincount(self.query[order], minlength=len(self.query)) * _FREQUENT > len(order)


@dataclass(frozen=True, eq=False)
class _Frequent:
    """The index of the few contents that many donors have."""

    code: np.ndarray  # int64[n], into `first`; -1: not a frequent one
    first: list[int]  # a donor's place for each

    @staticmethod
    def of(content: np.ndarray) -> _Frequent:
        _, first, inverse, counts = np.unique(content, return_index=True, return_inverse=True, return_counts=True)
        chosen = np.flatnonzero(counts * _FREQUENT > len(content))
        code = np.full(len(first), -1, np.int64)
        code[chosen] = np.arange(len(chosen))
        return _Frequent(code[inverse], first[chosen].tolist())


def _group_by_keys(*keys: np.ndarray) -> list[np.ndarray]:
    """Group places by equal keys: int64 arrays, none of them empty."""
    order = np.lexsort(keys)
    new = np.zeros(len(order), np.bool_)
    for key in keys:
        new[1:] |= key[order[1:]] != key[order[:-1]]
    return [part for part in np.split(order, np.flatnonzero(new)) if len(part)]


def _both_ways(related: np.ndarray | None, labels: int) -> np.ndarray:
    """int64: one label's number times `labels`, plus the other's, for each pair of related labels in either order."""
    if related is None or not len(related):
        return np.zeros(0, np.int64)
    one, other = related.astype(np.int64).T
    return np.concatenate([one * labels + other, other * labels + one])
