"""Photographs, and planted copies that hashes miss, through whole runs: one of each is published, on every engine."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.status import plan_run
from tests.helpers.extras import engine_or_skip
from tests.helpers.semantic_runs import run_all, semantic_settings, write_set
from tests.helpers.whole_runs import digests, stage_tables

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
    """Two sets: one has the originals, the other copies of them; both have others."""
    images: dict[str, dict[str, np.ndarray]] = {"first": {}, "second": {}}
    for photograph in PHOTOGRAPHS:
        pixels = cv2.cvtColor(getattr(skimage.data, photograph)(), cv2.COLOR_RGB2BGR)[:400, :400]
        for number, (kind, copy) in enumerate(copies(pixels).items()):
            images["first" if number % 2 == 0 else "second"][f"{photograph}-{kind}"] = copy
    for name, pixels_of in images.items():
        write_set(folder, name, pixels_of)


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
    config = parse_settings(semantic_settings(home, data, {"stages": {"duplicates": {"min_cosine": 0.9}}}), Config)
    states = {step.name: {one.state for one in planned} for step, planned in plan_run(config, Selection()).steps}
    assert states["item_vectors"] == states["item_neighbours"] == {"done"} and states["duplicates"] == {"stale"}
