"""Photographs, and planted copies that hashes miss, through whole runs: one of each is published, on every engine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from corpus.settings import parse_settings
from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.status import plan_run
from tests.helpers.extras import engine_or_skip
from tests.helpers.whole_runs import digests, merged, stage_tables

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
SEMANTIC = ("crop", "mirror", "turn", "warm", "small-mirror")
HASHED = ("small",)


def copies(photograph: np.ndarray) -> dict[str, np.ndarray]:
    """Edits of a photograph: those that its pHash finds, and those that it misses."""
    height, width = photograph.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 3, 1.06)
    small = cv2.resize(photograph, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    warm = np.clip(photograph * np.array([0.93, 1, 1.07]), 0, 255).astype(np.uint8)
    return {
        "original": photograph,
        "small": small,
        "crop": photograph[height // 20 : -(height // 20), width // 20 : -(width // 20)],
        "mirror": photograph[:, ::-1],
        "small-mirror": small[:, ::-1],
        "turn": cv2.warpAffine(photograph, turn, (width, height))[: height - 2],
        "warm": warm[height // 16 :, : width - width // 16],
    }


def write_sets(folder: Path) -> None:
    """Two sets of captioned images: one has the originals, the other copies of them; both have others."""
    rows: dict[str, list[dict[str, str]]] = {"first": [], "second": []}
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
    for photograph in PHOTOGRAPHS:
        pixels = cv2.cvtColor(getattr(skimage.data, photograph)(), cv2.COLOR_RGB2BGR)[:400, :400]
        for number, (kind, copy) in enumerate(copies(pixels).items()):
            name = "first" if number % 2 == 0 else "second"
            cv2.imwrite(str(folder / name / f"{photograph}-{kind}.png"), np.ascontiguousarray(copy))
            rows[name].append({"image": f"{photograph}-{kind}.png", "caption": f"{photograph} as {kind}"})
    for name, listed in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in listed))


def settings(home: Path, data: Path, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    sources = {
        name: {
            "kind": "jsonl",
            "files": [str(data / f"{name}.jsonl")],
            "images": {"archives": {"paths": [str(data / name)]}},
            "query": {"text": "caption"},
            "positive": {"images": "image"},
            "shard_rows": 4,
        }
        for name in ("first", "second")
    }
    stages = {
        "quality": {"min_side_px": 16},
        "item_vectors": {"encoder": {"kind": "descriptor"}, "mirror": True},
    }
    dataset = {"kind": "existing_pairs", "source": "first", "more_sources": ["second"], "task": "image_retrieval"}
    plain = {
        "workspace": str(home / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": sources,
        "stages": stages,
        "datasets": {"photographs": dataset},
        "mixtures": {"one": {"corpus": str(home / "corpus"), "datasets": {"photographs": {}}}},
    }
    return merged(plain, changes or {})


def run_all(home: Path, data: Path, changes: Mapping[str, Any] | None = None) -> dict[str, tuple[str, str]]:
    """Runs everything; returns reason and representative of each image, by their names."""
    config = parse_settings(settings(home, data, changes), Config)
    assert run(config, Selection(), Terminal(quiet=True)).failed == []
    tables = {step.name: planned for step, planned in plan_run(config, Selection()).steps}
    workspace, names, verdicts = Workspace(config.workspace), {}, {}
    for images, duplicates in zip(tables["images"], tables["duplicates"], strict=True):
        rows = workspace.read_table(images.task.output).to_pylist()
        names.update({row["item_id"]: Path(row["image"]).stem for row in rows})
        found = workspace.read_table(duplicates.task.output).to_pylist()
        verdicts.update({row["item_id"]: each for row, each in zip(rows, found, strict=True)})
    return {names[item]: (each["reason"], names[each["representative"] or item]) for item, each in verdicts.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    folder = tmp_path_factory.mktemp("semantic")
    found = run_all(folder, data)
    expected = {}
    for name in PHOTOGRAPHS:
        expected |= {f"{name}-{kind}": ("semantic_duplicate", f"{name}-original") for kind in SEMANTIC}
        expected |= {f"{name}-{kind}": ("near_duplicate", f"{name}-original") for kind in HASHED}
        expected[f"{name}-original"] = ("", f"{name}-original")
    assert found == expected
    return folder


def test_planted_copies_are_found_over_sources_and_hashes_alone_miss_them(
    home: Path, data: Path, tmp_path: Path
) -> None:
    assert stage_tables(home, "item_neighbours")
    by_hash = run_all(tmp_path, data, {"stages": {"item_vectors": {"encoder": None}}})
    kept = {name for name, (reason, _) in by_hash.items() if not reason}
    assert {f"{name}-{kind}" for name in PHOTOGRAPHS for kind in ("original", "crop", "turn", "warm")} <= kept
    assert not stage_tables(tmp_path, "item_neighbours")


@pytest.mark.parametrize("engine", ["ray", "beam"])
def test_the_same_bytes_on_every_engine(home: Path, data: Path, tmp_path: Path, engine: str) -> None:
    engine_or_skip(engine)
    run_all(tmp_path, data, {"engine": {"kind": engine}})
    assert digests(tmp_path / "corpus") == digests(home / "corpus")
    for stage in ("item_vectors", "item_neighbours", "duplicates"):
        assert stage_tables(tmp_path, stage) == stage_tables(home, stage) != {}, stage


def test_another_cosine_decides_anew_and_searches_for_nothing(home: Path, data: Path) -> None:
    config = parse_settings(settings(home, data, {"stages": {"duplicates": {"min_cosine": 0.9}}}), Config)
    states = {step.name: {one.state for one in planned} for step, planned in plan_run(config, Selection()).steps}
    assert states["item_vectors"] == states["item_neighbours"] == {"done"} and states["duplicates"] == {"stale"}
