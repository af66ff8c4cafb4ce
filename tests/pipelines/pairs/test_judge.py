"""Stage `judge`: what a model takes for an answer is no hard negative, and what it says is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mining.choose import Rules
from mining.embed import Embed
from mining.judge import JudgeSettings
from mining.neighbours import NeighbourSearch
from mining.settings import DatasetMining, EmbedSettings, NeighbourSettings
from pipelines.labels.vocabulary import load_names
from pipelines.pairs.judge import JudgePairs, judge_rules
from pipelines.pairs.negatives import Negatives
from tests.helpers.fake_judge import serve_judge
from tests.helpers.mining_worlds import read_rows, run_over_pairs
from tests.helpers.small_worlds import World, image_pair

RULES = {"perc_pos": None, "max_positive_similarity": None, "num_negatives": 3}
LENIENT = {"judge_drop": 0.99, "judge_positive": 1.0}
PASSAGES = [
    "the river floods the old mill every spring",
    "the river and the mill: every spring it floods",  # answers the first query, too
    "the river floods the new mill every winter",
    "the river never reaches the old mill",
    "an old mill stands by the river",
]


def text_pair(number: int, negatives: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    row = image_pair("words", f"query {number}: the river and the mill", b"")
    sides = {
        "query": {"instruction": "Find the passage: ", "text": f"query {number}: the river and the mill", "items": []},
        "positive": {"instruction": "", "text": PASSAGES[number], "items": []},
    }
    return row | sides | {"negatives": negatives or []}


def judge_and_choose(
    world: World, url: str, rows: list[dict[str, Any]], tables: int, metrics: list[dict[str, Any]], **changes: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of `judge` and of `negatives`, in the order of the pairs."""
    mining = DatasetMining(**{**RULES, **changes.pop("mining", {})})
    backend = {"kind": "openai", "model": "m", "endpoints": [url]}
    settings = JudgeSettings.model_validate({"backend": backend, "candidates": 4, **changes})
    pairs = world.write_pairs("words", rows, tables)
    inputs: list[list[tuple[str, str]]] = [[("pairs", path)] for path in pairs]
    found = {}
    for stage in (
        Embed(EmbedSettings()),
        NeighbourSearch(NeighbourSettings(), mining),
        JudgePairs(settings, mining, load_names()),
        Negatives(mining, load_names(), judge=True),
    ):
        kept = metrics if stage.name == "judge" else None
        outputs = run_over_pairs(world, stage, inputs, owner="words/words", metrics=kept)
        inputs = [[*each, (stage.name, output)] for each, output in zip(inputs, outputs, strict=True)]
        found[stage.name] = read_rows(world, outputs)
    ids = [row["pair_id"] for row in read_rows(world, list(pairs))]
    order = [ids.index(row["pair_id"]) for row in rows]
    return [found["judge"][at] for at in order], [found["negatives"][at] for at in order]


def texts(row: dict[str, Any]) -> list[str]:
    return [negative["text"] for negative in row["negatives"]]


def test_a_planted_false_negative_is_found_and_the_next_takes_its_place(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    rows = [text_pair(number) for number in range(len(PASSAGES))]
    metrics: list[dict[str, Any]] = []
    sure = {f"query 0: the river and the mill\nCandidate: {PASSAGES[1]}": 0.95}
    with serve_judge(sure) as server:
        judged, chosen = judge_and_choose(world, server.url, rows, 2, metrics)
        questions = len(server.asked)
        assert all("Task: Find the passage:" in each.parts[-1]["text"] for each in server.asked)
        # Another threshold asks for nothing again.
        again, kept = judge_and_choose(world, server.url, rows, 2, metrics, mining=LENIENT)
        assert len(server.asked) == questions == 20
    assert [len(row["mined_scores"]) for row in judged] == [4] * 5 and again == judged
    assert PASSAGES[1] not in texts(chosen[0]) and len(texts(chosen[0])) == 3
    assert all(negative["judge"] == pytest.approx(0.02, abs=1e-3) for negative in chosen[0]["negatives"])
    assert PASSAGES[1] in texts(kept[0])
    (false,) = [each for each in kept[0]["negatives"] if each["text"] == PASSAGES[1]]
    assert false["judge"] == pytest.approx(0.95, abs=1e-3)
    assert sum(each["judge"]["questions"] for each in metrics) == 40
    assert sum(each["judge"]["from_cache"] for each in metrics) == 20


def test_negatives_that_pairs_came_with_are_judged_too(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    given = [
        {"text": text, "items": [], "clip": None, "score": 0.0, "origin": "given"}
        for text in ("no rain fell", "the mill by the river floods each spring", "perhaps it floods")
    ]
    rows = [text_pair(0, given), *(text_pair(number) for number in (2, 3, 4))]
    metrics: list[dict[str, Any]] = []
    with serve_judge({"floods each spring": 0.99, "perhaps": 0.6}) as server:
        judged, chosen = judge_and_choose(world, server.url, rows, 1, metrics)
    assert [round(score, 2) for score in judged[0]["existing_scores"]] == [0.02, 0.99, 0.6]
    assert texts(chosen[0])[0] == "no rain fell" and chosen[0]["negatives"][0]["judge"] == pytest.approx(0.02, abs=1e-3)
    assert not {"the mill by the river floods each spring", "perhaps it floods"} & set(texts(chosen[0]))
    assert [row["existing_scores"] for row in judged[1:]] == [[], [], []]


def test_the_judge_sees_no_more_candidates_than_the_ranks_leave() -> None:
    assert judge_rules(Rules(num_negatives=2, range_max=5, range_min=1), 8).num_negatives == 4
    assert judge_rules(Rules(num_negatives=2), 8).num_negatives == 8


def test_thresholds_leave_scores_current_and_the_question_does_not() -> None:
    def fingerprint(mining: DatasetMining, **changes: Any) -> dict[str, Any]:
        backend = {"kind": "openai", "model": "m", "endpoints": ["http://h/v1"]}
        return JudgePairs(
            JudgeSettings.model_validate({"backend": backend, **changes}), mining, load_names()
        ).fingerprint_inputs()

    first = fingerprint(DatasetMining())
    assert first == fingerprint(DatasetMining(judge_drop=0.7, judge_positive=0.8))
    assert first != fingerprint(DatasetMining(), prompt="{query} or {candidate}?")
    assert first != fingerprint(DatasetMining(perc_pos=0.9))
