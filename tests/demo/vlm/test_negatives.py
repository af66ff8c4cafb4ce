"""What the demo counts of mined negatives, on samples whose negatives are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from corpus.schema import Origin
from demo.vlm.negatives import count_negatives, differing
from demo.vlm.scenes import VlmScene

RED = VlmScene(2, "small", "red", "circle", "at the top left", "blue")
GREEN = replace(RED, colour="green")  # differs from RED in one attribute
LARGE = replace(GREEN, size="large")  # from RED in two, from GREEN in one
FAR = VlmScene(1, "large", "yellow", "cross", "at the bottom", "purple")
SCENES = {"red": RED, "green": GREEN, "large": LARGE, "far": FAR, "red again": RED}


def sample(url: str, negatives: list[str], origin: Origin = Origin.MINED, text: str | None = None) -> dict[str, Any]:
    return {
        "query": {"text": SCENES[url].caption if text is None else text},
        "positive": {"id": f"id of {url}"},
        "negatives": [{"id": f"id of {each}", "origin": str(origin)} for each in negatives],
        "source": {"url": url},
    }


def test_scenes_are_compared_attribute_by_attribute() -> None:
    assert [differing(RED, scene) for scene in (RED, GREEN, LARGE, FAR)] == [0, 1, 2, 6]


def test_false_and_hard_negatives_are_counted() -> None:
    samples = [
        sample("red", ["green", "far"]),  # the one hard one, found
        sample("green", ["red", "red again"]),  # two of three hard ones, in two places
        sample("large", ["far", "red"]),  # its hard one, GREEN, was not found
        sample("far", ["red", "green"], Origin.RANDOM),
        sample("red again", ["red", "large"]),  # one that the caption describes
    ]
    stats = count_negatives(samples, SCENES)
    assert (stats.captions, stats.mined, stats.described) == (5, 8, 1)
    assert (stats.hard, stats.hard_found) == (1 + 2 + 1 + 0 + 1, 1 + 2)
    assert stats.precision == 1 - 1 / 8 and stats.recall == 3 / 5
    assert stats.random_hard == pytest.approx(2 * (1 + 3 + 1 + 0 + 1) / 4)
    assert stats.faults(0.8, 0.5) == []
    assert len(stats.faults(0.9, 0.7)) == 2


def test_a_caption_that_says_nothing_is_left_out_and_a_wrong_one_is_taken_at_its_word() -> None:
    samples = [
        sample("red", ["green"], text="I cannot help with that."),
        sample("green", ["red"], text=RED.caption),  # the caption of another scene: RED is what it describes
        sample("large", [], text=LARGE.caption),
    ]
    stats = count_negatives(samples, SCENES)
    assert (stats.captions, stats.mined, stats.described) == (2, 1, 1)
    assert stats.faults(0.5, 0.0) == ["1 of 1 mined negatives are described by the caption"]


def test_nothing_mined_is_a_fault() -> None:
    stats = count_negatives([sample("red", ["green"], Origin.RANDOM)], SCENES | {"green": GREEN})
    assert stats.faults(0.5, 0.0) == ["no negative was mined"]
