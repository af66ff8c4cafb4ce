"""Lines about scores of texts with pictures: sums over shards, for each dataset."""

from __future__ import annotations

from corpus.execution import Outcome
from pipelines.report.agreement_stats import AgreementStats


def outcome(owner: str, stage: str, **metrics: int) -> Outcome:
    return Outcome(owner, stage, "0", metrics={stage: metrics})


def test_scores_are_added_up_for_each_dataset() -> None:
    stats = AgreementStats()
    first = {"pairs": 50, "computed": 30, "from_cache": 18, "by_sentence": 5, "cut": 1, "without/truncated": 2}
    stats.add(outcome("web/s", "agreement", **first))
    stats.add(outcome("web/t", "agreement", pairs=950, computed=950, **{"without/no_text_and_picture": 40}))
    stats.add(outcome("clean/s", "agreement", pairs=10, computed=10, from_cache=0, by_sentence=0))
    stats.add(outcome("other/s", "quality", pairs=10))
    assert list(stats.lines()) == [
        "clean: 10 of 10 pairs have a score",
        "web: 958 of 1,000 pairs have a score; 18 scores were known; 5 texts were scored by sentences, 1 of them not "
        "read whole; without a score: no_text_and_picture 40, truncated 2",
    ]


def test_what_was_removed_is_added_up() -> None:
    stats = AgreementStats()
    stats.add(outcome("web/s", "agreement_filter", pairs=50, removed=35, unscored=2))
    stats.add(outcome("web/t", "agreement_filter", pairs=50, removed=30))
    stats.add(outcome("clean/s", "agreement_filter", pairs=10, removed=0, unscored=0))
    assert list(stats.lines()) == [
        "clean: 0 of 10 pairs removed by low agreement",
        "web: 65 of 100 pairs removed by low agreement; 2 have no score",
    ]
