"""Which pairs are listed as false negatives: those of excluded sides, the nearest first, at most 32, never itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.schema import MAX_FALSE_NEGATIVES, PAIR_SCHEMA, table_schema
from mining.candidates import CandidateLists
from mining.choose import Choice, Reason
from mining.dataset_index import DatasetIndex, build_index
from mining.false_negatives import FALSE_NEGATIVE_REASONS, false_negative_lists
from tests.helpers.small_worlds import image_pair


def index_of(sides: list[int]) -> DatasetIndex:
    """A dataset whose pair n has the positive sides[n]; ids of pairs are in their order."""
    rows = [image_pair("d", str(n), b"%016d" % side, pair_id=n.to_bytes(16, "big")) for n, side in enumerate(sides)]
    return build_index([pa.Table.from_pylist(rows, table_schema(PAIR_SCHEMA))])


def listed(index: DatasetIndex, pairs: list[int], candidates: list[list[tuple[int, Reason]]]) -> list[list[int]]:
    """The numbers of the listed pairs; candidates: for each pair the pairs that have the sides, and their reasons."""
    sides = np.array([index.positive[pair] for row in candidates for pair, _ in row], np.int64)
    reasons = np.array([reason for row in candidates for _, reason in row], np.uint8)
    offsets = np.append(0, np.cumsum([len(row) for row in candidates])).astype(np.int64)
    numbers = np.zeros(len(sides), np.float32)
    lists = CandidateLists(offsets, sides, numbers, numbers, numbers, numbers, np.arange(len(sides)), numbers > 0)
    choice = Choice(np.zeros(1, np.int64), np.zeros(0, np.int64), reasons, {})
    found = false_negative_lists(lists, choice, index, np.array(pairs))
    return [[int.from_bytes(each, "big") for each in row] for row in found.to_pylist()]


def test_excluded_sides_are_listed_the_nearest_first_and_chosen_ones_are_not() -> None:
    index = index_of(list(range(10)))
    rows = [[(7, Reason.SIMILAR_QUERY), (3, Reason.CHOSEN), (1, Reason.ABOVE_RELATIVE)], [], [(0, Reason.SAME_LABEL)]]
    assert listed(index, [0, 4, 9], rows) == [[7, 1], [], []]
    for reason in Reason:
        expected = [[5]] if reason in FALSE_NEGATIVE_REASONS else [[]]
        assert listed(index, [2], [[(5, reason)]]) == expected, reason


def test_all_pairs_of_an_excluded_side_are_listed_but_not_the_pair_itself() -> None:
    index = index_of([0, 0, 1, 1, 1, 2])
    rows = [[(0, Reason.OWN_POSITIVE), (2, Reason.SIMILAR_TO_POSITIVE), (5, Reason.JUDGED_POSITIVE)]]
    assert listed(index, [0], rows) == [[2, 5, 1, 3, 4]], "one pair of each side, then the others"


def test_no_more_are_listed_than_a_sample_has_room_for() -> None:
    index = index_of([*range(50), *[50] * 100])
    many = [(pair, Reason.SIMILAR_TO_POSITIVE) for pair in range(1, 45)]
    found = listed(index, [0, 49, 60], [many, [(70, Reason.SIMILAR_QUERY)], [(60, Reason.OWN_POSITIVE)]])
    assert found[0] == list(range(1, 33))
    assert [len(row) for row in found] == [MAX_FALSE_NEGATIVES] * 3
    assert all(set(row) <= set(range(50, 150)) and len(set(row)) == len(row) for row in found[1:])
    assert 60 not in found[2] and set(found[1]) != set(found[2]), "each of very many is listed as often"
