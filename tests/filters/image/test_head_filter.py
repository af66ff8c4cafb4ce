"""Stage `head_filter`: the first threshold that a score fails is the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from corpus.bisection import run_rows
from corpus.stage import Shard
from corpus.storage import Store
from filters.image.head_filter import HeadFilter, HeadFilterSettings, head_verdict

SCORES = pa.table(
    {
        "aesthetic": pa.array([5.0, 4.0, 4.5, 1.0, None, 6.0], pa.float32()),
        "unsafe": pa.array([0.1, 0.5, 0.9, 0.9, 0.1, None], pa.float32()),
        "watermark": pa.array([0.2, 0.2, 0.9, 0.3, 0.81, 0.1], pa.float32()),
    }
)


def reasons(**settings: Any) -> list[str]:
    verdict = head_verdict(SCORES, HeadFilterSettings(**settings))
    found = verdict.column("reason").to_pylist()
    assert verdict.column("status").to_pylist() == ["filtered" if reason else "kept" for reason in found]
    return found


def test_the_first_threshold_that_fails_is_the_reason() -> None:
    every = {"min_aesthetic": 4.5, "max_unsafe": 0.5, "max_watermark": 0.8}
    assert reasons(**every) == ["", "not_aesthetic", "unsafe", "unsafe", "watermark", ""]
    assert reasons(**every, keep_unscored=False)[4:] == ["watermark", "no_score"]
    assert reasons(min_aesthetic=4.5) == ["", "not_aesthetic", "", "not_aesthetic", "", ""]
    assert reasons(max_unsafe=0.1) == ["", "unsafe", "unsafe", "unsafe", "", ""], "0.1 is not above 0.1"
    assert reasons(max_watermark=0.8, keep_unscored=False) == ["", "", "watermark", "", "watermark", ""]
    assert reasons(max_unsafe=1, keep_unscored=False)[5] == "no_score"


def test_its_thresholds_are_declared_as_they_are_applied() -> None:
    limits = {"min_aesthetic": 4.5, "max_unsafe": 0.5, "max_watermark": 0.8}
    assert {each.setting for each in HeadFilter.thresholds} == set(limits)
    for each in HeadFilter.thresholds:
        numbers = np.array(each.numbers(SCORES).to_pylist(), np.float64)
        kept = [not reason for reason in reasons(**{each.setting: limits[each.setting]})]
        assert each.bound.passes(numbers, limits[each.setting]).tolist() == kept


def test_a_shard_of_the_stage() -> None:
    stage = HeadFilter(HeadFilterSettings(max_unsafe=0.5))
    shard = Shard("web", "000000", 0, np.arange(6), {"heads": SCORES}, Store("memory://heads"))
    assert run_rows(stage, stage.setup(), shard).column("reason").to_pylist() == ["", "", "unsafe", "unsafe", "", ""]
