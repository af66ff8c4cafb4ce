"""Whole runs that filter images by networks on their vectors and deduplicate them by PDQ, on every engine."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.settings import parse_settings
from demo.images.photographs import photographs
from mining.descriptor import DIMENSION, describe
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.runner import run
from tests.helpers.extras import engine_or_skip, installed_or_skip
from tests.helpers.mining_worlds import scene
from tests.helpers.raw_tars import END, block

QUIET = Console(quiet=True)
SCENES, PHOTOGRAPHS = 8, 4


@cache
def images() -> tuple[bytes, ...]:
    """Blue and red scenes in turn, then grey photographs, then the same at half their size."""
    scenes = [scene("red" if number % 2 else "blue", 20 + 8 * number, "square") for number in range(SCENES)]
    large = [cv2.cvtColor(each.pixels, cv2.COLOR_BGR2GRAY) for each in photographs()[:PHOTOGRAPHS]]
    small = [cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for pixels in large]
    return (*scenes, *(cv2.imencode(".png", pixels)[1].tobytes() for pixels in (*large, *small)))


def folder(path: Path) -> Path:
    """Writes the images as img2dataset leaves them, in two shards."""
    path.mkdir()
    keys = [f"{number:05}" for number in range(len(images()))]
    for shard in range(2):
        mine = keys[shard::2]
        blocks = [block(f"{key}.png", images()[int(key)]) for key in mine]
        (path / f"{shard:05}.tar").write_bytes(b"".join(blocks) + END)
        rows = {"url": [f"http://example.org/{key}" for key in mine], "caption": [f"picture {key}" for key in mine]}
        pq.write_table(pa.table({**rows, "key": mine, "status": ["success"] * len(mine)}), path / f"{shard:05}.parquet")
    return path


def red_head(path: Path) -> str:
    """Saves a network that tells red scenes from blue ones: the difference of the means of their descriptors."""

    def mean(colour: str) -> np.ndarray:
        decoded = [cv2.imdecode(np.frombuffer(scene(colour, left, "square"), np.uint8), 1) for left in (30, 60, 90)]
        found = np.stack([describe((np.ascontiguousarray(each[:, :, ::-1]),), "") for each in decoded])
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).mean(axis=0)

    red, blue = mean("red"), mean("blue")
    weights = 50 * (red - blue)
    np.savez(path, weight=weights[None], bias=-weights @ (red + blue)[:, None] / 2)
    assert weights.shape == (DIMENSION,)
    return str(path)


def settings(home: Path, max_unsafe: float, kind: str = "local", **stages: Any) -> Config:
    chosen: dict[str, Any] = {
        "quality": {"min_side_px": 1, "min_sharpness": 0},
        "duplicates": {"hamming_radius": 0, "min_contrast": 1000, "min_cosine": None},  # by equal bytes only
        "item_vectors": {"encoder": {"kind": "descriptor"}},
        "heads": {"unsafe": {"weights": red_head(home / "red.npz"), "output": "sigmoid"}},
        "head_filter": {"max_unsafe": max_unsafe},
        **stages,
    }
    data = {
        "workspace": str(home / f"workspace-{kind}"),
        "engine": {"kind": kind, "workers": 2 if kind == "ray" else 1},
        "sources": {"have": {"kind": "img2dataset", "folder": str(home / "images")}},
        "stages": chosen,
        "datasets": {"have": {"source": "have"}},
    }
    return parse_settings(data, Config)


def tables(home: Path, stage: str, kind: str = "local") -> list[Path]:
    return sorted((home / f"workspace-{kind}" / "tables" / "have" / stage).glob("*.parquet"))


def rows_of(home: Path, stage: str, kind: str = "local") -> list[dict[str, Any]]:
    """The rows of a stage's tables, in the order of the images."""
    shards = [pq.read_table(path).to_pylist() for path in tables(home, stage, kind)]
    return [row for pair in zip(*shards, strict=True) for row in pair]


def test_a_threshold_on_a_score_decides_anew_and_computes_nothing(tmp_path: Path) -> None:
    folder(tmp_path / "images")
    assert run(settings(tmp_path, 0.9), Selection(), QUIET).failed == []
    assert [row["reason"] for row in rows_of(tmp_path, "head_filter")[:SCENES]] == ["", "unsafe"] * (SCENES // 2)
    scores = rows_of(tmp_path, "heads")
    assert {row["unsafe_from"] for row in scores} == {"head"}
    assert all((row["unsafe"] > 0.9) == bool(number % 2) for number, row in enumerate(scores[:SCENES]))
    computed = {stage: tables(tmp_path, stage) for stage in ("image_stats", "item_vectors", "heads")}
    result = run(settings(tmp_path, 1.0), Selection(), QUIET)
    assert result.failed == [] and result.funnels["have"]["kept"] == len(images())
    assert computed == {stage: tables(tmp_path, stage) for stage in computed}
    assert len(tables(tmp_path, "head_filter")) == 4


@pytest.mark.parametrize("kind", ["ray", "beam"])
def test_engines_filter_and_deduplicate_the_same(tmp_path: Path, kind: str) -> None:
    engine_or_skip(kind)
    installed_or_skip("pdqhash")
    folder(tmp_path / "images")
    duplicates = {"hamming_radius": 0, "min_contrast": 1000, "min_cosine": None, "pdq_radius": 31}
    stages = {"image_stats": {"pdq": True}, "duplicates": duplicates}
    for each in ("local", kind):
        assert run(settings(tmp_path, 0.9, each, **stages), Selection(), QUIET).failed == []
    for stage in ("image_stats", "heads", "head_filter", "duplicates"):
        assert rows_of(tmp_path, stage) == rows_of(tmp_path, stage, kind), stage
    found, items = rows_of(tmp_path, "duplicates"), rows_of(tmp_path, "index")
    assert [row["reason"] for row in found[SCENES:]] == [""] * PHOTOGRAPHS + ["near_duplicate"] * PHOTOGRAPHS
    for number in range(SCENES, SCENES + PHOTOGRAPHS):
        assert found[number + PHOTOGRAPHS]["representative"] == items[number]["item_id"]
