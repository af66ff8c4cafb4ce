"""Whole runs over two sets of images, in which vectors of the images find duplicates that hashes miss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from corpus.settings import parse_settings
from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.status import plan_run
from tests.helpers.whole_runs import merged


def write_set(folder: Path, name: str, images: Mapping[str, np.ndarray]) -> None:
    """Writes a set of captioned images, blue first, by their names."""
    (folder / name).mkdir(parents=True)
    rows = []
    for image, pixels in images.items():
        cv2.imwrite(str(folder / name / f"{image}.png"), np.ascontiguousarray(pixels))
        rows.append({"image": f"{image}.png", "caption": f"this is {image}"})
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def semantic_settings(home: Path, data: Path, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
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
    config = parse_settings(semantic_settings(home, data, changes), Config)
    assert run(config, Selection(), Terminal(quiet=True)).failed == []
    tables = {step.name: planned for step, planned in plan_run(config, Selection()).steps}
    workspace, names, verdicts = Workspace(config.workspace), {}, {}
    for images, duplicates in zip(tables["images"], tables["duplicates"], strict=True):
        rows = workspace.read_table(images.task.output).to_pylist()
        names.update({row["item_id"]: Path(row["image"]).stem for row in rows})
        found = workspace.read_table(duplicates.task.output).to_pylist()
        verdicts.update({row["item_id"]: each for row, each in zip(rows, found, strict=True)})
    return {names[item]: (each["reason"], names[each["representative"] or item]) for item, each in verdicts.items()}
