"""Chooses a query's hard negatives among its ranked candidates, with the reasons why others are left out.

The rules have the names and the meaning that `mine_hard_negatives` of sentence-transformers (6.2) gives them; to these
come NV-Retriever's `perc_pos` (Moreira et al. 2024, arXiv 2407.15831), RzenEmbed's `max_positive_similarity` and SaHa's
`max_query_similarity` (arXiv 2508.00955). What is no negative for another reason than its score, such as another
positive of an equal query, is handed in as masks. All rows of a shard are chosen for at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from corpus.arrays import Floats, Places
from corpus.hashing import mix64
from corpus.item_ids import Ids, find_ids, unique_ids

Mask = npt.NDArray[np.bool_]


class Reason(IntEnum):
    """The outcome of a candidate. Of several reasons to leave it out, the first in this order counts."""

    CHOSEN = 0
    SPARE = 1  # a negative that was not needed, or not drawn
    OWN_POSITIVE = 2
    POSITIVE_OF_EQUAL_QUERY = 3
    QUERY_ITEM = 4  # the query itself, or a part of it
    SAME_CLUSTER = 5
    SAME_LABEL = 6
    RELATED_LABEL = 7
    SAME_GROUP = 8
    EQUAL_TEXT = 9
    ABOVE_RELATIVE = 10  # relative_margin or perc_pos
    ABOVE_ABSOLUTE = 11
    ABOVE_MAX_SCORE = 12
    BELOW_MIN_SCORE = 13
    SIMILAR_TO_POSITIVE = 14
    SIMILAR_QUERY = 15
    JUDGED_POSITIVE = 16  # a judge is sure that it answers the query
    JUDGED_UNCLEAR = 17  # a judge is not sure that it does not
    RANK_WINDOW = 18  # before range_min, after range_max, or beyond the candidates that are looked at


EXCLUSIONS = tuple(reason for reason in Reason if Reason.OWN_POSITIVE <= reason <= Reason.EQUAL_TEXT)
MASKS = (*EXCLUSIONS, Reason.JUDGED_POSITIVE, Reason.JUDGED_UNCLEAR)
_POSITIVES = (Reason.OWN_POSITIVE, Reason.POSITIVE_OF_EQUAL_QUERY)


@dataclass(frozen=True)
class Rules:
    """The rules by which negatives are chosen. With `reference` for the least score of the query's positives, a
    candidate is out if

    - `score + absolute_margin > reference`
    - `score > reference - |reference| * relative_margin`
    - `score > reference - |reference| * (1 - perc_pos)`, which is perc_pos of it where it is positive
    - `score > max_score` or `score < min_score`
    - its similarity to the positive is above `max_positive_similarity`: it is a positive, too
    - a query that it is a positive of has a similarity above `max_query_similarity` to this one

    Of the others, in the order of scores, those of rank range_min up to range_max stay. The best `num_negatives` of
    them are chosen, or some by lot: one that depends on seed, pair and candidate only. A bound that is None is off.

    Raises ValueError for rules under which nothing can be chosen.
    """

    num_negatives: int = 3
    range_min: int = 0
    range_max: int | None = None
    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    perc_pos: float | None = 0.95
    max_positive_similarity: float | None = 0.95
    max_query_similarity: float | None = None
    sampling: Literal["top", "random"] = "top"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_negatives < 1:
            raise ValueError(f"num_negatives must be at least 1, not {self.num_negatives}")
        if self.range_min < 0:
            raise ValueError(f"range_min must not be negative, as {self.range_min} is")
        if self.sampling not in ("top", "random"):
            raise ValueError(f"sampling must be top or random, not {self.sampling!r}")
        if self.perc_pos is not None and not 0 < self.perc_pos <= 1:
            raise ValueError(f"perc_pos must be above 0 and at most 1, not {self.perc_pos}")
        if self.range_max is not None and self.range_max - self.range_min < self.num_negatives:
            window = f"from range_min={self.range_min} to range_max={self.range_max}"
            raise ValueError(f"{self.num_negatives} negatives do not fit into the ranks {window}")

    def window(self, max_positives: int) -> tuple[int, int]:
        """Returns the ranks that are kept, (range_min, range_max), where a query has at most so many positives.

        Without a setting range_max is range_min + num_negatives + max_positives, as in sentence-transformers, and ten
        times num_negatives where a bound can reject some.
        """
        if self.range_max is not None:
            return self.range_min, self.range_max
        bounds = (self.absolute_margin, self.relative_margin, self.max_score, self.perc_pos)
        similar = (self.max_positive_similarity, self.max_query_similarity)
        factor = 1 if all(bound is None for bound in (*bounds, *similar)) else 10
        return self.range_min, self.range_min + factor * self.num_negatives + max_positives

    def positives_within(self, max_positives: int, k: int) -> int:
        """Returns how many positives of a query the ranks make room for, where k neighbours of each query were
        searched.

        That is `max_positives`, save where one very popular query would move range_max beyond what was searched: then
        as many as bring `depth` to k. A range_max that is set is no wider for them.
        """
        if self.range_max is not None:
            return max_positives
        return min(max_positives, max(1, (k - self.window(0)[1]) // 2))

    def depth(self, max_positives: int) -> int:
        """Returns how many neighbours of each query are looked at, and therefore must be searched for."""
        return self.window(max_positives)[1] + max_positives


@dataclass(frozen=True)
class Candidates:
    """The ranked candidates of n rows, m in all, those of a row together and the best first.

    `reference` is the least score of the positives of a row's query, all rows with an equal query counted (see
    `pool_positives`). `masks` tell the candidates that are out whatever their score. `positive_similarity` is the
    highest of a candidate to one of those positives, `query_similarity` the highest of the row's query to another that
    has the candidate as its positive (-1 where there is none); they may be None where no rule asks for them.
    """

    pair_ids: Ids  # [2, n]
    offsets: Places  # [n + 1]
    ids: Ids  # [2, m]
    scores: Floats  # [m]
    reference: Floats  # [n]
    masks: Mapping[Reason, Mask] = field(default_factory=dict)
    positive_similarity: Floats | None = None
    query_similarity: Floats | None = None

    def rows(self) -> Places:
        """Returns the row of each candidate, int64[m]."""
        return np.repeat(np.arange(len(self.reference)), np.diff(self.offsets))


@dataclass(frozen=True)
class Choice:
    """The negatives of n rows, and what became of every candidate."""

    offsets: Places  # [n + 1]
    chosen: Places  # places among the candidates; those of a row together and the best first
    reasons: npt.NDArray[np.uint8]  # [m], codes of Reason
    rates: Mapping[str, float]  # by rule: which part of the candidates that no mask takes it alone rejects

    def counts(self) -> dict[str, int]:
        """Returns how many candidates there are of each reason, none left out."""
        found = np.bincount(self.reasons, minlength=len(Reason))
        return {reason.name.lower(): int(found[reason]) for reason in Reason}

    def missing(self, num_negatives: int) -> Places:
        """Returns how many negatives each row lacks, int64[n]."""
        return num_negatives - np.diff(self.offsets)

    def strict_rules(self, threshold: float = 0.8) -> dict[str, float]:
        """Returns the rules that reject at least such a part of the candidates: something to warn about."""
        return {rule: rate for rule, rate in self.rates.items() if rate >= threshold}


def choose(candidates: Candidates, rules: Rules, max_positives: int = 1) -> Choice:
    """Chooses the negatives of all rows. `max_positives` is the highest number of positives of a query of the dataset.

    Raises ValueError for numbers that are NaN, for scores that are not in descending order, and for similarities that
    a rule needs and that are not there.
    """
    rows = candidates.rows()
    _check(candidates, rows)
    range_min, range_max = rules.window(max_positives)
    excluded = _any(candidates, EXCLUSIONS, rows)
    # As in a search among what is left when exclusions are taken away, all but a query's positives.
    considered_rank = _rank(~excluded | _any(candidates, _POSITIVES, rows), candidates.offsets, rows)
    beyond = considered_rank >= range_max + max_positives
    rejected = _rejected(candidates, rules, rows)
    considered = ~(excluded | beyond)
    total = max(1, int(np.count_nonzero(considered)))
    rates = {rule: np.count_nonzero(mask & considered) / total for rule, (_, mask) in rejected.items()}

    reasons = np.zeros(len(rows), np.uint8)
    reasons[beyond] = Reason.RANK_WINDOW
    by_reason = [*candidates.masks.items(), *rejected.values()]
    for reason, mask in sorted(by_reason, key=lambda entry: -entry[0]):
        reasons[mask] = reason
    rank = _rank(reasons == 0, candidates.offsets, rows)
    reasons[(reasons == 0) & ((rank < range_min) | (rank >= range_max))] = Reason.RANK_WINDOW
    negatives = np.flatnonzero(reasons == 0)
    drawn = _draw(candidates, rules, rows, negatives)
    reasons[negatives] = Reason.SPARE
    reasons[drawn] = Reason.CHOSEN
    counts = np.bincount(rows[drawn], minlength=len(candidates.reference))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Choice(offsets, drawn, reasons, rates)


def pool_positives(query_ids: Ids, scores: Floats) -> tuple[Floats, int]:
    """Returns for each pair of a dataset the lowest score of the positives of its query, and the most positives of a
    query.

    `query_ids` uint64[2, n] tell which queries are equal.
    """
    if not len(scores):
        return scores.astype(np.float32), 0
    query = find_ids(unique_ids([query_ids]), query_ids)
    worst = np.full(int(query.max()) + 1, np.inf, np.float32)
    np.minimum.at(worst, query, scores)
    return worst[query], int(np.bincount(query).max())


def in_row_list(offsets: Places, ids: Ids, list_offsets: Places, list_ids: Ids) -> Mask:
    """Returns which candidates are in their row's list of ids, bool[m]: a mask for its positives, its
    query's items, ...
    """
    known = unique_ids([list_ids])
    listed, requested = find_ids(known, list_ids), find_ids(known, ids)
    of_list = np.repeat(np.arange(len(list_offsets) - 1), np.diff(list_offsets)) * known.shape[1] + listed
    of_row = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * known.shape[1] + requested
    return np.isin(of_row, of_list) & (requested >= 0)


def _check(candidates: Candidates, rows: Places) -> None:
    scores = candidates.scores
    if len(scores) != len(rows) or candidates.ids.shape != (2, len(rows)):
        raise ValueError(f"offsets tell of {len(rows)} candidates, there are {len(scores)} scores")
    for name in ("scores", "reference", "positive_similarity", "query_similarity"):
        numbers = getattr(candidates, name)
        if numbers is not None and np.isnan(numbers).any():
            at = int(np.isnan(numbers).argmax())
            raise ValueError(f"{name} of row {at if name == 'reference' else rows[at]} is NaN")
    rising = (scores[1:] > scores[:-1]) & (rows[1:] == rows[:-1])
    if rising.any():
        raise ValueError(f"candidates of row {rows[int(rising.argmax())]} are not in descending order of scores")
    for reason, mask in candidates.masks.items():
        if reason not in MASKS or mask.shape != scores.shape or mask.dtype != np.bool_:
            raise ValueError(f"{reason.name.lower()}: no mask of {len(scores)} candidates")


def _rejected(candidates: Candidates, rules: Rules, rows: Places) -> dict[str, tuple[Reason, Mask]]:
    """Returns the candidates that each rule rejects, in float32, as sentence-transformers compares them."""
    scores, reference = candidates.scores, candidates.reference
    found: dict[str, tuple[Reason, Mask]] = {}
    shares = {"relative_margin": rules.relative_margin, "perc_pos": rules.perc_pos and 1 - rules.perc_pos}
    for rule, share in shares.items():
        if share is not None:
            bound = reference - np.abs(reference) * np.float32(share)
            found[rule] = Reason.ABOVE_RELATIVE, scores > bound[rows]
    if rules.absolute_margin is not None:
        found["absolute_margin"] = Reason.ABOVE_ABSOLUTE, scores + np.float32(rules.absolute_margin) > reference[rows]
    if rules.max_score is not None:
        found["max_score"] = Reason.ABOVE_MAX_SCORE, scores > np.float32(rules.max_score)
    if rules.min_score is not None:
        found["min_score"] = Reason.BELOW_MIN_SCORE, scores < np.float32(rules.min_score)
    similarities = {
        "max_positive_similarity": (Reason.SIMILAR_TO_POSITIVE, candidates.positive_similarity),
        "max_query_similarity": (Reason.SIMILAR_QUERY, candidates.query_similarity),
    }
    for rule, (reason, similarity) in similarities.items():
        bound = getattr(rules, rule)
        if bound is not None:
            if similarity is None:
                raise ValueError(f"{rule} is {bound}, but {rule.removeprefix('max_')} of the candidates is not there")
            found[rule] = reason, similarity > np.float32(bound)
    return found


def _any(candidates: Candidates, reasons: tuple[Reason, ...], rows: Places) -> Mask:
    found = np.zeros(len(rows), bool)
    for reason in reasons:
        if reason in candidates.masks:
            found |= candidates.masks[reason]
    return found


def _rank(mask: Mask, offsets: Places, rows: Places) -> Places:
    """Returns how many candidates of the same row that are in the mask come before each."""
    before = np.concatenate([[0], np.cumsum(mask)])
    return before[:-1] - before[offsets[:-1]][rows]


def _draw(candidates: Candidates, rules: Rules, rows: Places, negatives: Places) -> Places:
    """Returns places of the negatives that are taken, in the order of rows and scores."""
    row = rows[negatives]
    if rules.sampling == "random":
        pair = mix64(candidates.pair_ids[0] ^ mix64(candidates.pair_ids[1] + np.uint64(rules.seed % 2**64)))
        ids = candidates.ids[:, negatives]
        lot = mix64(ids[0] ^ mix64(ids[1] ^ pair[row]))
        order = np.lexsort((ids[1], ids[0], lot, row))
    else:
        order = np.arange(len(negatives))
    rank = np.arange(len(order)) - np.searchsorted(row, row)
    return np.sort(negatives[order[rank < rules.num_negatives]])
