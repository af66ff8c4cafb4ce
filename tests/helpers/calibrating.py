"""A small set of pairs text → image, whose images are blurred, dark or small by known degrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.runner import run

ROWS = 60


def scene(seed: int) -> np.ndarray:
    """A sharp picture of shapes on a gradient, another one for each seed."""
    chance = np.random.default_rng(seed)
    height, width = (int(each) for each in chance.integers(150, 260, 2))
    ramp = np.linspace(30, 200, width, dtype=np.float32)
    pixels = np.repeat(np.stack([ramp, ramp[::-1], np.full(width, 90.0)], axis=1)[None], height, axis=0)
    pixels = np.ascontiguousarray(pixels.astype(np.uint8))
    for _ in range(9):
        centre = [int(each) for each in chance.integers((10, 10), (width - 10, height - 10))]
        colour = [int(each) for each in chance.integers(0, 256, 3)]
        cv2.circle(pixels, centre, int(chance.integers(6, 34)), colour, -1)
    return pixels


def degraded(number: int) -> bytes:
    """The picture of a row as a JPEG: each third blurred, each fifth darkened, each seventh small, ever more."""
    pixels = scene(number)
    if number % 3 == 0:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 + number / 15)
    if number % 5 == 0:
        pixels = (pixels * (0.05 + number / 80)).clip(0, 255).astype(np.uint8)
    if number % 7 == 0:
        pixels = cv2.resize(pixels, (60 + number, 50 + number))
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def settings(folder: Path, **stages: Any) -> dict[str, Any]:
    """Settings of a source that lies in `folder`."""
    return {
        "workspace": str(folder / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {
            "shapes": {
                "kind": "jsonl",
                "files": [str(folder / "rows.jsonl")],
                "query": {"text": "caption"},
                "positive": {"images": "image"},
                "images": {"archives": {"paths": [str(folder / "images")]}},
                "shard_rows": 16,
                "licence": "drawn for the test",
            }
        },
        "stages": stages,
        "datasets": {"shapes": {"kind": "existing_pairs", "source": "shapes", "task": "image_retrieval"}},
    }


def caption(number: int) -> str:
    """The text of a row, with what a page must not take for its own."""
    return f"Shapes <b>{number}</b> & {'more ' * (number % 9)}"


def calibration_world(folder: Path, **stages: Any) -> Config:
    """Draws the images, runs all stages over them, and returns the configuration."""
    (folder / "images").mkdir(parents=True)
    for number in range(ROWS):
        (folder / "images" / f"{number:03}.jpg").write_bytes(degraded(number))
    rows = [
        {"caption": f"Shapes <b>{number}</b> & {'more ' * (number % 9)}", "image": f"{number:03}.jpg"}
        for number in range(ROWS)
    ]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    config = parse_settings(settings(folder, **stages), Config)
    assert run(config, Selection(), Console(quiet=True)).failed == []
    return config


def column(config: Config, stage: str, *names: str) -> np.ndarray:
    """Columns of all tables of a stage over the set: float64[rows], or [rows, names] for several."""
    folder = Path(config.workspace) / "tables/shapes" / stage
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    values = [np.array([table.column(name).to_pylist() for name in names], dtype=np.float64).T for table in tables]
    found = np.concatenate(values)
    return found[:, 0] if len(names) == 1 else found
