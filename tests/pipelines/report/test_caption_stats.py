"""What a person is told of how fast captions are written."""

from __future__ import annotations

from corpus.execution import Outcome
from pipelines.report.caption_stats import CaptionStats


def outcome(replica: str, **figures: float) -> Outcome:
    return Outcome("s", "caption", "0", metrics={"caption": figures, "replica": replica})


def test_figures_add_up_over_shards_and_replicas() -> None:
    captions = CaptionStats()
    assert not captions
    captions.add(Outcome("s", "image_stats", "0"))
    assert not captions
    captions.add(outcome("a:1", responses=100, completion_tokens=3000, busy_s=9, waiting_for_images_s=1))
    captions.add(outcome("a:1", responses=50, completion_tokens=1000, busy_s=5, from_cache=7))
    captions.add(outcome("b:2", responses=50, completion_tokens=1000, busy_s=4, waiting_for_writes_s=1))
    assert captions.line(10.0) == (
        "20.0 images/s, 500 tokens/s by 2 replicas; busy 90%, waiting for images 5%, for writes 5%; 7 known already"
    )
    captions.add(outcome("a:1", starting_s=90))
    assert "; started in 45 s; 7 known" in captions.line(99.0)
    assert captions.record()["a:1"]["responses"] == 150


def test_rows_without_a_caption_are_told_by_reason() -> None:
    captions = CaptionStats()
    captions.add(outcome("a:1", responses=4, **{"rejected/refusal": 1, "rejected/empty": 2}))
    assert captions.line(2.0) == "2.0 images/s; 3 without a caption (empty 2, refusal 1)"
