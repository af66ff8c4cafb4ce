"""The demo's sets go through the house as its settings say; the check finds nothing wrong, and whatever is wrong."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from rich.console import Console

from corpus.settings import parse_settings
from demo.checks.pairs import crowded_batches
from demo.pairs.sets import build_sets
from demo.pairs.truth import FalseNegative, Pair, SetsTruth, read_sets_truth
from demo.pairs.truth import SetSide as Side
from demo.run import DEMO_SETTINGS, set_differences, with_folder_and_port
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import run


@dataclass(frozen=True)
class Done:
    config: Config
    truth: SetsTruth
    funnels: dict[str, Any]

    def differences(self, change: Callable[[SetsTruth], None] = lambda truth: None) -> list[str]:
        truth = deepcopy(self.truth)
        change(truth)
        return set_differences(truth, self.config, self.funnels)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The demo's settings with nothing but its sets, and a run with them."""
    folder = tmp_path_factory.mktemp("demo")
    truth = read_sets_truth(build_sets(folder / "world"))
    data: dict[str, Any] = with_folder_and_port(folder, yaml.safe_load(DEMO_SETTINGS.read_text(encoding="utf-8")))
    data["engine"] = {"kind": "local", "workers": 1}
    data["sources"] = {name: one for name, one in data["sources"].items() if name in truth.sets}
    data["datasets"] = {name: one for name, one in data["datasets"].items() if one["source"] in truth.sets}
    data["mixtures"] = {"sets": data["mixtures"]["sets"]}
    data["stages"] = {"negatives": data["stages"]["negatives"]}
    config = parse_settings(data, Config)
    result = run(config, Selection(), Console(quiet=True))
    assert result.failed == []
    return Done(config, truth, dict(result.funnels))


def test_sets_come_out_as_planted(done: Done) -> None:
    assert set(done.config.sources) == set(done.truth.sets), "every set is a source of the demo"
    assert verify(done.config.mixtures["sets"].corpus).faults == []
    assert done.differences() == []


def test_a_row_that_ends_otherwise_is_found(done: Done) -> None:
    def change(truth: SetsTruth) -> None:
        truth.sets["megapairs"].removed["failed", "positive_missing_image"] += 1

    (line,) = done.differences(change)
    assert line.startswith('megapairs: planted as {"rows_in": 67') and 'but its rows are {"rows_in": 66' in line


@pytest.mark.parametrize(
    ("source", "changes", "said"),
    [
        ("megapairs", {"negatives": ()}, "but 0 were given, 0 are to be mined, and 3 are to be drawn"),
        (
            "megapairs",
            {"negatives": (Side("", "images/050.jpg"), Side("", "images/051.jpg"))},
            "its negatives are [",
        ),
        ("megapairs", {"positive": Side("", "images/050.jpg")}, "nobody planted images/000.jpg and "),
        (
            "megapairs",
            {"query": Side("other words", "images/000.jpg")},
            "and 'other words' -> images/001.jpg: publish",
        ),
        ("mmeb", {"label": "cat"}, "is labelled 'dog', planted as 'cat'"),
        ("mmeb", {"instruction": ""}, "its instruction is 'Identify the object shown in the image', planted as ''"),
        ("mmeb", {"positive": Side("wolf")}, "dog_0.jpg -> 'wolf'"),
        ("passages", {"query": Side("<p>other words</p>")}, "'<p>other words</p>' -> "),
        ("documents", {"positive": Side("", "page 5")}, "-> page 1"),
        ("tars", {"positive": Side("", "tars/00003")}, "-> tars/00000"),
        ("mme5", {"negatives": (Side("", "LAION/009.jpg"), Side("", "LAION/004.jpg"))}, "its negatives are ["),
        ("mme5_classes", {"label": "cat"}, "is labelled 'dog', planted as 'cat'"),
        ("llava_hound", {"positive": Side("", "frames/v_0/c01_1.jpeg")}, "published 0 times"),
        ("table", {"query": Side("What?", "table/0")}, "nobody planted table/0 and "),
        ("guide", {"hard": ()}, "its negatives are mined, mined, mined, mined, but 0 were given, 0 are to be mined"),
        ("guide", {"hard": (Side("Another passage."),) * 4}, "were mined, planted are [\"'Another passage.'\""),
        ("postcards", {"hard": (Side("", "postcards/blue_0.jpg"),) * 3}, "'postcards/red_1.jpg', "),
    ],
)
def test_a_pair_that_is_not_as_planted_is_found(done: Done, source: str, changes: dict[str, Any], said: str) -> None:
    def change(truth: SetsTruth) -> None:
        pairs = truth.sets[source].pairs
        pairs[0] = replace(pairs[0], **changes)

    lines = done.differences(change)
    assert any(said in line for line in lines), lines


def test_a_negative_that_answers_too_is_found(done: Done) -> None:
    def change(truth: SetsTruth) -> None:
        for source in ("guide", "postcards"):
            pairs = truth.sets[source].pairs
            pairs[0] = replace(pairs[0], false=(FalseNegative(pairs[0].hard[0], "same_cluster"),))

    lines = [line for line in done.differences(change) if line.endswith("too, and is its negative")]
    assert [line.split(":")[0] for line in lines] == ["guide", "postcards"]


def test_candidates_left_out_for_other_reasons_are_found(done: Done) -> None:
    def change(truth: SetsTruth) -> None:
        pairs = truth.sets["guide"].pairs
        pairs[0] = replace(pairs[0], false=(replace(pairs[0].false[0], reason="same_cluster"),))

    assert done.differences(change) == [
        "guide: above_relative counts 8 candidates, planted are 7",
        "guide: same_cluster counts 8 candidates, planted are 9",
    ]


def test_a_pair_too_many_and_one_too_few_are_found(done: Done) -> None:
    def fewer(truth: SetsTruth) -> None:
        truth.sets["tars"].pairs.pop()

    def more(truth: SetsTruth) -> None:
        truth.sets["records"].pairs.append(Pair(Side("another"), Side("one")))

    (line,) = done.differences(fewer)
    assert line.startswith("tars: ") and line.endswith("-> tars/00011")
    assert "nobody planted" in line
    assert done.differences(more) == ["records: 'another' -> 'one': published 0 times"]


def test_an_image_that_nobody_planted_is_found(done: Done) -> None:
    def change(truth: SetsTruth) -> None:
        truth.images.clear()  # type: ignore[attr-defined]

    lines = done.differences(change)
    assert (
        sum(line.endswith("an image that nobody planted") for line in lines) == 60 + 44 + 9 + 14 + 12 + 5 + 10 + 12 + 24
    )


def test_a_frame_in_another_place_is_found(done: Done) -> None:
    """The tenth frame of a video comes after the ninth, and a short video has frames twice."""
    videos = [pair.positive.image.split(" + ") for pair in done.truth.sets["llava_hound"].pairs]
    assert videos[1] == [f"frames/v_1/c01_{frame}.jpeg" for frame in (1, 4, 8, 11)]
    assert videos[3] == [f"frames/v_3/c01_{frame}.jpeg" for frame in (1, 1, 2, 2)]

    def change(truth: SetsTruth) -> None:
        pairs = truth.sets["llava_hound"].pairs
        swapped = " + ".join([videos[1][0], videos[1][2], videos[1][1], videos[1][3]])
        pairs[1] = replace(pairs[1], positive=Side("", swapped))

    assert any(line.endswith(f"{' + '.join(videos[1])}") for line in done.differences(change))


def test_a_drawn_negative_of_the_same_label_is_found(done: Done) -> None:
    def change(truth: SetsTruth) -> None:
        pairs = truth.sets["mmeb"].pairs
        pairs[:] = [replace(pair, label="dog") for pair in pairs]

    assert any("'cat' is no negative of" in line for line in done.differences(change))


def test_batches_with_too_many_of_a_label_are_found(done: Done) -> None:
    even = ["dog", "cat"] * 8
    assert list(crowded_batches(even, 4)) == []
    assert list(crowded_batches(sorted(even), 8)) == [
        "batch 0 has 'cat' 8 times, 5 at most",
        "batch 1 has 'dog' 8 times, 5 at most",
    ]
