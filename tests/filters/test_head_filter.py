"""Stage `head_filter`: the first threshold that a score fails is the reason; a whole run over planted pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.execution import run_rows
from corpus.settings import parse_settings
from corpus.stage import Shard
from corpus.storage import Store
from filters.head_filter import HeadFilter, HeadFilterSettings, head_verdict
from mining.descriptor import DIMENSION, describe
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.runner import run
from tests.helpers.mining_worlds import scene
from tests.helpers.raw_tars import END, block

QUIET = Console(quiet=True)
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Red and blue scenes as img2dataset leaves them, four of each."""
    path = tmp_path / "images"
    path.mkdir()
    keys = [f"{number:05}" for number in range(8)]
    images = [scene("red" if number % 2 else "blue", 20 + 8 * number, "square") for number in range(8)]
    blocks = [block(f"{key}.png", image) for key, image in zip(keys, images, strict=True)]
    (path / "00000.tar").write_bytes(b"".join(blocks) + END)
    texts = [f"a {'red' if number % 2 else 'blue'} square, number {number}" for number in range(8)]
    rows = {"url": [f"http://example.org/{key}" for key in keys], "caption": texts, "key": keys}
    pq.write_table(pa.table({**rows, "status": ["success"] * 8}), path / "00000.parquet")
    return path


def red_head(path: Path) -> str:
    """Saves a network that tells red scenes from blue ones: the difference of the means of their descriptors."""
    import cv2

    def vectors(colour: str) -> np.ndarray:
        decoded = [cv2.imdecode(np.frombuffer(scene(colour, left, "square"), np.uint8), 1) for left in (30, 60, 90)]
        found = np.stack([describe((np.ascontiguousarray(each[:, :, ::-1]),), "") for each in decoded])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    red, blue = vectors("red").mean(axis=0), vectors("blue").mean(axis=0)
    weights = 50 * (red - blue)
    np.savez(path, weight=weights[None], bias=-weights @ (red + blue)[:, None] / 2)
    assert weights.shape == (DIMENSION,)
    return str(path)


def test_a_run_filters_what_a_network_on_vectors_finds_and_a_threshold_decides_anew(
    tmp_path: Path, folder: Path
) -> None:
    def settings(limit: float) -> Config:
        stages = {
            "quality": {"min_side_px": 1, "min_sharpness": 0},
            "duplicates": {"hamming_radius": 0, "min_cosine": None},
            "item_vectors": {"encoder": {"kind": "descriptor"}},
            "heads": {"unsafe": {"weights": red_head(tmp_path / "red.npz"), "output": "sigmoid"}},
            "head_filter": {"max_unsafe": limit},
        }
        data = {
            "workspace": str(tmp_path / "workspace"),
            "engine": {"kind": "local", "workers": 1},
            "sources": {"have": {"kind": "img2dataset", "folder": str(folder)}},
            "stages": stages,
            "datasets": {"have": {"source": "have"}},
        }
        return parse_settings(data, Config)

    def tables(stage: str) -> list[Path]:
        return sorted((tmp_path / "workspace" / "tables" / "have" / stage).glob("*.parquet"))

    assert run(settings(0.5), Selection(), QUIET).failed == []
    [path], [before] = tables("head_filter"), tables("heads")
    assert pq.read_table(path).column("reason").to_pylist() == ["", "unsafe"] * 4
    scores = pq.read_table(before)
    assert scores.column("unsafe_from").to_pylist() == ["head"] * 8
    assert all((score > 0.9) == bool(number % 2) for number, score in enumerate(scores.column("unsafe").to_pylist()))
    result = run(settings(1.0), Selection(), QUIET)
    assert result.failed == [] and result.funnels["have"]["kept"] == 8
    assert tables("heads") == [before] and len(tables("head_filter")) == 2
    assert len(tables("item_vectors")) == 1 == len(tables("image_stats"))
