from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from corpus.schema import Task
from corpus.settings import SettingsError, parse_settings
from pipelines.publish.manifest import MANIFEST
from pipelines.publish.publish import Published, publish
from pipelines.publish.verify import verify
from pipelines.publish.weights import DatasetSize, WeightSettings, dataset_weights
from tests.helpers.small_worlds import InlineEngine, World, mixture

SETS = {
    "images": DatasetSize(Task.IMAGE_RETRIEVAL, 90_000),
    "documents": DatasetSize(Task.DOCUMENT_RETRIEVAL, 9_000),
    "videos": DatasetSize(Task.VIDEO_RETRIEVAL, 1_000),
}


def weights(datasets: dict[str, DatasetSize] = SETS, **settings: Any) -> dict[str, float]:
    return dataset_weights(parse_settings(settings, WeightSettings), datasets)


def test_by_hand_they_are_what_was_given() -> None:
    assert weights({"a": DatasetSize(Task.IMAGE_QA, 7, manual=3.0), "b": DatasetSize(Task.IMAGE_QA, 5)}) == {
        "a": 3.0,
        "b": 1.0,
    }


def test_proportional_to_samples() -> None:
    assert weights(rule="proportional") == {"images": 0.9, "documents": 0.09, "videos": 0.01}


def test_temperature_levels_sizes() -> None:
    assert weights(rule="temperature", temperature=1) == weights(rule="proportional")
    found = weights(rule="temperature", temperature=2)
    assert found["images"] / found["documents"] == pytest.approx(10**0.5, rel=1e-4)
    assert found["images"] / found["videos"] == pytest.approx(90**0.5, rel=1e-4)
    assert list(weights(rule="temperature", temperature=1e6).values()) == pytest.approx([1 / 3] * 3, rel=1e-4)
    for temperature in (0.5, 1, 3, 50):
        assert sum(weights(rule="temperature", temperature=temperature).values()) == pytest.approx(1, abs=1e-5)


def test_the_lowest_temperature_gives_weights_of_any_sizes() -> None:
    found = weights(
        {**SETS, "huge": DatasetSize(Task.IMAGE_QA, 10**10, repeats=1000)}, rule="temperature", temperature=0.1
    )
    assert found["huge"] == pytest.approx(1)
    assert 0 < found["videos"] < found["documents"] < found["images"] < 1


def test_slow_tasks_are_drawn_more_often_than_their_size_says() -> None:
    table = {"image_retrieval": 2, "document_retrieval": 3}
    found, size = weights(rule="convergence", task_weights=table, default_task_weight=0.5), weights(rule="proportional")
    passes = {name: found[name] / size[name] for name in found}
    assert passes["images"] / passes["videos"] == pytest.approx(4, rel=1e-4)
    assert passes["documents"] / passes["videos"] == pytest.approx(6, rel=1e-4)
    levelled = weights(rule="convergence", task_weights=table, temperature=2)
    assert levelled["images"] / levelled["documents"] == pytest.approx(10**0.5 * 2 / 3, rel=1e-4)


def test_a_datasets_own_weight_and_repeats_multiply() -> None:
    one, two, three = (DatasetSize(Task.IMAGE_QA, 10, *given) for given in ((1.0, 1), (2.0, 1), (1.0, 3)))
    found = weights({"one": one, "two": two, "three": three}, rule="proportional")
    assert found == pytest.approx({"one": 1 / 6, "two": 2 / 6, "three": 3 / 6}, rel=1e-5)


def test_nothing_to_draw_from_weighs_nothing() -> None:
    none = DatasetSize(Task.IMAGE_QA, 0)
    assert weights({"none": none}, rule="proportional") == {"none": 0.0}
    assert weights({"none": none, **SETS}, rule="temperature", temperature=3)["none"] == 0.0


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_table_may_be_a_file_whose_content_counts(tmp_path: Path, form: str) -> None:
    file, table = tmp_path / f"factors.{form}", {"image_retrieval": 2.0, "document_retrieval": 3.0}
    file.write_text(json.dumps(table) if form == "json" else yaml.safe_dump(table))
    read = parse_settings({"rule": "convergence", "task_weights_file": str(file)}, WeightSettings)
    assert (
        read.canonical() == parse_settings({"rule": "convergence", "task_weights": table}, WeightSettings).canonical()
    )
    both = {"rule": "convergence", "task_weights_file": str(file), "task_weights": {"image_retrieval": 5.0}}
    assert parse_settings(both, WeightSettings).task_weights == {"image_retrieval": 5.0, "document_retrieval": 3.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rule": "temperatur"}, "rule: Input should be 'manual', 'proportional'"),
        ({"rule": "temperature"}, "say which `temperature`"),
        ({"rule": "temperature", "temperature": 0}, "temperature: Input should be greater than or equal to 0.1"),
        ({"rule": "temperature", "temperature": 0.01}, "temperature: Input should be greater than or equal to 0.1"),
        ({"temperature": 3}, "temperature is of rule temperature and convergence, not of manual"),
        (
            {"rule": "proportional", "task_weights": {"image_qa": 2}},
            "task_weights is of rule convergence, not of proportional",
        ),
        ({"rule": "convergence"}, "no task has a factor"),
        (
            {"rule": "convergence", "task_weights": {"image": 2}},
            "task_weights.image.*'image_classification', 'image_qa'",
        ),
        (
            {"rule": "convergence", "task_weights": {"image_qa": 0}},
            "task_weights.image_qa: Input should be greater than 0",
        ),
        ({"rule": "convergence", "task_weights_file": "/nowhere.yaml"}, "/nowhere.yaml: cannot be read"),
    ],
)
def test_settings_that_give_no_weights_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_settings(wrong, WeightSettings)


def test_saying_that_weights_are_by_hand_changes_no_fingerprint() -> None:
    unsaid, said = mixture("x", {"laion": {}}), mixture("x", {"laion": {}}, weights={"rule": "manual"})
    assert unsaid.canonical() == said.canonical()
    assert said.canonical()["weights"]["rule"] == "manual"
    other = mixture("x", {"laion": {}}, weights={"rule": "proportional"})
    assert other.canonical() != unsaid.canonical()


class Idle(InlineEngine):
    """Has nothing to do."""

    def map_reduce(self, *arguments: Any) -> Any:
        raise AssertionError("a tar is written again")


def test_other_weights_rewrite_manifest_blend_and_card_and_no_tar(tmp_path: Path) -> None:
    world, corpus = World(str(tmp_path / "work")), tmp_path / "corpus"
    world.captions("laion", 12)
    world.captions("more", 4)
    datasets: dict[str, dict[str, Any]] = {"laion": {"weight": 2.0}, "more": {}}

    def published(engine: InlineEngine, **rule: Any) -> Published:
        settings = mixture(corpus, datasets, **({"weights": rule} if rule else {}))
        return publish(world.workspace, world.given(), settings, engine)

    def files() -> dict[str, tuple[int, int, bytes]]:
        found = (path for path in sorted(corpus.rglob("*")) if path.is_file())
        return {
            str(path.relative_to(corpus)): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
            for path in found
        }

    def given(manifest: dict[str, Any]) -> list[float]:
        blend = yaml.safe_load((corpus / "blend.yaml").read_text())["splits"]["train"]["blend"]
        in_blend = {entry["path"].removeprefix("./"): entry["weight"] for entry in blend}
        assert in_blend == {name: entry["weight"] for name, entry in manifest["datasets"].items()}
        return [in_blend["laion"], in_blend["more"]]

    first = published(InlineEngine())
    manual = files()
    assert given(first.manifest) == [2.0, 1.0]
    assert "weights" not in first.manifest
    for rule, expected in (
        ({"rule": "proportional"}, [24 / 28, 4 / 28]),
        ({"rule": "temperature", "temperature": 2}, [2 * 12**0.5, 4**0.5]),
        ({"rule": "convergence", "task_weights": {"image_retrieval": 3}, "temperature": 2}, [2 * 12**0.5, 4**0.5]),
    ):
        again = published(Idle(), **rule)
        assert not again.reused
        assert given(again.manifest) == pytest.approx([weight / sum(expected) for weight in expected], rel=1e-5)
        assert again.manifest["weights"]["rule"] == rule["rule"]
        now = files()
        assert {name for name in now if now[name][2] != manual[name][2]} == {MANIFEST, "blend.yaml", "README.md"}
        tars = [name for name in now if name.endswith(".tar")]
        assert len(tars) == 4 and all(now[name] == manual[name] for name in tars)
        assert verify(str(corpus)).faults == []
        assert published(Idle(), **rule).reused
    published(Idle())
    assert {name: found[2] for name, found in files().items()} == {name: found[2] for name, found in manual.items()}
