"""The guide holds what it claims to hold: passages that share words and do not answer, and others that do answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from demo.pairs.mined_texts import plant_guide
from demo.pairs.truth import ExpectedSet


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guide")


@pytest.fixture(scope="module")
def planted(home: Path) -> ExpectedSet:
    return plant_guide(home)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_the_file_has_the_planted_pairs(home: Path, planted: ExpectedSet) -> None:
    rows = [json.loads(line) for line in (home / "guide.jsonl").read_text().splitlines()]
    assert [(row["query"], *row["pos"]) for row in rows] == [
        (pair.query.text, pair.positive.text) for pair in planted.pairs
    ]
    assert len({pair.positive for pair in planted.pairs}) == len(rows) == 40
    assert Counter(len(row["neg"]) for row in rows) == {0: 36, 2: 4}


def test_false_negatives_say_the_same_in_all_planted_ways(planted: ExpectedSet) -> None:
    reasons = Counter((false.reason, false.existing) for pair in planted.pairs for false in pair.false)
    assert reasons == {
        ("above_relative", False): 8,
        ("above_relative", True): 4,
        ("same_cluster", False): 8,
        ("positive_of_equal_query", False): 8,
    }
    for pair in planted.pairs:
        for false in pair.false:
            own, other = words(pair.positive.text), words(false.side.text)
            if false.reason == "same_cluster":
                assert abs(len(own) - len(other)) == 1 and own[:-1] == other[: len(own) - 1]
            else:
                assert Counter(own) == Counter(other) and own != other
            assert false.side not in pair.hard


def test_hard_negatives_are_about_the_same_sight_and_another_subject(planted: ExpectedSet) -> None:
    for pair in planted.pairs:
        place = re.search(r"[A-Z]\w+ (Point|Quay|Hill|Bend|Down|Gate|Moor|Ford)", pair.query.text)
        assert place and all(place[0] in side.text for side in pair.hard)
        assert pair.positive not in pair.hard
    assert Counter(len(pair.hard) for pair in planted.pairs) == {5: 16, 4: 8, 2: 16}
