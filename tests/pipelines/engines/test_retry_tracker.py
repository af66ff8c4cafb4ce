"""Items are tried again without blame for those that were beside the one that killed a worker."""

from __future__ import annotations

from pipelines.engines.retry_tracker import RetryTracker


def test_attempts_suspect_all_and_condemn_one() -> None:
    tracker = RetryTracker()
    for item in range(3):
        tracker.add(item)
    assert [tracker.take(()), tracker.take({0}), tracker.take({0, 1}), tracker.take({0, 1, 2})] == [0, 1, 2, None]
    assert tracker.crashed([0, 1]) == []
    assert [tracker.take({2}), tracker.take(()), tracker.take({0})] == [None, 0, None]
    assert [tracker.crashed([0]), tracker.crashed([0]), tracker.crashed([0])] == [[], [], [0]]
