"""Drawn scenes through a whole run with vectors of the test CLIP: what is drawn anew is found, other scenes are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from demo.vlm.scenes import draw_shapes
from demo.vlm.training.clip import CLIP_CHECKPOINT
from demo.vlm.training.embedder_batches import held_out_scenes
from tests.helpers.semantic_runs import run_all, write_set

SCENES = held_out_scenes()[:40]  # that it was not trained on


def copies(folder: Path) -> list[str]:
    """Writes two sets; returns the names of the copies. A scene's first picture is the largest."""
    rng = np.random.default_rng(0)
    first, second = {}, {}
    for number, scene in enumerate(SCENES):
        pixels = draw_shapes(scene, rng, 224)[:, :, ::-1]
        first[f"{number}-original"] = pixels
        second[f"{number}-again"] = draw_shapes(scene, rng, 112)[:, :, ::-1]
        second[f"{number}-crop"] = pixels[8:-8, 8:-8]
        second[f"{number}-mirror"] = pixels[:-1, ::-1]
        second[f"{number}-warm"] = np.clip(pixels * np.array([0.9, 1, 1.1]), 0, 255).astype(np.uint8)[:-1]
    write_set(folder, "first", first)
    write_set(folder, "second", second)
    return list(second)


def test_scenes_that_are_drawn_anew_cropped_mirrored_and_recoloured_are_found(tmp_path: Path) -> None:
    planted = copies(tmp_path / "sets")
    dimension = json.loads((CLIP_CHECKPOINT / "open_clip_config.json").read_text())["model_cfg"]["embed_dim"]
    encoder = {"kind": "openclip", "model": f"local-dir:{CLIP_CHECKPOINT}", "dimension": dimension}
    vectors = {"encoder": encoder, "mirror": True}
    stages = {"item_vectors": vectors, "quality": {"min_sharpness": 0}}  # some scenes are drawn blurred
    found = run_all(tmp_path, tmp_path / "sets", {"stages": stages})
    removed = {name: by for name, (reason, by) in found.items() if reason in ("near_duplicate", "semantic_duplicate")}
    right = [name for name, by in removed.items() if name.split("-")[0] == by.split("-")[0]]
    assert len(right) >= 0.95 * len(removed), "precision"
    assert len([name for name in planted if name in right]) >= 0.95 * len(planted), "recall"
    by_hash = [name for name, (reason, _) in found.items() if reason == "near_duplicate"]
    assert len(by_hash) < 0.5 * len(planted), "the hash alone misses most"
    assert not [name for name in by_hash if name.endswith(("-again", "-mirror"))]
