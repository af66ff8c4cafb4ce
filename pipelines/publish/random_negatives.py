"""Draws random negatives for pairs that have too few hard negatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from corpus.sampling import derive_seed, random_numbers
from pipelines.publish.candidates import CandidatePairs
from pipelines.publish.mixture import PublishError
from pipelines.publish.pair_contents import PairContents
from pipelines.publish.sample_order import SampleOrder

_STEPS = 64  # donors that are probed one by one, for all pairs at once, before single pairs are scanned for
_FREQUENT = 32  # a content or a query is frequent if more than one donor of so many has it


@dataclass(frozen=True, eq=False)
class NegativeFill:
    """The random negatives of a dataset: negative number `slot` of `pair` is the positive side of the pair `donor`."""

    pair: np.ndarray  # int64[k], in published order
    slot: np.ndarray  # int64[k]
    donor: np.ndarray  # int64[k], in published order


def fill_negatives(
    contents: PairContents,
    candidates: CandidatePairs,
    sample_order: SampleOrder,
    seed: int,
    related: np.ndarray | None = None,
) -> NegativeFill:
    """Draws the missing negatives of each pair from the other pairs of its dataset, by `seed`.

    Excluded are content that equals the pair's, or is in one of its clusters (`pipelines.pairs.clusters`: equal and
    nearly equal sides); positives of an equal query; what mining found to be a false negative; negatives that it has
    already; and pairs of the same group, of the same label or of a related one (`related`: int[m, 2], numbers of labels
    of which one contains the other). Where `contents` have sources (the videos of clips), also pairs of the same
    source, whose negatives the pairs name themselves. Raises PublishError where no donor is left for a pair.
    """
    used_keys = contents.negative_keys.copy()
    total, slots = used_keys.shape
    ids = candidates.ids[:, sample_order.chosen]
    all_pairs, content, query = np.arange(total), contents.positive_key, contents.query_key
    group, label, source = (
        candidates.group[sample_order.chosen],
        candidates.label[sample_order.chosen],
        contents.source_key,
    )
    labels = int(candidates.label.max(initial=-1)) + 1
    answers = _Answers.of(contents)
    excluded = _Excluded.of(contents, answers.content)
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
        same = (donor_content == content[pair]) | (donor_content == query[pair]) | answers.contains(pair, donor)
        same |= excluded.contains(pair, donor)
        donor_id = contents.positive_id[donor]  # equal within a cluster
        same |= (donor_id == contents.positive_id[pair]) | (donor_id == contents.query_id[pair])
        return same | (donor_content[:, None] == used_keys[pair]).any(axis=1)

    def probe(pair: np.ndarray, order: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
        """Returns the first donor that fits among `steps` of `order`, from `start` on and cyclically; -1 for none."""
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
        """Returns the donors that `probe` finds without a limit, -1 for none. Skips frequent donors that can't fit."""
        found = np.full(len(pair), -1, np.int64)
        for members in _group_by_keys(group[pair], label[pair], source[pair]):
            order = np.flatnonzero(~forbidden(pair[members[:1]], all_pairs))
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
                    without &= ~answers.contains(pair[one], order)
                fitting = order[without]
                at = np.searchsorted(fitting, start[rest[same]])
                found[rest[same]] = probe(pair[rest[same]], fitting, at, len(fitting))
        return found

    donors = np.full((total, slots), -1, np.int64)
    for slot in range(slots):
        pending = np.flatnonzero(contents.negative_counts <= slot)
        # From a random pair on; the order of the pairs is random itself.
        start = (random_numbers(ids[:, pending], derive_seed(seed, slot)) % np.uint64(max(total, 1))).astype(np.int64)
        found = probe(pending, all_pairs, start, _STEPS)
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
    def of(contents: PairContents) -> _Answers:
        query = np.unique(contents.query_id, return_inverse=True)[1].astype(np.int64)
        content = np.unique(contents.positive_key, return_inverse=True)[1].astype(np.int64)
        return _Answers(query, content, np.unique(query * len(content) + content))

    def contains(self, pair: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """Returns whether the donor's positive is also one of the pair's query: bool, broadcast over both."""
        keys = self.query[pair] * len(self.content) + self.content[donor]
        return self.pairs[np.searchsorted(self.pairs, keys).clip(max=len(self.pairs) - 1)] == keys

    def frequent(self, order: np.ndarray) -> np.ndarray:
        """Returns which queries many of the donors `order` have: bool[queries]."""
        return np.bincount(self.query[order], minlength=len(self.query)) * _FREQUENT > len(order)


@dataclass(frozen=True, eq=False)
class _Excluded:
    """The index of contents that mining excluded as false negatives of each pair."""

    content: np.ndarray  # int64[m], of the positive
    pairs: np.ndarray  # int64, ascending: pair * contents + content

    @staticmethod
    def of(contents: PairContents, content: np.ndarray) -> _Excluded:
        links = contents.false_negatives
        return _Excluded(content, np.unique(links.pair * len(content) + content[links.other]))

    def contains(self, pair: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """Returns whether the donor's positive is a false negative of the pair: bool, broadcast over both."""
        keys = pair * len(self.content) + self.content[donor]
        if not len(self.pairs):
            return np.zeros(keys.shape, np.bool_)
        return np.asarray(self.pairs[np.searchsorted(self.pairs, keys).clip(max=len(self.pairs) - 1)] == keys)


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
    """Groups positions by equal keys: int64 arrays, none of them empty."""
    order = np.lexsort(keys)
    new = np.zeros(len(order), np.bool_)
    for key in keys:
        new[1:] |= key[order[1:]] != key[order[:-1]]
    return [part for part in np.split(order, np.flatnonzero(new)) if len(part)]


def _both_ways(related: np.ndarray | None, labels: int) -> np.ndarray:
    """Encodes each pair of related labels, in either order, as one number times `labels` plus the other: int64."""
    if related is None or not len(related):
        return np.zeros(0, np.int64)
    one, other = related.astype(np.int64).T
    return np.concatenate([one * labels + other, other * labels + one])
