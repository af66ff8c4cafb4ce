"""Choosing negatives: held against the rules candidate by candidate; draws that depend on nothing else; counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.choose import MASKS, Candidates, Choice, Reason, Rules, choose, in_row_list, pool_positives
from tests.helpers.vector_worlds import ids_of

NO_BOUNDS = Rules(perc_pos=None, max_positive_similarity=None)


def drawn(seed: int, rows: int, most: int = 40, masked: float = 0.05) -> Candidates:
    """Candidates with scores of few values, so that many lie exactly on a bound."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, most + 1, rows)
    total = int(counts.sum())
    scores = [np.sort(random.integers(-8, 33, count))[::-1] / 32 for count in counts]
    return Candidates(
        pair_ids=ids_of(random, rows),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        ids=ids_of(random, total),
        scores=np.concatenate([*scores, []]).astype(np.float32),
        reference=(random.integers(-16, 33, rows) / 32).astype(np.float32),
        masks={reason: random.random(total) < masked for reason in MASKS},
        positive_similarity=(random.integers(0, 33, total) / 32).astype(np.float32),
        query_similarity=(random.integers(-32, 33, total) / 32).astype(np.float32),
    )


def plainly(candidates: Candidates, rules: Rules, max_positives: int) -> list[list[Reason]]:
    """What becomes of each candidate of each row, one after the other; of negatives SPARE."""
    found = []
    range_min, range_max = rules.window(max_positives)
    for row in range(len(candidates.reference)):
        looked_at = rank = 0
        line: list[Reason] = []
        reference = candidates.reference[row]
        for at in range(candidates.offsets[row], candidates.offsets[row + 1]):
            score = candidates.scores[at]
            reasons = {reason for reason, mask in candidates.masks.items() if mask[at]}
            excluded = reasons - {
                Reason.OWN_POSITIVE,
                Reason.POSITIVE_OF_EQUAL_QUERY,
                Reason.JUDGED_POSITIVE,
                Reason.JUDGED_UNCLEAR,
            }
            if looked_at >= range_max + max_positives:
                reasons.add(Reason.RANK_WINDOW)
            looked_at += not excluded or bool(reasons & {Reason.OWN_POSITIVE, Reason.POSITIVE_OF_EQUAL_QUERY})
            bounds: list[tuple[Reason, Any, Callable[[Any], bool]]] = [
                (Reason.ABOVE_ABSOLUTE, rules.absolute_margin, lambda b, s=score, r=reference: s + np.float32(b) > r),
                (Reason.ABOVE_RELATIVE, rules.relative_margin, lambda b, s=score, r=reference: s > r - abs(r) * b),
                (Reason.ABOVE_RELATIVE, rules.perc_pos, lambda b, s=score, r=reference: s > r - abs(r) * (1 - b)),
                (Reason.ABOVE_MAX_SCORE, rules.max_score, lambda b, s=score: s > b),
                (Reason.BELOW_MIN_SCORE, rules.min_score, lambda b, s=score: s < b),
                (
                    Reason.SIMILAR_TO_POSITIVE,
                    rules.max_positive_similarity,
                    lambda b, s=candidates.positive_similarity[at]: s > b,
                ),
                (Reason.SIMILAR_QUERY, rules.max_query_similarity, lambda b, s=candidates.query_similarity[at]: s > b),
            ]
            reasons |= {reason for reason, bound, is_out in bounds if bound is not None and is_out(bound)}
            if not reasons:
                if not range_min <= rank < range_max:
                    reasons = {Reason.RANK_WINDOW}
                rank += 1
            line.append(min(reasons, default=Reason.SPARE))
        found.append(line)
    return found


def lines(choice: Choice, candidates: Candidates) -> list[list[Reason]]:
    reasons = [Reason(code) for code in choice.reasons]
    return [reasons[first:stop] for first, stop in zip(candidates.offsets[:-1], candidates.offsets[1:], strict=True)]


@st.composite
def drawn_rules(draw: st.DrawFn) -> Rules:
    score = st.none() | st.integers(-8, 32).map(lambda n: n / 32)
    margin = st.none() | st.sampled_from([0.0, 0.125, 0.25, -0.25])
    similarity = st.none() | st.sampled_from([0.5, 0.75, 1.0])
    num_negatives, range_min = draw(st.integers(1, 5)), draw(st.integers(0, 6))
    return Rules(
        num_negatives=num_negatives,
        range_min=range_min,
        range_max=draw(st.none() | st.integers(range_min + num_negatives, 25)),
        max_score=draw(score),
        min_score=draw(score),
        absolute_margin=draw(margin),
        relative_margin=draw(margin),
        perc_pos=draw(st.none() | st.sampled_from([0.5, 0.875, 1.0])),
        max_positive_similarity=draw(similarity),
        max_query_similarity=draw(similarity),
        sampling=draw(st.sampled_from(["top", "random"])),
    )


@given(drawn_rules(), st.integers(0, 12), st.integers(0, 4), st.integers(0, 2**32))
def test_every_candidate_is_treated_as_the_rules_say(rules: Rules, rows: int, max_positives: int, seed: int) -> None:
    candidates = drawn(seed, rows)
    choice = choose(candidates, rules, max_positives)
    expected = plainly(candidates, rules, max_positives)
    found = lines(choice, candidates)
    assert [[Reason.SPARE if reason == Reason.CHOSEN else reason for reason in line] for line in found] == expected
    for row, line in enumerate(found):
        first = candidates.offsets[row]
        chosen = [at for at, reason in enumerate(line) if reason == Reason.CHOSEN]
        negatives = [at for at, reason in enumerate(expected[row]) if reason == Reason.SPARE]
        assert len(chosen) == min(rules.num_negatives, len(negatives))
        assert rules.sampling == "random" or chosen == negatives[: rules.num_negatives]
        assert (choice.chosen[choice.offsets[row] : choice.offsets[row + 1]] - first).tolist() == chosen
    counts = choice.counts()
    assert sum(counts.values()) == len(candidates.scores) and list(counts) == [reason.name.lower() for reason in Reason]
    assert counts["chosen"] == len(choice.chosen)
    assert choice.missing(rules.num_negatives).sum() == rows * rules.num_negatives - len(choice.chosen)


def test_the_ranks_that_are_kept_follow_from_the_rules() -> None:
    cases = [
        (NO_BOUNDS, 1, (0, 4)),
        (replace(NO_BOUNDS, range_min=5, num_negatives=4), 2, (5, 11)),
        (replace(NO_BOUNDS, min_score=0.5), 1, (0, 4)),
        (replace(NO_BOUNDS, max_score=0.5), 1, (0, 31)),
        (replace(NO_BOUNDS, absolute_margin=0.0), 1, (0, 31)),
        (replace(NO_BOUNDS, relative_margin=0.05, range_min=10), 7, (10, 47)),
        (replace(NO_BOUNDS, max_query_similarity=0.9), 1, (0, 31)),
        (Rules(), 3, (0, 33)),
        (Rules(range_max=20), 3, (0, 20)),
    ]
    assert [rules.window(most) for rules, most, _ in cases] == [window for *_, window in cases]
    assert Rules().depth(3) == 36 and Rules(range_max=20).depth(3) == 23


def test_one_popular_query_does_not_move_the_ranks_beyond_what_was_searched() -> None:
    cases = [
        (Rules(), 3, 200, 3),  # as in sentence-transformers, where all is reached
        (Rules(), 85, 200, 85),
        (Rules(), 10_000, 200, 85),  # 30 + 85 ranks and 85 positives
        (Rules(range_min=100), 10_000, 200, 35),
        (Rules(range_max=150), 10_000, 200, 10_000),
        (Rules(), 10_000, 20, 1),
        (NO_BOUNDS, 0, 200, 0),
    ]
    assert [rules.positives_within(most, k) for rules, most, k, _ in cases] == [expected for *_, expected in cases]
    for rules, most, k, _ in cases[:4]:
        assert rules.depth(rules.positives_within(most, k)) <= k


def test_a_negative_reference_is_never_raised_by_a_share() -> None:
    scores = np.array([-0.3, -0.4, -0.41, -0.421, -0.43], np.float32)
    random = np.random.default_rng(1)
    row = Candidates(ids_of(random, 1), np.array([0, 5]), ids_of(random, 5), scores, np.array([-0.4], np.float32))
    for rules in (replace(NO_BOUNDS, perc_pos=0.95), replace(NO_BOUNDS, relative_margin=0.05)):
        assert choose(row, rules).chosen.tolist() == [3, 4]


def test_exclusions_do_not_use_up_the_candidates_that_are_looked_at() -> None:
    random = np.random.default_rng(2)
    mask = np.arange(60) < 50
    scores = np.linspace(1, 0, 60).astype(np.float32)
    for reason, expected in ((Reason.SAME_CLUSTER, [50, 51, 52]), (Reason.OWN_POSITIVE, [])):
        row = Candidates(
            ids_of(random, 1), np.array([0, 60]), ids_of(random, 60), scores, np.ones(1, np.float32), {reason: mask}
        )
        assert choose(row, NO_BOUNDS).chosen.tolist() == expected
        assert choose(row, NO_BOUNDS, max_positives=50).chosen.tolist() == [50, 51, 52]


def part(candidates: Candidates, rows: np.ndarray) -> Candidates:
    """Some rows, in another order."""
    places = [np.arange(candidates.offsets[row], candidates.offsets[row + 1]) for row in rows]
    at = np.concatenate([*places, np.zeros(0, np.int64)])
    return Candidates(
        candidates.pair_ids[:, rows],
        np.concatenate([[0], np.cumsum([len(place) for place in places])]),
        candidates.ids[:, at],
        candidates.scores[at],
        candidates.reference[rows],
        {reason: mask[at] for reason, mask in candidates.masks.items()},
        candidates.positive_similarity[at] if candidates.positive_similarity is not None else None,
        candidates.query_similarity[at] if candidates.query_similarity is not None else None,
    )


def test_a_draw_depends_on_seed_pair_and_candidate_only() -> None:
    candidates = drawn(3, 40)
    rules = replace(NO_BOUNDS, sampling="random", range_max=20, seed=5)
    choice = choose(candidates, rules)
    order = np.random.default_rng(4).permutation(40)
    shuffled = part(candidates, order)
    again = choose(shuffled, rules)
    for at, row in enumerate(order):
        one = candidates.ids[:, choice.chosen[choice.offsets[row] : choice.offsets[row + 1]]]
        other = shuffled.ids[:, again.chosen[again.offsets[at] : again.offsets[at + 1]]]
        assert np.array_equal(one, other)
    assert not np.array_equal(choose(candidates, replace(rules, seed=6)).chosen, choice.chosen)
    assert not np.array_equal(choose(candidates, replace(rules, sampling="top")).chosen, choice.chosen)


def test_a_draw_is_as_likely_for_every_rank() -> None:
    random, rows = np.random.default_rng(5), 4000
    scores = np.tile(np.linspace(1, 0, 10), rows).astype(np.float32)
    candidates = Candidates(
        ids_of(random, rows), np.arange(rows + 1) * 10, ids_of(random, rows * 10), scores, np.ones(rows, np.float32)
    )
    choice = choose(candidates, replace(NO_BOUNDS, sampling="random", range_max=10))
    drawn_ranks = np.bincount(choice.chosen % 10, minlength=10)
    assert drawn_ranks.sum() == 3 * rows
    assert np.abs(drawn_ranks - 1200).max() < 5 * np.sqrt(rows * 0.3 * 0.7)


def test_a_rule_that_rejects_nearly_everything_is_named_with_its_rate() -> None:
    random = np.random.default_rng(6)
    scores = np.linspace(1, 0.01, 100).astype(np.float32)
    masks = {Reason.SAME_LABEL: np.arange(100) < 50}
    row = Candidates(
        ids_of(random, 1), np.array([0, 100]), ids_of(random, 100), scores, np.array([0.5], np.float32), masks
    )
    rules = replace(NO_BOUNDS, relative_margin=0.9, max_score=0.25, min_score=0.05, range_max=100)
    choice = choose(row, rules)
    assert choice.rates == {"relative_margin": 0.9, "max_score": 0.5, "min_score": 0.08}
    assert choice.strict_rules() == {"relative_margin": 0.9}
    assert choice.strict_rules(0.5) == {"relative_margin": 0.9, "max_score": 0.5}


def test_positives_of_equal_queries_are_pooled() -> None:
    ids = ids_of(np.random.default_rng(7), 3)
    least, most = pool_positives(ids[:, [0, 1, 0, 2, 0]], np.array([0.5, 0.25, 0.75, -0.5, 0.375], np.float32))
    assert least.tolist() == [0.375, 0.25, 0.375, -0.5, 0.375] and most == 3
    assert pool_positives(ids[:, :0], np.zeros(0, np.float32))[1] == 0


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 6), max_size=5), st.lists(st.integers(0, 6), max_size=4)), max_size=6)
)
def test_candidates_are_found_in_the_list_of_their_own_row(rows: list[tuple[list[int], list[int]]]) -> None:
    ids = ids_of(np.random.default_rng(8), 7)
    wanted, listed = ([row[side] for row in rows] for side in range(2))

    def lists(entries: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        offsets = np.concatenate([[0], np.cumsum([len(entry) for entry in entries])]).astype(np.int64)
        return offsets, ids[:, np.array([number for entry in entries for number in entry], np.int64)]

    expected = [number in own for entry, own in zip(wanted, listed, strict=True) for number in entry]
    assert in_row_list(*lists(wanted), *lists(listed)).tolist() == expected


def test_what_cannot_be_chosen_from_is_refused() -> None:
    candidates = drawn(9, 5)
    total = len(candidates.scores)
    row = int(np.flatnonzero(np.diff(candidates.offsets) > 1)[0])
    rising, unknown = candidates.scores.copy(), candidates.scores.copy()
    rising[candidates.offsets[row] + 1] = 9
    unknown[candidates.offsets[row]] = np.nan
    cases = {
        f"candidates of row {row} are not in descending order": replace(candidates, scores=rising),
        f"scores of row {row} is NaN": replace(candidates, scores=unknown),
        "reference of row 4 is NaN": replace(candidates, reference=np.array([0, 0, 0, 0, np.nan], np.float32)),
        "max_positive_similarity is 0.95, but positive_similarity": replace(candidates, positive_similarity=None),
        f"offsets tell of {total} candidates, there are {total - 1}": replace(candidates, scores=rising[:-1]),
        "same_label: no mask of": replace(candidates, masks={Reason.SAME_LABEL: np.zeros(3, bool)}),
        "rank_window: no mask of": replace(candidates, masks={Reason.RANK_WINDOW: np.zeros(total, bool)}),
    }
    for message, wrong in cases.items():
        with pytest.raises(ValueError, match=message):
            choose(wrong, Rules())
    settings = {
        "num_negatives must be at least 1": {"num_negatives": 0},
        "range_min must not be negative": {"range_min": -1},
        "3 negatives do not fit into the ranks from range_min=5 to range_max=7": {"range_min": 5, "range_max": 7},
        "sampling must be top or random, not 'best'": {"sampling": "best"},
        "perc_pos must be above 0 and at most 1, not 1.5": {"perc_pos": 1.5},
    }
    for message, values in settings.items():
        with pytest.raises(ValueError, match=message):
            Rules(**values)  # type: ignore[arg-type]
