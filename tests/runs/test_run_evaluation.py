"""Whole runs beside evaluation sets: what has leaked from them is removed, counted and named, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.status import plan_run, workspace_status
from tests.helpers.extras import engine_or_skip
from tests.helpers.film_runs import samples
from tests.helpers.leaked_worlds import LeakedWorld
from tests.helpers.whole_runs import digests

DATASETS = ("captions", "vqa", "passages")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> LeakedWorld:
    return LeakedWorld(tmp_path_factory.mktemp("leaked") / "world")


@pytest.fixture(scope="module")
def done(world: LeakedWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to its end. Not to be written to."""
    home = tmp_path_factory.mktemp("done-evaluation")
    assert world.run(home).failed == []
    return home


def published(home: Path) -> set[str]:
    """The query's text of each sample."""
    return {sample["json"]["query"]["text"] for name in DATASETS for sample in samples(home / "corpus", name)}


def manifest(home: Path) -> dict[str, Any]:
    return json.loads((home / "corpus/manifest.json").read_text())


def test_what_has_leaked_is_gone_and_no_clean_pair_is(world: LeakedWorld, done: Path) -> None:
    assert published(done) == {text for text, reason in world.reasons.items() if not reason}
    found = verify(str(done / "corpus"))
    assert found.faults == []
    assert "checked against 4 evaluation sets" in found.summary()


def test_the_manifest_and_the_card_name_what_was_found(done: Path) -> None:
    sets = manifest(done)["evaluation"]
    counts = ("media", "texts", "unreadable", "removed", "ways", "ignored")
    assert {name: {key: each[key] for key in counts} for name, each in sets.items()} == {
        "e-photos": {
            "media": 8,
            "texts": 0,
            "unreadable": 1,
            "removed": {"evaluation_media": 2, "same_media": 4},
            "ways": {"exact": 2, "hash": 6},
            "ignored": 0,
        },
        "e-tar": {
            "media": 1,
            "texts": 1,
            "unreadable": 0,
            "removed": {"evaluation_media": 1, "evaluation_text": 1},
            "ways": {"equal_text": 1, "hash": 1},
            "ignored": 0,
        },
        "e-texts": {
            "media": 0,
            "texts": 3,
            "unreadable": 0,
            "removed": {"evaluation_text": 4},
            "ways": {"equal_text": 1, "text_contained": 1, "text_coverage": 2},
            "ignored": 0,
        },
        "e-vqa": {
            "media": 4,
            "texts": 8,
            "unreadable": 0,
            "removed": {"evaluation_pair": 1, "same_media": 1},
            "ways": {"equal_beside": 1, "hash": 2},
            "ignored": 0,
        },
    }
    assert sets["e-texts"]["hits"] == [
        {"item": "cape", "in": "passages", "rows": 3},
        {"item": "words", "in": "passages", "rows": 1},
    ]
    assert {"item": "deep/4.jpg", "in": "photos", "rows": 1} in sets["e-photos"]["hits"]
    card = (done / "corpus/README.md").read_text()
    assert "| e-photos | 8 | 0 | 1 | 0 | evaluation_media 2, same_media 4 | 0 | 0 |" in card
    assert "| cape | passages | 3 |" in card
    assert "not checked against any" not in card


def test_evaluation_sets_are_no_sources_and_the_funnel_adds_up(world: LeakedWorld, done: Path) -> None:
    funnels = workspace_status(world.config(done)).funnels
    assert sorted(funnels) == ["passages", "photos", "vqa"]
    assert funnels["photos"]["removed"] == {"filtered": {"evaluation_media": 3}}
    assert funnels["vqa"]["removed"] == {"filtered": {"evaluation_pair": 1, "same_media": 5}}
    assert funnels["passages"]["removed"] == {"filtered": {"evaluation_text": 4}}


@pytest.mark.parametrize("engine", ["ray", "beam"])
def test_other_engines_publish_the_same_bytes(world: LeakedWorld, done: Path, tmp_path: Path, engine: str) -> None:
    engine_or_skip(engine)
    assert world.run(tmp_path, {"engine": {"kind": engine, "workers": 2}}).failed == []
    assert digests(tmp_path / "corpus") == digests(done / "corpus")


def test_a_changed_threshold_recomputes_decisions_only(world: LeakedWorld, done: Path) -> None:
    changed = {"stages": {"decontaminate": {"same_media": "keep"}}}
    plan = plan_run(world.config(done, changed), Selection())
    stale = {
        (step.name, table.node.dataset) for step, tables in plan.steps for table in tables if table.state != "done"
    }
    assert {("decontaminate", ""), ("decontaminate_pairs", "vqa"), ("decontaminate_pairs", "passages")} <= stale
    measured = {(name, "") for name in ("leaks", "image_stats", "evaluation_index")}
    assert not stale & {*measured, ("pairs", "vqa"), ("pair_leaks", "vqa"), ("pair_leaks", "passages")}


def test_sets_may_be_ignored_and_media_kept(world: LeakedWorld, tmp_path: Path) -> None:
    changes = {
        "stages": {"decontaminate": {"same_media": "keep"}},
        "evaluation": {"e-texts": {"ignore": ["pass*"]}},
    }
    assert world.run(tmp_path, changes).failed == []
    gone = {text for text, reason in world.reasons.items() if reason} - published(tmp_path)
    assert gone == {"How many boats are in harbour 8?", "a ferry leaves the harbour at dawn"}
    found = manifest(tmp_path)["evaluation"]["e-texts"]
    assert (found["ignored"], found["removed"]) == (4, {})


def test_a_corpus_that_was_not_checked_says_so(world: LeakedWorld, tmp_path: Path) -> None:
    settings = world.settings(tmp_path)
    del settings["evaluation"]
    result = world.run_settings(settings)
    assert result.failed == []
    assert result.evaluation["one"] == ["not checked against any evaluation set"]
    assert "was not checked against any evaluation set" in (tmp_path / "corpus/README.md").read_text()
    assert "not checked against any evaluation set" in verify(str(tmp_path / "corpus")).summary()
    assert published(tmp_path) == {*world.reasons}
