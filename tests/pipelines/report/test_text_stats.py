"""Lines about what the rules about texts removed: sums over shards, and a warning of a rule that removes nearly all."""

from corpus.execution import Outcome
from pipelines.report.text_stats import TextFilterStats


def outcome(owner: str, **metrics: int) -> Outcome:
    return Outcome(owner, "text_filter", "0", metrics={"text_filter": metrics})


def test_shards_are_added_up_for_each_dataset() -> None:
    stats = TextFilterStats()
    stats.add(outcome("web/s", **{"pairs": 50, "removed/file_name": 5, "alone/file_name": 5, "alone/too_short": 2}))
    stats.add(outcome("web/t", **{"pairs": 50, "removed/file_name": 1, "removed/date_only": 9, "alone/date_only": 9}))
    stats.add(outcome("clean/s", **{"pairs": 10, "alone/file_name": 0}))
    stats.add(Outcome("other/s", "text_filter", "0"))
    assert list(stats.lines()) == [
        "clean: 0 of 10 pairs removed",
        "web: 15 of 100 pairs removed: date_only 9, file_name 6",
    ]


def test_a_rule_that_removes_nearly_everything_is_named_with_its_rate() -> None:
    stats = TextFilterStats()
    stats.add(outcome("web/s", **{"pairs": 100, "removed/too_short": 90, "alone/too_short": 90, "alone/date_only": 79}))
    assert list(stats.lines())[1:] == ["web: warning: the rule too_short alone removes 90% of the pairs"]


def test_the_most_frequent_concepts_are_listed_before_and_after() -> None:
    stats = TextFilterStats()
    shard = {"pairs": 50, "removed": 45, "unmatched": 2, "before/dog": 30, "after/dog": 3, "before/cat": 20}
    for source in ("web/s", "web/t"):
        stats.add(Outcome(source, "concept_balance", "0", metrics={"concept_balance": shard}))
    assert list(stats.lines()) == [
        "web: 90 of 100 pairs removed by the cap on concepts; 4 name no concept; most frequent before and after: dog "
        "60 -> 6, cat 40 -> 0",
        "web: warning: the rule concept_cap alone removes 90% of the pairs",
    ]
