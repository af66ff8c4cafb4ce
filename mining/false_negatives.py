"""The pairs that mining found to be false negatives of each other: near candidates that a rule or the dataset excluded.

They are left out as hard negatives, and must be neither random negatives nor in-batch negatives of the pair.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.arrays import Places, places_in_runs
from corpus.item_ids import packed_ids
from corpus.schema import ITEM_ID, MAX_FALSE_NEGATIVES
from mining.candidates import CandidateLists
from mining.choose import Choice, Reason
from mining.dataset_index import DatasetIndex

# Reasons by which a candidate answers the query, too. Labels are left to the rules of publishing on them.
FALSE_NEGATIVE_REASONS = (
    Reason.OWN_POSITIVE,
    Reason.POSITIVE_OF_EQUAL_QUERY,
    Reason.SAME_CLUSTER,
    Reason.EQUAL_TEXT,
    Reason.ABOVE_RELATIVE,
    Reason.ABOVE_ABSOLUTE,
    Reason.ABOVE_MAX_SCORE,
    Reason.SIMILAR_TO_POSITIVE,
    Reason.SIMILAR_QUERY,
    Reason.JUDGED_POSITIVE,
    Reason.JUDGED_UNCLEAR,
)


def false_negative_lists(
    lists: CandidateLists,
    choice: Choice,
    index: DatasetIndex,
    pairs: Places,
    max_positive_similarity: float | None = None,
) -> pa.ListArray:
    """Returns for each pair (rows of the index) the ids of at most 32 pairs that have an excluded positive.

    Members of a group are each other's in-batch negatives, such as the clips of a video. So of these only those are
    listed that look alike: their similarity to the positive is above `max_positive_similarity`.

    First comes one pair of each excluded side, the nearest side first; then, where there is room, the other pairs that
    have these sides, in the same order.
    """
    false = np.isin(choice.reasons, FALSE_NEGATIVE_REASONS)
    if max_positive_similarity is not None:
        similar = lists.highest_similarity > np.float32(max_positive_similarity)
        false |= (choice.reasons == Reason.SAME_GROUP) & similar
    at = np.flatnonzero(false & (lists.sides >= 0))
    row = lists.rows()[at]
    at = at[_rank(row) <= MAX_FALSE_NEGATIVES]  # one more than fit: the first may be the pair's own
    row, side = lists.rows()[at], lists.sides[at]
    by_side = np.argsort(index.positive, kind="stable")
    starts = np.searchsorted(index.positive[by_side], np.arange(index.sides.shape[1]))
    counts = np.bincount(index.positive, minlength=index.sides.shape[1])[side]
    taken = np.minimum(counts, MAX_FALSE_NEGATIVES + 1)
    entry, number = np.repeat(np.arange(len(at)), taken), places_in_runs(taken)
    first = pairs[row[entry]] * (counts[entry] > taken[entry])  # so that of very many each is listed as often
    pair = by_side[starts[side[entry]] + (number + first) % counts[entry]]
    others = pair != pairs[row[entry]]
    entry, number, pair = entry[others], number[others], pair[others]
    order = np.lexsort((entry, number, row[entry]))
    order = order[_rank(row[entry][order]) < MAX_FALSE_NEGATIVES]
    sizes = np.bincount(row[entry][order], minlength=len(pairs))
    offsets = pa.array(np.append(0, np.cumsum(sizes)).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, packed_ids(index.pair_ids[:, pair[order]])).cast(pa.list_(ITEM_ID))


def _rank(rows: Places) -> Places:
    """Returns how many of ascending rows before each are the same."""
    return np.arange(len(rows)) - np.searchsorted(rows, rows)
