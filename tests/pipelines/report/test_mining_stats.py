"""What is printed of mining: sums over shards, false negatives by reason, and rules that reject nearly everything."""

from __future__ import annotations

from corpus.execution import Outcome
from pipelines.report.mining_stats import MiningStats


def outcome(owner: str, **metrics: int) -> Outcome:
    named = {name.replace("__", "/"): number for name, number in metrics.items()}
    return Outcome(owner, "negatives", "000000", 10, {}, metrics={"negatives": named})


def test_a_line_for_each_dataset_summed_over_its_shards() -> None:
    stats = MiningStats()
    stats.add(outcome("rivers/nq", mined=1000, candidates=2000, given=3, given__own_positive=1, given__equal_text=1))
    stats.add(outcome("rivers", mined=500, candidates=1000, given=2, given__own_positive=2, missing=7))
    stats.add(outcome("lakes", mined=4, candidates=9, given=0, missing=0))
    stats.add(Outcome("rivers", "image_stats", "000000", 10, {}))
    assert list(stats.lines()) == [
        "lakes: 4 mined",
        "rivers: 1,500 mined; 5 kept of those that the pairs came with; 4 were false (equal_text 1, "
        "own_positive 3); 7 missing",
    ]


def test_a_rule_that_rejects_nearly_everything_is_named_with_its_rate() -> None:
    stats = MiningStats()
    stats.add(outcome("rivers", mined=1, candidates=100, rate__relative_margin=100, rate__perc_pos=60))
    stats.add(outcome("rivers", mined=1, candidates=100, rate__relative_margin=68, rate__perc_pos=99))
    assert list(stats.lines()) == ["rivers: 2 mined", "rivers: relative_margin alone rejects 84% of the candidates"]


def test_what_was_left_out_is_counted_by_reason_for_each_dataset() -> None:
    stats = MiningStats()
    stats.add(outcome("rivers/one", mined=4, candidates=900, own_positive=7, similar_query=20, spare=50))
    stats.add(outcome("rivers/two", mined=4, candidates=600, own_positive=6, rank_window=1100, chosen=8))
    assert list(stats.lines()) == [
        "rivers: 8 mined",
        "rivers: left out of 1,500 candidates: rank_window 1,100, similar_query 20, own_positive 13",
    ]


def test_rules_that_reject_given_negatives_and_a_search_that_ends_too_early_are_named() -> None:
    stats = MiningStats()
    stats.add(
        outcome("rivers", given=1, given__candidates=10, given__rate__max_query_similarity=9, given__rate__perc_pos=7)
    )
    stats.add(outcome("rivers", candidates=5, short_of_neighbours=1200))
    assert list(stats.lines())[1:] == [
        "rivers: max_query_similarity alone rejects 90% of the negatives that the pairs came with",
        "rivers: 1,200 pairs lack negatives although all their neighbours were looked at: raise stages.neighbours.k",
    ]


def test_near_items_are_counted_over_all_sources_and_what_a_search_missed_is_named() -> None:
    stats = MiningStats()
    for owner, full in (("web", 2), ("books", 0)):
        found = {"searched": 1000, "near": 300, "with_neighbours": 120, "full_lists": full}
        stats.add(Outcome(owner, "item_neighbours", "000000", 1000, {}, metrics={"item_neighbours": found}))
    assert list(stats.lines()) == [
        "240 of 2,000 items have near ones, 600 in all",
        "2 items have as many as are written down: for larger families raise stages.item_neighbours.k",
    ]
    found |= {"sampled": 16, "sampled_pairs": 40, "split_pairs": 3}
    stats.add(Outcome("web", "item_neighbours", "000001", 1000, {}, metrics={"item_neighbours": found}))
    assert list(stats.lines())[2] == (
        "the clusters split 3 of 40 near pairs of a sample of 16 items: stages.item_neighbours.clusters"
    )


def test_nothing_is_printed_of_other_steps() -> None:
    assert list(MiningStats().lines()) == []
